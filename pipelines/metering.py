"""From landed files to what each landing day adds to the usage that is known.

A landing day is a pure function of its files, the digests of the `dedupe_days` before it,
the retractions before it, the token prices and the definitions of the features; of nothing
else, so it never changes. Many days are metered in one pass with the same bytes as one by
one. Whose usage it is, and whether a plan has it, is decided in `pipelines/snapshots.py`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from billing_core.errors import Problem
from pipelines.ai_prices import CLASSES, MOST_TOKENS, AiPrice, references
from pipelines.datasets import (
    PartitionFile,
    adopt_file,
    current_file,
    current_files,
    write_partition,
)
from pipelines.days import Day, DayFile, SettledDay, day_digests, settled_day
from pipelines.deduplication import CountedBefore, repeats
from pipelines.digests import Digests
from pipelines.landed_rows import References, scan_file
from pipelines.landing import LandedFile, Register, file_query, read_register
from pipelines.mappings import rows_sql
from pipelines.partitions import day_of, partition_of
from pipelines.paths import DataRoot, first_line, sql_text
from pipelines.reasons import row_texts
from pipelines.retractions import earlier_days, retraction_rows, with_retractions
from pipelines.usage_frames import (
    SET_ASIDE,
    STATEFUL,
    USAGE_CONFLICTS,
    USAGE_DAILY,
    USAGE_EDGES,
    USAGE_EXCLUDED,
    USAGE_IDS,
    USAGE_MARGINS,
    USAGE_RECEIPTS,
    USAGE_RETRACTIONS,
    USAGE_REVERSALS,
    USAGE_STATES,
    FeatureDefinition,
    Schema,
    conformed,
    empty,
)

BATCH_ROWS = 12_000_000
"""How many rows are metered in one pass: what fits in half a gigabyte."""

QUERY_ROWS = 1_500_000
"""How many rows are counted by one query: planning a query costs as much as 50,000 rows."""

BY_MODEL = 0
"""In place of a price id: the model alone tells the price."""

MEMORY_LIMIT = "600MB"
THREADS = 2

WRITTEN_IF_ANY: dict[str, Schema] = {
    "usage_states": USAGE_STATES,
    "usage_margins": USAGE_MARGINS,
    "usage_excluded": USAGE_EXCLUDED,
    "usage_conflicts": USAGE_CONFLICTS,
    "set_aside": SET_ASIDE,
    "usage_retractions": USAGE_RETRACTIONS,
    "usage_reversals": USAGE_REVERSALS,
}
"""Datasets of a landing day that have no file where they have no rows."""


@dataclass(frozen=True, slots=True)
class MeteringSpec:
    """What metering has to know besides the files.

    is_per_event, margins_bp: policy `token_cost_rounding: per_event`, and all margins in use.
    dedupe_days: within how many landing days an event id counts once.
    """

    features: tuple[FeatureDefinition, ...]
    prices: tuple[AiPrice, ...] = ()
    is_per_event: bool = False
    margins_bp: tuple[int, ...] = ()
    dedupe_days: int = 35

    @property
    def sha256(self) -> str:
        """What decides which columns and parts are kept; kept with each day. Not the prices:
        rows are only added to them."""
        kept = sorted(
            (f.code, f.aggregation, f.property, f.dimensions)
            for f in self.features
            if f.aggregation in STATEFUL or f.dimensions
        )
        margins = sorted(self.margins_bp) if self.is_per_event else []
        text = repr((kept, self.is_per_event, margins, self.dedupe_days))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Metered:
    """The landing days that a run metered, their receipts, and what it has to report."""

    days: tuple[date, ...]
    written: tuple[PartitionFile, ...]
    receipts: pl.DataFrame
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
    register = read_register(root)
    days = _days_to_meter(root, register, through, spec, closed_through)
    written: list[PartitionFile] = []
    problems: list[Problem] = []
    done: list[date] = []
    with connected() as connection:
        for batch in _batches(register, days):
            outcome = _meter_batch(root, connection, register, batch, spec)
            written += outcome.written
            problems += outcome.problems
            done += outcome.days
    return Metered(tuple(done), tuple(written), read_receipts(root, through), tuple(problems))


def connected() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that holds to UTC and to its share of memory."""
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'")
    connection.execute(f"set threads = {THREADS}")
    connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
    return connection


