"""The rows of one landed file, read once: their digests, and which of them cannot be used.

Canonical Parquet is read column by column as it lies, which is half the price of a query;
every other file through the SQL of its mapping. Both give the same columns to the same
digests and the same checks, and may be kept in memory until they are counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.canonical_parquet import CANONICAL, CHUNK_ROWS, canonical_parts
from pipelines.deduplication import Spread
from pipelines.digests import (
    Digests,
    column_of,
    content_digests,
    has_empty_text,
    identity_digests,
)
from pipelines.mappings import (
    CACHE_TOKENS,
    DECIMALS,
    INSTANTS,
    TOKENS,
    LandedQuery,
    end_of_day_sql,
    rows_sql,
)
from pipelines.paths import sql_text
from pipelines.usage_frames import FeatureDefinition

MOST_TOKENS = 10**12
LATEST = 2**62
_DERIVED = (
    "property", "dimension_1", "dimension_2", "is_property_missing", "unreadable",
    "is_total_with_cached",
)  # fmt: skip
COUNTED = frozenset((*CANONICAL, *_DERIVED, "row_number")) - {
    "source",
    "event_id",
    "unreadable",
    "is_property_missing",
    "is_total_with_cached",
}
"""The columns that sums are made of; what is kept of features that are no sum has all of them."""
_SQL_TYPES = {
    **dict.fromkeys(INSTANTS, "timestamptz"),
    **dict.fromkeys(DECIMALS, "decimal(38, 9)"),
    **dict.fromkeys(TOKENS, "bigint"),
    **dict.fromkeys(("is_property_missing", "is_total_with_cached"), "boolean"),
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
class Extent:
    """Within which bounds events lie: which token prices can concern them.

    first_at, last_at: microseconds; most_tokens: no request has more that are not output;
    models: as the events name them, None for any.
    """

    first_at: int
    last_at: int
    most_tokens: int
    models: frozenset[str] | None


ANY_EXTENT = Extent(-LATEST, LATEST, LATEST, None)


def joined_extent(extents: Sequence[Extent]) -> Extent:
    """The bounds of the events of all of several."""
    models = [extent.models for extent in extents]
    return Extent(
        first_at=min((extent.first_at for extent in extents), default=LATEST),
        last_at=max((extent.last_at for extent in extents), default=-LATEST),
        most_tokens=max((extent.most_tokens for extent in extents), default=0),
        models=None if None in models else frozenset().union(*(one or () for one in models)),
    )


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What a look at every row of a file gave.

    landed:     rows that passed the mapping's filter.
    row_numbers, identities, contents, received: of the usable rows, by row.
    extent:     of the usable rows.
    unusable:   the others, with reasons; retracting: the usable rows that retract an event.
    kept:       the rows themselves, the unusable ones too, in the columns that were asked
                for; a column that is null in all of them is left out.
    """

    landed: int
    row_numbers: npt.NDArray[np.int32]
    identities: Digests
    contents: Digests
    received: npt.NDArray[np.int64]
    extent: Extent
    unusable: pl.DataFrame
    retracting: pl.DataFrame
    kept: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class References:
    """Every text that names a priced model, and from when on it has a price. Rule AI-3."""

    table: pa.Table
    priced_from: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Chunk:
    landed: int
    batch: pa.RecordBatch | None
    row_numbers: npt.NDArray[np.int32]
    identities: Digests
    contents: Digests
    received: npt.NDArray[np.int64]
    extent: Extent
    unusable: pl.DataFrame
    retracting: pl.DataFrame


def scan_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    query: LandedQuery,
    *,
    landing_day: date,
    features: Sequence[FeatureDefinition],
    known: References,
    keeps: frozenset[str],
    spread: Spread = map,
) -> ScannedFile:
    """Read a file once. spread: a `map` that may work on several of its parts at once.

    raises: duckdb.Error, pa.ArrowException or OSError where the file is damaged inside.
    """
    parts = canonical_parts(path, query, features)
    if parts is None:
        text = rows_sql(query, file_number=0, landing_day=landing_day, features=features)
        parts = [partial(query_batches, connection, text)]
    digested = partial(_chunk, connection, keeps=keeps, landing_day=landing_day, known=known)
    chunks = spread(lambda part: [digested(batch) for batch in part()], parts)
    return _scanned([chunk for part in chunks for chunk in part], keeps=keeps)


