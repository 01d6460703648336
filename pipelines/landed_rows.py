"""The rows of one landed file, read once: their digests, and which of them cannot be used.

Canonical Parquet is read column by column as it lies, which is half the price of a query;
every other file through the SQL of its mapping. Both give the same columns to the same
digests and the same checks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.digests import (
    Digests,
    content_digests,
    has_empty_text,
    identity_digests,
    stable_order,
)
from pipelines.mappings import LandedQuery, rows_sql
from pipelines.paths import sql_text
from pipelines.usage_frames import FeatureDefinition

CHUNK_ROWS = 1 << 17
MOST_TOKENS = 10**12
LATEST = 2**62
_LOW_VARIETY = ["source", "customer_id", "feature", "model"]

_DECIMAL = pa.decimal128(38, 9)
_INSTANT = pa.timestamp("us", tz="UTC")
CANONICAL: dict[str, pa.DataType] = {
    "source": pa.string(),
    "event_id": pa.string(),
    "customer_id": pa.string(),
    "feature": pa.string(),
    "occurred_at": _INSTANT,
    "received_at": _INSTANT,
    "value": _DECIMAL,
    "amount": _DECIMAL,
    "model": pa.string(),
    "input_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "cache_read_tokens": pa.int64(),
    "cache_write_tokens": pa.int64(),
    "retracts": pa.string(),
}
_MICROSECONDS_A_DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1)

UNUSABLE: dict[str, pl.DataType | type[pl.DataType]] = {
    "row_number": pl.Int64,
    "reason": pl.String,
    "source": pl.String,
    "event_id": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "model": pl.String,
    "occurred_at": pl.Datetime("us"),
}
RETRACTING: dict[str, pl.DataType | type[pl.DataType]] = {
    "row_number": pl.Int64,
    "identity": pl.UInt64,
    "source": pl.String,
    "event_id": pl.String,
    "retracts": pl.String,
}


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What a look at every row of a file gave.

    landed:     rows that passed the mapping's filter.
    row_numbers, identities, contents, received: of the usable rows, by (identity, row).
    first_at, last_at: the earliest and the latest instant of a usable row, microseconds.
    unusable:   the others, with reasons; retracting: the usable rows that retract an event.
    """

    landed: int
    row_numbers: npt.NDArray[np.int32]
    identities: Digests
    contents: Digests
    received: npt.NDArray[np.int64]
    unusable: pl.DataFrame
    retracting: pl.DataFrame
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class References:
    """Every text that names a priced model, and from when on it has a price. Rule AI-3."""

    table: pa.Table
    priced_from: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Chunk:
    row_numbers: npt.NDArray[np.int32]
    identities: Digests
    contents: Digests
    received: npt.NDArray[np.int64]
    unusable: pl.DataFrame
    retracting: pl.DataFrame
    landed: int
    first_at: int
    last_at: int


def scan_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    query: LandedQuery,
    *,
    landing_day: date,
    features: Sequence[FeatureDefinition],
    known: References,
) -> ScannedFile:
    """Read a file once.

    raises: duckdb.Error, pa.ArrowException or OSError where the file is damaged inside.
    """
    batches = canonical_batches(path, query, features)
    if batches is None:
        batches = query_batches(connection, query, landing_day=landing_day, features=features)
    return scan(connection, batches, landing_day=landing_day, known=known)


