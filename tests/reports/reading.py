"""Reads an invoice's amounts back from the text of its PDF, as a reader would find them.

Looks at where a text stands and how large it is, and at nothing that made the page: lines
are set in the size of the body, their tiers and token classes smaller, the total larger.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pypdf import PdfReader

SMALL, BODY, TOTAL = 7.1 * 4 / 3, 8.2 * 4 / 3, 10.4 * 4 / 3
TOTALS_COLUMN, AMOUNT_COLUMN = 420, 614
STEP_TITLES = ("Subtotal", "Amount due", "Amount credited")

_NUMBER = re.compile(r"−?[^\d\s−]*[\u00a0 ]?−?\d(?:[\d.,'’\u00a0\u202f]*\d)?")


@dataclass(frozen=True)
class Fragment:
    """A run of text: where it starts from the left, and its size, in CSS pixels."""

    text: str
    left: float
    size: float


@dataclass(frozen=True)
class ReadInvoice:
    """Amounts in minor units; subtotal is None where the page shows none."""

    lines: tuple[int, ...]
    subtotal: int | None
    taxes: tuple[int, ...]
    total: int
    pages: int


def read_invoice(pdf: bytes) -> ReadInvoice:
    """The amounts of the lines, of the steps below them, and the total."""
    fragments = list(_fragments(pdf))
    steps = list(_steps(fragments))
    return ReadInvoice(
        lines=tuple(_lines(fragments)),
        subtotal=steps[0] if steps else None,
        taxes=tuple(steps[1:]),
        total=next(_amount(f.text) for f in fragments[::-1] if _is(f, TOTAL) and _has_number(f)),
        pages=len(PdfReader(io.BytesIO(pdf)).pages),
    )


def text_of(pdf: bytes) -> str:
    """All text of a PDF."""
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def _fragments(pdf: bytes) -> Iterator[Fragment]:
    for page in PdfReader(io.BytesIO(pdf)).pages:
        found: list[Fragment] = []

        def visit(text, _, matrix, __, size, found=found):  # type: ignore[no-untyped-def]
            if text.strip():
                found.append(Fragment(text.strip(), float(matrix[4]), float(size)))

        page.extract_text(visitor_text=visit)
        yield from found


def _lines(fragments: list[Fragment]) -> Iterator[int]:
    """The amounts of the table's rows; its head, on each page, and what follows bound it."""
    in_table = False
    for fragment in fragments:
        if fragment.text == "Description" and _is(fragment, SMALL):
            in_table = True
        elif _ends_table(fragment):
            in_table = False
        elif in_table and _is(fragment, BODY) and fragment.left >= AMOUNT_COLUMN:
            yield _amount(fragment.text)


def _ends_table(fragment: Fragment) -> bool:
    if fragment.text == "Tax rate":
        return _is(fragment, SMALL)
    return fragment.text in STEP_TITLES and fragment.left >= TOTALS_COLUMN


def _steps(fragments: list[Fragment]) -> Iterator[int]:
    """Subtotal, then the taxes: body-sized rows right of the middle, from Subtotal on."""
    started = False
    for fragment in fragments:
        if fragment.left < TOTALS_COLUMN or not (_is(fragment, BODY) or _is(fragment, TOTAL)):
            continue
        started = started or fragment.text == "Subtotal"
        if started and _is(fragment, TOTAL):
            return
        if started and fragment.left >= AMOUNT_COLUMN:
            yield _amount(fragment.text)


def _is(fragment: Fragment, size: float) -> bool:
    return abs(fragment.size - size) < 0.1


def _has_number(fragment: Fragment) -> bool:
    return _NUMBER.search(fragment.text) is not None


def _amount(text: str) -> int:
    """The last amount of a text, in minor units: its digits, below zero with a minus."""
    last = _NUMBER.findall(text)[-1]
    digits = int(re.sub(r"\D", "", last))
    return -digits if "−" in last else digits
