"""Where a data root stands: what is landed, metered, drafted, posted and published.

Only reads. What no run has looked at yet is not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl

from pipelines.books import Books, read_books
from pipelines.charges import FILE as CHARGE_RECORDS
from pipelines.datasets import current_files
from pipelines.drafts import (
    DraftSummary,
    NoDrafts,
    diff_of_last_run,
    draft_table,
    read_summary,
    totals_of,
)
from pipelines.findings import NOTHING, Findings, findings_of
from pipelines.landing import read_register
from pipelines.notices import FILE as NOTICES
from pipelines.outbox import read_letters, read_lines
from pipelines.paths import DataRoot
from pipelines.warehouse import Publication, published


@dataclass(frozen=True, slots=True)
class Landed:
    """Usage files in the register. set_aside: files that are not used at all."""

    files: int
    rows: int
    set_aside: int
    first_day: date | None
    last_day: date | None
    seen_through: date | None


@dataclass(frozen=True, slots=True)
class Metered:
    """Landing days that are metered: those with files, and up to which day a run has gone."""

    days: int
    through: date | None


@dataclass(frozen=True, slots=True)
class PostedSoFar:
    """What is in the books. totals: by currency, major units."""

    postings: int
    invoices: int
    last_number: str | None
    last_posted_on: date | None
    totals: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a data root stands.

    drafts:     of the last run; None where no run has made any.
    to_post:    how many of them are not in the books yet.
    changes:    lines that differ from the drafts before, as `diff_drafts` gives them, but
                for those that are posted by now.
    findings:   what the last run left for a person to look at.
    letters, charges, notices: documents, charge records and notices handed out so far.
    is_current: whether the published warehouse has the drafts and postings of now.
    notes:      sentences on what may surprise in the last run.
    """

    root: Path
    landed: Landed
    metered: Metered
    drafts: DraftSummary | None
    to_post: int
    changes: pl.DataFrame
    findings: Findings
    posted: PostedSoFar
    letters: int
    charges: int
    notices: int
    published: Publication | None
    is_current: bool
    notes: tuple[str, ...]


def status_of(root: DataRoot) -> Status:
    """Where the root stands. raises: DamagedBooks, DamagedRegister, DamagedDrafts."""
    books, publication, drafts = read_books(root), published(root), _drafts(root)
    return Status(
        root=root.root,
        landed=_landed(root),
        metered=_metered(root, drafts, books),
        drafts=drafts,
        to_post=0 if drafts is None else _to_post(root, drafts, books),
        changes=pl.DataFrame() if drafts is None else _changes(root, books),
        findings=NOTHING if drafts is None else findings_of(root, drafts, books),
        posted=_posted(books),
        letters=len(read_letters(root)),
        charges=len(read_lines(root, CHARGE_RECORDS)),
        notices=len(read_lines(root, NOTICES)),
        published=publication,
        is_current=publication is not None
        and publication.posting == len(books.postings)
        and publication.draft_hash == (drafts and drafts.hash),
        notes=() if drafts is None else _notes(drafts, books),
    )


def _drafts(root: DataRoot) -> DraftSummary | None:
    try:
        return read_summary(root)
    except NoDrafts:
        return None


def _to_post(root: DataRoot, drafts: DraftSummary, books: Books) -> int:
    invoices = draft_table(root, drafts, "draft_invoices")
    return len(set(invoices["invoice_id"]) - books.invoice_ids)


def _changes(root: DataRoot, books: Books) -> pl.DataFrame:
    return diff_of_last_run(root, booked=books.invoice_ids).filter(pl.col("change") != "posted")


def _landed(root: DataRoot) -> Landed:
    register = read_register(root)
    days = [file.landing_day for file in register.files]
    return Landed(
        files=len(register.files),
        rows=sum(file.rows or 0 for file in register.files),
        set_aside=sum(not file.is_used for file in register.files),
        first_day=min(days, default=None),
        last_day=max(days, default=None),
        seen_through=register.seen_through,
    )


def _metered(root: DataRoot, drafts: DraftSummary | None, books: Books) -> Metered:
    days = [partition.partition("=")[2] for partition in current_files(root, "usage_receipts")]
    run_through = [] if drafts is None else [drafts.through]
    reached = [*map(date.fromisoformat, days), *run_through, *(it.through for it in books.postings)]
    return Metered(len(days), max(reached, default=None))


def _notes(drafts: DraftSummary, books: Books) -> tuple[str, ...]:
    """That a run looked back: it shows an earlier day, and the books are as they were. PST-2."""
    posted = books.postings[-1].through if books.postings else drafts.through
    if drafts.through >= posted:
        return ()
    return (
        f"The last run went up to {drafts.through}, and what is posted was drafted up to {posted}:"
        " this is how things stood on that earlier day. Nothing that is posted has changed."
        f" To go on, run with --through {posted} or a later day.",
    )


def _posted(books: Books) -> PostedSoFar:
    last = books.postings[-1] if books.postings else None
    return PostedSoFar(
        postings=len(books.postings),
        invoices=len(books.invoices),
        last_number=last.last_number if last else None,
        last_posted_on=last.posted_on if last else None,
        totals=totals_of(it.invoice for it in books.invoices),
    )
