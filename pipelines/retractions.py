"""What retractions take back. Rule USE-9.

An event that lands on the day of its retraction, or later, does not count at all. One that
counted on an earlier day is reversed on the day of its retraction: the earlier day stays as
it is, and what was known at a cutoff in between stays known.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np
import polars as pl

from billing_core.errors import Problem
from pipelines.datasets import current_file, current_files
from pipelines.days import SettledDay, of_kind
from pipelines.deduplication import members
from pipelines.digests import Digests
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

_NONE = pl.DataFrame(schema={"identity": pl.UInt64, "first_day": pl.Date})


def with_retractions(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    days: Sequence[SettledDay],
    features: Sequence[FeatureDefinition],
) -> tuple[list[SettledDay], list[Problem]]:
    """Days, in order, with what their own and earlier retractions take back."""
    first = _first_days(root, days)
    if not len(first):
        return list(days), []
    done: list[SettledDay] = []
    problems: list[Problem] = []
    for item in days:
        kept = _without_retracted(item, first)
        if len(kept.retractions):
            kept = replace(kept, retractions=_resolved(root, kept, first, done))
            kept, found = _with_reversals(root, connection, register, kept, done, features)
            problems += found
        done.append(kept)
    return done, problems


def _first_days(root: DataRoot, days: Sequence[SettledDay]) -> pl.DataFrame:
    """For each retracted identity, the landing day of its first retraction."""
    own = {partition_of(item.day.day) for item in days}
    known = [
        pl.read_parquet(path).select("identity", pl.col("landing_day").alias("first_day"))
        for partition, path in current_files(root, "usage_retractions").items()
        if partition not in own
    ]
    new = [
        item.retractions.select("identity", pl.lit(item.day.day).alias("first_day"))
        for item in days
        if len(item.retractions)
    ]
    rows = pl.concat([_NONE, *known, *new])
    return rows.group_by("identity").agg(pl.col("first_day").min()).sort("identity")


def _without_retracted(item: SettledDay, first: pl.DataFrame) -> SettledDay:
    """A day without the rows whose retraction landed before them or with them."""
    taken = first.filter(pl.col("first_day") <= item.day.day)["identity"].to_numpy()
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


def _resolved(
    root: DataRoot, item: SettledDay, first: pl.DataFrame, before: Sequence[SettledDay]
) -> pl.DataFrame:
    """The retractions of a day, each with whether it is the first of its event, and the earlier
    landing day on which that event counted."""
    rows = item.retractions.join(first, on="identity", how="left", maintain_order="left")
    is_first = (pl.col("first_day") == item.day.day) & pl.col("identity").is_first_distinct()
    rows = rows.with_columns(is_first.alias("is_first"))
    wanted = rows.filter("is_first")["identity"].to_numpy()
    here = members(wanted, item.identities)
    counted_on: dict[int, date] = {}
    left = np.delete(wanted, here)
    for day, identities in _counted_before(root, item.day.day, before):
        if not len(left):
            break
        places = members(left, identities)
        counted_on |= {int(identity): day for identity in left[places]}
        left = np.delete(left, places)
    days = [counted_on.get(identity) if is_one else None for identity, is_one in _pairs(rows)]
    return rows.with_columns(pl.Series("counted_on", days, dtype=pl.Date))


def _pairs(rows: pl.DataFrame) -> list[tuple[int, bool]]:
    return list(zip(rows["identity"].to_list(), rows["is_first"].to_list(), strict=True))


def _counted_before(
    root: DataRoot, day: date, before: Sequence[SettledDay]
) -> Iterator[tuple[date, Digests]]:
    """What each earlier landing day counted, the newest first."""
    own = {item.day.day: item.identities for item in before}
    kept = {day_of(name): path for name, path in current_files(root, "usage_ids").items()}
    for other in sorted({*own, *kept}, reverse=True):
        if other < day:
            identities = own.get(other)
            if identities is None:
                identities = pl.read_parquet(kept[other], columns=["identity"])[
                    "identity"
                ].to_numpy()
            yield other, identities


def _with_reversals(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    item: SettledDay,
    before: Sequence[SettledDay],
    features: Sequence[FeatureDefinition],
) -> tuple[SettledDay, list[Problem]]:
    """A day with the events of earlier days that it takes back, read from their files."""
    own = {other.day.day: other for other in before}
    reversals: list[pl.DataFrame] = []
    problems: list[Problem] = []
    rows = item.retractions
    for (counted_on,), wanted in rows.drop_nulls("counted_on").group_by(
        "counted_on", maintain_order=True
    ):
        files = register.on(counted_on)
        excluded = _excluded(root, files, counted_on, own)
        queries = counted_queries(connection, root, files, whole_files(excluded))
        if isinstance(queries, Problem):
            problems.append(queries)
            item = _set_aside(item, wanted)
            continue
        reversals.append(
            _events(
                connection,
                [rows_sql(q, file_number=n, landing_day=counted_on, features=features)
                 for n, q in queries.items()],
                excluded,
                wanted.select(
                    "source",
                    pl.col("retracts").alias("event_id"),
                    pl.lit(item.day.day).alias("retracted_on"),
                ),
            )
        )  # fmt: skip
    found = pl.concat([empty(USAGE_REVERSALS), *reversals]).sort("source", "event_id")
    return replace(item, reversals=found), problems


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


def _excluded(
    root: DataRoot, files: Sequence[LandedFile], day: date, own: Mapping[date, SettledDay]
) -> pl.DataFrame:
    """The rows of an earlier day that did not count, by file and row number."""
    if day in own:
        return own[day].excluded
    return read_excluded(root, files, day)


def read_excluded(root: DataRoot, files: Sequence[LandedFile], day: date) -> pl.DataFrame:
    """The rows of a metered day that did not count, by file and row; row null: a whole file."""
    path = current_file(root, "usage_excluded", partition_of(day))
    kept = empty(USAGE_EXCLUDED) if path is None else pl.read_parquet(path)
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
