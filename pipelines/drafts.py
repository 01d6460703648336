"""Drafts: what the last run would post, whole, and what changed since the run before.

Drafts carry no number and no state, and are replaced by every run. `warehouse/drafts.json`
is written last and names every file that belongs to them; it holds the hash that is looked
at and that posting asks for. What no run finished writing is not seen by anybody.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from billing_core.actions import Outcome
from billing_core.errors import BillingError, Fault
from billing_core.invoice import Invoice
from pipelines.datasets import current_files, replaced, sha256_of, write_partition
from pipelines.frames import (
    FAULTS,
    INVOICES,
    LINE_DETAILS,
    LINES,
    OUTCOMES,
    USED_FEATURES,
    InvoiceFrames,
    Schema,
    fault_frame,
    invoice_frames,
    invoices_from,
    major,
    outcome_frame,
    outcomes_from,
    table,
)
from pipelines.paths import DataRoot

HOLDS: Schema = {"customer_id": pl.String, "reason": pl.String}
"""One row a customer and reason that his invoices wait for. Rules USE-2, PST-5."""

BY_DAY: Mapping[str, Schema] = {
    "draft_invoices": INVOICES,
    "draft_invoice_lines": LINES,
    "draft_invoice_line_details": LINE_DETAILS,
    "draft_invoice_usage": USED_FEATURES,
}
"""Datasets with a partition a billing day: `billing_day=2026-05-01`."""

WHOLE: Mapping[str, Schema] = {
    "draft_outcomes": OUTCOMES,
    "draft_faults": FAULTS,
    "draft_holds": HOLDS,
}
"""Datasets with the one partition `all`."""


class NoDrafts(BillingError):
    """There are no drafts that could be looked at or posted."""

    code = "DRAFT-01"

    def __init__(self, path: Path) -> None:
        super().__init__(
            what="no run has made drafts yet",
            where=str(path),
            mend="run `fairbill run --through DATE`",
        )


class DamagedDrafts(BillingError):
    """A file of the drafts is gone or is not what the run wrote."""

    code = "DRAFT-02"

    def __init__(self, path: Path) -> None:
        super().__init__(
            what="a file of the drafts is missing or has changed since it was written",
            where=str(path),
            mend="run `fairbill run --through DATE`: drafts are made again from the inputs",
        )


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """Why a customer's invoices wait: `conflict`, `engine_change` or `missing_usage`."""

    customer_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class DraftFile:
    """One file of the drafts; `path` is relative to the warehouse."""

    dataset: str
    partition: str
    path: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class DraftSummary:
    """What a run drafted: the hash that is looked at, counts, totals and files.

    through: the landing day that the run went up to, that day included.
    totals:  currency -> sum of the totals, in major units.
    """

    through: date
    hash: str
    invoices: int
    lines: int
    faults: int
    holds: int
    totals: Mapping[str, Decimal]
    files: tuple[DraftFile, ...]
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafts as values, with the tables that they were read from."""

    summary: DraftSummary
    invoices: tuple[Invoice, ...]
    outcomes: tuple[Outcome, ...]
    faults: tuple[Fault, ...]
    holds: tuple[Hold, ...]


def summary_path(root: DataRoot) -> Path:
    """Where the summary lies that makes files of the warehouse the drafts."""
    return root.warehouse / "drafts.json"


def write_drafts(
    root: DataRoot,
    invoices: Sequence[Invoice],
    *,
    through: date,
    outcomes: Sequence[Outcome] = (),
    faults: Sequence[Fault] = (),
    holds: Sequence[Hold] = (),
) -> DraftSummary:
    """Replace the drafts by those of this run. Rule PST-1.

    takes:   all that is not posted yet; nothing that is. The writer's lock is held.
    returns: the summary; `is_new` is false when not one file changed.
    """
    tables = _tables_by_day(invoices)
    tables["draft_outcomes"] = {"all": outcome_frame(outcomes)}
    tables["draft_faults"] = {"all": fault_frame(faults)}
    tables["draft_holds"] = {"all": _hold_frame(holds)}
    files = tuple(
        _written(root, dataset, partition, tables[dataset][partition])
        for dataset in (*BY_DAY, *WHOLE)
        for partition in sorted(tables[dataset])
    )
    _empty_the_others(root, {dataset: set(parts) for dataset, parts in tables.items()})
    summary = DraftSummary(
        through=through,
        hash=draft_hash(files),
        invoices=len(invoices),
        lines=sum(len(invoice.lines) for invoice in invoices),
        faults=len(faults),
        holds=len(holds),
        totals=totals_of(invoices),
        files=files,
    )
    return _committed(root, summary)


def read_summary(root: DataRoot) -> DraftSummary:
    """What the last finished run drafted. raises: NoDrafts."""
    path = summary_path(root)
    if not path.is_file():
        raise NoDrafts(path)
    return _summary(json.loads(path.read_text(encoding="utf-8")))


def read_previous(root: DataRoot) -> DraftSummary | None:
    """The drafts before the last ones that differ from them; None if there were none."""
    path = summary_path(root)
    if not path.is_file():
        return None
    previous = json.loads(path.read_text(encoding="utf-8"))["previous"]
    return None if previous is None else _summary(previous)


def read_drafts(root: DataRoot) -> Drafts:
    """The drafts of the last finished run, every file checked against its hash.

    raises: NoDrafts, DamagedDrafts.
    """
    summary = read_summary(root)
    for file in summary.files:
        path = root.warehouse / file.path
        if not path.is_file() or sha256_of(path) != file.sha256:
            raise DamagedDrafts(path)
    return Drafts(
        summary=summary,
        invoices=invoices_from(draft_frames(root, summary)),
        outcomes=outcomes_from(draft_table(root, summary, "draft_outcomes")),
        faults=tuple(Fault(*row) for row in draft_table(root, summary, "draft_faults").rows()),
        holds=tuple(Hold(*row) for row in draft_table(root, summary, "draft_holds").rows()),
    )


def draft_frames(root: DataRoot, summary: DraftSummary) -> InvoiceFrames:
    """The tables of the drafted invoices, all days, each sorted by its key."""
    key = ["invoice_id"]
    return InvoiceFrames(
        invoices=draft_table(root, summary, "draft_invoices"),
        lines=draft_table(root, summary, "draft_invoice_lines").sort([*key, "line"]),
        line_details=draft_table(root, summary, "draft_invoice_line_details").sort(
            [*key, "line", "detail"]
        ),
        used_features=draft_table(root, summary, "draft_invoice_usage").sort([*key, "position"]),
    )


def draft_table(root: DataRoot, summary: DraftSummary, dataset: str) -> pl.DataFrame:
    """One dataset of the drafts, all partitions, in order of partition."""
    empty = table([], {**BY_DAY, **WHOLE}[dataset])
    paths = [root.warehouse / file.path for file in summary.files if file.dataset == dataset]
    return pl.concat([empty, *(pl.read_parquet(path, glob=False) for path in paths)])


def draft_hash(files: Iterable[DraftFile]) -> str:
    """One hash over what is drafted: the same drafts give the same hash, wherever they lie."""
    named = sorted((file.dataset, file.partition, file.sha256) for file in files if file.rows)
    text = "".join(f"{dataset}\t{partition}\t{sha256}\n" for dataset, partition, sha256 in named)
    return hashlib.sha256(text.encode()).hexdigest()


def totals_of(invoices: Iterable[Invoice]) -> dict[str, Decimal]:
    """The sum of invoice totals in major units, by currency, sorted."""
    totals: dict[tuple[str, int], int] = {}
    for invoice in invoices:
        key = (invoice.currency.code, invoice.currency.minor_digits)
        totals[key] = totals.get(key, 0) + invoice.total.minor
    return {code: major(minor, digits) for (code, digits), minor in sorted(totals.items())}


_KEY = (
    "invoice_id",
    "customer_id",
    "billing_day",
    "line_type",
    "code",
    "charge_type",
    "service_start",
    "occurrence",
)
_COMPARED = {
    "amount": pl.col("amount_minor"),
    "quantity": pl.col("quantity_exact"),
    "unit price": pl.col("unit_price_exact"),
    "used": pl.col("used_exact"),
    "included": pl.col("included_exact"),
    "days": pl.concat_str("days_charged", pl.lit(" of "), "days_in_period"),
    "service end": pl.col("service_end").cast(pl.String),
    "name": pl.col("name"),
    "tax category": pl.col("tax_category"),
    "tax rate": pl.col("tax_rate_bp").cast(pl.String),
    "rule": pl.col("rule"),
}
_CAUSES = tuple(name for name in _COMPARED if name != "amount")


def diff_drafts(
    before: pl.DataFrame, after: pl.DataFrame, *, booked: Iterable[str] = ()
) -> pl.DataFrame:
    """Which lines are new, gone or changed between two sets of drafts, and why. Rule PST-1.

    takes:   two tables of draft lines; ids of invoices that are posted by now.
    returns: one row a line that differs, by (billing_day, customer_id, invoice_id, ...):
             `change` is new, gone, changed or posted; amounts before and after are in minor
             units; `why` names the rule of a new or gone line, and what else differs of a
             changed one (`used 10 -> 12`), or `amount` where nothing else does.
    """
    joined = _compared(before).join(
        _compared(after), on=_KEY, how="full", coalesce=True, nulls_equal=True, suffix="_after"
    )
    posted = pl.col("invoice_id").is_in(list(booked))
    is_gone, is_new = pl.col("rule_after").is_null(), pl.col("rule").is_null()
    change = (
        pl.when(is_gone & posted)
        .then(pl.lit("posted"))
        .when(is_gone)
        .then(pl.lit("gone"))
        .when(is_new)
        .then(pl.lit("new"))
        .otherwise(pl.lit("changed"))
    )
    why = pl.when(is_gone).then("rule").when(is_new).then("rule_after").otherwise(_differences())
    shown = joined.with_columns(change=change, why=why).filter(pl.col("why") != "")
    return shown.select(
        "change",
        *_KEY[:-1],
        amount_minor_before="amount",
        amount_minor_after="amount_after",
        currency=pl.coalesce("currency", "currency_after"),
        why="why",
    ).sort("billing_day", "customer_id", "invoice_id", "line_type", "code", "service_start", "why")


def diff_of_last_run(root: DataRoot, *, booked: Iterable[str] = ()) -> pl.DataFrame:
    """What the last run changed, against the drafts before it. raises: NoDrafts."""
    after, before = read_summary(root), read_previous(root)
    lines = draft_table(root, after, "draft_invoice_lines")
    empty = lines.clear()
    was = empty if before is None else draft_table(root, before, "draft_invoice_lines")
    return diff_drafts(was, lines, booked=booked)


def _compared(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines by what they are about: a line that was inserted above does not move the others."""
    key = _KEY[:-1]
    return (
        lines.sort("invoice_id", "line")
        .with_columns(occurrence=pl.int_range(pl.len()).over(key))
        .select(*_KEY, "currency", **_COMPARED)
    )


