"""The rows of canonical Parquet files, read column by column as they lie.

Half the price of a query. A file is read in parts, so that several threads may each take one.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.mappings import LandedQuery
from pipelines.usage_frames import FeatureDefinition

CHUNK_ROWS = 122_880
"""The rows of a row group as DuckDB writes it; of other files so many are read at once."""

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

Part = Callable[[], Iterator[pa.RecordBatch]]


def canonical_parts(
    path: Path, query: LandedQuery, features: Sequence[FeatureDefinition]
) -> list[Part] | None:
    """How to read each part of a file whose columns are canonical; None for any other file.

    Columns that the file does not have are left out: they are null.
    """
    if not query.is_canonical or path.suffix.lower() != ".parquet":
        return None
    file = pq.ParquetFile(path)
    types = {field.name: _plain_type(field.type) for field in file.schema_arrow}
    if any(feature.property for feature in features):
        return None  # of each row it has to be told whether the property is missing
    if any(feature.dimensions for feature in features) and "properties" in types:
        return None
    if any(types.get(name, kind) != kind for name, kind in CANONICAL.items()):
        return None
    listed = [name for name in CANONICAL if name in types]
    names = [name for name in listed if not _is_all_null(file.metadata, name)]
    rows = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    firsts = list(accumulate(rows, initial=0))
    return [
        partial(_rows, path, names, groups, first=firsts[groups[0]], source=query.default_source)
        for groups in _row_groups(rows)
    ]


def _row_groups(rows: Sequence[int]) -> Iterator[list[int]]:
    """Row groups in order, small ones together.

    >>> list(_row_groups([100_000, 20_000, 50_000, 1_000_000, 7]))
    [[0, 1], [2], [3], [4]]
    """
    groups: list[int] = []
    total = 0
    for number, more in enumerate(rows):
        if groups and total + more > CHUNK_ROWS:
            yield groups
            groups, total = [], 0
        groups.append(number)
        total += more
    if groups:
        yield groups


def _rows(
    path: Path, names: Sequence[str], groups: Sequence[int], *, first: int, source: str
) -> Iterator[pa.RecordBatch]:
    """The rows of some row groups. first: how many rows stand before them."""
    coded = [name for name in _LOW_VARIETY if name in names]
    file = pq.ParquetFile(path, read_dictionary=coded)
    for batch in file.iter_batches(
        CHUNK_ROWS, row_groups=list(groups), columns=list(names), use_threads=False
    ):
        rows = len(batch)
        columns = {name: batch.column(name) for name in names}
        own, value = (
            columns.get(name, pa.nulls(rows, CANONICAL[name])) for name in ("source", "value")
        )
        columns |= {
            "source": _filled(own, source),
            "value": _filled(value, Decimal(1)),
            "row_number": pa.array(np.arange(first + 1, first + rows + 1)),
        }
        if "retracts" in columns:
            columns["retracts"] = _without_empty(columns["retracts"])
        first += rows
        yield pa.RecordBatch.from_pydict(columns)


def _is_all_null(metadata: pq.FileMetaData, name: str) -> bool:
    """Whether the file itself says of a column that there is nothing in it."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return all(
        _nulls(column) == group.num_rows
        for group in groups
        for column in map(group.column, range(group.num_columns))
        if column.path_in_schema == name
    )


def _nulls(column: pq.ColumnChunkMetaData) -> int | None:
    statistics = column.statistics
    return statistics.null_count if statistics is not None and statistics.has_null_count else None


def _plain_type(kind: pa.DataType) -> pa.DataType:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(value) else value


def _filled(column: pa.Array, value: str | Decimal) -> pa.Array:
    if not column.null_count:
        return column
    if pa.types.is_dictionary(column.type):
        return _filled(column.dictionary_decode(), value).dictionary_encode()
    return pc.fill_null(column, pa.scalar(value, column.type))


def _without_empty(column: pa.Array) -> pa.Array:
    """Texts, null where one is empty: many writers have no other way to name nothing."""
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return pc.if_else(
        pc.equal(plain, pa.scalar("", plain.type)), pa.scalar(None, plain.type), plain
    )