def read_receipts(root: DataRoot, through: date) -> pl.DataFrame:
    """The receipts of all landing days up to one, by day and path. Rule USE-6."""
    paths = [
        path
        for partition, path in current_files(root, "usage_receipts").items()
        if partition <= partition_of(through)
    ]
    return (
        pl.concat([pl.read_parquet(path, glob=False) for path in paths])
        if paths
        else empty(USAGE_RECEIPTS)
    )


def inputs_sha256(files: Iterable[LandedFile]) -> str:
    """The digest of everything that lies in the files of a landing day."""
    listed = [(f.path, f.sha256, f.mapping_sha256, f.is_used) for f in files]
    return hashlib.sha256(repr(sorted(listed)).encode()).hexdigest()


def _days_to_meter(
    root: DataRoot,
    register: Register,
    through: date,
    spec: MeteringSpec,
    closed_through: date | None,
) -> list[date]:
    receipts = read_receipts(root, through)
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


def _batches(register: Register, days: Sequence[date]) -> Iterator[list[date]]:
    batch: list[date] = []
    rows = 0
    for day in days:
        more = sum(file.rows or 0 for file in register.on(day))
        if batch and rows + more > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(day)
        rows += more
    if batch:
        yield batch


def _meter_batch(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    batch: Sequence[date],
    spec: MeteringSpec,
) -> Metered:
    days, problems = _read_days(root, connection, register, batch, spec)
    settled = _settle(root, days, spec)
    own = {item.day.day for item in settled}
    earlier = earlier_days(root, connection, register, own, spec.features)
    settled, found = with_retractions(connection, settled, earlier)
    with ThreadPoolExecutor(THREADS) as pool:
        written = pool.map(
            lambda days: _write_days(root, connection.cursor(), days, spec), _groups(settled)
        )
        files = [file for group in written for file in group]
    return Metered(
        days=tuple(item.day.day for item in settled),
        written=tuple(files),
        receipts=empty(USAGE_RECEIPTS),
        problems=(*problems, *found),
    )


def _read_days(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    batch: Sequence[date],
    spec: MeteringSpec,
) -> tuple[list[Day], list[Problem]]:
    """Read every file of the days once; a day that is done and cannot be read again stays."""
    landed = [(number, file) for day in batch for number, file in enumerate(register.on(day))]
    with ThreadPoolExecutor(THREADS) as pool:
        read = list(
            pool.map(
                lambda item: _read_file(root, connection.cursor(), item[0], item[1], spec), landed
            )
        )
    days: list[Day] = []
    problems: list[Problem] = []
    for day in batch:
        own = [item for item in read if item[0].landed.landing_day == day]
        found = [problem for _, problem in own if problem is not None]
        problems += found
        if not found or current_file(root, "usage_receipts", partition_of(day)) is None:
            days.append(Day(day, tuple(file for file, _ in own)))
    return days, problems


def _read_file(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    number: int,
    landed: LandedFile,
    spec: MeteringSpec,
) -> tuple[DayFile, Problem | None]:
    if not landed.is_used:
        return DayFile(landed, number), None
    query = file_query(connection, root, landed)
    if isinstance(query, Problem):
        return _broken(landed, number, query), query
    path = root.usage_landing / landed.path
    try:
        scanned = scan_file(
            connection,
            path,
            query,
            landing_day=landed.landing_day,
            features=spec.features,
            known=known_references(spec.prices),
        )
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        problem = Problem(
            "LAND-06",
            f"landing/usage/{landed.path}",
            "(whole)",
            f"the file is damaged inside: {first_line(error, path)}",
            "land it again, whole, under another name",
        )
        return _broken(landed, number, problem), problem
    return DayFile(landed, number, query, scanned), None


def _broken(landed: LandedFile, number: int, problem: Problem) -> DayFile:
    aside = replace(landed, reason="unreadable_file", what=problem.what, mend=problem.mend)
    return DayFile(aside, number)


