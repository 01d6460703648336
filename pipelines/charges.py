"""Charge records: as tables that analysts read, and as lines for a payment provider.

Each run tells anew what is to be collected for every invoice, drafts included. A record is
handed out once, when its invoice is posted, or waits for its payment to be made; and only
while something of it is still to be collected. What came of it arrives as payments.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from billing_core.charging import SILENT_AFTER, Attempt, ChargeRecord, charge_records
from billing_core.period import midnight
from billing_core.setting import Setting
from billing_core.state import CustomerState
from pipelines.books import Books, PostedInvoice
from pipelines.datasets import PartitionFile, current_files, write_partition
from pipelines.drafts import read_summary, summary_path
from pipelines.frames import INSTANT, QUANTITY, Schema, table
from pipelines.outbox import Line, hand_out
from pipelines.paths import DataRoot
from pipelines.world import currencies

RECORDS: Schema = {
    "charge_record_id": pl.String,
    "customer_id": pl.String,
    "kind": pl.String,
    "collection": pl.String,
    "retry_hours": pl.List(pl.Int32),
    "currency": pl.String,
    "amount_minor": pl.Int64,
    "unpaid_minor": pl.Int64,
    "amount": QUANTITY,
    "unpaid": QUANTITY,
    "due_on": pl.Date,
    "handed_out_on": pl.Date,
    "due_at": INSTANT,
}
"""One row an invoice with a total above 0, by charge_record_id, which is the invoice's id."""

ATTEMPTS: Schema = {
    "charge_record_id": pl.String,
    "attempt": pl.Int32,
    "result": pl.String,
    "is_silent": pl.Boolean,
    "due_at": INSTANT,
    "result_at": INSTANT,
}
"""One row an attempt to collect, by (charge_record_id, attempt); the last may be still to make."""

CHARGES: dict[str, Schema] = {"charge_records": RECORDS, "charge_attempts": ATTEMPTS}
"""Datasets with the one partition `all`."""

FILE = "charge_records.jsonl"
"""What the payment provider reads, in the outbox."""


def write_charges(
    root: DataRoot,
    states: Iterable[CustomerState],
    setting: Setting,
    *,
    at: datetime,
    issued_on: Mapping[str, date],
) -> list[PartitionFile]:
    """Replace both tables by what is to be collected now. The writer's lock is held.

    takes: at, the instant of the states; issued_on, of posted invoices by id.
    rule:  PAY-1.
    """
    handed = {name: handed_out_at(day) for name, day in issued_on.items()}
    found = [
        record
        for state in states
        if state.invoices or state.subscription
        for record in charge_records(state, setting, at=at, handed_out=handed)
    ]
    found.sort(key=lambda record: record.id)
    days = [day_handed_out(it, issued_on.get(it.id)) for it in found]
    records = map(_record, found, days)
    attempts = (row for it, day in zip(found, days, strict=True) for row in _attempts(it, day, at))
    return [
        write_partition(root, "charge_records", "all", table(records, RECORDS)),
        write_partition(root, "charge_attempts", "all", table(attempts, ATTEMPTS)),
    ]


def day_handed_out(record: ChargeRecord, issued_on: date | None) -> date | None:
    """On which day a charge record is handed out, in UTC; None of other drafts. PAY-0, PAY-1.

    That of a posted invoice on its issue date. A checkout or a purchase is posted when it is
    paid: its record is handed out before that, by the run of the day after.
    """
    if issued_on is None and record.is_waiting and record.due_on is not None:
        return record.due_on + timedelta(days=1)
    return issued_on


def handed_out_at(day: date) -> datetime:
    """When a charge record counts as handed out: the start of the day on which it was, in UTC.

    The first attempt is due then, which is at once; no clock stands in the books. PAY-1.
    """
    return midnight(day, UTC)


def is_silent(attempt: Attempt, handed_out_on: date | None, at: datetime) -> bool:
    """Whether an attempt is due for 24 hours without result. Rule PAY-1.

    takes: handed_out_on, None where nobody was asked to collect yet. The 24 hours count from
           the end of that day at the earliest: by then it surely was handed out.
    """
    if handed_out_on is None or not attempt.is_silent:
        return False
    return at >= midnight(handed_out_on + timedelta(days=1), UTC) + SILENT_AFTER


