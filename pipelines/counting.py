"""From the rows of a landing day that count to the sums that are kept of them, by SQL.

The same relations are made of landed files, of rows in memory and of the events of a story:
prices first, then the rows, then what is asked of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.ai_prices import CLASSES, AiPrice, references
from pipelines.days import DayFile, SettledDay
from pipelines.landed_rows import (
    ANY_EXTENT,
    COUNTED,
    Extent,
    References,
    joined_extent,
    kept_rows_sql,
)
from pipelines.mappings import rows_sql
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import sql_text
from pipelines.text_codes import CODED, TextCodes
from pipelines.usage_frames import (
    STATEFUL,
    USAGE_CONFLICTS,
    USAGE_DAILY,
    USAGE_MARGINS,
    USAGE_STATES,
    conformed,
    empty,
)

BY_MODEL = 0
"""In place of a price id: the model alone tells the price."""


@dataclass(frozen=True, slots=True)
class CountableRows:
    """The rows of some days, and what of them does not count.

    queries:   the SQL of the `landed_rows` of each file.
    excluded:  file_number, row_number; reversals: what is taken back.
    extent:    the bounds of what counts.
    codes:     of the texts in the queries, where they are coded.
    """

    queries: Sequence[str]
    excluded: pl.DataFrame
    reversals: pl.DataFrame
    extent: Extent
    codes: TextCodes | None = None


def counted_days_tables(
    connection: duckdb.DuckDBPyConnection, days: Sequence[SettledDay], spec: MeteringSpec
) -> dict[str, pl.DataFrame]:
    """The sums of days, the parts of features that are no sum, and conflicts, by dataset."""
    numbered = [_numbered(item, first) for item, first in zip(days, _firsts(days), strict=True)]
    excluded = pl.concat([item.excluded for item in numbered])
    reversals = pl.concat([item.reversals for item in numbered])
    kept = {
        file.number: scanned.kept
        for item in numbered
        for file, scanned in item.day.read
        if scanned.kept is not None
    }
    codes = _codes(kept.values(), reversals, spec) if kept else None
    if codes is not None:
        for number, rows in kept.items():
            kept[number] = codes.coded_rows(_marked(rows, _of_file(excluded, number)))
            connection.register(f"kept_{number}", kept[number])
    countable = CountableRows(
        queries=_rows_queries(numbered, spec, kept),
        excluded=excluded.filter(~pl.col("file_number").is_in(list(kept))),
        reversals=reversals,
        extent=extent_of(numbered),
        codes=codes,
    )
    try:
        prepare_counted(connection, spec, countable)
        return counted_tables(connection, spec, codes) | {
            "usage_conflicts": _conflicts(connection, numbered, spec)
        }
    finally:
        for number in kept:
            connection.unregister(f"kept_{number}")


def counted_columns(spec: MeteringSpec) -> frozenset[str]:
    """The columns of `landed_rows` that are needed to count them."""
    is_stateful = any(feature.aggregation in STATEFUL for feature in spec.features)
    return COUNTED | {"source", "event_id"} if is_stateful else COUNTED


def _codes(tables: Iterable[pa.Table], reversals: pl.DataFrame, spec: MeteringSpec) -> TextCodes:
    named = {text for text, _, _ in references(spec.prices)}
    named |= {price.model for price in spec.prices}
    named |= {feature.code for feature in spec.features}
    named |= {
        text for name in CODED if name in reversals.columns for text in reversals[name].drop_nulls()
    }
    return TextCodes.of(tables, sorted(named))


def _firsts(days: Sequence[SettledDay]) -> list[int]:
    """For each day, how many files the days before it have: files are numbered through."""
    return list(accumulate((len(item.day.files) for item in days[:-1]), initial=0))


def _numbered(item: SettledDay, first: int) -> SettledDay:
    """A day whose files are numbered from `first` on."""
    files = tuple(replace(file, number=file.number + first) for file in item.day.files)
    number = pl.col("file_number") + pl.lit(first, pl.Int32)
    return replace(
        item,
        day=replace(item.day, files=files),
        excluded=item.excluded.with_columns(number),
        conflicts=item.conflicts.with_columns(number),
    )


def _marked(rows: pa.Table, excluded: pl.DataFrame) -> pa.Table:
    """The rows of a file, each with whether it counts."""
    own = excluded["row_number"].to_numpy()
    numbers = rows.column("row_number").to_numpy()
    if len(numbers) and numbers[-1] - numbers[0] + 1 == len(numbers):
        is_counted = np.ones(len(numbers), np.bool_)
        is_counted[own - numbers[0]] = False
    else:
        is_counted = ~np.isin(numbers, own)
    return rows.append_column("is_counted", pa.array(is_counted))


def _of_file(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    return rows.filter(pl.col("file_number") == number)


def _rows_queries(
    days: Sequence[SettledDay], spec: MeteringSpec, kept: Mapping[int, pa.Table]
) -> list[str]:
    """How the rows of each file are read: from memory where they were kept."""
    return [
        kept_rows_sql(
            f"kept_{file.number} where is_counted",
            kept[file.number].schema.names,
            file_number=file.number,
            landing_day=item.day.day,
        )
        if file.number in kept
        else _file_rows(file, item.day.day, spec)
        for item in days
        for file, scanned in item.day.read
        if scanned.landed
    ]


def _file_rows(file: DayFile, day: date, spec: MeteringSpec) -> str:
    if file.query is None:
        return sql_text("staging/no_rows")
    return rows_sql(file.query, file_number=file.number, landing_day=day, features=spec.features)


def _conflicts(
    connection: duckdb.DuckDBPyConnection, days: Sequence[SettledDay], spec: MeteringSpec
) -> pl.DataFrame:
    """The conflicts of days with their content, read again from their files."""
    conflicts = pl.concat([item.conflicts for item in days])
    if not len(conflicts):
        return empty(USAGE_CONFLICTS)
    connection.register("conflicting_rows", conflicts.to_arrow())
    numbers = set(conflicts["file_number"])
    queries = [
        _file_rows(file, item.day.day, spec)
        for item in days
        for file in item.day.files
        if file.number in numbers
    ]
    _view(connection, "landed_rows", _union(queries))
    rows = connection.sql(sql_text("usage/usage_conflicts")).pl()
    paths = {file.number: file.landed.path for item in days for file in item.day.files}
    first = [date.fromordinal(number) for number in rows["first_day"]]
    rows = rows.with_columns(
        pl.col("file_number").replace_strict(paths, return_dtype=pl.String).alias("path"),
        pl.Series("first_landing_day", first, dtype=pl.Date),
    )
    return conformed(rows, USAGE_CONFLICTS).sort("landing_day", "path", "row_number")


def extent_of(days: Sequence[SettledDay]) -> Extent:
    """The bounds of what days count or take back."""
    read = [scanned.extent for item in days for _, scanned in item.day.read]
    back = [at for item in days for at in item.reversals["occurred_at"].dt.epoch("us")]
    if not back:
        return joined_extent(read)
    return joined_extent([*read, replace(ANY_EXTENT, first_at=min(back), last_at=max(back))])


def prepare_counted(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec, rows: CountableRows
) -> None:
    """Make `counted_events` from the SQL of files, and the prices of its tokens."""
    has_varying = _register_prices(connection, spec, rows)
    connection.register("excluded_rows", rows.excluded.drop("kind").to_arrow())
    countable = sql_text("usage/kept_events")
    if len(rows.reversals):
        naive = pl.col("occurred_at").dt.replace_time_zone(None)
        reversed_events = rows.reversals.with_columns(naive).to_arrow()
        connection.register("reversed_events", _coded(reversed_events, rows.codes))
        countable = f"from ({countable}) union all from ({sql_text('usage/taken_back_events')})"
    counted = sql_text("usage/counted_events" if has_varying else "usage/steady_events")
    _view(connection, "landed_rows", _union(rows.queries))
    _view(connection, "countable_events", countable)
    _view(connection, "counted_events", counted)


def _coded(table: pa.Table, codes: TextCodes | None) -> pa.Table:
    return table if codes is None else codes.coded(table)


def prepare_priced(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `priced_events` from `counted_events` and the prices."""
    _view(connection, "priced_events", sql_text("usage/priced_events"))


