"""Reads an invoice's amounts back from the text of its PDF, as a reader would find them.

Looks at where a text stands and how large it is, and at nothing that made the page: lines
are set in the size of the body, their tiers and token classes smaller, the total larger.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pypdf import PdfReader

BODY, TOTAL = 8.2 * 4 / 3, 10.4 * 4 / 3
TABLE_HEAD = "Description Quantity Unit price Amount"
AFTER_TABLE = ("Tax rate", "Subtotal", "Amount due", "Amount credited")
AMOUNT_COLUMN, TOTALS_COLUMN = 500, 420

_NUMBER = re.compile(r"−?[^\d\s−]*[\u00a0 ]?−?\d(?:[\d.,'’\u00a0\u202f]*\d)?")


@dataclass(frozen=True)
class Fragment:
    """A run of text: where it starts from the left and the top, and its size, in CSS pixels."""

    text: str
    left: float
    top: float
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
                found.append(
                    Fragment(text.strip(), float(matrix[4]), float(matrix[5]), float(size))
                )

        page.extract_text(visitor_text=visit)
        yield from found


def _lines(fragments: list[Fragment]) -> Iterator[int]:
    """The last amount of each row of the table."""
    for _, row in groupby(_in_amount_columns(fragments), key=lambda fragment: fragment.top):
        yield _amount(list(row)[-1].text)


def _in_amount_columns(fragments: list[Fragment]) -> Iterator[Fragment]:
    in_table = False
    for fragment in fragments:
        if fragment.text == TABLE_HEAD:
            in_table = True
        elif fragment.text.startswith(AFTER_TABLE) and fragment.left < AMOUNT_COLUMN:
            in_table = in_table and _is(fragment, BODY) and fragment.left < TOTALS_COLUMN
        elif in_table and _is(fragment, BODY) and fragment.left >= AMOUNT_COLUMN:
            yield fragment


def _steps(fragments: list[Fragment]) -> Iterator[int]:
    """Subtotal, then the taxes: body-sized rows right of the middle, from Subtotal on."""
    started = False
    for fragment in fragments:
        if fragment.left < TOTALS_COLUMN or not (_is(fragment, BODY) or _is(fragment, TOTAL)):
            continue
        started = started or fragment.text.startswith("Subtotal")
        if started and _is(fragment, TOTAL):
            return
        if started and _has_number(fragment) and not fragment.text.endswith("%"):
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
