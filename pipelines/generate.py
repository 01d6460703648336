"""Sample usage and actions of any size for the example catalog, the same for one seed.

The files look like those of a living product: they arrive by day, some rows come twice,
some days late, some cannot be used, and one file breaks off in the middle.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from billing_core.errors import BillingError
from billing_core.period import boundary, midnight
from pipelines.datasets import replaced, sha256_of
from pipelines.paths import DataRoot
from pipelines.progress import report
from pipelines.sample_customers import Action, Customer, actions_of, sample_customers

SETTLING_DAYS = 3
"""Days after the last usage in which late rows and payments still arrive."""
DUPLICATES, LATE = 0.02, 0.01
"""Shares of the rows: sent a second time, and landed one to three days after they happened."""
BROKEN_FILE_DAY = 10
"""The landing day, counted from the first, on which a file breaks off in the middle."""
BAD_ROWS_EVERY = 7
"""Days from one landing day with rows that cannot be used to the next."""

FEATURES = ("ai_chat", "api_calls", "peak_connections", "rendering", "visitors")
SHARES = (0.20, 0.45, 0.05, 0.12, 0.18)
SOURCES = ("ai-proxy", "gateway", "gateway", "render-farm", "edge")
MODELS = ("openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-sonnet-4-5")
MODEL_SHARES = (0.7, 0.2, 0.1)
REGIONS = ("eu-central", "eu-west", "us-east", "ap-east")
PLAN_WEIGHTS = {"starter": 1.0, "pro": 3.0, "scale": 8.0}

DAY_US = 86_400_000_000
NANO = 1_000_000_000

Ints = npt.NDArray[np.int64]


class LandingDiffers(BillingError):
    """A file of the sample is there already with other content."""

    code = "GEN-01"

    def __init__(self, path: Path) -> None:
        super().__init__(
            what="a landed file never changes, and the sample would give it another content",
            where=str(path),
            mend="generate into an empty data root, or with the seed, size and start of before",
        )


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written. Rows are events, of which some are late, and duplicates and bad rows.

    last_day: the last landing day: run through it, and everything has arrived.
    """

    customers: int
    actions: int
    events: int
    late_rows: int
    duplicates: int
    bad_rows: int
    files: int
    first_day: date
    last_day: date


def generate(
    root: DataRoot,
    *,
    customers: int,
    months: int,
    events: int,
    seed: int,
    start: date,
) -> Generated:
    """Write a sample under `landing/`, and say how much of what.

    takes:   events, how many different ones happen in the months from `start`.
    raises:  LandingDiffers. Written again with the same arguments, nothing changes.
    """
    end = boundary(start, months)
    last_day = end + timedelta(days=SETTLING_DAYS)
    people = sample_customers(customers, start, end, seed)
    until = midnight(last_day, UTC)
    actions = [row for each in people for row in actions_of(each, until=until, seed=seed)]
    files = _land_actions(root, actions)
    kinds: Counter[str] = Counter()
    days = [start + timedelta(days=n) for n in range((last_day - start).days + 1)]
    arrivals = _arrivals(people, days, _daily(events, days, end), seed)
    for number, (day, rows) in enumerate(arrivals):
        files += _land_usage(root, day, rows.drop("kind"), is_broken=number == BROKEN_FILE_DAY)
        kinds.update(rows["kind"].to_list())
        report("generate", number + 1, len(days))
    return Generated(
        customers=customers,
        actions=len(actions),
        events=kinds["event"] + kinds["late"],
        late_rows=kinds["late"],
        duplicates=kinds["duplicate"],
        bad_rows=kinds["bad"],
        files=files,
        first_day=start,
        last_day=last_day,
    )