def _differences() -> pl.Expr:
    """`used 10 -> 12; days 3 of 30 -> 4 of 30`, `amount` alone, empty when nothing differs."""
    texts = []
    for name in _CAUSES:
        old, new = pl.col(name).fill_null("none"), pl.col(f"{name}_after").fill_null("none")
        text = pl.concat_str(pl.lit(f"{name} "), old, pl.lit(" -> "), new)
        texts.append(pl.when(old != new).then(text))
    causes = pl.concat_str(texts, separator="; ", ignore_nulls=True)
    is_other_amount = pl.col("amount").ne_missing(pl.col("amount_after"))
    return pl.when((causes == "") & is_other_amount).then(pl.lit("amount")).otherwise(causes)


def _tables_by_day(invoices: Sequence[Invoice]) -> dict[str, dict[str, pl.DataFrame]]:
    days: dict[date, list[Invoice]] = {}
    for invoice in invoices:
        days.setdefault(invoice.billing_day, []).append(invoice)
    tables: dict[str, dict[str, pl.DataFrame]] = {dataset: {} for dataset in BY_DAY}
    for day, made in sorted(days.items()):
        frames = invoice_frames(made)
        parts = (frames.invoices, frames.lines, frames.line_details, frames.used_features)
        for dataset, frame in zip(BY_DAY, parts, strict=True):
            tables[dataset][f"billing_day={day}"] = frame
    return tables