def hand_out_charges(root: DataRoot, books: Books) -> tuple[Line, ...]:
    """Put what is to be collected into the outbox, each record once, in the order of posting.

    returns: the lines that are new; the file is not touched where there are none. What is
             paid, and what no retry could collect, is not handed out; nor is anything while
             the last run looked back to a day at which payments were not known yet.
    """
    if not _is_up_to_date(root, books):
        return ()
    owed, attempts = _open_records(root), _next_attempts(root)
    posted = {it.invoice.id: it for it in books.invoices}
    waiting = (name for name, row in owed.items() if row["handed_out_on"] and name not in posted)
    return hand_out(
        root,
        FILE,
        [
            _line(owed[name], attempts.get(name), posted.get(name))
            for name in (*posted, *waiting)
            if name in owed and (name in attempts or owed[name]["collection"] == "on_terms")
        ],
    )


Row = dict[str, Any]


def _is_up_to_date(root: DataRoot, books: Books) -> bool:
    """Whether the last run knew all that the last posting knew."""
    last = books.postings[-1].through if books.postings else date.min
    return summary_path(root).is_file() and read_summary(root).through >= last


def _open_records(root: DataRoot) -> dict[str, Row]:
    """The charge records of which something is unpaid, by id."""
    path = current_files(root, "charge_records").get("all")
    if path is None:
        return {}
    unpaid = pl.read_parquet(path, glob=False).filter(pl.col("unpaid_minor") > 0)
    return {row["charge_record_id"]: row for row in unpaid.iter_rows(named=True)}


def _next_attempts(root: DataRoot) -> dict[str, Row]:
    """The attempts that are still to be made, by the id of the charge record."""
    path = current_files(root, "charge_attempts").get("all")
    if path is None:
        return {}
    coming = pl.read_parquet(path, glob=False).filter(pl.col("result").is_null())
    return {row["charge_record_id"]: row for row in coming.iter_rows(named=True)}


def _line(record: Row, attempt: Row | None, posted: PostedInvoice | None) -> Line:
    """A record as it is handed out; `posted` is None of what waits for its payment."""
    day = record["handed_out_on"] if posted is None else posted.issued_on
    attempts = []
    if attempt is not None:
        due_at = max(attempt["due_at"].astimezone(UTC), handed_out_at(day))
        attempts.append({"attempt": attempt["attempt"], "due_at": _text(due_at)})
    digits = currencies()[record["currency"]].minor_digits
    return {
        "id": record["charge_record_id"],
        "invoice_id": record["charge_record_id"],
        "number": None if posted is None else posted.number,
        "customer_id": record["customer_id"],
        "kind": record["kind"],
        "amount": f"{record['amount']:.{digits}f}",
        "unpaid": f"{record['unpaid']:.{digits}f}",
        "currency": record["currency"],
        "due_on": str(record["due_on"] if posted is None else posted.due_on),
        "collection": record["collection"],
        "attempts": attempts,
        "retry_hours": record["retry_hours"],
    }


def _text(at: datetime) -> str:
    """An instant as JSON has it.

    >>> _text(datetime(2026, 5, 2, tzinfo=UTC))
    '2026-05-02T00:00:00Z'
    """
    return at.isoformat().replace("+00:00", "Z")


def _record(it: ChargeRecord, handed_out_on: date | None) -> tuple[Any, ...]:
    return (
        it.id,
        it.customer_id,
        it.kind,
        it.collection,
        list(it.retry_hours),
        it.amount.currency.code,
        it.amount.minor,
        it.unpaid.minor,
        it.amount.major,
        it.unpaid.major,
        it.due_on,
        handed_out_on,
        it.due_at,
    )


def _attempts(
    record: ChargeRecord, handed_out_on: date | None, at: datetime
) -> Iterator[tuple[Any, ...]]:
    for it in record.attempts:
        silent = is_silent(it, handed_out_on, at)
        yield (record.id, it.number, it.result, silent, it.due_at, it.result_at)
