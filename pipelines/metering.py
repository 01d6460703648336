"""From landed files to what each landing day adds to the usage that is known.

A landing day is a pure function of its files, the digests of the `dedupe_days` before it,
the retractions before it, the token prices and the definitions of the features; of nothing
else, so it never changes. Groups of days are read, counted and written side by side; what
counts is settled in their order. Whose usage it is, and whether a plan has it, is decided
in `pipelines/snapshots.py`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache, partial

import duckdb
import polars as pl
import pyarrow as pa

from billing_core.errors import Problem
from pipelines.counting import counted_columns, counted_days_tables, known_references
from pipelines.datasets import PartitionFile, current_file, current_files
from pipelines.days import Day, DayFile, SettledDay, day_digests, settled_day
from pipelines.deduplication import CountedDay, ReadCounted, Spread, repeats
from pipelines.kept_days import (
    counted_day,
    counted_days,
    inputs_sha256,
    read_receipts,
    write_day,
)
from pipelines.landed_rows import References, scan_file
from pipelines.landing import LandedFile, Register, file_query, read_register
from pipelines.metering_spec import MeteringSpec
from pipelines.partitions import day_of, partition_of
from pipelines.paths import DataRoot, first_line
from pipelines.retractions import earlier_days, with_retractions

GROUP_ROWS = 1_050_000
"""How many rows are counted by one query, whose planning costs as much as 50,000 of them; so
many may be kept in memory between two looks at them."""

MEMORY_LIMIT = "600MB"
THREADS = 2


@dataclass(frozen=True, slots=True)
class Metered:
    """The landing days that a run metered, their receipts, and what it has to report."""

    days: tuple[date, ...]
    written: tuple[PartitionFile, ...]
    receipts: pl.DataFrame
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """What one call works with, and what it knows by now.

    spread:  a `map` for the parts of a group, where nothing else has work for the threads.
    counted: how to read what each day before counted.
    retracting: the days that took something back.
    settled: for each group, done when it is known what of it counts; metered: when it is
             written.
    """

    root: DataRoot
    spec: MeteringSpec
    register: Register
    known: References
    connection: duckdb.DuckDBPyConnection
    spread: Spread
    counted: dict[date, ReadCounted]
    retracting: set[date]
    settled: Sequence[Future[None]]
    metered: list["Future[_Group]"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Group:
    days: tuple[date, ...]
    written: tuple[PartitionFile, ...]
    problems: tuple[Problem, ...]


def meter_days(
    root: DataRoot, through: date, spec: MeteringSpec, *, closed_through: date | None = None
) -> Metered:
    """Meter every landing day up to `through` that is missing, in order.

    takes:   closed_through, the last landing day that a posted invoice's cutoff covers:
             later days are metered again where the definitions of features changed.
    returns: days metered by this call; receipts of all days up to `through`.
    rule:    USE-1, USE-2, USE-6, USE-9.
    """
    register, receipts = read_register(root), read_receipts(root, through)
    days = _days_to_meter(register, receipts, through, spec, closed_through)
    if not days:
        return Metered((), (), receipts, ())
    groups = list(_groups(register, days))
    with ExitStack() as stack:
        work = _work(stack, root, spec, register, groups)
        pool = stack.enter_context(ThreadPoolExecutor(THREADS))
        for number, group in enumerate(groups):
            work.metered.append(pool.submit(_meter_group, work, number, group))
        done = [future.result() for future in work.metered]
    return Metered(
        days=tuple(day for group in done for day in group.days),
        written=tuple(file for group in done for file in group.written),
        receipts=read_receipts(root, through),
        problems=tuple(problem for group in done for problem in group.problems),
    )


def connected(threads: int = THREADS) -> duckdb.DuckDBPyConnection:
    """A connection to an in-memory DuckDB that holds to UTC and to its share of memory.

    The database is made once a process, since that takes as long as counting 30,000 events;
    what is registered or temporary belongs to the connection and ends with it.
    """
    return _database(threads).cursor()


@cache
def _database(threads: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")
    connection.execute(f"set threads = {threads}")
    connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
    return connection


def _work(
    stack: ExitStack,
    root: DataRoot,
    spec: MeteringSpec,
    register: Register,
    groups: Sequence[Sequence[date]],
) -> _Work:
    first, last = groups[0][0], groups[-1][-1]
    is_alone = len(groups) == 1
    spread: Spread = map
    if is_alone:
        spread = stack.enter_context(ThreadPoolExecutor(THREADS)).map
    return _Work(
        root=root,
        spec=spec,
        register=register,
        known=known_references(spec.prices),
        connection=stack.enter_context(connected(THREADS if is_alone else 1)),
        spread=spread,
        counted=counted_days(root, first - timedelta(days=spec.dedupe_days), last),
        retracting={day_of(name) for name in current_files(root, "usage_retractions")},
        settled=[Future() for _ in groups],
    )


def _days_to_meter(
    register: Register,
    receipts: pl.DataFrame,
    through: date,
    spec: MeteringSpec,
    closed_through: date | None,
) -> list[date]:
    done = {
        row["landing_day"]: (row["inputs_sha256"], row["spec_sha256"])
        for row in receipts.iter_rows(named=True)
    }
    landed: dict[date, list[LandedFile]] = {}
    for file in register.files:
        if file.landing_day <= through:
            landed.setdefault(file.landing_day, []).append(file)
    wanted = []
    for day, files in sorted(landed.items()):
        inputs, spec_sha256 = done.get(day, ("", ""))
        is_open = closed_through is None or day > closed_through
        if inputs != inputs_sha256(files) or (is_open and spec_sha256 != spec.sha256):
            wanted.append(day)
    return wanted


def _groups(register: Register, days: Sequence[date]) -> Iterator[list[date]]:
    """Days in order, so many together that a query has work enough."""
    group: list[date] = []
    rows = 0
    for day in days:
        more = _rows(register, day)
        if group and rows + more > GROUP_ROWS:
            yield group
            group, rows = [], 0
        group.append(day)
        rows += more
    yield group


def _rows(register: Register, day: date) -> int:
    return sum(file.rows or 0 for file in register.on(day))


def _meter_group(work: _Work, number: int, days: Sequence[date]) -> _Group:
    """Read some days, settle what of them counts when all before is settled, count and write.

    A group that fails takes those after it with it: they cannot know what it counted.
    """
    try:
        with work.connection.cursor() as connection:
            group, problems = _read_days(work, connection, days)
            if number:
                work.settled[number - 1].result()
            if _takes_back(work, group):
                return _one_by_one(work, connection, number, group, problems)
            settled = _settle(work, group) if group else []
            work.settled[number].set_result(None)
            return _written(work, connection, settled, problems)
    except BaseException as error:
        if not work.settled[number].done():
            work.settled[number].set_exception(error)
        raise


def _takes_back(work: _Work, group: Sequence[Day]) -> bool:
    """Whether events may be taken back that count in this group, or did before."""
    own = {day.day for day in group if any(len(scan.retracting) for _, scan in day.read)}
    work.retracting.update(own)
    return any(other <= day.day for day in group for other in work.retracting)


def _one_by_one(
    work: _Work,
    connection: duckdb.DuckDBPyConnection,
    number: int,
    group: Sequence[Day],
    problems: Sequence[Problem],
) -> _Group:
    """Days that take events back: each needs all before it written, to read it again."""
    for before in work.metered[:number]:
        before.result()
    parts = []
    for day in group:
        (settled,) = _settle(work, [day])
        earlier = earlier_days(work.root, connection, work.register, day.day, work.spec.features)
        settled, found = with_retractions(connection, settled, earlier)
        parts.append(_written(work, connection, [settled], found))
    work.settled[number].set_result(None)
    return _Group(
        days=tuple(day for part in parts for day in part.days),
        written=tuple(file for part in parts for file in part.written),
        problems=(*problems, *(problem for part in parts for problem in part.problems)),
    )


def _written(
    work: _Work,
    connection: duckdb.DuckDBPyConnection,
    settled: Sequence[SettledDay],
    problems: Sequence[Problem],
) -> _Group:
    """Count some days and write them in order."""
    if not settled:
        return _Group((), (), tuple(problems))
    tables = counted_days_tables(connection, settled, work.spec)
    written: list[PartitionFile] = []
    for item in settled:
        files = write_day(work.root, item, work.spec, tables, spread=work.spread)
        (ids,) = (file.path for file in files if file.dataset == "usage_ids")
        work.counted[item.day.day] = partial(counted_day, item.day.day, ids)
        written += files
    return _Group(tuple(item.day.day for item in settled), tuple(written), tuple(problems))


def _read_days(
    work: _Work, connection: duckdb.DuckDBPyConnection, days: Sequence[date]
) -> tuple[list[Day], list[Problem]]:
    """Read every file of some days once; a day that is done and cannot be read again stays."""
    fits = sum(_rows(work.register, day) for day in days) <= GROUP_ROWS
    keeps = counted_columns(work.spec) if fits else frozenset()
    read: list[Day] = []
    problems: list[Problem] = []
    for day in days:
        own, found = _read_day(work, connection, day, keeps)
        problems += found
        if not found or current_file(work.root, "usage_receipts", partition_of(day)) is None:
            read.append(own)
    return read, problems


def _read_day(
    work: _Work, connection: duckdb.DuckDBPyConnection, day: date, keeps: frozenset[str]
) -> tuple[Day, list[Problem]]:
    read = [
        _read_file(work, connection, DayFile(file, number), keeps)
        for number, file in enumerate(work.register.on(day))
    ]
    files = tuple(file for file, _ in read)
    return Day(day, files), [problem for _, problem in read if problem is not None]


def _read_file(
    work: _Work, connection: duckdb.DuckDBPyConnection, file: DayFile, keeps: frozenset[str]
) -> tuple[DayFile, Problem | None]:
    landed = file.landed
    if not landed.is_used:
        return file, None
    query = file_query(connection, work.root, landed)
    if isinstance(query, Problem):
        return _broken(file, query), query
    path = work.root.usage_landing / landed.path
    try:
        scanned = scan_file(
            connection,
            path,
            query,
            landing_day=landed.landing_day,
            features=work.spec.features,
            known=work.known,
            keeps=keeps,
            spread=work.spread,
        )
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        problem = Problem(
            "LAND-06",
            f"landing/usage/{landed.path}",
            "(whole)",
            f"the file is damaged inside: {first_line(error, path)}",
            "land it again, whole, under another name",
        )
        return _broken(file, problem), problem
    return replace(file, query=query, scanned=scanned), None


def _broken(file: DayFile, problem: Problem) -> DayFile:
    aside = replace(file.landed, reason="unreadable_file", what=problem.what, mend=problem.mend)
    return replace(file, landed=aside)


def _settle(work: _Work, days: Sequence[Day]) -> list[SettledDay]:
    """What of some days counts, and from now on what they counted.

    A day between them that is not metered now counts as it stands: it was written before a run
    was killed, or cannot be read again.
    """
    digests = [day_digests(day) for day in days]
    own = {day.day for day in days}
    first, last = days[0].day - timedelta(days=work.spec.dedupe_days), days[-1].day
    others = sorted(day for day in work.counted if first <= day < last and day not in own)
    before = [work.counted[day] for day in others]
    found = repeats(digests, before, dedupe_days=work.spec.dedupe_days, spread=work.spread)
    settled = list(map(settled_day, days, digests, found))
    for item in settled:
        number = item.day.day.toordinal()
        work.counted[item.day.day] = partial(CountedDay, number, item.identities, item.contents)
    return settled
