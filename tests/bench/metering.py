"""What metering costs beside a bare scan and aggregate of the same files.

Run as `python -m tests.bench.metering --events 10000000`. Both make the same sums by the
same keys with as many threads; the scan alone neither tells duplicates apart nor prices
tokens, checks rows, sorts or writes. The scan and the metering are processes of their own,
in turns; one more day is metered by the process that has metered the thirty. Figures are
medians. Exits 1 where a target is missed.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.ai_prices import GENAI_PRICES, prices_of_versions
from pipelines.landing import register_new_files
from pipelines.metering import connected, meter_days
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import DataRoot
from pipelines.usage_frames import FeatureDefinition

DAYS = 30
ROUNDS = 3
MOST_TIMES_BARE = 3.0
MOST_PEAK_MIB = 1536
MOST_SHARE_OF_A_DAY = 0.05
"""How much of the time of the thirty days one more day may take."""

FIRST_DAY = date(2026, 4, 1)
FEATURES = ("ai_chat", "api_calls", "bandwidth", "emails")
MODELS = (
    "openai/gpt-4o-mini",
    "openai/gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "google/gemini-2.5-flash",
)

EVENTS = """
copy (
    with numbered as (
        select i, hash(i) as h, hash(i, 7) as g from range({first}, {last}) as t(i)
    ),
    chosen as (
        select case
            when g % 50 = 0 and i > 1000
                then i - 1 - (h % least(i - 1, {day_rows} * 2))::bigint
            else i
        end as k
        from numbered
    ),
    events as (
        select
            k, hash(k) as h, hash(k, 3) as f,
            timestamp '{start}' + to_microseconds((k * {step_us})::bigint) as moment
        from chosen
    )
    select
        'evt_' || printf('%016x', h) || printf('%08x', k) as event_id,
        'app' as source,
        'cus_' || lpad(((h % 5000)::bigint * (f % 100)::bigint // 100)::varchar, 6, '0')
            as customer_id,
        case when f % 10 < 2 then 'ai_chat' when f % 10 < 6 then 'api_calls'
            when f % 10 < 8 then 'bandwidth' else 'emails' end as feature,
        moment at time zone 'UTC' as occurred_at,
        (moment + interval 2 second) at time zone 'UTC' as received_at,
        case when f % 10 < 2 then null when f % 10 < 6 then 1 else h % 100000 end
            ::decimal(38, 9) as value,
        null::decimal(38, 9) as amount,
        case when f % 10 < 2 then {models}[1 + (h % 4)::int] end as model,
        case when f % 10 < 2 then (h % 4000)::bigint end as input_tokens,
        case when f % 10 < 2 then (h % 700)::bigint end as output_tokens,
        case when f % 10 < 2 then (h % 200)::bigint end as cache_read_tokens,
        null::bigint as cache_write_tokens,
        null::varchar as retracts,
        null::varchar as properties
    from events
) to '{path}' (format parquet, compression zstd)
"""
"""Events of one landing day, two in a hundred of which are there already, that day or before."""

BARE = """
create temp table bare as
select
    day as landing_day,
    case
        when epoch_us(occurred_at) - epoch_us(received_at) > 300000000
            then make_timestamp(epoch_us(occurred_at))::date
        else day
    end as counts_from,
    make_timestamp(epoch_us(occurred_at))::date as event_day,
    customer_id, feature, null::varchar as dimension_1, null::varchar as dimension_2, model,
    coalesce(value, 1) < 0 as is_negative,
    count(*) as events, sum(coalesce(value, 1)) as value, sum(amount) as amount,
    sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
    sum(cache_read_tokens) as cache_read_tokens, sum(cache_write_tokens) as cache_write_tokens
from read_parquet('{files}', hive_partitioning = true)
group by all
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--step", choices=("bare", "meter"))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--files", type=Path)
    given = parser.parse_args()
    if given.step is not None:
        measured = bare if given.step == "bare" else metered
        print(json.dumps(measured(given.root, given.files) | {"mib": peak_mib()}))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return compared(Path(folder), given.events, given.rounds)


def bare(root: Path, files: Path) -> dict[str, float]:
    """The seconds of the scan of thirty days."""
    start = time.perf_counter()
    with connected() as connection:
        landing = DataRoot(root).usage_landing
        connection.execute(BARE.format(files=landing / "*" / "*.parquet"))
    return {"bare": time.perf_counter() - start}


def metered(root: Path, files: Path) -> dict[str, float]:
    """The seconds of thirty days, and of the day after them."""
    days, one_day = (timed(root, files, count) for count in (DAYS, DAYS + 1))
    return {"days": days, "one_day": one_day}


def timed(root: Path, files: Path, days: int) -> float:
    """The seconds that it takes to meter what is new, up to a number of days."""
    landed(root, files, days)
    through = FIRST_DAY + timedelta(days=days - 1)
    register_new_files(DataRoot(root), through)
    start = time.perf_counter()
    found = meter_days(DataRoot(root), through, spec()).days
    seconds = time.perf_counter() - start
    assert len(found) == (DAYS if days == DAYS else 1)
    return seconds


def peak_mib() -> float:
    """The most memory that this process took."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def spec() -> MeteringSpec:
    models = dict.fromkeys(MODELS, GENAI_PRICES)
    return MeteringSpec(
        features=tuple(FeatureDefinition(code) for code in FEATURES),
        prices=prices_of_versions([(datetime(2026, 1, 1, tzinfo=UTC), models)]),
    )


def compared(folder: Path, events: int, rounds: int) -> int:
    """Make the files, measure in turns, print the figures; 1 where a target is missed."""
    generate(folder / "files", events)
    found: list[dict[str, float]] = []
    for number in range(rounds):
        root = folder / f"root{number}"
        landed(root, folder / "files", DAYS)
        scanned = in_process("bare", root, folder / "files")
        found.append(scanned | in_process("meter", root, folder / "files"))
        shutil.rmtree(root)
    return report(events, found)


def generate(folder: Path, events: int) -> None:
    """The files of thirty days and one more."""
    rows = events // DAYS
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for number in range(DAYS + 1):
            path = folder / f"day={FIRST_DAY + timedelta(days=number)}" / "events.parquet"
            path.parent.mkdir(parents=True)
            connection.execute(
                EVENTS.format(
                    first=number * rows,
                    last=(number + 1) * rows,
                    day_rows=rows,
                    step_us=86_400_000_000 // rows,
                    start=FIRST_DAY,
                    models=list(MODELS),
                    path=path,
                )
            )


def landed(root: Path, files: Path, days: int) -> None:
    """Land the files of the first days in a data root, as links."""
    for source in sorted(files.iterdir())[:days]:
        target = root / "landing" / "usage" / source.name / "events.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.link(source / "events.parquet", target)


def in_process(step: str, root: Path, files: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.metering", "--step", step]
    command += ["--root", str(root), "--files", str(files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def report(events: int, found: list[dict[str, float]]) -> int:
    seconds = {
        step: statistics.median(one[step] for one in found) for step in ("bare", "days", "one_day")
    }
    peak = max(one["mib"] for one in found)
    times = statistics.median(one["days"] / one["bare"] for one in found)
    share = statistics.median(one["one_day"] / one["days"] for one in found)
    print(f"{events:,} events over {DAYS} landing days, 2 % duplicates, medians of turns")
    lines = (
        ("bare scan and aggregate", f"{seconds['bare']:.2f} s", "", True),
        (
            "metered: deduplicated, priced, written",
            f"{seconds['days']:.2f} s",
            f"{times:.2f} x bare (at most {MOST_TIMES_BARE})",
            times <= MOST_TIMES_BARE,
        ),
        (
            f"one more day of {events // DAYS:,} events",
            f"{seconds['one_day']:.2f} s",
            f"{share:.1%} of the {DAYS} days (under {MOST_SHARE_OF_A_DAY:.0%})",
            share < MOST_SHARE_OF_A_DAY,
        ),
        (
            "peak memory",
            f"{peak:,.0f} MiB",
            f"(under {MOST_PEAK_MIB:,} MiB)",
            peak < MOST_PEAK_MIB,
        ),
    )
    for name, value, compared_with, is_reached in lines:
        print(f"  {name:<40} {value:>10}  {compared_with}{'' if is_reached else '  MISSED'}")
    return 0 if all(is_reached for *_, is_reached in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
