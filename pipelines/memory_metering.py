"""Usage events that are in no file, metered by the same SQL and the same rules.

For scenarios and estimates: the events of a story, each on its landing day, become the
relations that snapshots are made of. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.canonical_parquet import CANONICAL
from pipelines.counting import (
    CountableRows,
    counted_tables,
    extent_of,
    known_references,
    prepare_counted,
    prepare_priced,
)
from pipelines.days import Day, DayFile, SettledDay, day_digests, settled_day
from pipelines.deduplication import CountedDay, repeats
from pipelines.digests import Digests
from pipelines.kept_days import rows_set_aside
from pipelines.landed_rows import ScannedFile, scan
from pipelines.landing import LandedFile
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import sql_text
from pipelines.retractions import FIRST_DAYS, EarlierDays, with_retractions
from pipelines.usage_frames import (
    SET_ASIDE,
    USAGE_EDGES,
    USAGE_MARGINS,
    USAGE_REVERSALS,
    USAGE_STATES,
    FeatureDefinition,
    conformed,
    empty,
)


class UsageEvent(Protocol):
    """A usage event as an object, with the canonical columns. received_at None: it lands on
    the day of its instant."""

    event_id: str
    source: str
    customer_id: str
    feature: str
    occurred_at: datetime
    received_at: datetime | None
    value: Decimal | None
    amount: Decimal | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    retracts: str | None
    properties: Mapping[str, str]


def landing_day_of(event: UsageEvent) -> date:
    """The UTC date on which an event lands."""
    return (event.received_at or event.occurred_at).astimezone(UTC).date()


def meter_events(
    connection: duckdb.DuckDBPyConnection, events: Sequence[UsageEvent], spec: MeteringSpec
) -> dict[str, pl.DataFrame]:
    """The datasets that snapshots are made of, from events in the order in which they land.

    rule: USE-1, USE-2, USE-9, as `meter_days`.
    """
    by_day: dict[date, list[UsageEvent]] = {}
    for event in events:
        by_day.setdefault(landing_day_of(event), []).append(event)
    tables = {
        day: _rows(own, day, number, spec.features)
        for number, (day, own) in enumerate(sorted(by_day.items()))
    }
    days = [
        _scanned(connection, day, number, tables[day], spec)
        for number, day in enumerate(sorted(tables))
    ]
    settled = _settled(connection, days, tables, spec)
    _prepare(connection, settled, tables, spec)
    wanted = connection.sql("select distinct customer_id, event_day from counted_events")
    connection.register("wanted_days", wanted.to_arrow_table())
    edges = conformed(connection.sql(sql_text("usage/usage_edges")).pl(), USAGE_EDGES)
    aside = pl.concat([empty(SET_ASIDE), *(rows_set_aside(item) for item in settled)])
    others = {"usage_states": empty(USAGE_STATES), "usage_margins": empty(USAGE_MARGINS)}
    counted = counted_tables(connection, spec)
    return others | counted | {"usage_edges": edges, "set_aside": aside}


def _settled(
    connection: duckdb.DuckDBPyConnection,
    days: Sequence[Day],
    tables: Mapping[date, pa.Table],
    spec: MeteringSpec,
) -> list[SettledDay]:
    """What of each day counts, in order: the days before are those of the same events."""
    for landing_day, table in tables.items():
        connection.register(_name(landing_day), table)
    counted: list[CountedDay] = []
    settled: dict[date, SettledDay] = {}
    for day in days:
        digests = day_digests(day)
        near = [
            partial(_itself, one) for one in counted if one.day >= digests.day - spec.dedupe_days
        ]
        (found,) = repeats([digests], near, dedupe_days=spec.dedupe_days)
        item = settled_day(day, digests, found)
        item, _ = with_retractions(connection, item, _earlier(settled))
        counted.append(CountedDay(digests.day, item.identities, item.contents))
        settled[day.day] = item
    return list(settled.values())


def _earlier(settled: Mapping[date, SettledDay]) -> EarlierDays:
    first = [
        item.retractions.select("identity", pl.lit(day).alias("first_day"))
        for day, item in settled.items()
        if len(item.retractions)
    ]
    return EarlierDays(
        first=pl.concat([pl.DataFrame(schema=FIRST_DAYS), *first]),
        counted={day: partial(_identities, item) for day, item in settled.items()},
        excluded=lambda day: settled[day].excluded,
        queries=lambda day, _: [f"select * from {_name(day)}"],
    )


def _itself(day: CountedDay) -> CountedDay:
    return day


def _identities(item: SettledDay) -> Digests:
    return item.identities


def _name(day: date) -> str:
    return f"landed_on_{day:%Y%m%d}"


def _prepare(
    connection: duckdb.DuckDBPyConnection,
    settled: Sequence[SettledDay],
    tables: Mapping[date, pa.Table],
    spec: MeteringSpec,
) -> None:
    excluded = [
        pl.DataFrame(schema={"file_number": pl.Int32, "row_number": pl.Int32, "kind": pl.String}),
        *(item.excluded for item in settled),
    ]
    reversals = [empty(USAGE_REVERSALS), *(item.reversals for item in settled)]
    queries = []
    if tables:
        connection.register("all_landed", pa.concat_tables(tables.values()))
        queries = ["select * from all_landed"]
    rows = CountableRows(queries, pl.concat(excluded), pl.concat(reversals), extent_of(settled))
    prepare_counted(connection, spec, rows)
    prepare_priced(connection)


def _scanned(
    connection: duckdb.DuckDBPyConnection,
    day: date,
    number: int,
    table: pa.Table,
    spec: MeteringSpec,
) -> Day:
    scanned: ScannedFile = scan(
        connection,
        iter(table.combine_chunks().to_batches()),
        landing_day=day,
        known=known_references(spec.prices),
    )
    landed = LandedFile(f"{day}", "", 0, 0, len(table), day, "")
    return Day(day, (DayFile(landed, number, None, scanned),))


def _rows(
    events: Sequence[UsageEvent], day: date, number: int, features: Sequence[FeatureDefinition]
) -> pa.Table:
    """The `landed_rows` of a landing day."""
    columns = {
        name: pa.array([_canonical(event, name) for event in events], kind)
        for name, kind in CANONICAL.items()
    }
    defined = {feature.code: feature for feature in features}
    parts = [_parts(event, defined.get(event.feature)) for event in events]
    rows = len(events)
    columns |= {
        "landing_day": pa.array([day] * rows, pa.date32()),
        "file_number": pa.array(np.full(rows, number, np.int32)),
        "row_number": pa.array(np.arange(1, rows + 1)),
        "property": pa.array([part[0] for part in parts], pa.string()),
        "dimension_1": pa.array([part[1] for part in parts], pa.string()),
        "dimension_2": pa.array([part[2] for part in parts], pa.string()),
        "is_property_missing": pa.array([part[3] for part in parts], pa.bool_()),
        "unreadable": pa.nulls(rows, pa.string()),
        "is_total_with_cached": pa.array([False] * rows, pa.bool_()),
    }
    return pa.table(columns)


def _canonical(event: UsageEvent, name: str) -> object:
    value = getattr(event, name)
    if name == "value" and value is None:
        return Decimal(1)
    if name in {"cache_read_tokens", "cache_write_tokens"} and value is None:
        return 0
    return value


def _parts(
    event: UsageEvent, feature: FeatureDefinition | None
) -> tuple[str | None, str | None, str | None, bool]:
    """The counted property, two dimensions, and whether the property is missing."""
    if feature is None:
        return None, None, None, False
    counted = event.properties.get(feature.property) if feature.property else None
    first, second, *_ = (*(event.properties.get(key) for key in feature.dimensions), None, None)
    return counted, first, second, feature.property is not None and counted is None