def _hold_frame(holds: Iterable[Hold]) -> pl.DataFrame:
    return table(((it.customer_id, it.reason) for it in sorted(set(holds))), HOLDS)


def _written(root: DataRoot, dataset: str, partition: str, frame: pl.DataFrame) -> DraftFile:
    written = write_partition(root, dataset, partition, frame)
    return DraftFile(
        dataset=dataset,
        partition=partition,
        path=str(written.path.relative_to(root.warehouse)),
        sha256=sha256_of(written.path),
        rows=frame.height,
    )


def _empty_the_others(root: DataRoot, written: Mapping[str, set[str]]) -> None:
    for dataset, schema in BY_DAY.items():
        empty = table([], schema)
        for partition in current_files(root, dataset):
            if partition not in written[dataset]:
                write_partition(root, dataset, partition, empty)


def _committed(root: DataRoot, summary: DraftSummary) -> DraftSummary:
    """The summary on disk, with the one before it: where drafts of a run become the drafts."""
    path = summary_path(root)
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    record: dict[str, Any] = _record(summary)
    record["previous"] = None
    if old is not None:
        is_same = old["hash"] == summary.hash
        record["previous"] = (
            old["previous"] if is_same else {key: old[key] for key in old if key != "previous"}
        )
    if old == record:
        return summary
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return _summary(record, is_new=True)


def _record(summary: DraftSummary) -> dict[str, Any]:
    return {
        "through": str(summary.through),
        "hash": summary.hash,
        "invoices": summary.invoices,
        "lines": summary.lines,
        "faults": summary.faults,
        "holds": summary.holds,
        "totals": {code: str(amount) for code, amount in summary.totals.items()},
        "files": [
            {name: getattr(file, name) for name in DraftFile.__slots__} for file in summary.files
        ],
    }


def _summary(record: Mapping[str, Any], *, is_new: bool = False) -> DraftSummary:
    return DraftSummary(
        through=date.fromisoformat(record["through"]),
        hash=record["hash"],
        invoices=record["invoices"],
        lines=record["lines"],
        faults=record["faults"],
        holds=record["holds"],
        totals={code: Decimal(amount) for code, amount in record["totals"].items()},
        files=tuple(DraftFile(**file) for file in record["files"]),
        is_new=is_new,
    )
