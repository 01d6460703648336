"""What retractions take back. Rule USE-9.

An event that lands on the day of its retraction, or later, does not count at all. One that
counted on an earlier day is reversed on the day of its retraction: the earlier day stays as
it is, and what was known at a cutoff in between stays known.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from billing_core.errors import Problem
from pipelines.datasets import current_file, current_files
from pipelines.days import SettledDay, of_kind
from pipelines.deduplication import members
from pipelines.digests import Digests, mapped_digests
from pipelines.landing import LandedFile, Register, file_query
from pipelines.mappings import LandedQuery, rows_sql
from pipelines.partitions import day_of, partition_of
from pipelines.paths import DataRoot, sql_text
from pipelines.usage_frames import (
    USAGE_EXCLUDED,
    USAGE_RETRACTIONS,
    USAGE_REVERSALS,
    FeatureDefinition,
    conformed,
    empty,
)

FIRST_DAYS = {"identity": pl.UInt64, "first_day": pl.Date}


@dataclass(frozen=True, slots=True)
class EarlierDays:
    """What a retraction may have to know of the days before its own.

    first:   of each identity that they retract, the landing day of the first retraction.
    counted: landing day -> the digests that it counted.
    excluded: the rows of a day that did not count.
    queries: the SQL of a day's files, but the ones of these numbers, or why one cannot be read.
    """

    first: pl.DataFrame
    counted: Mapping[date, Callable[[], Digests]]
    excluded: Callable[[date], pl.DataFrame]
    queries: Callable[[date, Collection[int]], list[str] | Problem]


def earlier_days(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    before: date,
    features: Sequence[FeatureDefinition],
) -> EarlierDays:
    """What is kept of the landing days before one."""
    retractions = current_files(root, "usage_retractions")
    ids = current_files(root, "usage_ids")
    known = [
        pl.read_parquet(path, glob=False).select(
            "identity", pl.col("landing_day").alias("first_day")
        )
        for partition, path in retractions.items()
        if day_of(partition) < before
    ]

    def queries(day: date, set_aside: Collection[int]) -> list[str] | Problem:
        found = counted_queries(connection, root, register.on(day), set_aside)
        if isinstance(found, Problem):
            return found
        return [
            rows_sql(query, file_number=number, landing_day=day, features=features)
            for number, query in found.items()
        ]

    return EarlierDays(
        first=pl.concat([pl.DataFrame(schema=FIRST_DAYS), *known]),
        counted={
            day_of(partition): partial(_kept_identities, path)
            for partition, path in ids.items()
            if day_of(partition) < before
        },
        excluded=lambda day: read_excluded(root, register.on(day), day),
        queries=queries,
    )


def with_retractions(
    connection: duckdb.DuckDBPyConnection, item: SettledDay, earlier: EarlierDays
) -> tuple[SettledDay, list[Problem]]:
    """A day with what its own and earlier retractions take back."""
    first = _first_days(item, earlier)
    kept = _without_retracted(item, first)
    if not len(kept.retractions):
        return kept, []
    kept = replace(kept, retractions=_resolved(kept, first, earlier))
    return _with_reversals(connection, kept, earlier)


def _kept_identities(path: Path) -> Digests:
    return mapped_digests(path)[0]


def _first_days(item: SettledDay, earlier: EarlierDays) -> pl.DataFrame:
    """For each retracted identity, the landing day of its first retraction."""
    rows = [earlier.first]
    if len(item.retractions):
        own = item.retractions.select("identity", pl.lit(item.day.day).alias("first_day"))
        rows.append(own)
    first = pl.concat(rows).group_by("identity").agg(pl.col("first_day").min())
    return first.sort("identity")


def _without_retracted(item: SettledDay, first: pl.DataFrame) -> SettledDay:
    """A day without the rows whose retraction landed before them or with them."""
    taken = first["identity"].to_numpy()
    found = []
    for file, scanned in item.day.read:
        places = members(scanned.identities, taken)
        found.append(
            pl.DataFrame(
                {
                    "file_number": np.full(len(places), file.number, np.int32),
                    "row_number": scanned.row_numbers[places],
                }
            )
        )
    if not found:
        return item
    keys = ["file_number", "row_number"]
    rows = pl.concat(found).join(item.excluded, on=keys, how="anti")
    if len(item.retractions):
        rows = rows.join(item.retractions, on=keys, how="anti")
    return replace(item, excluded=pl.concat([item.excluded, of_kind(rows, "retracted")]))


def _resolved(item: SettledDay, first: pl.DataFrame, earlier: EarlierDays) -> pl.DataFrame:
    """The retractions of a day, each with whether it is the first of its event, and the earlier
    landing day on which that event counted."""
    rows = item.retractions.join(first, on="identity", how="left", maintain_order="left")
    is_first = (pl.col("first_day") == item.day.day) & pl.col("identity").is_first_distinct()
    rows = rows.with_columns(is_first.alias("is_first"))
    wanted = rows.filter("is_first")["identity"].to_numpy()
    left = np.delete(wanted, members(wanted, item.identities))
    counted_on: dict[int, date] = {}
    for day in sorted(earlier.counted, reverse=True):
        if not len(left):
            break
        places = members(left, earlier.counted[day]())
        counted_on |= {int(identity): day for identity in left[places]}
        left = np.delete(left, places)
    pairs = zip(rows["identity"].to_list(), rows["is_first"].to_list(), strict=True)
    days = [counted_on.get(identity) if is_one else None for identity, is_one in pairs]
    return rows.with_columns(pl.Series("counted_on", days, dtype=pl.Date))


def _with_reversals(
    connection: duckdb.DuckDBPyConnection, item: SettledDay, earlier: EarlierDays
) -> tuple[SettledDay, list[Problem]]:
    """A day with the events of earlier days that it takes back, read from their files."""
    reversals: list[pl.DataFrame] = []
    problems: list[Problem] = []
    groups = item.retractions.drop_nulls("counted_on").partition_by("counted_on", as_dict=True)
    for (counted_on,), rows in sorted(groups.items()):
        excluded = earlier.excluded(counted_on)
        queries = earlier.queries(counted_on, whole_files(excluded))
        if isinstance(queries, Problem):
            problems.append(queries)
            item = _set_aside(item, rows)
            continue
        wanted = rows.select(
            "source",
            pl.col("retracts").alias("event_id"),
            pl.lit(item.day.day).alias("retracted_on"),
        )
        reversals.append(_events(connection, queries, excluded, wanted))
    found = pl.concat([empty(USAGE_REVERSALS), *reversals]).sort("source", "event_id")
    return replace(item, retractions=_of_events(item.retractions, found), reversals=found), problems


def _of_events(retractions: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Retractions, where it counted only for those of an event: one of a retraction, which is
    no use, takes nothing back."""
    events = found.select("source", pl.col("event_id").alias("retracts")).unique()
    rows = retractions.join(
        events.with_columns(is_event=True),
        on=["source", "retracts"],
        how="left",
        maintain_order="left",
    )
    counted_on = pl.when(pl.col("is_event")).then(pl.col("counted_on")).alias("counted_on")
    return rows.with_columns(counted_on).drop("is_event")


