"""The same event again, told by digests: against a plain loop over every row. Rule USE-2."""

from collections.abc import Sequence
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.counting import known_references
from pipelines.deduplication import CountedDay, DayDigests, Repeats, repeats
from pipelines.digests import (
    content_digests,
    identity_digests,
    stable_order,
    string_digests,
)
from pipelines.landed_rows import extent_of_rows, is_plainly_usable
from pipelines.mappings import text_literal
from pipelines.paths import sql_text
from tests.pipelines.usage_roots import PRICES, TYPES

ROW = st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3))
DAYS = st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=8)


def plain_loop(days: Sequence[Sequence[tuple[int, int, int]]], dedupe_days: int) -> list[list[int]]:
    """For each row: 0 counts, 1 duplicate, 2 conflict."""
    counted: list[dict[int, int]] = []
    found: list[list[int]] = []
    for number, rows in enumerate(days):
        kinds: list[int] = [0] * len(rows)
        own: dict[int, int] = {}
        order = sorted(range(len(rows)), key=lambda n: (rows[n][2], rows[n][1], n))
        for place in order:
            identity, content, _ = rows[place]
            recent = [
                day[identity] for day in counted[max(0, number - dedupe_days) :] if identity in day
            ]
            first = own.get(identity, recent[-1] if recent else None)
            if first is None:
                own[identity] = content
            else:
                kinds[place] = 1 if first == content else 2
        counted.append(own)
        found.append(kinds)
    return found


def digests(number: int, rows: Sequence[tuple[int, int, int]]) -> DayDigests:
    identity, content, received = list(zip(*rows, strict=True)) or [(), (), ()]
    identities = np.array(identity, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order, found = stable_order(identities)
    return DayDigests(
        day=number,
        identities=found,
        order=order,
        contents=np.array(content, np.uint64),
        received=np.array(received, np.int64),
        file_numbers=np.zeros(len(rows), np.int32),
        row_numbers=np.arange(len(rows), dtype=np.int32),
    )


def itself(day: CountedDay) -> CountedDay:
    return day


def counted(day: DayDigests, found: Repeats) -> CountedDay:
    is_counted = np.ones(len(day.identities), np.bool_)
    is_counted[found.places] = False
    rows = day.order[is_counted]
    return CountedDay(day.day, day.identities[is_counted], day.contents[rows])


@settings(max_examples=200, deadline=None)
@given(days=DAYS, split=st.integers(0, 7), dedupe_days=st.integers(1, 8))
def test_groups_of_days_settle_as_a_plain_loop_does(
    days: list[list[tuple[int, int, int]]], split: int, dedupe_days: int
) -> None:
    before: list[CountedDay] = []
    kinds: list[list[int]] = []
    for part in (range(min(split, len(days))), range(min(split, len(days)), len(days))):
        own = [digests(number, days[number]) for number in part]
        if not own:
            continue
        known = [day for day in before if day.day >= part[0] - dedupe_days]
        reads = [partial(itself, day) for day in known]
        found = repeats(own, reads, dedupe_days=dedupe_days)
        for day, one in zip(own, found, strict=True):
            found_kinds = np.zeros(len(day.identities), int)
            found_kinds[one.duplicates] = 1
            found_kinds[one.conflicts] = 2
            kinds.append(found_kinds.tolist())
            before.append(counted(day, one))
            assert sorted(day.order[one.places]) == sorted([*one.duplicates, *one.conflicts])
    assert kinds == plain_loop(days, dedupe_days)


@given(st.lists(st.text(max_size=30), max_size=30))
def test_texts_have_one_digest_whatever_stands_around_them(texts: list[str]) -> None:
    together = string_digests(pa.array(texts, pa.string()))
    sliced = string_digests(pa.array(["before", *texts, "after"], pa.string())[1:-1])
    alone = [int(string_digests(pa.array([text], pa.large_string()))[0]) for text in texts]
    assert together.tolist() == sliced.tolist() == alone
    assert len(set(alone)) == len(set(texts))


def test_digests_are_what_was_kept_years_ago() -> None:
    row = {name: pa.array([None], kind) for name, kind in TYPES.items()}
    row |= {
        "source": pa.array(["app"]).dictionary_encode(),
        "event_id": pa.array(["evt_1"]),
        "customer_id": pa.array(["acme"]),
        "feature": pa.array(["calls"]),
        "occurred_at": pa.array([1_775_001_600_000_000]).cast(TYPES["occurred_at"]),
        "value": pa.array([1]).cast(TYPES["value"]),
        "property": pa.nulls(1, pa.string()),
    }
    batch = pa.RecordBatch.from_pydict(row)
    identities = identity_digests(batch)
    assert identities.tolist() == [IDENTITY]
    assert content_digests(batch, identities).tolist() == [CONTENT]


IDENTITY, CONTENT = 5_259_856_926_477_027_081, 12_215_144_661_222_709_481
"""Kept digests are compared for as long as ids are remembered: these must never change."""

VALUES = st.sampled_from([None, 0, 1, -1, 10**10, 10**18, -(10**18)])
TOKENS = st.sampled_from([None, 0, 5, -1, 10**12, 10**12 + 1])
BAD = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from(["1", "", None]),
        "customer_id": st.sampled_from(["acme", None]),
        "feature": st.sampled_from(["calls", None]),
        "occurred_at": st.sampled_from(["2026-04-01", "2019-04-01", None]),
        "value": VALUES,
        "amount": VALUES,
        "model": st.sampled_from(["a/x", "x", "twice", "a/z", None]),
        "input_tokens": TOKENS,
        "output_tokens": TOKENS,
        "cache_read_tokens": TOKENS,
        "cache_write_tokens": TOKENS,
        "retracts": st.sampled_from([None, None, "1"]),
    }
)
KINDS = {
    "event_id": "varchar", "customer_id": "varchar", "feature": "varchar", "model": "varchar",
    "retracts": "varchar", "occurred_at": "timestamptz", "value": "decimal(38, 9)",
    "amount": "decimal(38, 9)",
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(BAD, min_size=1, max_size=3))
def test_what_looks_usable_at_once_is_usable_row_by_row(rows: list[dict[str, object]]) -> None:
    known = known_references(PRICES)
    listed = ", ".join(
        "(" + ", ".join(_literal(row[name], KINDS.get(name, "bigint")) for name in rows[0]) + ")"
        for row in rows
    )
    names = ", ".join(rows[0])
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        landed = connection.sql(
            f"select row_number() over () as row_number, 's' as source, *, null::varchar as"
            f" unreadable, false as is_property_missing, false as is_total_with_cached,"
            f" null::varchar as property from (values {listed}) as t({names})"
        ).to_arrow_table()
        connection.register("landed_rows", landed)
        connection.register("known_references", known.table)
        unusable = connection.sql(sql_text("staging/unusable_rows")).fetchall()
    (batch,) = landed.combine_chunks().to_batches()
    if is_plainly_usable(batch, extent_of_rows(batch), known.priced_from):
        assert unusable == []


def _literal(value: object, kind: str) -> str:
    text = "null" if value is None else text_literal(str(value))
    return f"{text}::{kind}"