def _settle(root: DataRoot, days: Sequence[Day], spec: MeteringSpec) -> list[SettledDay]:
    if not days:
        return []
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(day_digests, days))
        before = _counted_before(root, days, spec)
        found = repeats(digests, before, dedupe_days=spec.dedupe_days, spread=pool.map)
        return list(pool.map(settled_day, days, digests, found))


def _counted_before(root: DataRoot, days: Sequence[Day], spec: MeteringSpec) -> list[CountedBefore]:
    """What the days before a batch counted, as far back as an id is remembered."""
    own = {partition_of(day.day) for day in days}
    first = partition_of(days[0].day - timedelta(days=spec.dedupe_days))
    return [
        CountedBefore(
            day=day_of(partition).toordinal(),
            identities=partial(_kept_digests, path, "identity"),
            contents=partial(_kept_digests, path, "content"),
        )
        for partition, path in current_files(root, "usage_ids").items()
        if first <= partition < partition_of(days[-1].day) and partition not in own
    ]


def _kept_digests(path: Path, column: str) -> Digests:
    return pl.read_parquet(path, columns=[column], hive_partitioning=False)[column].to_numpy()


def _groups(days: Sequence[SettledDay]) -> Iterator[list[SettledDay]]:
    """Days in order, so many together that a query has work enough."""
    group: list[SettledDay] = []
    rows = 0
    for item in days:
        group.append(item)
        rows += len(item.identities)
        if rows >= QUERY_ROWS:
            yield group
            group, rows = [], 0
    yield group


def _write_days(
    root: DataRoot,
    connection: duckdb.DuckDBPyConnection,
    days: Sequence[SettledDay],
    spec: MeteringSpec,
) -> list[PartitionFile]:
    """Count some days by one set of queries, and write them in order."""
    if not days:
        return []
    groups = [
        _numbered(item, first) for item, first in zip(days, _first_numbers(days), strict=True)
    ]
    tables = _counted(connection, groups, spec)
    conflicts = _conflicts(connection, groups)
    return [
        file
        for item in days
        for file in _write_day(root, item, spec, tables | {"usage_conflicts": conflicts})
    ]


def _first_numbers(days: Sequence[SettledDay]) -> list[int]:
    """For each day, how many files the days before it have: files are numbered through."""
    return list(accumulate((len(item.day.files) for item in days[:-1]), initial=0))


def _numbered(item: SettledDay, first: int) -> SettledDay:
    """A day whose files are numbered from `first` on."""
    files = tuple(replace(file, number=file.number + first) for file in item.day.files)
    number = pl.col("file_number") + pl.lit(first, pl.Int32)
    return replace(
        item,
        day=replace(item.day, files=files),
        excluded=item.excluded.with_columns(number),
        conflicts=item.conflicts.with_columns(number),
    )


def _write_day(
    root: DataRoot, item: SettledDay, spec: MeteringSpec, counted: Mapping[str, pl.DataFrame]
) -> list[PartitionFile]:
    """Write every dataset of a day; the receipts last, which say that the day is done."""
    partition = partition_of(item.day.day)
    tables = {
        name: table.filter(pl.col("landing_day") == item.day.day) for name, table in counted.items()
    }
    daily = write_partition(root, "usage_daily", partition, tables.pop("usage_daily"))
    tables |= {
        "usage_excluded": _excluded(item),
        "set_aside": rows_set_aside(item),
        "usage_retractions": retraction_rows(item),
        "usage_reversals": item.reversals,
    }
    written = [daily, _write_ids(root, partition, item)]
    written += [
        write_partition(root, name, partition, tables[name])
        for name in WRITTEN_IF_ANY
        if name in tables and (len(tables[name]) or current_file(root, name, partition) is not None)
    ]
    if current_file(root, "usage_edges", partition) is not None:
        written.append(write_partition(root, "usage_edges", partition, empty(USAGE_EDGES)))
    receipts = _receipts(item, spec)
    return [*written, write_partition(root, "usage_receipts", partition, receipts)]


