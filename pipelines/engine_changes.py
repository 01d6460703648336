"""What the present engine bills otherwise than the books: each posting of another engine, rated
again from what its run knew.

A posting of this very engine is not looked at. What was found of a posting is kept under the
engine's hash, so that it is rated again once for each engine.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from billing_core.actions import Action
from billing_core.engine_changes import EngineChange, as_posted, engine_changes, known_by
from billing_core.invoice import Invoice
from billing_core.money import Money
from pipelines.billing import History, Meter, rate
from pipelines.books import Books, Manifest, PostedInvoice, engine_sources
from pipelines.datasets import current_file, write_partition
from pipelines.frames import Schema, table
from pipelines.paths import DataRoot
from pipelines.world import currencies

DATASET = "engine_changes"

ENGINE_CHANGES: Schema = {
    "customer_id": pl.String,
    "invoice_id": pl.String,
    "line_type": pl.String,
    "code": pl.String,
    "currency": pl.String,
    "booked_minor": pl.Int64,
    "now_minor": pl.Int64,
    "seen_on": pl.Date,
}
"""One row a posted invoice, line type and code that comes out otherwise. Rule PST-5."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A change, and the day of the run that first saw it: a release from then on lets it go."""

    change: EngineChange
    seen_on: date


def changes_of_books(
    root: DataRoot, history: History, books: Books, meter: Meter
) -> tuple[Seen, ...]:
    """All that this engine bills otherwise, in order of posting. The writer's lock is held."""
    sources = engine_sources()
    for manifest in books.postings:
        if manifest.inputs.sources == sources or manifest.through > history.through:
            continue
        partition = _partition(manifest, sources)
        if current_file(root, DATASET, partition) is None:
            changes = _changes(history, books, manifest, meter)
            rows = [_row(change, history.through) for change in changes]
            write_partition(root, DATASET, partition, table(rows, ENGINE_CHANGES))
    return changes_seen(root, books)


def changes_seen(root: DataRoot, books: Books) -> tuple[Seen, ...]:
    """What runs of this engine have found of the books, in order of posting."""
    sources = engine_sources()
    partitions = [_partition(manifest, sources) for manifest in books.postings]
    paths = [current_file(root, DATASET, partition) for partition in partitions]
    return tuple(
        _seen(row)
        for path in paths
        if path is not None
        for row in pl.read_parquet(path, glob=False).iter_rows(named=True)
    )


def _partition(manifest: Manifest, sources: str) -> str:
    return f"posting={manifest.posting:06}-{sources[:16]}"


def _changes(
    history: History, books: Books, manifest: Manifest, meter: Meter
) -> list[EngineChange]:
    """A posting against what its own inputs make now: the run of its day, taken again.

    Who cannot be billed at all has a fault, which says so.
    """
    posted = [it for it in books.invoices if it.posting == manifest.posting]
    known_on = manifest.through
    then = replace(
        history,
        setting=as_posted(history.setting, known_on),
        through=known_on,
        actions=_actions(history, known_on),
        booked=_booked(it for it in books.invoices if it.posting < manifest.posting),
    )
    rated = rate(then, meter, only={it.invoice.customer_id for it in posted})
    made = {invoice.id: invoice for invoice in rated.invoices}
    faulted = {fault.customer_id for fault in rated.faults}
    return [
        change
        for it in posted
        if it.invoice.customer_id not in faulted
        for change in engine_changes(it.invoice, made.get(it.invoice.id))
    ]


def _actions(history: History, known_on: date) -> dict[str, Sequence[Action]]:
    known = ((name, known_by(own, known_on)) for name, own in history.actions.items())
    return {name: own for name, own in known if own}


def _booked(posted: Iterable[PostedInvoice]) -> dict[str, list[Invoice]]:
    booked: dict[str, list[Invoice]] = defaultdict(list)
    for it in posted:
        booked[it.invoice.customer_id].append(it.invoice)
    return booked


def _row(change: EngineChange, seen_on: date) -> tuple[Any, ...]:
    return (
        change.customer_id,
        change.invoice_id,
        change.line_type,
        change.code,
        change.booked.currency.code,
        change.booked.minor,
        change.now.minor,
        seen_on,
    )


def _seen(row: dict[str, Any]) -> Seen:
    currency = currencies()[row["currency"]]
    change = EngineChange(
        customer_id=row["customer_id"],
        invoice_id=row["invoice_id"],
        line_type=row["line_type"],
        code=row["code"],
        booked=Money(row["booked_minor"], currency),
        now=Money(row["now_minor"], currency),
    )
    return Seen(change, row["seen_on"])
