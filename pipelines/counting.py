"""The relations that the SQL of a landing day reads, and what it makes of them.

Sums come from rows by key (`keyed_rows`); the parts of maxima, levels and distinct values,
and single events, come from the files themselves. The SQL is the same wherever events come
from: files, or a list in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ai_prices import CLASSES, MOST_TOKENS, AiPrice, references
from pipelines.keyed_rows import (
    KeyedRows,
    PricesOfRows,
    RowColumns,
    keyed,
    row_columns,
    tokens_table,
    values_table,
    with_common_keys,
)
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import sql_text
from pipelines.usage_frames import (
    STATEFUL,
    USAGE_COSTS,
    USAGE_DAILY,
    USAGE_MARGINS,
    USAGE_STATES,
    conformed,
    empty,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PriceList:
    """The price table as metering uses it. Rules AI-2, AI-3.

    known:       every text that names a priced model; an ambiguous one is in here alone.
    priced_from: text -> the first instant with a price, microseconds; models: text -> model.
    """

    prices: tuple[AiPrice, ...]
    known: pa.Table
    priced_from: Mapping[str, int]
    models: Mapping[str, str]


def price_list(prices: Sequence[AiPrice]) -> PriceList:
    """A price table, with every text that names one of its models."""
    known = references(prices)
    table = {
        "reference": pa.array([text for text, _, _ in known], pa.string()),
        "priced_from": pa.array([start for _, _, start in known], pa.timestamp("us", tz="UTC")),
        "is_ambiguous": pa.array([model is None for _, model, _ in known], pa.bool_()),
    }
    clear = [(text, model, start) for text, model, start in known if model is not None]
    return PriceList(
        prices=tuple(prices),
        known=pa.table(table),
        priced_from={text: _microseconds(start) for text, _, start in clear},
        models={text: model for text, model, _ in clear},
    )


def keyed_rows(
    connection: duckdb.DuckDBPyConnection,
    parts: Sequence[RowColumns],
    prices: PriceList,
    landing_day: date,
) -> KeyedRows:
    """The rows of a file by key; the price of each is the one in force at its instant."""
    instants = [part.occurred_at for part in parts if len(part.occurred_at)]
    first_at = min((int(part.min()) for part in instants), default=0)
    last_at = max((int(part.max()) for part in instants), default=0)
    steady = steady_prices(prices.prices, first_at, last_at)
    return keyed(
        parts,
        landing_day=landing_day,
        models=prices.models,
        steady=steady,
        prices_of_rows=_prices_of_rows(connection, prices, steady),
    )


def steady_prices(prices: Sequence[AiPrice], first_at: int, last_at: int) -> dict[str, int]:
    """The price id of each model that has one price between two instants, whatever the size
    of the request."""
    at: dict[str, list[AiPrice]] = {}
    for price in prices:
        begins, ends = _microseconds(price.valid_from), _microseconds(price.valid_to)
        if begins <= last_at and ends > first_at:
            at.setdefault(price.model, []).append(price)
    return {
        model: own[0].price_id
        for model, own in at.items()
        if len(own) == 1 and own[0].tokens_up_to == MOST_TOKENS
    }


def reversed_rows(
    connection: duckdb.DuckDBPyConnection,
    reversals: pl.DataFrame,
    prices: PriceList,
    landing_day: date,
) -> KeyedRows:
    """The events that a day takes back, by key. They count from the day that says so."""
    batch = reversals.with_columns(
        pl.col("counts_from").cast(pl.Datetime("us", "UTC")).alias("received_at")
    ).to_arrow()
    (rows,) = batch.cast(_plain(batch.schema)).combine_chunks().to_batches() or [None]
    end_of_day = ((landing_day - date(1970, 1, 1)).days + 1) * 86_400_000_000
    columns = row_columns(rows, end_of_day=end_of_day)
    is_future = reversals["counts_from"].to_numpy() > np.datetime64(landing_day)
    part = RowColumns(
        texts=columns.texts,
        occurred_at=columns.occurred_at,
        is_future=is_future,
        is_negative=columns.is_negative,
        values=columns.values,
        amounts=columns.amounts,
        tokens=columns.tokens,
    )
    return keyed_rows(connection, [part], prices, landing_day)


def register_day(
    connection: duckdb.DuckDBPyConnection,
    counted: Sequence[KeyedRows],
    taken_back: KeyedRows | None,
    landing_day: date,
) -> None:
    """Make the relations that `usage_daily` sums: rows by key, and what the keys stand for."""
    parts = [*counted] if taken_back is None else [*counted, taken_back]
    common, names = with_common_keys(parts)
    back = common[len(counted) :]
    landed = names.with_columns(pl.lit(landing_day).alias("landing_day"))
    connection.register("event_keys", landed.to_arrow())
    connection.register("keyed_values", values_table(common[: len(counted)]))
    connection.register("keyed_tokens", tokens_table(common[: len(counted)]))
    connection.register("reversed_values", values_table(back))
    connection.register("reversed_tokens", tokens_table(back))


def daily_tables(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec
) -> dict[str, pl.DataFrame]:
    """The sums of a day, from the relations of `register_day`, and `model_prices`."""
    has_margins = spec.is_per_event and spec.margins_bp
    tables: dict[str, pl.DataFrame] = {}
    if spec.is_per_event:
        text = sql_text("usage/token_costs")
        connection.execute(f"create or replace temp view token_costs as {text}")
        text = sql_text("usage/usage_costs")
        connection.execute(f"create or replace temp view usage_costs as {text}")
    else:
        connection.register("usage_costs", empty(USAGE_COSTS).to_arrow())
    daily = connection.sql(sql_text("usage/usage_daily")).pl()
    tables["usage_daily"] = conformed(daily, USAGE_DAILY)
    if has_margins:
        margins = {"margin_bp": pa.array(sorted(spec.margins_bp), pa.int32())}
        connection.register("margins", pa.table(margins))
        found = connection.sql(sql_text("usage/usage_margins")).pl()
        tables["usage_margins"] = conformed(found, USAGE_MARGINS)
    return tables


def is_stateful(spec: MeteringSpec) -> bool:
    """Whether a feature is more than a sum."""
    return any(feature.aggregation in STATEFUL for feature in spec.features)


def usage_states(connection: duckdb.DuckDBPyConnection, spec: MeteringSpec) -> pl.DataFrame:
    """What maxima, latest values, levels and distinct values are made of, of `counted_events`."""
    stateful = [f for f in spec.features if f.aggregation in STATEFUL]
    features = {
        "feature": [feature.code for feature in stateful],
        "aggregation": [feature.aggregation for feature in stateful],
    }
    connection.register("stateful_features", pa.table(features))
    return conformed(connection.sql(sql_text("usage/usage_states")).pl(), USAGE_STATES)


def register_events(
    connection: duckdb.DuckDBPyConnection,
    queries: Sequence[str],
    excluded: pl.DataFrame,
    reversals: pl.DataFrame,
) -> None:
    """Make `counted_events`, one row an event, from the SQL of files."""
    connection.register("excluded_rows", excluded.drop("kind").to_arrow())
    text = sql_text("usage/kept_events")
    if len(reversals):
        naive = reversals.with_columns(pl.col("occurred_at").dt.replace_time_zone(None))
        connection.register("reversed_events", naive.to_arrow())
        text = f"from ({text}) union all from ({sql_text('usage/taken_back_events')})"
    landed = " union all ".join(queries) or sql_text("staging/no_rows")
    connection.execute(f"create or replace temp view landed_rows as {landed}")
    connection.execute(f"create or replace temp view counted_events as {text}")


def register_model_prices(connection: duckdb.DuckDBPyConnection, spec: MeteringSpec) -> None:
    """Make `model_prices`: the price table by every text that names a model."""
    connection.register("model_prices", _model_prices(spec.prices, is_per_event=spec.is_per_event))


def _prices_of_rows(
    connection: duckdb.DuckDBPyConnection, prices: PriceList, steady: Mapping[str, int]
) -> PricesOfRows:
    def look_up(uses: pa.Table) -> npt.NDArray[np.int32]:
        found = np.zeros(len(uses), np.int32)
        used = set(pc.unique(uses["model"]).to_pylist())
        varying = sorted(model for model in used if model not in steady)
        if varying:
            own = uses.filter(pc.is_in(uses["model"].cast(pa.string()), pa.array(varying)))
            connection.register("varying_uses", own)
            connection.register("model_prices", _model_prices(prices.prices, is_per_event=False))
            rows: dict[str, Any] = connection.sql(sql_text("usage/prices_of_rows")).to_arrow_table()
            places = uses["place"].to_numpy()
            found[np.searchsorted(places, rows["place"].to_numpy())] = rows["price_id"].to_numpy()
        return found

    return look_up


def _model_prices(prices: Sequence[AiPrice], *, is_per_event: bool) -> pa.Table:
    """Every text that names a model with each price of it; prices times 10^12, whole."""
    by_model: dict[str, list[AiPrice]] = {}
    for price in prices:
        by_model.setdefault(price.model, []).append(price)
    rows = [
        (text, price)
        for text, model, _ in references(prices)
        if model is not None
        for price in by_model[model]
    ]
    own = [price for _, price in rows]
    scaled = [[int(price.prices[place].scaleb(12)) for price in own] for place in range(4)]
    instants = pa.timestamp("us")
    return pa.table(
        {
            "reference": pa.array([text for text, _ in rows], pa.string()),
            "model": pa.array([price.model for price in own], pa.string()),
            "price_id": pa.array([price.price_id for price in own], pa.int32()),
            "valid_from": pa.array([_naive(price.valid_from) for price in own], instants),
            "valid_to": pa.array([_naive(price.valid_to) for price in own], instants),
            "tokens_above": pa.array([price.tokens_above for price in own], pa.int64()),
            "tokens_up_to": pa.array([price.tokens_up_to for price in own], pa.int64()),
            **{
                f"{name}_price": pa.array(values, pa.decimal128(38, 0))
                for name, values in zip(CLASSES, scaled, strict=True)
            },
            "is_per_event": pa.array([is_per_event for _ in own], pa.bool_()),
        }
    )


def _plain(schema: pa.Schema) -> pa.Schema:
    """A schema with texts as plain strings: Polars writes them as large ones or views."""
    fields = [
        field.with_type(pa.string())
        if pa.types.is_large_string(field.type) or pa.types.is_string_view(field.type)
        else field
        for field in schema
    ]
    return pa.schema(fields)


def _microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970.

    >>> _microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
