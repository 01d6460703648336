"""What is kept of a metered landing day, and how it is read again.

Every dataset of a day is a partition of its own, written whole; the receipts come last and
say that the day is done. The digests of what counted lie as they are in memory, so that
the days after look at those of a month without reading them in.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from pipelines.datasets import (
    PartitionFile,
    current_file,
    current_files,
    write_content,
    write_partition,
)
from pipelines.days import DayFile, SettledDay
from pipelines.deduplication import CountedDay, ReadCounted, Spread
from pipelines.digests import digests_content, mapped_digests
from pipelines.landing import LandedFile
from pipelines.metering_spec import MeteringSpec
from pipelines.partitions import day_of, partition_of
from pipelines.paths import DataRoot
from pipelines.reasons import row_texts
from pipelines.retractions import retraction_rows
from pipelines.usage_frames import (
    SET_ASIDE,
    USAGE_EDGES,
    USAGE_EXCLUDED,
    USAGE_RECEIPTS,
    conformed,
    empty,
)


def write_day(
    root: DataRoot,
    item: SettledDay,
    spec: MeteringSpec,
    counted: Mapping[str, pl.DataFrame],
    *,
    spread: Spread = map,
) -> list[PartitionFile]:
    """Write every dataset of a day; the receipts last, which say that the day is done.

    takes:   counted, the tables of some days, this one among them; spread, a `map` that may
             write several at once.
    """
    partition = partition_of(item.day.day)
    own = pl.col("landing_day") == item.day.day
    tables = {name: table.filter(own) for name, table in counted.items()}
    tables |= {
        "usage_excluded": _excluded(item),
        "set_aside": rows_set_aside(item),
        "usage_retractions": retraction_rows(item),
        "usage_reversals": item.reversals,
    }
    if current_file(root, "usage_edges", partition) is not None:
        tables["usage_edges"] = empty(USAGE_EDGES)
    ids = partial(digests_content, item.identities, item.contents)
    writes = [
        partial(write_partition, root, "usage_daily", partition, tables.pop("usage_daily")),
        lambda: write_content(root, "usage_ids", partition, ids(), "arrow"),
        *(
            partial(write_partition, root, name, partition, table)
            for name, table in sorted(tables.items())
            if len(table) or current_file(root, name, partition) is not None
        ),
    ]
    written = list(spread(lambda write: write(), writes))
    receipts = _receipts(item, spec)
    return [*written, write_partition(root, "usage_receipts", partition, receipts)]


def read_receipts(root: DataRoot, through: date) -> pl.DataFrame:
    """The receipts of all landing days up to one, by day and path. Rule USE-6."""
    paths = [
        path
        for partition, path in current_files(root, "usage_receipts").items()
        if partition <= partition_of(through)
    ]
    if not paths:
        return empty(USAGE_RECEIPTS)
    return pl.read_parquet(paths, glob=False, hive_partitioning=False)


def inputs_sha256(files: Iterable[LandedFile]) -> str:
    """The digest of everything that lies in the files of a landing day."""
    listed = [(f.path, f.sha256, f.mapping_sha256, f.is_used) for f in files]
    return hashlib.sha256(repr(sorted(listed)).encode()).hexdigest()


def counted_days(root: DataRoot, first: date, before: date) -> dict[date, ReadCounted]:
    """How to read what the landing days from `first` on and before another one counted."""
    return {
        day_of(partition): partial(counted_day, day_of(partition), path)
        for partition, path in current_files(root, "usage_ids").items()
        if first <= day_of(partition) < before
    }


def counted_day(day: date, path: Path) -> CountedDay:
    """What a landing day counted, from its file of digests."""
    return CountedDay(day.toordinal(), *mapped_digests(path))


def rows_set_aside(item: SettledDay) -> pl.DataFrame:
    """What of a day cannot be used: whole files, and single rows, with reason and cure."""
    day = pl.lit(item.day.day).alias("landing_day")
    tables = []
    for file in item.day.files:
        path = pl.lit(file.landed.path).alias("path")
        if file.scanned is None:
            aside = {name: getattr(file.landed, name) for name in ("reason", "what", "mend")}
            tables.append(pl.DataFrame(aside).with_columns(day, path))
            continue
        rows = _unusable(item, file)
        whats, mends = row_texts(rows["reason"])
        texts = (pl.Series("what", whats, pl.String), pl.Series("mend", mends, pl.String))
        tables.append(rows.with_columns(day, path, *texts))
    known = [_complete(table) for table in tables]
    return pl.concat([empty(SET_ASIDE), *known]).sort("path", "row_number")


def _unusable(item: SettledDay, file: DayFile) -> pl.DataFrame:
    """The unusable rows of a file, and the retractions that could not be carried out."""
    if file.scanned is None:
        return pl.DataFrame()
    lost = item.excluded.filter(
        (pl.col("file_number") == file.number) & (pl.col("kind") == "retracted_event_unreadable")
    ).select(pl.col("row_number").cast(pl.Int64), pl.col("kind").alias("reason"))
    named = lost.join(file.scanned.retracting, on="row_number", how="left")
    return pl.concat(
        [file.scanned.unusable, named.select("row_number", "reason", "source", "event_id")],
        how="diagonal",
    )


def _complete(table: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None).alias(name) for name in SET_ASIDE if name not in table.columns]
    return conformed(table.with_columns(missing), SET_ASIDE)


def _excluded(item: SettledDay) -> pl.DataFrame:
    paths = {file.number: file.landed.path for file in item.day.files}
    path = pl.col("file_number").replace_strict(paths, return_dtype=pl.String)
    rows = item.excluded.with_columns(path.alias("path"))
    return conformed(rows, USAGE_EXCLUDED).sort("path", "row_number", "kind")


def _receipts(item: SettledDay, spec: MeteringSpec) -> pl.DataFrame:
    inputs = inputs_sha256(file.landed for file in item.day.files)
    rows = [
        _receipt(item, file) | {"inputs_sha256": inputs, "spec_sha256": spec.sha256}
        for file in item.day.files
    ]
    return pl.DataFrame(rows, schema=USAGE_RECEIPTS)


def _receipt(item: SettledDay, file: DayFile) -> dict[str, object]:
    landed, scanned = file.landed, file.scanned
    receipt: dict[str, object] = dict.fromkeys(USAGE_RECEIPTS, 0)
    receipt |= {"landing_day": item.day.day, "path": landed.path, "sha256": landed.sha256}
    if scanned is None or landed.rows is None:
        return receipt | {"rows": None}
    kinds = _kinds(item.excluded, file.number)
    retractions = _own(item.retractions, file.number)
    out = {
        "filtered": landed.rows - scanned.landed,
        "duplicates": kinds.get("duplicate", 0),
        "conflicts": kinds.get("conflict", 0),
        "set_aside": kinds.get("set_aside", 0) + kinds.get("retracted_event_unreadable", 0),
        "retracted": kinds.get("retracted", 0),
        "retractions": len(retractions),
    }
    reversed_ = len(retractions.drop_nulls("counted_on")) if len(retractions) else 0
    counted = landed.rows - sum(out.values())
    return receipt | out | {"rows": landed.rows, "counted": counted, "reversed": reversed_}


def _kinds(excluded: pl.DataFrame, number: int) -> Mapping[str, int]:
    own = excluded.filter(pl.col("file_number") == number).group_by("kind").len()
    return dict(zip(own["kind"], own["len"], strict=True))


def _own(rows: pl.DataFrame, number: int) -> pl.DataFrame:
    return rows.filter(pl.col("file_number") == number) if len(rows) else rows