def _daily(events: int, days: Sequence[date], end: date) -> list[int]:
    """How many events happen on each day: fewer on Sundays, none from `end` on."""
    weights = [0 if day >= end else 6 if day.weekday() == 6 else 10 for day in days]
    until = [events * passed // sum(weights) for passed in accumulate(weights, initial=0)]
    return [after - before for before, after in pairwise(until)]


def _arrivals(
    people: Sequence[Customer], days: Sequence[date], amounts: Sequence[int], seed: int
) -> Iterator[tuple[date, pl.DataFrame]]:
    """Each landing day with its rows in order; the rows of four days are in memory at once."""
    appetite = np.random.default_rng([seed, 4]).lognormal(0, 1, len(people))
    appetite *= np.array([PLAN_WEIGHTS[each.plan] for each in people])
    waiting: dict[date, list[pl.DataFrame]] = defaultdict(list)
    for number, (day, amount) in enumerate(zip(days, amounts, strict=True)):
        random = np.random.default_rng([seed, 3, number])
        if amount:
            used = _usage(people, appetite, day, amount, random)
            for delay, rows in enumerate(_by_delay(used, day, random)):
                waiting[day + timedelta(days=delay)].append(rows)
        if amount and number % BAD_ROWS_EVERY == BAD_ROWS_EVERY - 1:
            few = 5 + 5 * (amount // 20_000)
            waiting[day].append(_spoilt(_usage(people, appetite, day, few, random)))
        if waiting[day]:
            rows = pl.concat(waiting.pop(day))
            yield day, rows.sort("received_at", "source", "event_id")


def _usage(
    people: Sequence[Customer],
    appetite: npt.NDArray[np.float64],
    day: date,
    amount: int,
    random: np.random.Generator,
) -> pl.DataFrame:
    """Different events that happen on one day, each received within half a minute."""
    midnight_us = _microseconds(midnight(day, UTC))
    begins = np.array([max(_microseconds(each.paid_at), midnight_us) for each in people])
    ends = np.array([min(_microseconds(each.ends_at), midnight_us + DAY_US) for each in people])
    likely = np.where(begins < ends, appetite, 0)
    who = random.choice(len(people), amount, p=likely / likely.sum())
    what = random.choice(len(FEATURES), amount, p=SHARES)
    occurred = random.integers(begins[who], ends[who])
    received = occurred + random.integers(0, 30_000_000, amount)
    return pl.DataFrame(
        {
            "event_id": _identifiers(amount, random),
            "source": pl.Series(SOURCES).gather(what),
            "customer_id": pl.Series([each.customer_id for each in people]).gather(who),
            "feature": pl.Series(FEATURES).gather(what),
            "occurred_at": _instants(occurred),
            "received_at": _instants(np.minimum(received, midnight_us + DAY_US - 1)),
        }
    ).with_columns(*_measured(what, random), kind=pl.lit("event"))


def _measured(what: Ints, random: np.random.Generator) -> Iterator[pl.Expr | pl.Series]:
    """What the events measured, by feature: a value, or a model and its tokens."""
    amount = len(what)
    values = np.select(
        [what == 1, what == 2, what == 3],
        [
            random.integers(1, 400, amount) * NANO,
            random.integers(1, 200, amount) * NANO,
            random.integers(500, 120_000, amount) * (NANO // 1000),
        ],
        NANO,
    )
    is_ai = pl.lit(pl.Series(what == 0))
    yield pl.when(~is_ai).then(pl.lit(_decimals(values))).alias("value")
    models = pl.Series(MODELS).gather(random.choice(len(MODELS), amount, p=MODEL_SHARES))
    yield pl.when(is_ai).then(pl.lit(models)).alias("model")
    for name, most, share in (
        ("input_tokens", 6000, 1.0),
        ("output_tokens", 1500, 1.0),
        ("cache_read_tokens", 4000, 0.3),
        ("cache_write_tokens", 2000, 0.1),
    ):
        tokens = pl.Series(random.integers(1, most, amount))
        is_given = pl.lit(pl.Series(random.random(amount) < share))
        yield pl.when(is_ai & is_given).then(pl.lit(tokens)).alias(name)
    yield pl.lit(None, pl.Decimal(38, 9)).alias("amount")
    yield pl.lit(None, pl.String).alias("retracts")
    visitors = pl.lit(pl.Series(random.integers(1, 5000, amount)))
    regions = pl.lit(pl.Series(REGIONS).gather(random.integers(0, len(REGIONS), amount)))
    yield (
        pl.when(pl.lit(pl.Series(what == 4)))
        .then(pl.concat_str(pl.lit('{"visitor_id":"v-'), visitors, pl.lit('"}')))
        .when(pl.lit(pl.Series(what == 3)))
        .then(pl.concat_str(pl.lit('{"region":"'), regions, pl.lit('"}')))
        .alias("properties")
    )


def _by_delay(used: pl.DataFrame, day: date, random: np.random.Generator) -> Iterator[pl.DataFrame]:
    """The rows by how many days after their own they land, from 0 to SETTLING_DAYS.

    Some are late, and copies of some arrive later on the day, or on the next.
    """
    delays = np.where(random.random(len(used)) < LATE, random.integers(1, 4, len(used)), 0)
    copied = np.flatnonzero(random.random(len(used)) < DUPLICATES)
    rows = pl.concat(
        [
            used.with_columns(pl.Series("delay", delays)).with_columns(
                kind=pl.when(pl.col("delay") > 0).then(pl.lit("late")).otherwise(pl.col("kind"))
            ),
            used[copied].with_columns(
                pl.Series("delay", random.integers(0, 2, len(copied))), kind=pl.lit("duplicate")
            ),
        ]
    )
    for delay in range(SETTLING_DAYS + 1):
        landed = rows.filter(delay=delay).drop("delay")
        if delay:
            midnight_us = _microseconds(midnight(day + timedelta(days=delay), UTC))
            arrived = midnight_us + random.integers(0, DAY_US, len(landed))
            landed = landed.with_columns(_instants(arrived).alias("received_at"))
        yield landed


def _spoilt(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows made unusable, one reason after the other."""
    reason = pl.int_range(pl.len()) % 5
    is_ai = reason.is_in([2, 3])
    return rows.with_columns(
        kind=pl.lit("bad"),
        customer_id=pl.when(reason == 0).then(pl.lit("cus-moved-out")).otherwise("customer_id"),
        feature=pl.when(reason == 1)
        .then(pl.lit("telefax"))
        .when(is_ai)
        .then(pl.lit("ai_chat"))
        .otherwise(pl.lit("api_calls")),
        value=pl.when(reason == 4)
        .then(pl.lit(-1, pl.Decimal(38, 9)))
        .when(~is_ai)
        .then(pl.lit(1, pl.Decimal(38, 9))),
        model=pl.when(reason == 2)
        .then(pl.lit("openai/gpt-nonesuch"))
        .when(reason == 3)
        .then(pl.lit(MODELS[0])),
        input_tokens=pl.when(is_ai).then(pl.lit(900, pl.Int64)),
        output_tokens=pl.when(reason == 2).then(pl.lit(120, pl.Int64)),
        cache_read_tokens=pl.lit(None, pl.Int64),
        cache_write_tokens=pl.lit(None, pl.Int64),
        properties=pl.lit(None, pl.String),
    )


def _identifiers(amount: int, random: np.random.Generator) -> pl.Series:
    """Random event ids of 24 hexadecimal digits."""
    drawn = pa.py_buffer(random.bytes(12 * amount))
    column = pa.Array.from_buffers(pa.binary(12), amount, [None, drawn])
    return pl.Series("event_id", column.cast(pa.binary())).bin.encode("hex")


def _decimals(nanos: Ints) -> pl.Series:
    """Billionths as decimals with nine places, digit by digit: a decimal is a 128-bit integer."""
    halves = np.column_stack([nanos, nanos >> 63])
    column = pa.Array.from_buffers(
        pa.decimal128(38, 9), len(nanos), [None, pa.py_buffer(np.ascontiguousarray(halves))]
    )
    return pl.Series("value", column)


def _instants(microseconds: Ints) -> pl.Series:
    return pl.Series(microseconds).cast(pl.Datetime("us", "UTC"))


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _land_usage(root: DataRoot, day: date, rows: pl.DataFrame, *, is_broken: bool) -> int:
    """Write one landing day's files; a broken one holds two thirds of the other's bytes."""
    folder = root.usage_landing / f"day={day}"
    whole = folder / "usage.parquet"
    with _landed(whole) as path:
        rows.write_parquet(path, compression="zstd", statistics=True)
    if not is_broken:
        return 1
    content = whole.read_bytes()
    with _landed(folder / "partner-upload.parquet") as path:
        path.write_bytes(content[: len(content) * 2 // 3])
    return 2


def _land_actions(root: DataRoot, actions: Sequence[Action]) -> int:
    """Write the actions as JSON Lines by the day on which they arrive, and count the files."""
    by_day: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(
        actions, key=lambda action: (str(action["received_at"]), str(action["id"]))
    ):
        by_day[str(action["received_at"])[:10]].append(action)
    for day, rows in by_day.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        with _landed(root.actions_landing / f"day={day}" / "actions.jsonl") as path:
            path.write_text("".join(lines), encoding="utf-8")
    return len(by_day)


@contextmanager
def _landed(path: Path) -> Iterator[Path]:
    """A temporary path whose file lands at `path`, unless the same is there already."""
    if not path.exists():
        with replaced(path) as temporary:
            yield temporary
        return
    with TemporaryDirectory() as folder:
        again = Path(folder) / path.name
        yield again
        if sha256_of(again) != sha256_of(path):
            raise LandingDiffers(path)