def scan(
    connection: duckdb.DuckDBPyConnection,
    batches: Iterator[pa.RecordBatch],
    *,
    landing_day: date,
    known: References,
) -> ScannedFile:
    """Digests and unusable rows of batches that have the columns of `landed_rows`."""
    chunks = [
        _chunk(connection, batch, keeps=frozenset(), landing_day=landing_day, known=known)
        for batch in batches
    ]
    return _scanned(chunks, keeps=frozenset())


def kept_rows_sql(name: str, columns: Sequence[str], *, file_number: int, landing_day: date) -> str:
    """The text of the query that gives the `landed_rows` of rows in memory.

    takes:   name, their relation; columns, those that they have: the others are null.
    """
    texts = {
        column: column if column in columns else f"null::{_SQL_TYPES.get(column, 'varchar')}"
        for column in [*CANONICAL, *_DERIVED]
    }
    defaults = {"received_at": end_of_day_sql(landing_day), **dict.fromkeys(CACHE_TOKENS, "0")}
    texts |= {column: f"coalesce({texts[column]}, {no})" for column, no in defaults.items()}
    listed = ", ".join(f"{text} as {column}" for column, text in texts.items())
    return (
        f"select date '{landing_day}' as landing_day, {file_number}::integer as file_number,"
        f" row_number, {listed} from {name}"
    )


def _scanned(chunks: Sequence[_Chunk], *, keeps: frozenset[str]) -> ScannedFile:
    batches = [chunk.batch for chunk in chunks]
    return ScannedFile(
        landed=sum(chunk.landed for chunk in chunks),
        row_numbers=joined([chunk.row_numbers for chunk in chunks], np.int32),
        identities=joined([chunk.identities for chunk in chunks], np.uint64),
        contents=joined([chunk.contents for chunk in chunks], np.uint64),
        received=joined([chunk.received for chunk in chunks], np.int64),
        extent=joined_extent([chunk.extent for chunk in chunks]),
        unusable=pl.concat([pl.DataFrame(schema=UNUSABLE), *(c.unusable for c in chunks)]),
        retracting=pl.concat([pl.DataFrame(schema=RETRACTING), *(c.retracting for c in chunks)]),
        kept=_kept(batches) if keeps and batches else None,
    )


