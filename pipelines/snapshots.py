"""What was used in windows, as known at their cutoffs, and what no window takes in.

Whose usage it is, and whether his plan has the feature, is decided here, from what is known
by the cutoff: usage of a customer who is created later appears by itself. All windows are
answered by one set of queries, whatever their number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from billing_core.errors import BillingError
from billing_core.usage import Usage
from pipelines.ai_prices import CLASSES
from pipelines.datasets import PartitionFile, current_files, write_partition
from pipelines.edges import keep_edges, read_edges
from pipelines.mappings import text_literal
from pipelines.memory_metering import UsageEvent, meter_events
from pipelines.metering import connected
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import DataRoot, exact_pattern, sql_text
from pipelines.reasons import use_texts
from pipelines.usage_frames import (
    PRICE,
    SET_ASIDE,
    USAGE_DAILY,
    USAGE_EDGES,
    USAGE_MARGINS,
    USAGE_RECEIPTS,
    USAGE_SET_ASIDE,
    USAGE_SNAPSHOT_TOKENS,
    USAGE_SNAPSHOTS,
    USAGE_STATES,
    KnownCustomer,
    Schema,
    WindowRequest,
    conformed,
    empty,
    usage_values,
)

SOURCES: Mapping[str, Schema] = {
    "usage_daily": USAGE_DAILY,
    "usage_margins": USAGE_MARGINS,
    "usage_states": USAGE_STATES,
    "usage_edges": USAGE_EDGES,
    "set_aside": SET_ASIDE,
}
"""The datasets that snapshots are made of."""

ROWS_SET_ASIDE: Schema = {
    name: USAGE_SET_ASIDE[name]
    for name in ("reason", "customer_id", "feature", "event_day", "events", "quantity")
}
"""Landed rows that could not be counted; what is wrong with each stands in `set_aside`."""

STEPS = ("usage_parts", "rated_windows", "windowed_usage", "windowed_states", "usage_reasons")

CHECKS = ("usage_conservation", "usage_edges", "usage_receipts")
"""Blocking checks on usage; each gives the rows that must not be there. Rule USE-6."""


class UsageDoesNotAddUp(BillingError):
    """What was received is not what was rated or is set aside. Rule USE-6."""

    code = "USAGE-02"

    def __init__(self, failed: Mapping[str, pl.DataFrame]) -> None:
        found = "; ".join(
            f"{name}, {len(rows)} in all, the first: {_told(rows.row(0, named=True))}"
            for name, rows in failed.items()
        )
        super().__init__(
            what="nothing was drafted: usage does not add up from landing to invoice",
            where=found,
            mend="drafts and warehouse of the run before stand; remove warehouse/, which is made "
            "again from the inputs, and run; if usage still does not add up, report it with this",
        )


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Usage of the windows asked for, and what was received and is in none of them.

    usage:          as the billing core takes it; every window asked for has an entry.
    set_aside:      usage that no window takes, by reason, customer, feature and day, with
                    what is wrong, how to mend it, and the files it came in (null in memory).
    rows_set_aside: landed rows that could not be counted, by the same key.
    snapshots, tokens: as they are kept.
    """

    usage: Usage
    set_aside: pl.DataFrame
    rows_set_aside: pl.DataFrame
    snapshots: pl.DataFrame
    tokens: pl.DataFrame