def counted_queries(
    connection: duckdb.DuckDBPyConnection,
    root: DataRoot,
    files: Sequence[LandedFile],
    set_aside: Collection[int],
) -> dict[int, LandedQuery] | Problem:
    """How to read the files of a metered day again, by number; without those set aside."""
    queries: dict[int, LandedQuery] = {}
    for number, file in enumerate(files):
        if file.is_used and number not in set_aside:
            query = file_query(connection, root, file)
            if isinstance(query, Problem):
                return query
            queries[number] = query
    return queries


def _set_aside(item: SettledDay, wanted: pl.DataFrame) -> SettledDay:
    """A day without the retractions whose events cannot be read any more."""
    keys = ["file_number", "row_number"]
    kept = item.retractions.join(wanted, on=keys, how="anti", maintain_order="left")
    excluded = pl.concat([item.excluded, of_kind(wanted, "retracted_event_unreadable")])
    return replace(item, retractions=kept, excluded=excluded)


def read_excluded(root: DataRoot, files: Sequence[LandedFile], day: date) -> pl.DataFrame:
    """The rows of a metered day that did not count, by file and row; row null: a whole file."""
    path = current_file(root, "usage_excluded", partition_of(day))
    kept = empty(USAGE_EXCLUDED) if path is None else pl.read_parquet(path, glob=False)
    numbers = pl.DataFrame(
        {"path": [file.path for file in files], "file_number": range(len(files))},
        schema={"path": pl.String, "file_number": pl.Int32},
    )
    return kept.join(numbers, on="path").select(
        "file_number", pl.col("row_number").cast(pl.Int32), "kind"
    )


def whole_files(excluded: pl.DataFrame) -> set[int]:
    """The numbers of the files that were set aside as a whole: no row number stands."""
    return set(excluded.filter(pl.col("row_number").is_null())["file_number"])


def _events(
    connection: duckdb.DuckDBPyConnection,
    queries: Sequence[str],
    excluded: pl.DataFrame,
    wanted: pl.DataFrame,
) -> pl.DataFrame:
    connection.register("excluded_rows", excluded.to_arrow())
    connection.register("wanted_events", wanted.to_arrow())
    connection.execute(f"create or replace temp view landed_rows as {' union all '.join(queries)}")
    found = connection.sql(sql_text("usage/reversible_events")).pl()
    return conformed(found, USAGE_REVERSALS)


def retraction_rows(item: SettledDay) -> pl.DataFrame:
    """The retractions of a day as they are kept."""
    if not len(item.retractions):
        return empty(USAGE_RETRACTIONS)
    paths = {file.number: file.landed.path for file in item.day.files}
    rows = item.retractions.with_columns(
        pl.lit(item.day.day).alias("landing_day"),
        pl.col("file_number").replace_strict(paths, return_dtype=pl.String).alias("path"),
    )
    return conformed(rows, USAGE_RETRACTIONS).sort("path", "row_number")
