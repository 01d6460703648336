"""Plots on an asset's page in Dagster: bars by day, as an image inside a text.

Dagster shows images that stand in markdown as data; the drawing is SVG made here, so that
the same figures give the same bytes.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import escape

import dagster as dg

from reports.charts import Box, GridLine, columns, grid

DAYS = 92
"""A plot shows at most so many days, the last ones."""

WIDTH, HEIGHT, LEFT, FOOT = 720, 160, 90, 40
COLOURS = ("#2e6f9e", "#e0a030", "#7a8a99")

Series = Mapping[str, Mapping[date, Decimal]]
"""What is drawn: name -> day -> value. Days that are missing are 0."""


def plot(drawings: Mapping[str, Series]) -> dg.MarkdownMetadataValue:
    """Bars by day, one drawing below the other, each under its title.

    takes: title (what and in which unit) -> what is drawn. Nothing below zero is drawn.

    >>> plot({"money by day in USD": {"posted": {date(2026, 5, 1): Decimal(29)}}}).value[:30]
    '**money by day in USD**: poste'
    """
    return dg.MetadataValue.md("\n\n".join(_image(*it) for it in drawings.items()))


def drawn_days(series: Series) -> list[date]:
    """Every day from the first to the last that has a value, and of those the last DAYS.

    >>> [str(it) for it in drawn_days({"a": {date(2026, 5, 1): 1}, "b": {date(2026, 5, 3): 1}})]
    ['2026-05-01', '2026-05-02', '2026-05-03']
    """
    having = [day for values in series.values() for day in values]
    if not having:
        return []
    first = max(min(having), max(having) - timedelta(days=DAYS - 1))
    return [first + timedelta(days=it) for it in range((max(having) - first).days + 1)]


def svg(title: str, series: Series) -> str:
    """The drawing itself, days from left to right, the series of a day side by side."""
    days = drawn_days(series)
    groups = [[values.get(day, Decimal(0)) for values in series.values()] for day in days]
    top, lines = grid(max(value for group in groups for value in group), HEIGHT)
    boxes = columns(groups, width=WIDTH, height=HEIGHT, top=top)
    shown = [*_lines(lines), *_bars(boxes), *_dates(days, boxes)]
    size = f"{WIDTH + LEFT} {HEIGHT + FOOT + 10}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-{LEFT} -10 {size}"'
        f' width="{WIDTH + LEFT}" font-family="sans-serif" font-size="12">'
        f"<title>{escape(title)}</title>{''.join(shown)}</svg>"
    )


def _image(title: str, series: Series) -> str:
    if not drawn_days(series):
        return f"**{title}**: nothing yet"
    data = base64.b64encode(svg(title, series).encode()).decode()
    names = ", ".join(f"{name} {colour}" for name, colour in zip(series, _NAMES, strict=False))
    return f"**{title}**: {names}\n\n![{title}](data:image/svg+xml;base64,{data})"


_NAMES = ("blue", "yellow", "grey")
"""What COLOURS are called."""


def _lines(lines: Sequence[GridLine]) -> list[str]:
    return [
        f'<line x1="0" x2="{WIDTH}" y1="{line.y}" y2="{line.y}" stroke="#ccc"/>'
        f'<text x="-8" y="{line.y}" dy="4" text-anchor="end">{line.value:,}</text>'
        for line in lines
    ]


def _bars(boxes: Sequence[Sequence[Box]]) -> list[str]:
    return [
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" fill="{colour}"/>'
        for group in boxes
        for box, colour in zip(group, COLOURS, strict=False)
    ]


def _dates(days: Sequence[date], boxes: Sequence[Sequence[Box]]) -> list[str]:
    """The first and the last day, and those between them that have room."""
    step = max(len(days) // 6, 1)
    return [
        f'<text x="{boxes[place][0].middle}" y="{HEIGHT + 18}" text-anchor="middle">{day}</text>'
        for place, day in enumerate(days)
        if place % step == 0
    ]
