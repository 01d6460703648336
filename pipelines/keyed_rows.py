"""Usable rows by a number that stands for their whole key, so that SQL sums by one integer.

A row's key (day, customer, feature, dimensions, model, price, sign) is packed into one
number, in such a way that numbers sort as keys do. Grouping ten million rows by it takes a
fifth of the time of grouping them by text, and the files need not be read a second time.
Nothing is added up here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.deduplication import distinct

Numbers = npt.NDArray[np.int64]

TEXTS = ("customer_id", "feature", "dimension_1", "dimension_2", "model")
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
NOT_COUNTED = -1
"""In place of a key: the row does not count."""

_MICROSECONDS_A_DAY = 86_400_000_000
_AHEAD = 300_000_000
"""An event that lies further ahead of its arrival, in microseconds, is from the future. USE-9."""
_SPAN = 1 << 62

KEY_NAMES: dict[str, pl.DataType | type[pl.DataType]] = {
    "event_key": pl.Int64,
    "counts_from": pl.Date,
    "event_day": pl.Date,
    **dict.fromkeys(TEXTS, pl.String),
    "price_id": pl.Int32,
    "is_negative": pl.Boolean,
}
"""What a key stands for; model is provider/model, and price_id null is the model's only one."""


@dataclass(frozen=True, slots=True)
class KeyedRows:
    """The usable rows of a file, in order of row.

    keys:    of each row. values: decimal(38, 9). amounts: None where no row has one.
    tokens:  `place` among the rows, and the token counts, of rows with a model.
    names:   KEY_NAMES of every key that occurs, in order of key.
    """

    keys: Numbers
    values: pa.Array
    amounts: pa.Array | None
    tokens: pa.Table
    names: pl.DataFrame


@dataclass(frozen=True, slots=True)
class RowColumns:
    """The columns of some rows that a key is made of, and what is summed by it."""

    texts: Mapping[str, pa.DictionaryArray]
    occurred_at: Numbers
    is_future: npt.NDArray[np.bool_]
    is_negative: npt.NDArray[np.bool_]
    values: pa.Array
    amounts: pa.Array | None
    tokens: pa.Table


PricesOfRows = Callable[[pa.Table], npt.NDArray[np.int32]]
"""The price ids of rows with `model`, `occurred_at` and tokens, 0 where the model alone tells."""


