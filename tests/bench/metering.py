"""What metering costs beside a bare scan and aggregate of the same files.

Run as `python -m tests.bench.metering --events 10000000`. Both make the same sums by the
same keys with as many threads; the scan alone neither tells duplicates apart nor prices
tokens, checks rows, sorts or writes. Every measurement is a process of its own, in turns;
figures are medians. Exits 1 where a target is missed.
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
    parser.add_argument("--step", choices=("bare", "meter", "one_day"))
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.step is not None:
        print(json.dumps(measured(given.step, DataRoot(given.root))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return compared(Path(folder), given.events, given.rounds)


def measured(step: str, root: DataRoot) -> dict[str, float]:
    """The seconds of one step, and the most memory that its process took, in MiB."""
    through = FIRST_DAY + timedelta(days=DAYS - (step != "one_day"))
    if step != "bare":
        register_new_files(root, through)
    start = time.perf_counter()
    if step == "bare":
        with connected() as connection:
            connection.execute(BARE.format(files=root.usage_landing / "*" / "*.parquet"))
    else:
        days = meter_days(root, through, spec()).days
        assert len(days) == (1 if step == "one_day" else DAYS)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def spec() -> MeteringSpec:
    models = dict.fromkeys(MODELS, GENAI_PRICES)
    return MeteringSpec(
        features=tuple(FeatureDefinition(code) for code in FEATURES),
        prices=prices_of_versions([(datetime(2026, 1, 1, tzinfo=UTC), models)]),
    )


def compared(folder: Path, events: int, rounds: int) -> int:
    """Make the files, measure in turns, print the figures; 1 where a target is missed."""
    generate(folder / "files", events)
    found: dict[str, list[dict[str, float]]] = {"bare": [], "meter": [], "one_day": []}
    for number in range(rounds):
        root = folder / f"root{number}"
        landed(root, folder / "files", DAYS)
        found["bare"].append(in_process("bare", root))
        found["meter"].append(in_process("meter", root))
        landed(root, folder / "files", DAYS + 1)
        found["one_day"].append(in_process("one_day", root))
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


def in_process(step: str, root: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.metering", "--step", step, "--root", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def report(events: int, found: dict[str, list[dict[str, float]]]) -> int:
    seconds = {
        step: statistics.median(one["seconds"] for one in figures)
        for step, figures in found.items()
    }
    peak = max(one["mib"] for step in ("meter", "one_day") for one in found[step])
    times = statistics.median(
        meter["seconds"] / bare["seconds"]
        for meter, bare in zip(found["meter"], found["bare"], strict=True)
    )
    share = statistics.median(
        one["seconds"] / meter["seconds"]
        for one, meter in zip(found["one_day"], found["meter"], strict=True)
    )
    print(f"{events:,} events over {DAYS} landing days, 2 % duplicates, medians of turns")
    lines = (
        ("bare scan and aggregate", f"{seconds['bare']:.2f} s", "", True),
        (
            "metered: deduplicated, priced, written",
            f"{seconds['meter']:.2f} s",
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