def _union(queries: Sequence[str]) -> str:
    return " union all by name ".join(queries) or sql_text("staging/no_rows")


def _view(connection: duckdb.DuckDBPyConnection, name: str, text: str) -> None:
    connection.execute(f"create or replace temp view {name} as {text}")


def counted_tables(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec, codes: TextCodes | None = None
) -> dict[str, pl.DataFrame]:
    """What is kept of `counted_events`, by dataset. codes: of the texts, where they are coded."""
    if spec.is_per_event:
        prepare_priced(connection)
        _view(connection, "costed_events", "from priced_events")
    else:
        _view(connection, "costed_events", sql_text("usage/uncosted_events"))
    wanted = {"usage_daily": USAGE_DAILY}
    stateful = {f.code: f.aggregation for f in spec.features if f.aggregation in STATEFUL}
    if stateful:
        features = {"feature": list(stateful), "aggregation": list(stateful.values())}
        connection.register("stateful_features", _coded(pa.table(features), codes))
        wanted["usage_states"] = USAGE_STATES
    if spec.is_per_event and spec.margins_bp:
        margins = {"margin_bp": pa.array(sorted(spec.margins_bp), pa.int32())}
        connection.register("margins", pa.table(margins))
        wanted["usage_margins"] = USAGE_MARGINS
    tables = {}
    for name, schema in wanted.items():
        found = connection.sql(sql_text(f"usage/{name}")).pl()
        tables[name] = conformed(found if codes is None else codes.decoded(found), schema)
    return tables