def row_columns(batch: pa.RecordBatch, *, end_of_day: int) -> RowColumns:
    """What is kept of a batch of usable rows; of retractions, which may name nothing, too."""
    occurred = pc.fill_null(batch.column("occurred_at").cast(pa.int64()), 0).to_numpy()
    received = batch.column("received_at").cast(pa.int64())
    arrived = pc.fill_null(received, end_of_day).to_numpy() if received.null_count else received
    landing_day = end_of_day // _MICROSECONDS_A_DAY - 1
    is_ahead = occurred - np.asarray(arrived) > _AHEAD
    amounts = batch.column("amount")
    return RowColumns(
        texts={name: _encoded(batch, name) for name in TEXTS},
        occurred_at=occurred,
        is_future=is_ahead & (occurred // _MICROSECONDS_A_DAY > landing_day),
        is_negative=_negative(batch.column("value")),
        values=batch.column("value"),
        amounts=None if amounts.null_count == len(amounts) else amounts,
        tokens=_tokens(batch),
    )


def keyed(
    parts: Sequence[RowColumns],
    *,
    landing_day: date,
    models: Mapping[str, str],
    steady: Mapping[str, int],
    prices_of_rows: PricesOfRows,
) -> KeyedRows:
    """Rows by key.

    takes: models, what each text that names a model means (AI-3); steady, the price of each
           model that has one alone at these instants; prices_of_rows, for all others (AI-2).
    """
    rows = sum(len(part.occurred_at) for part in parts)
    columns = {name: _ranked([part.texts[name] for part in parts], name, models) for name in TEXTS}
    days = _joined([part.occurred_at for part in parts], np.int64) // _MICROSECONDS_A_DAY
    tokens = _all_tokens(parts)
    priced = np.zeros(rows, np.int64)
    priced[tokens["place"].to_numpy()] = prices_of_rows(
        _with_models(tokens, parts, columns["model"])
    )
    day_values = distinct(days)
    price_values = distinct(priced)
    codes = (
        (_joined([part.is_future for part in parts], np.bool_), 2),
        (np.searchsorted(day_values, days), len(day_values)),
        *((codes, len(texts)) for codes, texts in columns.values()),
        (np.searchsorted(price_values, priced), len(price_values)),
        (_joined([part.is_negative for part in parts], np.bool_), 2),
    )
    packing = _Packing.of(codes, rows)
    found = distinct(packing.keys)
    future, day, *places, price, negative = packing.unpacked(found)
    event_days = day_values[day] if len(found) else day
    landed = (landing_day - date(1970, 1, 1)).days
    names = pl.DataFrame(
        {
            "event_key": found,
            "counts_from": np.where(future, event_days, landed).astype(np.int32),
            "event_day": event_days.astype(np.int32),
            **{
                name: pl.Series([texts[place] for place in at], dtype=pl.String)
                for (name, (_, texts)), at in zip(columns.items(), places, strict=True)
            },
            "price_id": price_values[price] if len(found) else price,
            "is_negative": negative.astype(np.bool_),
        }
    )
    return KeyedRows(
        keys=packing.keys,
        values=_concatenated([part.values for part in parts], pa.decimal128(38, 9)),
        amounts=_amounts(parts),
        tokens=tokens,
        names=_conformed(
            names.with_columns(
                pl.when(pl.col("price_id") != 0)
                .then(pl.col("price_id"))
                .otherwise(
                    pl.col("model").replace_strict(steady, default=None, return_dtype=pl.Int64)
                )
            )
        ),
    )


def without(rows: KeyedRows, places: npt.NDArray[Any]) -> KeyedRows:
    """Rows of which some do not count."""
    if not len(places):
        return rows
    keys = rows.keys.copy()
    keys[places] = NOT_COUNTED
    return replace(rows, keys=keys)


def with_common_keys(parts: Sequence[KeyedRows]) -> tuple[list[KeyedRows], pl.DataFrame]:
    """The rows of several files of one day by keys of the day, and the names of those."""
    if len(parts) == 1:
        return list(parts), parts[0].names
    key = [name for name in KEY_NAMES if name != "event_key"]
    every = pl.concat([part.names for part in parts]).select(key).unique().sort(key)
    names = every.with_row_index("event_key").select(
        pl.col(n).cast(k) for n, k in KEY_NAMES.items()
    )
    renamed = []
    for part in parts:
        common = part.names.join(
            names, on=key, how="left", suffix="_of_day", nulls_equal=True, maintain_order="left"
        )["event_key_of_day"].to_numpy()
        counted = part.keys != NOT_COUNTED
        keys = np.full(len(part.keys), NOT_COUNTED, np.int64)
        own = part.names["event_key"].to_numpy()
        keys[counted] = common[np.searchsorted(own, part.keys[counted])]
        renamed.append(replace(part, keys=keys))
    return renamed, names


def _conformed(names: pl.DataFrame) -> pl.DataFrame:
    return names.select(pl.col(name).cast(kind) for name, kind in KEY_NAMES.items())


VALUES_SCHEMA = pa.schema(
    {"event_key": pa.int64(), "value": pa.decimal128(38, 9), "amount": pa.decimal128(38, 9)}
)
TOKENS_SCHEMA = pa.schema({"event_key": pa.int64(), **dict.fromkeys(TOKENS, pa.int64())})


def values_table(parts: Sequence[KeyedRows]) -> pa.Table:
    """The relation `keyed_values`: event_key, value, amount of every row."""
    tables = [
        pa.table(
            {
                "event_key": part.keys,
                "value": part.values,
                "amount": part.amounts or pa.nulls(len(part.keys), pa.decimal128(38, 9)),
            }
        )
        for part in parts
    ]
    return pa.concat_tables([VALUES_SCHEMA.empty_table(), *tables])


def tokens_table(parts: Sequence[KeyedRows]) -> pa.Table:
    """The relation `keyed_tokens`: event_key and tokens of every row with a model."""
    tables = [
        part.tokens.drop_columns(["place"]).add_column(
            0, "event_key", pa.array(part.keys[part.tokens["place"].to_numpy()])
        )
        for part in parts
    ]
    return pa.concat_tables([TOKENS_SCHEMA.empty_table(), *tables])


@dataclass(frozen=True, slots=True)
class _Packing:
    """Numbers that several codes are packed into, and how to take them apart again.

    steps: for each code its size, and the numbers that were counted through before it was
           packed, where they had become too great.
    """

    keys: Numbers
    steps: tuple[tuple[int, Numbers | None], ...]

    @classmethod
    def of(cls, codes: Sequence[tuple[npt.NDArray[Any], int]], rows: int) -> "_Packing":
        keys, span = np.zeros(rows, np.int64), 1
        steps: list[tuple[int, Numbers | None]] = []
        for code, size in codes:
            before = None
            if span * max(size, 1) >= _SPAN:
                before = distinct(keys)
                keys, span = np.searchsorted(before, keys), len(before)
            if size > 1:
                keys *= size
                keys += code
                span *= size
            steps.append((size, before))
        return cls(keys, tuple(steps))

    def unpacked(self, keys: Numbers) -> list[Numbers]:
        """The codes of some keys, in the order in which they were packed."""
        codes: list[Numbers] = []
        for size, before in reversed(self.steps):
            if size > 1:
                keys, code = np.divmod(keys, size)
            else:
                code = np.zeros(len(keys), np.int64)
            codes.append(code)
            if before is not None:
                keys = before[keys]
        return codes[::-1]


def _encoded(batch: pa.RecordBatch, name: str) -> pa.DictionaryArray:
    """A text column with its different texts apart."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        return column
    if column.null_count == len(column):
        empty = pa.nulls(len(column), pa.int32())
        return pa.DictionaryArray.from_arrays(empty, pa.array([], pa.string()))
    return column.cast(pa.string()).dictionary_encode()


def _ranked(
    parts: Sequence[pa.DictionaryArray], name: str, models: Mapping[str, str]
) -> tuple[Numbers, list[str | None]]:
    """For each row the rank of its text, null first; and the texts by rank."""
    texts = [part.dictionary.to_pylist() for part in parts]
    if name == "model":
        texts = [[models.get(text, text) for text in own] for own in texts]
    every: list[str | None] = [None, *sorted({text for own in texts for text in own})]
    if len(every) == 1:
        return np.zeros(0, np.int64), every
    ranks = {text: rank for rank, text in enumerate(every)}
    codes = []
    for part, own in zip(parts, texts, strict=True):
        by_place = np.array([*(ranks[text] for text in own), 0], np.int64)
        indices = part.indices
        if indices.null_count:
            indices = pc.fill_null(indices, len(own))
        codes.append(by_place[indices.to_numpy()])
    return _joined(codes, np.int64), every


def _negative(column: pa.Array) -> npt.NDArray[np.bool_]:
    words = np.frombuffer(column.buffers()[1], "<i8", 2 * len(column), column.offset * 16)
    found: npt.NDArray[np.bool_] = words[1::2] < 0
    return found


def _tokens(batch: pa.RecordBatch) -> pa.Table:
    has_model = batch.column("model").is_valid()
    places = np.flatnonzero(np.asarray(has_model)).astype(np.int32)
    columns = {name: pc.fill_null(batch.column(name).filter(has_model), 0) for name in TOKENS}
    return pa.table({"place": places, **columns})


def _all_tokens(parts: Sequence[RowColumns]) -> pa.Table:
    """The tokens of all parts, placed among all rows."""
    before = 0
    tables = []
    for part in parts:
        places = part.tokens["place"].to_numpy() + np.int32(before)
        tables.append(part.tokens.set_column(0, "place", pa.array(places, pa.int32())))
        before += len(part.occurred_at)
    if not tables:
        kinds = {"place": pa.int32(), **dict.fromkeys(TOKENS, pa.int64())}
        return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    return pa.concat_tables(tables).combine_chunks()


def _with_models(
    tokens: pa.Table, parts: Sequence[RowColumns], models: tuple[Numbers, list[str | None]]
) -> pa.Table:
    """Tokens with the model and the instant of their rows, for looking up prices."""
    codes, texts = models
    places = tokens["place"].to_numpy()
    ranks = codes[places].astype(np.int32) if len(places) else np.empty(0, np.int32)
    instants = _joined([part.occurred_at for part in parts], np.int64)[places]
    named = pa.DictionaryArray.from_arrays(pa.array(ranks), pa.array(texts, pa.string()))
    return tokens.append_column("model", named).append_column(
        "occurred_at", pa.array(instants, pa.timestamp("us"))
    )


def _amounts(parts: Sequence[RowColumns]) -> pa.Array | None:
    if all(part.amounts is None for part in parts):
        return None
    kind = pa.decimal128(38, 9)
    filled = [
        pa.nulls(len(part.occurred_at), kind) if part.amounts is None else part.amounts
        for part in parts
    ]
    return _concatenated(filled, kind)


def _concatenated(parts: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    return pa.concat_arrays(parts) if parts else pa.array([], kind)


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
