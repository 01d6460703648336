"""The demo: a sample billed end to end, and a list of what was made and where it lies."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from billing_core.period import boundary
from pipelines import new_root, runs
from pipelines.books import read_books
from pipelines.drafts import read_drafts, totals_of
from pipelines.generate import SETTLING_DAYS, Generated, generate
from pipelines.landing import read_register
from pipelines.outbox import outbox_path, read_letters
from pipelines.paths import DataRoot

CUSTOMERS = 60
MONTHS = 3
EVENTS = 500_000
SEED = 1
START = date(2026, 1, 1)

QUERY = """\
attach '{database}' as billing (read_only);
select plan_name, count(*) as invoices, sum(total) as billed
from billing.invoices where status = 'posted' group by all order by all;"""
"""How an analyst opens the warehouse, in any DuckDB."""

SETTLING = timedelta(days=SETTLING_DAYS)
"""How long after a month's end the last of its usage arrives."""


@dataclass(frozen=True, slots=True)
class Made:
    """One kind of thing that the demo made; place: where it lies."""

    what: str
    count: int | Decimal
    place: Path


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made; query: how to open the warehouse; number: of the last invoice."""

    root: Path
    made: tuple[Made, ...]
    seconds: int
    query: str
    number: str


def run_demo(root: DataRoot) -> Demo:
    """Begin the root if needed, land the sample, then run and post once for each month.

    Done again, nothing is made again.
    """
    began_at = time.monotonic()
    new_root.begin(root)
    sample = generate(
        root, customers=CUSTOMERS, months=MONTHS, events=EVENTS, seed=SEED, start=START
    )
    months = [boundary(START, number) for number in range(MONTHS)]
    for number in range(1, MONTHS + 1):
        _bill_month(root, min(boundary(START, number) + SETTLING, sample.last_day))
    reports = [runs.report_revenue(root, month) for month in months]
    return Demo(
        root=root.root,
        made=tuple(_made(root, sample, len(reports))),
        seconds=round(time.monotonic() - began_at),
        query=QUERY.format(database=root.database),
        number=read_books(root).invoices[-1].number,
    )


def _bill_month(root: DataRoot, through: date) -> None:
    """A run through a day, and a posting of what it drafted, dated that day."""
    runs.run(root, through)
    books, drafts = read_books(root), read_drafts(root).summary
    if not books.postings or books.postings[-1].posted_on <= through:
        runs.post(root, draft_hash=drafts.hash, issued_on=through)


def _made(root: DataRoot, sample: Generated, reports: int) -> Iterator[Made]:
    books = read_books(root)
    yield Made("customers", sample.customers, root.customers)
    yield Made("usage rows landed", _rows_landed(root), root.usage_landing)
    yield Made("invoices posted", len(books.invoices), root.books)
    for code, amount in totals_of(it.invoice for it in books.invoices).items():
        yield Made(f"billed, {code}", amount, root.books)
    yield Made("invoice PDFs", _pdfs(root), root.documents / "invoices")
    yield Made("revenue reports", reports, root.documents / "reports")
    yield Made("documents in the outbox", len(read_letters(root)), outbox_path(root))
    yield Made("warehouse", 1, root.database)


def _rows_landed(root: DataRoot) -> int:
    return sum(file.rows or 0 for file in read_register(root).files)


def _pdfs(root: DataRoot) -> int:
    return sum(1 for _ in (root.documents / "invoices").glob("*/*.pdf"))