def scan(
    connection: duckdb.DuckDBPyConnection,
    batches: Iterator[pa.RecordBatch],
    *,
    landing_day: date,
    known: References,
) -> ScannedFile:
    """Digests and unusable rows of batches that have the columns of `landed_rows`."""
    end_of_day = ((landing_day - _EPOCH).days + 1) * _MICROSECONDS_A_DAY
    connection.register("known_references", known.table)
    chunks = [_chunk(connection, batch, end_of_day, known.priced_from) for batch in batches]
    identities = _joined([chunk.identities for chunk in chunks], np.uint64)
    order = stable_order(identities)
    return ScannedFile(
        landed=sum(chunk.landed for chunk in chunks),
        row_numbers=_joined([chunk.row_numbers for chunk in chunks], np.int32)[order],
        identities=identities[order],
        contents=_joined([chunk.contents for chunk in chunks], np.uint64)[order],
        received=_joined([chunk.received for chunk in chunks], np.int64)[order],
        unusable=pl.concat([pl.DataFrame(schema=UNUSABLE), *(c.unusable for c in chunks)]),
        retracting=pl.concat([pl.DataFrame(schema=RETRACTING), *(c.retracting for c in chunks)]),
        first_at=min((chunk.first_at for chunk in chunks), default=LATEST),
        last_at=max((chunk.last_at for chunk in chunks), default=-LATEST),
    )


def canonical_batches(
    path: Path, query: LandedQuery, features: Sequence[FeatureDefinition]
) -> Iterator[pa.RecordBatch] | None:
    """The rows of a file whose columns are exactly the canonical ones; None for any other."""
    if not query.is_canonical or path.suffix.lower() != ".parquet":
        return None
    own = set(pq.read_schema(path).names)
    file = pq.ParquetFile(path, read_dictionary=[name for name in _LOW_VARIETY if name in own])
    types = {field.name: _plain_type(field.type) for field in file.schema_arrow}
    has_parts = any(feature.property or feature.dimensions for feature in features)
    if has_parts and "properties" in types:
        return None
    if any(types.get(name, kind) != kind for name, kind in CANONICAL.items()):
        return None
    return _canonical_batches(file, [n for n in CANONICAL if n in types], query.default_source)


def query_batches(
    connection: duckdb.DuckDBPyConnection,
    query: LandedQuery,
    *,
    landing_day: date,
    features: Sequence[FeatureDefinition],
) -> Iterator[pa.RecordBatch]:
    """The rows of any file, through its SQL."""
    text = rows_sql(query, file_number=0, landing_day=landing_day, features=features)
    # a connection of its own: the checks of a chunk are put to the first while this one is read
    with connection.cursor() as reading:
        yield from reading.sql(text).to_arrow_reader(CHUNK_ROWS)


def _canonical_batches(
    file: pq.ParquetFile, names: list[str], default_source: str
) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in file.iter_batches(CHUNK_ROWS, columns=names, use_threads=False):
        rows = len(batch)
        columns = {name: batch.column(name) for name in names}
        for name, kind in CANONICAL.items():
            columns.setdefault(name, pa.nulls(rows, kind))
        columns["source"] = _filled(columns["source"], default_source)
        columns["value"] = _filled(columns["value"], Decimal(1))
        columns |= {
            "row_number": pa.array(np.arange(done + 1, done + rows + 1)),
            "property": pa.nulls(rows, pa.string()),
            "is_property_missing": pa.repeat(pa.scalar(value=False), rows),
            "unreadable": pa.nulls(rows, pa.string()),
            "is_total_with_cached": pa.repeat(pa.scalar(value=False), rows),
        }
        done += rows
        yield pa.RecordBatch.from_pydict(columns)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(value) else value


def _filled(column: pa.Array, value: str | Decimal) -> pa.Array:
    if not column.null_count:
        return column
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return pc.fill_null(plain, pa.scalar(value, plain.type))


def _chunk(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.RecordBatch,
    end_of_day: int,
    priced_from: Mapping[str, int],
) -> _Chunk:
    landed = len(batch)
    unusable = pl.DataFrame(schema=UNUSABLE)
    if not is_plainly_usable(batch, priced_from):
        unusable = _unusable(connection, batch)
    if len(unusable):
        numbers = batch.column("row_number").to_numpy()
        batch = batch.filter(pa.array(~np.isin(numbers, unusable["row_number"].to_numpy())))
    identities = identity_digests(batch)
    received = batch.column("received_at").cast(pa.int64())
    if received.null_count:
        received = pc.fill_null(received, end_of_day)
    occurred = batch.column("occurred_at").drop_null().cast(pa.int64()).to_numpy()
    return _Chunk(
        row_numbers=batch.column("row_number").to_numpy().astype(np.int32),
        identities=identities,
        contents=content_digests(batch, identities),
        received=received.to_numpy(),
        unusable=unusable,
        retracting=_retracting(batch),
        landed=landed,
        first_at=int(occurred.min(initial=LATEST)),
        last_at=int(occurred.max(initial=-LATEST)),
    )


