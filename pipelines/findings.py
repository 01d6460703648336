"""What a person should look at after a run: what is set aside, refused, unpaid or faulted.

Only reads what the last run wrote. Every finding says how it is mended.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from billing_core.actions import OutcomeStatus
from billing_core.engine_changes import EngineChange
from billing_core.errors import Fault
from billing_core.state import Status
from pipelines.books import Books
from pipelines.datasets import current_files
from pipelines.drafts import DraftSummary, Hold, draft_table
from pipelines.engine_changes import changes_seen
from pipelines.frames import outcomes_from
from pipelines.paths import DataRoot


@dataclass(frozen=True, slots=True)
class SetAside:
    """All that is set aside for one reason, told by the first of it.

    kind:  row, of a usage file; usage, that no plan takes; action. As in the mart `set_aside`.
    count: rows or whole files, events, actions.
    place: where the first of them lies.
    """

    kind: str
    reason: str
    count: int
    what: str
    place: str
    mend: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An action that was not done, and why. Rule ACT-6."""

    action_id: str
    customer_id: str | None
    at: datetime
    reason: str
    what: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A subscription that waits for its first payment, or did until it expired. Rule SUB-8.

    total: of its initial invoice, major units; None of a trial that waits for its setup
           (SUB-3), and once it has expired.
    """

    customer_id: str
    plan: str
    began_on: date
    expires_at: datetime
    currency: str
    total: Decimal | None
    has_expired: bool


@dataclass(frozen=True, slots=True)
class Unpaid:
    """A purchase that waits for its payment. Rule PAY-3. total: major units."""

    customer_id: str
    name: str
    asked_on: date
    invoice_id: str
    currency: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class Uncollectible:
    """An invoice whose dunning has ended without success. Rules PAY-1, PAY-2.

    unpaid: major units.
    """

    customer_id: str
    invoice_id: str
    currency: str
    unpaid: Decimal


@dataclass(frozen=True, slots=True)
class Silent:
    """An attempt to collect that is without result for 24 hours. Rule PAY-1.

    unpaid: major units; due_at: when the attempt was due.
    """

    customer_id: str
    charge_record_id: str
    attempt: int
    due_at: datetime
    currency: str
    unpaid: Decimal


@dataclass(frozen=True, slots=True)
class Findings:
    """What the last run left to look at; set aside by (kind, reason), refused newest first."""

    faults: tuple[Fault, ...]
    holds: tuple[Hold, ...]
    set_aside: tuple[SetAside, ...]
    refused: tuple[Refused, ...]
    checkouts: tuple[Checkout, ...]
    uncollectible: tuple[Uncollectible, ...] = ()
    engine_changes: tuple[EngineChange, ...] = ()
    silent: tuple[Silent, ...] = ()
    purchases: tuple[Unpaid, ...] = ()


NOTHING = Findings((), (), (), (), ())
"""Where no run has made drafts yet."""


def findings_of(root: DataRoot, drafts: DraftSummary, books: Books) -> Findings:
    """What the run that made these drafts left to look at."""
    return Findings(
        faults=tuple(Fault(*row) for row in draft_table(root, drafts, "draft_faults").rows()),
        holds=tuple(Hold(*row) for row in draft_table(root, drafts, "draft_holds").rows()),
        set_aside=_set_aside(root),
        refused=_refused(root, drafts, books),
        checkouts=_checkouts(root),
        uncollectible=_uncollectible(root),
        engine_changes=tuple(it.change for it in changes_seen(root, books)),
        silent=_silent(root),
        purchases=_purchases(root),
    )


def _set_aside(root: DataRoot) -> tuple[SetAside, ...]:
    row, event_day = pl.col("row_number"), pl.col("event_day")
    in_file = pl.when(row.is_null()).then(pl.lit("")).otherwise(pl.format(", row {}", row))
    landed = pl.format("landing/usage/{}", "path")
    places = {
        ("row", "set_aside"): (pl.concat_str(landed, in_file), pl.lit(1)),
        ("usage", "usage_set_aside"): (
            pl.format("customer {}, events of {}, {}", "customer_id", event_day, landed),
            pl.col("events"),
        ),
        ("action", "actions_set_aside"): (pl.concat_str("path", in_file), pl.lit(1)),
    }
    return tuple(
        SetAside(kind, *row)
        for (kind, dataset), (place, count) in places.items()
        for row in _by_reason(current_files(root, dataset).values(), place, count)
    )


def _by_reason(
    paths: Iterable[Path], place: pl.Expr, count: pl.Expr
) -> list[tuple[str, int, str, str, str]]:
    """(reason, count, what, place, mend) of each reason, told by the first of it."""
    parts = [pl.scan_parquet(path, glob=False) for path in paths]
    if not parts:
        return []
    told = pl.concat(parts).select("reason", "what", "mend", place=place, count=count)
    first = told.group_by("reason").agg(
        pl.col("count").sum(),
        *(pl.col(name).sort_by("place").first() for name in ("what", "place", "mend")),
    )
    return first.sort("reason").collect().rows()


def _refused(root: DataRoot, drafts: DraftSummary, books: Books) -> tuple[Refused, ...]:
    """Every action that is refused, those that a posting has fixed included."""
    drafted = outcomes_from(draft_table(root, drafts, "draft_outcomes"))
    # of an action that stands in both the books have the last word
    known = {(it.action_id, it.customer_id): it for it in (*drafted, *books.outcomes)}
    refused = [it for it in known.values() if it.status is OutcomeStatus.REFUSED]
    ordered = sorted(refused, key=lambda it: (it.at, it.action_id, it.customer_id or ""))
    return tuple(
        Refused(it.action_id, it.customer_id, it.at, str(it.reason), it.what)
        for it in reversed(ordered)
    )


def _checkouts(root: DataRoot) -> tuple[Checkout, ...]:
    path = current_files(root, "subscriptions").get("all")
    if path is None:
        return ()
    unpaid = pl.read_parquet(path, glob=False).filter(
        pl.col("status").is_in([Status.PENDING_PAYMENT.value, Status.EXPIRED.value])
        & pl.col("expires_at").is_not_null()
    )
    return tuple(
        Checkout(
            customer_id=row["customer_id"],
            plan=row["plan"],
            began_on=row["anchor_on"],
            expires_at=row["expires_at"],
            currency=row["currency"],
            total=row["checkout_total"],
            has_expired=row["status"] == Status.EXPIRED.value,
        )
        for row in unpaid.sort("expires_at", "customer_id").iter_rows(named=True)
    )


def _purchases(root: DataRoot) -> tuple[Unpaid, ...]:
    path = current_files(root, "purchases").get("all")
    if path is None:
        return ()
    columns = ("customer_id", "name", "asked_on", "invoice_id", "currency", "total")
    waiting = pl.read_parquet(path, glob=False).select(columns)
    return tuple(Unpaid(*row) for row in waiting.sort("asked_on", "invoice_id").rows())


def _uncollectible(root: DataRoot) -> tuple[Uncollectible, ...]:
    path = current_files(root, "invoice_balances").get("all")
    if path is None:
        return ()
    lost = pl.read_parquet(path, glob=False).filter("is_uncollectible")
    columns = ("customer_id", "invoice_id", "currency", "unpaid")
    return tuple(Uncollectible(*row) for row in lost.select(columns).sort(columns[:2]).rows())


def _silent(root: DataRoot) -> tuple[Silent, ...]:
    attempts = current_files(root, "charge_attempts").get("all")
    records = current_files(root, "charge_records").get("all")
    if attempts is None or records is None:
        return ()
    waiting = pl.read_parquet(attempts, glob=False).filter("is_silent")
    owed = pl.read_parquet(records, glob=False).drop("due_at")
    found = waiting.join(owed, on="charge_record_id").sort("due_at", "charge_record_id")
    columns = ("customer_id", "charge_record_id", "attempt", "due_at", "currency", "unpaid")
    return tuple(Silent(*row) for row in found.select(columns).rows())