def _counted(
    connection: duckdb.DuckDBPyConnection, days: Sequence[SettledDay], spec: MeteringSpec
) -> dict[str, pl.DataFrame]:
    """The sums of days, and of features that are no sum the parts they are made of."""
    queries = [
        rows_sql(
            file.query,
            file_number=file.number,
            landing_day=item.day.day,
            features=spec.features,
        )
        for item in days
        for file in item.day.files
        if file.query is not None
    ]
    first_at, last_at = instants_of(days)
    register_prices(connection, spec, first_at, last_at)
    prepare_counted(
        connection,
        queries,
        pl.concat([item.excluded for item in days]),
        pl.concat([item.reversals for item in days]),
    )
    return counted_tables(connection, spec)


def instants_of(days: Sequence[SettledDay]) -> tuple[int, int]:
    """The earliest and the latest instant of what days count or take back, microseconds."""
    scans = [scanned for item in days for _, scanned in item.day.read]
    back = [at for item in days for at in item.reversals["occurred_at"].dt.epoch("us")]
    return (
        min([*(scan.first_at for scan in scans), *back], default=0),
        max([*(scan.last_at for scan in scans), *back], default=0),
    )


def prepare_counted(
    connection: duckdb.DuckDBPyConnection,
    queries: Sequence[str],
    excluded: pl.DataFrame,
    reversals: pl.DataFrame,
) -> None:
    """Make `counted_events` and `priced_events` from the SQL of files, after their prices."""
    connection.register("excluded_rows", excluded.drop("kind").to_arrow())
    countable = sql_text("usage/kept_events")
    if len(reversals):
        naive = reversals.with_columns(pl.col("occurred_at").dt.replace_time_zone(None))
        connection.register("reversed_events", naive.to_arrow())
        countable = f"from ({countable}) union all from ({sql_text('usage/taken_back_events')})"
    has_varying = connection.sql("select count(*) from varying_prices").fetchall()[0][0]
    views = {
        "landed_rows": " union all ".join(queries) or sql_text("staging/no_rows"),
        "countable_events": countable,
        "counted_events": sql_text(
            "usage/counted_events" if has_varying else "usage/steady_events"
        ),
        "priced_events": sql_text("usage/priced_events"),
    }
    for name, text in views.items():
        connection.execute(f"create or replace temp view {name} as {text}")


def counted_tables(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec
) -> dict[str, pl.DataFrame]:
    """What is kept of `counted_events`, by dataset."""
    costs = sql_text("usage/usage_costs" if spec.is_per_event else "usage/no_costs")
    connection.execute(f"create or replace temp view usage_costs as {costs}")
    tables = {
        "usage_daily": conformed(connection.sql(sql_text("usage/usage_daily")).pl(), USAGE_DAILY)
    }
    stateful = {f.code: f.aggregation for f in spec.features if f.aggregation in STATEFUL}
    if stateful:
        features = {"feature": list(stateful), "aggregation": list(stateful.values())}
        connection.register("stateful_features", pa.table(features))
        states = connection.sql(sql_text("usage/usage_states")).pl()
        tables["usage_states"] = conformed(states, USAGE_STATES)
    if spec.is_per_event and spec.margins_bp:
        margins = {"margin_bp": pa.array(sorted(spec.margins_bp), pa.int32())}
        connection.register("margins", pa.table(margins))
        found = connection.sql(sql_text("usage/usage_margins")).pl()
        tables["usage_margins"] = conformed(found, USAGE_MARGINS)
    return tables


def _conflicts(connection: duckdb.DuckDBPyConnection, days: Sequence[SettledDay]) -> pl.DataFrame:
    """The conflicts of days with their content. Reads the view `landed_rows` of the days."""
    conflicts = pl.concat([item.conflicts for item in days])
    if not len(conflicts):
        return empty(USAGE_CONFLICTS)
    connection.register("conflicting_rows", conflicts.to_arrow())
    rows = connection.sql(sql_text("usage/usage_conflicts")).pl()
    paths = {file.number: file.landed.path for item in days for file in item.day.files}
    first = [date.fromordinal(number) for number in rows["first_day"]]
    rows = rows.with_columns(
        pl.col("file_number").replace_strict(paths, return_dtype=pl.String).alias("path"),
        pl.Series("first_landing_day", first, dtype=pl.Date),
    )
    return conformed(rows, USAGE_CONFLICTS).sort("landing_day", "path", "row_number")