def take_snapshots(
    root: DataRoot,
    requests: Sequence[WindowRequest],
    *,
    customers: Iterable[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> Snapshots:
    """Snapshots of windows from what is metered, and what is set aside as known at a day.

    takes:   requests, windows that do not overlap for one customer; for `set_aside` to mean
             something, all windows in which there was access.
    returns: also where nothing was used; keeps single events that had to be read.
    raises:  DayCannotBeReadAgain.
    rule:    USE-1, USE-3, USE-5, USE-8, USE-11.
    """
    asked = tuple(requests)
    with _asked(root, asked, customers=customers, spec=spec, through=through) as connection:
        return snapshots_of(connection, asked)


def usage_only(
    root: DataRoot,
    requests: Sequence[WindowRequest],
    *,
    customers: Iterable[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> Usage:
    """The usage of `take_snapshots`, but not one file is written. raises: DayCannotBeReadAgain."""
    asked = tuple(requests)
    with connected() as connection:
        register_requests(connection, asked, tuple(customers), spec, through)
        _register_files(connection, root)
        missing = connection.sql(sql_text("usage/missing_edges")).pl()
        found = read_edges(root, connection, missing, spec)
        if len(found):
            kept = conformed(connection.sql("from usage_edges").pl(), USAGE_EDGES)
            connection.execute("drop view if exists usage_edges")
            connection.register("usage_edges", pl.concat([kept, found]).to_arrow())
        return snapshots_of(connection, asked).usage


def checked_snapshots(
    root: DataRoot,
    requests: Sequence[WindowRequest],
    *,
    customers: Iterable[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> Snapshots:
    """As `take_snapshots`, of usage that is shown to be complete.

    raises: DayCannotBeReadAgain, UsageDoesNotAddUp.
    rule:   USE-6.
    """
    asked = tuple(requests)
    with _asked(root, asked, customers=customers, spec=spec, through=through) as connection:
        snapshots = snapshots_of(connection, asked)
        if failed := _failed(connection):
            raise UsageDoesNotAddUp(failed)
        return snapshots


def write_snapshots(root: DataRoot, snapshots: Snapshots) -> list[PartitionFile]:
    """Keep snapshots by cutoff, and what is set aside as it stands now."""
    written = []
    for name, table in (
        ("usage_snapshots", snapshots.snapshots),
        ("usage_snapshot_tokens", snapshots.tokens),
    ):
        for (cutoff_on,), part in table.group_by("cutoff_on", maintain_order=True):
            written.append(write_partition(root, name, f"cutoff_on={cutoff_on}", part))
    return [*written, write_partition(root, "usage_set_aside", "all", snapshots.set_aside)]


def snapshots_of(
    connection: duckdb.DuckDBPyConnection, requests: Sequence[WindowRequest]
) -> Snapshots:
    """Snapshots from the relations of a connection: SOURCES and `register_requests`."""
    _create_views(connection, (*STEPS, "windowed_margins"))
    snapshots = _table(connection, "usage_snapshots", USAGE_SNAPSHOTS)
    tokens = _table(connection, "usage_snapshot_tokens", USAGE_SNAPSHOT_TOKENS)
    return Snapshots(
        usage=usage_values(requests, snapshots, tokens),
        set_aside=_set_aside(connection),
        rows_set_aside=_table(connection, "rows_set_aside", ROWS_SET_ASIDE),
        snapshots=snapshots,
        tokens=tokens,
    )


@dataclass(frozen=True, slots=True)
class InMemoryUsage:
    """Events that are in no file, metered; answers for any windows. See `meter_events`."""

    connection: duckdb.DuckDBPyConnection
    spec: MeteringSpec
    customers: tuple[KnownCustomer, ...]

    def usage(self, requests: Sequence[WindowRequest]) -> Usage:
        """The usage of windows, as known at their cutoffs."""
        return self.snapshots(requests, through=date.max).usage

    def set_aside(self, requests: Sequence[WindowRequest], *, through: date) -> dict[str, int]:
        """How many events are not counted as known at a day, by reason, in order of reason."""
        taken = self.snapshots(requests, through=through)
        counted = ("reason", "events")
        events = pl.concat([taken.set_aside.select(counted), taken.rows_set_aside.select(counted)])
        counts = events.group_by("reason").agg(pl.col("events").sum()).sort("reason")
        return dict(counts.iter_rows())

    def snapshots(self, requests: Sequence[WindowRequest], *, through: date) -> Snapshots:
        register_requests(self.connection, requests, self.customers, self.spec, through)
        return snapshots_of(self.connection, requests)


def metered_in_memory(
    events: Sequence[UsageEvent], spec: MeteringSpec, customers: Iterable[KnownCustomer]
) -> InMemoryUsage:
    """Events as usage, by the same SQL as files. Rules USE-1 to USE-3, USE-9."""
    connection = connected()
    no_files = {"usage_receipts": empty(USAGE_RECEIPTS)}
    for name, table in (no_files | meter_events(connection, events, spec)).items():
        connection.execute(f"drop view if exists {name}")
        connection.register(name, table.to_arrow())
    return InMemoryUsage(connection, spec, tuple(customers))


def failed_checks(
    root: DataRoot,
    requests: Sequence[WindowRequest],
    *,
    customers: Iterable[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> dict[str, pl.DataFrame]:
    """The offending rows of every check on usage that fails; empty when all is well. USE-6."""
    asked = tuple(requests)
    with _asked(root, asked, customers=customers, spec=spec, through=through) as connection:
        _create_views(connection, STEPS)
        return _failed(connection)


def register_requests(
    connection: duckdb.DuckDBPyConnection,
    requests: Sequence[WindowRequest],
    customers: Sequence[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> None:
    """Make the relations that a snapshot is asked with."""
    keys = [request.key for request in requests]
    instant = pl.Datetime("us")
    columns: dict[str, tuple[Any, list[tuple[Any, ...]]]] = {
        "windows": (
            {
                "window_id": pl.Int32,
                "customer_id": pl.String,
                "start_at": instant,
                "end_at": instant,
                "cutoff_on": pl.Date,
            },
            [
                (n, k.customer_id, _naive(k.start_at), _naive(k.end_at), k.cutoff_on)
                for n, k in enumerate(keys)
            ],
        ),
        "plan_features": (
            {
                "window_id": pl.Int32,
                "feature": pl.String,
                "is_ai": pl.Boolean,
                "from_at": instant,
                "until_at": instant,
            },
            [
                (
                    n,
                    f.code,
                    f.is_ai,
                    f.from_at and _naive(f.from_at),
                    f.until_at and _naive(f.until_at),
                )
                for n, r in enumerate(requests)
                for f in r.features
            ],
        ),
        "customers": (
            {"external_id": pl.String, "customer_id": pl.String, "known_from": pl.Date},
            [(c.external_id, c.customer_id, c.known_from) for c in customers],
        ),
        "features": (
            {"feature": pl.String, "aggregation": pl.String},
            [(f.code, f.aggregation) for f in spec.features],
        ),
        "edge_days": (
            {"customer_id": pl.String, "event_day": pl.Date},
            _edge_days(requests, customers),
        ),
        "margins": ({"margin_bp": pl.Int32}, [(m,) for m in _margins(spec)]),
        "as_of": ({"through": pl.Date}, [(through,)]),
        "ai_prices": (
            {"price_id": pl.Int32, **{f"{name}_price": PRICE for name in CLASSES}},
            [(price.price_id, *map(_scaled, price.prices)) for price in spec.prices],
        ),
    }
    for name, (schema, rows) in columns.items():
        connection.register(name, pl.DataFrame(rows, schema=schema, orient="row").to_arrow())


@contextmanager
def _asked(
    root: DataRoot,
    requests: tuple[WindowRequest, ...],
    *,
    customers: Iterable[KnownCustomer],
    spec: MeteringSpec,
    through: date,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the files, and what is asked of them; single events kept as needed."""
    with connected() as connection:
        register_requests(connection, requests, tuple(customers), spec, through)
        _register_files(connection, root)
        missing = connection.sql(sql_text("usage/missing_edges")).pl()
        if keep_edges(root, connection, missing, spec):
            _register_files(connection, root)
        yield connection


def _create_views(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    for name in names:
        connection.execute(f"create or replace temp view {name} as {sql_text(f'usage/{name}')}")


def _failed(connection: duckdb.DuckDBPyConnection) -> dict[str, pl.DataFrame]:
    found = {name: connection.sql(sql_text(f"checks/{name}")).pl() for name in CHECKS}
    return {name: rows for name, rows in found.items() if len(rows)}


def _told(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)


def _margins(spec: MeteringSpec) -> list[int]:
    return sorted(spec.margins_bp) if spec.is_per_event else []


def _scaled(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.000000000001"))


def _edge_days(
    requests: Sequence[WindowRequest], customers: Sequence[KnownCustomer]
) -> list[tuple[str, date]]:
    """The UTC days inside which usage is cut, under every id of the customer: by a window, or by
    a feature that came or went.
    """
    names: dict[str, list[str]] = {}
    for customer in customers:
        names.setdefault(customer.customer_id, []).append(customer.external_id)
    days = {
        (name, instant.date())
        for request in requests
        for instant in _edges(request)
        if instant.time() != time()
        for name in names.get(request.key.customer_id, ())
    }
    return sorted(days)


def _edges(request: WindowRequest) -> Iterator[datetime]:
    yield from (_naive(request.key.start_at), _naive(request.key.end_at))
    for feature in request.features:
        yield from (_naive(at) for at in (feature.from_at, feature.until_at) if at is not None)


def _register_files(connection: duckdb.DuckDBPyConnection, root: DataRoot) -> None:
    for name, schema in (*SOURCES.items(), ("usage_receipts", USAGE_RECEIPTS)):
        paths = [text_literal(exact_pattern(path)) for path in current_files(root, name).values()]
        if paths:
            connection.execute(
                f"create or replace temp view {name} as"
                f" from read_parquet([{', '.join(paths)}], hive_partitioning = false)"
            )
        else:
            connection.register(name, empty(schema).to_arrow())


def _table(connection: duckdb.DuckDBPyConnection, name: str, schema: Schema) -> pl.DataFrame:
    return conformed(connection.sql(sql_text(f"usage/{name}")).pl(), schema)


def _set_aside(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    found = connection.sql(sql_text("usage/usage_set_aside")).pl()
    whats, mends = use_texts(found["reason"])
    texts = (pl.Series("what", whats, pl.String), pl.Series("mend", mends, pl.String))
    return conformed(found.with_columns(*texts), USAGE_SET_ASIDE)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