def _kept(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(batches)
    full = [name for name in table.schema.names if table.column(name).null_count < len(table)]
    return table.select(full)


def query_batches(connection: duckdb.DuckDBPyConnection, text: str) -> Iterator[pa.RecordBatch]:
    """The rows of any file, through its SQL."""
    # a connection of its own: the checks of a chunk are put to the first while this one is read
    with connection.cursor() as reading:
        yield from reading.sql(text).to_arrow_reader(CHUNK_ROWS)


def _chunk(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.RecordBatch,
    *,
    keeps: frozenset[str],
    landing_day: date,
    known: References,
) -> _Chunk:
    names = [name for name in batch.schema.names if name in keeps]
    kept = batch.select(names) if names else None
    landed = len(batch)
    unusable = pl.DataFrame(schema=UNUSABLE)
    extent = extent_of_rows(batch)
    if not is_plainly_usable(batch, extent, known.priced_from):
        unusable = _unusable(connection, batch, known)
    if len(unusable):
        numbers = batch.column("row_number").to_numpy()
        batch = batch.filter(pa.array(~np.isin(numbers, unusable["row_number"].to_numpy())))
    identities = identity_digests(batch)
    received = column_of(batch, "received_at").cast(pa.int64())
    if received.null_count:
        received = pc.fill_null(received, _end_of_day(landing_day))
    return _Chunk(
        landed=landed,
        batch=kept,
        row_numbers=batch.column("row_number").to_numpy().astype(np.int32),
        identities=identities,
        contents=content_digests(batch, identities),
        received=received.to_numpy(),
        extent=extent,
        unusable=unusable,
        retracting=_retracting(batch),
    )


def extent_of_rows(batch: pa.RecordBatch) -> Extent:
    """The bounds of rows; of tokens they may be too wide, never too narrow."""
    occurred = column_of(batch, "occurred_at").drop_null().cast(pa.int64()).to_numpy()
    return Extent(
        first_at=int(occurred.min(initial=LATEST)),
        last_at=int(occurred.max(initial=-LATEST)),
        most_tokens=sum(_most(batch, name) for name in TOKENS if name != "output_tokens"),
        models=frozenset(pc.unique(column_of(batch, "model")).drop_null().to_pylist()),
    )


def _most(batch: pa.RecordBatch, name: str) -> int:
    """The highest number of a column. What lies under a null is arbitrary, a negative one huge."""
    column = column_of(batch, name)
    if column.null_count == len(column):
        return 0
    words = np.frombuffer(column.buffers()[1], "<u8", len(column), column.offset * 8)
    return min(int(words.max()), LATEST)


def _end_of_day(day: date) -> int:
    return ((day - _EPOCH).days + 1) * _MICROSECONDS_A_DAY


def is_plainly_usable(
    batch: pa.RecordBatch, extent: Extent, priced_from: Mapping[str, int]
) -> bool:
    """Whether it shows at once that every row can be counted, so that none has to be looked at.

    May say no of good rows, never yes of a bad one: what decides is `unusable_rows`.
    """
    complete = ("event_id", "customer_id", "feature", "occurred_at", "value")
    if any(column_of(batch, name).null_count for name in complete):
        return False
    absent = ("unreadable", "retracts")
    if any(column_of(batch, name).null_count < len(batch) for name in absent):
        return False
    missing = column_of(batch, "is_property_missing").cast(pa.bool_())
    if pc.any(missing).as_py() or len(batch) == 0:
        return False
    if has_empty_text(column_of(batch, "event_id")):
        return False
    return (
        _is_small(column_of(batch, "value"))
        and _is_small(column_of(batch, "amount"))
        and _are_tokens_whole(batch, extent)
        and all(priced_from.get(text, LATEST) <= extent.first_at for text in extent.models or ())
    )


def _is_small(column: pa.Array) -> bool:
    """Whether every decimal fits into 64 bits: then it is far inside its range."""
    if column.null_count == len(column):
        return True
    words = np.frombuffer(column.buffers()[1], "<i8", 2 * len(column), column.offset * 16)
    return not np.any(words[1::2] ^ (words[0::2] >> 63))


def _are_tokens_whole(batch: pa.RecordBatch, extent: Extent) -> bool:
    """Whether a row has a model if and only if it has tokens, and all counts are in range."""
    has_model = column_of(batch, "model").is_valid()
    for name in ("input_tokens", "output_tokens"):
        if not column_of(batch, name).is_valid().equals(has_model):
            return False
    return max(extent.most_tokens, _most(batch, "output_tokens")) <= MOST_TOKENS


def _unusable(
    connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, known: References
) -> pl.DataFrame:
    with connection.cursor() as own:
        own.register("known_references", known.table)
        own.register("batch", pa.Table.from_batches([batch]))
        rows = kept_rows_sql("batch", batch.schema.names, file_number=0, landing_day=_EPOCH)
        own.execute(f"create temp view landed_rows as {rows}")
        found: pl.DataFrame = own.sql(sql_text("staging/unusable_rows")).pl()
    return found.select(
        pl.col(name).cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
        if name == "occurred_at" and found.schema[name] != pl.Datetime("us")
        else pl.col(name).cast(kind)
        for name, kind in UNUSABLE.items()
    )


def _retracting(batch: pa.RecordBatch) -> pl.DataFrame:
    column = column_of(batch, "retracts")
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


def joined(parts: Sequence[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Arrays one after the other; of none an empty one of a kind."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, kind)