def known_references(prices: Sequence[AiPrice]) -> References:
    """Every text that names a priced model; an ambiguous one is in the table alone."""
    known = references(prices)
    instants = pa.timestamp("us", tz="UTC")
    table = {
        "reference": pa.array([text for text, _, _ in known], pa.string()),
        "priced_from": pa.array([start for _, _, start in known], instants),
        "is_ambiguous": pa.array([model is None for _, model, _ in known], pa.bool_()),
    }
    priced_from = {text: _microseconds(start) for text, model, start in known if model is not None}
    return References(pa.table(table), priced_from)


def _register_prices(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec, rows: CountableRows
) -> bool:
    """Make the relations of prices; whether any has to be looked up event by event.

    A model that has one price for all events is steady: it is priced after the sums are
    made; a bare name is only resolved before. The others are priced event by event.
    """
    extent = rows.extent
    steady: list[tuple[str, AiPrice]] = []
    varying: list[tuple[str, AiPrice]] = []
    for text, model in _named(spec.prices, extent.models):
        at = [price for price in spec.prices if price.model == model and _concerns(price, extent)]
        is_steady = len(at) == 1 and at[0].tokens_up_to >= extent.most_tokens
        if is_steady and text == model:
            steady.append((text, at[0]))
        elif is_steady:
            varying.append((text, replace(at[0], price_id=BY_MODEL)))
        else:
            varying += [(text, price) for price in at]
    connection.register("steady_prices", _price_table(steady, rows.codes))
    connection.register("varying_prices", _price_table(varying, rows.codes))
    connection.register("model_prices", _scaled_prices(spec))
    return bool(varying)


def _named(
    prices: Sequence[AiPrice], models: frozenset[str] | None
) -> list[tuple[str, str | None]]:
    """The references that events use, with their models, and those models by their own name."""
    known = [(text, model) for text, model, _ in references(prices)]
    if models is None:
        return known
    named = {model for text, model in known if text in models}
    return [(text, model) for text, model in known if text in models or text in named]


def _concerns(price: AiPrice, extent: Extent) -> bool:
    """Whether a price may be that of an event within some bounds."""
    return (
        _microseconds(price.valid_from) <= extent.last_at
        and _microseconds(price.valid_to) > extent.first_at
        and price.tokens_above < max(extent.most_tokens, 0)
    )


def _price_table(rows: Sequence[tuple[str, AiPrice]], codes: TextCodes | None) -> pa.Table:
    """Prices by the text that names them; both names are coded as the rows are."""
    prices = [price for _, price in rows]
    instants = pa.timestamp("us")
    table = pa.table(
        {
            "reference": pa.array([text for text, _ in rows], pa.string()),
            "model": pa.array([price.model for price in prices], pa.string()),
            "price_id": pa.array([price.price_id or None for price in prices], pa.int32()),
            "valid_from": pa.array([_naive(price.valid_from) for price in prices], instants),
            "valid_to": pa.array([_naive(price.valid_to) for price in prices], instants),
            "tokens_above": pa.array([price.tokens_above for price in prices], pa.int64()),
            "tokens_up_to": pa.array([price.tokens_up_to for price in prices], pa.int64()),
        }
    )
    return _coded(table, codes)


def _scaled_prices(spec: MeteringSpec) -> pa.Table:
    """Prices per million tokens times 10^12, whole; empty where nothing is rounded per event."""
    prices = spec.prices if spec.is_per_event else ()
    scaled = [[int(price.prices[place].scaleb(12)) for price in prices] for place in range(4)]
    columns = {
        f"{name}_price": pa.array(values, pa.decimal128(38, 0)).cast(pa.decimal128(38, 0))
        for name, values in zip(CLASSES, scaled, strict=True)
    }
    return pa.table(
        {
            "price_id": pa.array([price.price_id for price in prices], pa.int32()),
            **columns,
            "is_per_event": pa.array([True for _ in prices], pa.bool_()),
        }
    )


def _microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970.

    >>> _microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
