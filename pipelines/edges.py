"""The single events of the days inside which a window starts or ends.

Whole days are read from `usage_daily`; a window that begins at noon, or at midnight of
another time zone, needs the events of that one day of that one customer. They are read
from the landed files once and kept, so that the files are not needed again.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import duckdb
import polars as pl

from billing_core.errors import BillingError, Problem
from pipelines.counting import CountableRows, prepare_counted, prepare_priced
from pipelines.datasets import current_file, current_files, write_partition
from pipelines.landed_rows import ANY_EXTENT
from pipelines.landing import Register, read_register
from pipelines.mappings import rows_sql
from pipelines.metering_spec import MeteringSpec
from pipelines.partitions import partition_of
from pipelines.paths import DataRoot, sql_text
from pipelines.retractions import counted_queries, read_excluded, whole_files
from pipelines.usage_frames import USAGE_EDGES, USAGE_REVERSALS, conformed, empty

_KEYS = (
    "landing_day", "counts_from", "event_day", "customer_id", "feature", "occurred_at", "source",
    "event_id", "events",
)  # fmt: skip


class DayCannotBeReadAgain(BillingError):
    """A day has to be read again, event by event, and a file of it is not what it was."""

    code = "USAGE-01"

    def __init__(self, *, landing_day: date, wanted: int, problem: Problem) -> None:
        super().__init__(
            what=f"{wanted} customer days that landed on {landing_day} have to be read again:"
            f" {problem.what}",
            where=f"{problem.file}, a window that starts or ends inside a day",
            mend=problem.mend,
        )


def keep_edges(
    root: DataRoot, connection: duckdb.DuckDBPyConnection, missing: pl.DataFrame, spec: MeteringSpec
) -> bool:
    """Read and keep the events of some customers' days; whether there were any.

    takes:   missing, landing_day, customer_id, event_day.
    raises:  DayCannotBeReadAgain.
    """
    for landing_day, found in _found(root, connection, missing, spec):
        partition = partition_of(landing_day)
        path = current_file(root, "usage_edges", partition)
        kept = empty(USAGE_EDGES) if path is None else pl.read_parquet(path, glob=False)
        table = pl.concat([kept, found]).sort(_KEYS, maintain_order=True)
        write_partition(root, "usage_edges", partition, table)
    return len(missing) > 0


def read_edges(
    root: DataRoot, connection: duckdb.DuckDBPyConnection, missing: pl.DataFrame, spec: MeteringSpec
) -> pl.DataFrame:
    """The events of some customers' days, which are not kept. raises: DayCannotBeReadAgain."""
    found = [table for _, table in _found(root, connection, missing, spec)]
    return pl.concat([empty(USAGE_EDGES), *found])


def _found(
    root: DataRoot, connection: duckdb.DuckDBPyConnection, missing: pl.DataFrame, spec: MeteringSpec
) -> Iterator[tuple[date, pl.DataFrame]]:
    register = read_register(root)
    for (landing_day,), wanted in missing.group_by("landing_day", maintain_order=True):
        yield landing_day, _read(root, connection.cursor(), register, landing_day, wanted, spec)


def edge_paths(root: DataRoot) -> Sequence[str]:
    """The current files of the single events that are kept."""
    return [str(path) for path in current_files(root, "usage_edges").values()]


def _read(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    landing_day: date,
    wanted: pl.DataFrame,
    spec: MeteringSpec,
) -> pl.DataFrame:
    files = register.on(landing_day)
    excluded = read_excluded(root, files, landing_day)
    queries = counted_queries(connection, root, files, whole_files(excluded))
    if isinstance(queries, Problem):
        raise DayCannotBeReadAgain(landing_day=landing_day, wanted=len(wanted), problem=queries)
    path = current_file(root, "usage_reversals", partition_of(landing_day))
    reversals = empty(USAGE_REVERSALS) if path is None else pl.read_parquet(path, glob=False)
    texts = [
        rows_sql(query, file_number=number, landing_day=landing_day, features=spec.features)
        for number, query in queries.items()
    ]
    prepare_counted(connection, spec, CountableRows(texts, excluded, reversals, ANY_EXTENT))
    prepare_priced(connection)
    connection.register("wanted_days", wanted.select("customer_id", "event_day").to_arrow())
    return conformed(connection.sql(sql_text("usage/usage_edges")).pl(), USAGE_EDGES)