def is_plainly_usable(batch: pa.RecordBatch, priced_from: Mapping[str, int]) -> bool:
    """Whether it shows at once that every row can be counted, so that none has to be looked at.

    May say no of good rows, never yes of a bad one: what decides is `unusable_rows`.
    """
    complete = ("event_id", "customer_id", "feature", "occurred_at", "value")
    if any(batch.column(name).null_count for name in complete):
        return False
    absent = ("unreadable", "retracts")
    if any(batch.column(name).null_count < len(batch) for name in absent):
        return False
    if pc.any(batch.column("is_property_missing")).as_py() or len(batch) == 0:
        return False
    if has_empty_text(batch.column("event_id")):
        return False
    return (
        _is_small(batch.column("value"))
        and _is_small(batch.column("amount"))
        and _are_tokens_whole(batch)
        and _are_models_priced(batch, priced_from)
    )


def _is_small(column: pa.Array) -> bool:
    """Whether every decimal fits into 64 bits: then it is far inside its range."""
    if column.null_count == len(column):
        return True
    words = np.frombuffer(column.buffers()[1], "<i8", 2 * len(column), column.offset * 16)
    return not np.any(words[1::2] ^ (words[0::2] >> 63))


def _are_tokens_whole(batch: pa.RecordBatch) -> bool:
    """Whether a row has a model if and only if it has tokens, and all counts are in range."""
    has_model = batch.column("model").is_valid()
    for name in ("input_tokens", "output_tokens"):
        if not batch.column(name).is_valid().equals(has_model):
            return False
    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
        column = batch.column(name)
        if column.null_count < len(column):
            # What lies under a null is arbitrary: it may cost the second look, never skip it.
            words = np.frombuffer(column.buffers()[1], "<u8", len(column), column.offset * 8)
            if int(words.max()) > MOST_TOKENS:
                return False
    return True


def _are_models_priced(batch: pa.RecordBatch, priced_from: Mapping[str, int]) -> bool:
    column = batch.column("model")
    if column.null_count == len(column):
        return True
    first_at = pc.min(batch.column("occurred_at")).cast(pa.int64()).as_py()
    models = pc.unique(column).drop_null().to_pylist()
    return all(priced_from.get(model, LATEST) <= first_at for model in models)


def _unusable(connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch) -> pl.DataFrame:
    connection.register("landed_rows", pa.Table.from_batches([batch]))
    try:
        found: pl.DataFrame = connection.sql(sql_text("staging/unusable_rows")).pl()
    finally:
        connection.unregister("landed_rows")
    return found.select(
        pl.col(name).cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
        if name == "occurred_at" and found.schema[name] != pl.Datetime("us")
        else pl.col(name).cast(kind)
        for name, kind in UNUSABLE.items()
    )


def _retracting(batch: pa.RecordBatch) -> pl.DataFrame:
    column = batch.column("retracts")
    if column.null_count == len(column):
        return pl.DataFrame(schema=RETRACTING)
    rows = batch.filter(column.is_valid())
    return pl.DataFrame(
        {
            "row_number": rows.column("row_number").to_numpy(),
            "identity": identity_digests(rows, event_id="retracts"),
            "source": _texts(rows.column("source")),
            "event_id": _texts(rows.column("event_id")),
            "retracts": _texts(rows.column("retracts")),
        },
        schema=RETRACTING,
    )


def _texts(column: pa.Array) -> list[str | None]:
    texts: list[str | None] = column.to_pylist()
    return texts


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