def _excluded(item: SettledDay) -> pl.DataFrame:
    paths = {file.number: file.landed.path for file in item.day.files}
    path = pl.col("file_number").replace_strict(paths, return_dtype=pl.String)
    rows = item.excluded.with_columns(path.alias("path"))
    return conformed(rows, USAGE_EXCLUDED).sort("path", "row_number", "kind")


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


def _write_ids(root: DataRoot, partition: str, item: SettledDay) -> PartitionFile:
    """The digests of a day, not compressed: there is nothing to compress in a digest."""
    ids = conformed(
        pl.DataFrame({"identity": item.identities, "content": item.contents}), USAGE_IDS
    )
    folder = root.dataset("usage_ids") / partition
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / ".written.tmp"
    ids.write_parquet(written, compression="uncompressed", statistics=False)
    return adopt_file(root, "usage_ids", partition, written)


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


def known_references(prices: Sequence[AiPrice]) -> References:
    """Every text that names a priced model; an ambiguous one is in the table alone."""
    known = references(prices)
    instants = pa.timestamp("us", tz="UTC")
    table = {
        "reference": pa.array([text for text, _, _ in known], pa.string()),
        "priced_from": pa.array([start for _, _, start in known], instants),
        "is_ambiguous": pa.array([model is None for _, model, _ in known], pa.bool_()),
    }
    priced_from = {text: _microseconds(start) for text, model, start in known if model is not None}
    return References(pa.table(table), priced_from)


def register_prices(
    connection: duckdb.DuckDBPyConnection, spec: MeteringSpec, first_at: int, last_at: int
) -> None:
    """Make the relations of prices of a day whose events lie between two instants.

    A model that has one price for all of them, whatever the request's size, is steady: it is
    priced after the sums are made; a bare name is only resolved before. The others are priced
    event by event.
    """
    steady: list[tuple[str, AiPrice]] = []
    varying: list[tuple[str, AiPrice]] = []
    for text, model, _ in references(spec.prices):
        at = [
            price
            for price in spec.prices
            if price.model == model
            and _microseconds(price.valid_from) <= last_at
            and _microseconds(price.valid_to) > first_at
        ]
        is_steady = len(at) == 1 and at[0].tokens_up_to == MOST_TOKENS
        if is_steady and text == model:
            steady.append((text, at[0]))
        elif is_steady:
            varying.append((text, replace(at[0], price_id=BY_MODEL)))
        else:
            varying += [(text, price) for price in at]
    connection.register("steady_prices", _price_table(steady))
    connection.register("varying_prices", _price_table(varying))
    connection.register("model_prices", _scaled_prices(spec))


def _price_table(rows: Sequence[tuple[str, AiPrice]]) -> pa.Table:
    prices = [price for _, price in rows]
    instants = pa.timestamp("us")
    return pa.table(
        {
            "reference": pa.array([text for text, _ in rows], pa.string()),
            "model": pa.array([price.model for price in prices], pa.string()),
            "price_id": pa.array([price.price_id or None for price in prices], pa.int32()),
            "valid_from": pa.array([_naive(price.valid_from) for price in prices], instants),
            "valid_to": pa.array([_naive(price.valid_to) for price in prices], instants),
            "tokens_above": pa.array([price.tokens_above for price in prices], pa.int64()),
            "tokens_up_to": pa.array([price.tokens_up_to for price in prices], pa.int64()),
        }
    )


def _scaled_prices(spec: MeteringSpec) -> pa.Table:
    """Prices per million tokens times 10^12, whole; empty where nothing is rounded per event."""
    prices = spec.prices if spec.is_per_event else ()
    scaled = [[int(price.prices[place].scaleb(12)) for price in prices] for place in range(4)]
    columns = {
        f"{name}_price": pa.array(values, pa.decimal128(38, 0)).cast(pa.decimal128(38, 0))
        for name, values in zip(CLASSES, scaled, strict=True)
    }
    return pa.table(
        {
            "price_id": pa.array([price.price_id for price in prices], pa.int32()),
            **columns,
            "is_per_event": pa.array([True for _ in prices], pa.bool_()),
        }
    )


def _microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970.

    >>> _microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
