"""Where the shapes of a chart stand: exact coordinates as text, for templates to place.

A chart is a drawing of a few rectangles, so it is made here and not by a library: the same
figures give the same bytes, and no number passes through a float.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from reports.formats import decimal_near

GRID_LINES = 4
"""At most so many lines above zero."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a drawing, and the middle of its width for a label."""

    x: str
    y: str
    width: str
    height: str
    middle: str


@dataclass(frozen=True, slots=True)
class GridLine:
    """A horizontal line: its height in the drawing, and the value it stands for."""

    y: str
    value: Decimal


def columns(
    groups: Sequence[Sequence[Decimal]], *, width: int, height: int, top: Decimal
) -> tuple[tuple[Box, ...], ...]:
    """Upright bars in groups side by side, each group the same width; below zero is not drawn.

    takes: top, the value at the full height, > 0.

    >>> [[(box.x, box.height) for box in group] for group in
    ...  columns([[Decimal(5)], [Decimal(10)]], width=100, height=40, top=Decimal(10))]
    [[('7.50', '20.00')], [('57.50', '40.00')]]
    """
    step = Fraction(width, max(len(groups), 1))
    drawn = []
    for place, group in enumerate(groups):
        bar = step * Fraction(7, 10) / max(len(group), 1)
        left = step * place + step * Fraction(15, 100)
        drawn.append(
            tuple(
                _column(left + bar * index, bar, value, height, top)
                for index, value in enumerate(group)
            )
        )
    return tuple(drawn)


def bar_width(value: Decimal, largest: Decimal, width: int) -> str:
    """The length of a lying bar; nothing for what is not above zero.

    >>> bar_width(Decimal(5), Decimal(20), 100), bar_width(Decimal(-5), Decimal(20), 100)
    ('25.00', '0.00')
    """
    if value <= 0 or largest <= 0:
        return "0.00"
    return _text(Fraction(value) / Fraction(largest) * width)


def grid(largest: Decimal, height: int) -> tuple[Decimal, tuple[GridLine, ...]]:
    """A round value at the top of a chart, and the lines up to it, zero first.

    >>> top, lines = grid(Decimal("137.20"), 100)
    >>> str(top), [(line.y, str(line.value)) for line in lines]
    ('150', [('100.00', '0'), ('66.67', '50'), ('33.33', '100'), ('0.00', '150')])
    """
    step = _round_step(largest)
    count = max(-(-Fraction(largest) // Fraction(step)), 1)
    top = step * int(count)
    values = [step * index for index in range(int(count) + 1)]
    lines = (
        GridLine(_text(height - Fraction(value) / Fraction(top) * height), value)
        for value in values
    )
    return top, tuple(lines)


def _round_step(largest: Decimal) -> Decimal:
    """1, 2 or 5 times a power of ten, so that few lines reach the largest value."""
    if largest <= 0:
        return Decimal(1)
    exponent = largest.adjusted() - 1
    steps = (Decimal(digit).scaleb(exponent + more) for more in range(3) for digit in (1, 2, 5))
    fitting = next(step for step in steps if step * GRID_LINES >= largest)
    return Decimal(f"{fitting:f}")


def _column(left: Fraction, width: Fraction, value: Decimal, height: int, top: Decimal) -> Box:
    tall = Fraction(max(value, Decimal(0))) / Fraction(top) * height
    return Box(
        x=_text(left),
        y=_text(height - tall),
        width=_text(width * Fraction(94, 100)),
        height=_text(tall),
        middle=_text(left + width / 2),
    )


def _text(value: Fraction) -> str:
    return str(decimal_near(value, 2))
