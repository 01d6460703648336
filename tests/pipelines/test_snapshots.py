"""What was used in a window, as known at a cutoff: rules USE-3, USE-5, USE-8, USE-11, CAT-11."""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_core.period import midnight
from billing_core.usage import WindowKey
from pipelines.edges import DayCannotBeReadAgain
from pipelines.paths import DataRoot
from pipelines.snapshots import failed_checks, write_snapshots
from pipelines.usage_frames import KnownCustomer, WindowRequest
from pipelines.world import zone
from tests.pipelines.usage_roots import (
    ACME,
    APRIL,
    PLAN,
    SPEC,
    at,
    day,
    event,
    land,
    quantities,
    reasons,
    run,
    snapshots,
    tree,
    window,
)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def valued(feature: str, *events: tuple[str, int]) -> list[dict[str, Any]]:
    """Events of a feature: when, and what value."""
    return [
        event(f"{feature}-{number}", when, feature=feature, value=Decimal(value))
        for number, (when, value) in enumerate(events)
    ]


def visits(*events: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        event(f"v{number}", when, feature="visitors", properties=f'{{"visitor": "{who}"}}')
        for number, (when, who) in enumerate(events)
    ]


AGGREGATIONS = {
    "sum": (valued("calls", ("04-02", 3), ("04-03", 4)), "calls", "7"),
    "count": (valued("mails", ("04-02", 3), ("04-03", 4)), "mails", "2"),
    "max": (valued("peak", ("04-02", 3), ("04-03", 9), ("04-04", 4)), "peak", "9"),
    "latest by instant, not by arrival": (
        valued("last", ("04-04", 3), ("04-03", 9)),
        "last",
        "3",
    ),
    "latest of two at one instant: the greater id": (
        valued("last", ("04-04", 3), ("04-04", 9)),
        "last",
        "9",
    ),
    "distinct values": (
        visits(("04-02", "ann"), ("04-03", "ann"), ("04-03", "bob"), ("04-05", "ann")),
        "visitors",
        "2",
    ),
    "level: the sum of signed changes": (
        valued("storage", ("04-02", 10), ("04-03", -4)),
        "storage",
        "6",
    ),
}


@pytest.mark.parametrize(("rows", "feature", "expected"), AGGREGATIONS.values(), ids=AGGREGATIONS)
def test_each_aggregation(
    root: DataRoot, rows: list[dict[str, Any]], feature: str, expected: str
) -> None:
    land(root, "04-06", rows)
    run(root, "04-06")
    assert quantities(snapshots(root)) == {feature: expected}


@pytest.mark.parametrize(("rows", "feature", "_"), AGGREGATIONS.values(), ids=AGGREGATIONS)
def test_two_windows_that_meet_inside_a_day_share_its_events(
    root: DataRoot, rows: list[dict[str, Any]], feature: str, _: str
) -> None:
    shifted = [
        row | {"occurred_at": at("04-03") + timedelta(hours=n)} for n, row in enumerate(rows)
    ]
    land(root, "04-06", shifted)
    run(root, "04-06")
    first, second = window("04-01", "04-03 01:00"), window("04-03 01:00", "05-01")
    taken = snapshots(root, first, second)
    assert [taken.usage[one.key][feature].events for one in (first, second)] == [1, len(rows) - 1]
    assert reasons(taken) == {}
    failed = failed_checks(
        root, (first, second), customers=(ACME,), spec=SPEC, through=day("05-01")
    )
    assert failed == {}


def test_an_event_belongs_to_the_window_of_its_instant_to_the_microsecond(root: DataRoot) -> None:
    noon = "04-16 12:00"
    land(root, "04-20", [
        event("1", "04-16 11:59:59.999999", value=Decimal(1)),
        event("2", noon, value=Decimal(10)),
        event("3", "04-30 23:59:59.999999", value=Decimal(100)),
        event("4", "05-01", value=Decimal(1000), received_at=at("05-02")),
    ])  # fmt: skip
    run(root, "04-20")
    taken = snapshots(root, window("04-01", noon), window(noon, "05-01"), window("05-01", "06-01"))
    assert quantities(taken) == {"calls": "1 110 1000"}


ZONES = {
    "New York, clocks go forward": ("America/New_York", date(2026, 3, 8)),
    "New York, clocks go back": ("America/New_York", date(2026, 11, 1)),
    "Cairo, midnight is skipped": ("Africa/Cairo", date(2026, 4, 24)),
    "Kolkata, half an hour": ("Asia/Kolkata", date(2026, 4, 1)),
    "Kiritimati, a day ahead": ("Pacific/Kiritimati", date(2026, 4, 1)),
    "UTC": ("UTC", date(2026, 4, 1)),
}


@pytest.mark.parametrize(("name", "boundary"), ZONES.values(), ids=ZONES)
def test_windows_of_a_time_zone_part_at_its_own_midnight(
    root: DataRoot, name: str, boundary: date
) -> None:
    local = zone(name)
    assert local is not None
    start, middle, end = (midnight(boundary + timedelta(days=days), local) for days in (-2, 0, 2))
    instants = [start + timedelta(minutes=17 * n) for n in range(6 * 60)]
    rows = [
        event(str(number), "04-01", occurred_at=instant)
        for number, instant in enumerate(instants)
        if instant < end
    ]
    land(root, "12-01", rows)
    run(root, "12-01")
    before = sum(row["occurred_at"].astimezone(local).date() < boundary for row in rows)
    requests = [
        WindowRequest(WindowKey("acme", a, b, day("12-01")), PLAN)
        for a, b in ((start, middle), (middle, end))
    ]
    taken = snapshots(root, *requests, through="12-01")
    found = [taken.usage[request.key]["calls"].events for request in requests]
    assert found == [before, len(rows) - before]


def test_what_landed_after_the_cutoff_is_not_known_at_it(root: DataRoot) -> None:
    land(root, "04-30", [event("1", "04-30")])
    land(root, "05-01", [event("2", "04-30")])
    land(root, "05-02", [event("3", "04-30")])
    run(root, "05-02")
    late = replace(APRIL, key=replace(APRIL.key, cutoff_on=day("05-02")))
    taken = snapshots(root, APRIL, late, through="05-02")
    assert [taken.usage[one.key]["calls"].events for one in (APRIL, late)] == [2, 3]


def test_a_snapshot_stays_byte_for_byte_when_more_lands(root: DataRoot) -> None:
    for number in range(28, 31):
        land(root, f"04-{number}", [event(str(number), f"04-{number} 10:00")])
    early = window("04-01 09:00", "04-30 10:00:00.000001", cutoff="04-30")
    run(root, "04-30")
    kept = ("usage_snapshots", "usage_snapshot_tokens")
    write_snapshots(root, snapshots(root, early, through="04-30"))
    before = tree(root, *kept)
    for number in range(1, 6):
        land(root, f"05-0{number}", [event(f"late{number}", "04-29")])
    run(root, "05-05")
    written = write_snapshots(root, snapshots(root, early, through="04-30"))
    assert not any(file.is_new for file in written)
    assert tree(root, *kept) == before


def test_a_file_added_to_an_old_folder_is_late(root: DataRoot) -> None:
    land(root, "04-10", [event("1", "04-10")])
    run(root, "05-01")
    land(root, "04-10", [event("2", "04-10")], name="b.parquet")
    run(root, "05-03")
    late = replace(APRIL, key=replace(APRIL.key, cutoff_on=day("05-03")))
    taken = snapshots(root, APRIL, late, through="05-03")
    assert [taken.usage[one.key]["calls"].events for one in (APRIL, late)] == [1, 2]


def test_single_events_are_read_once_and_kept(root: DataRoot) -> None:
    path = land(root, "04-10", [event("1", "04-10 08:00"), event("2", "04-10 20:00")])
    run(root, "04-10")
    noon = window("04-10 12:00", "05-01")
    assert quantities(snapshots(root, noon)) == {"calls": "1"}
    path.unlink()
    assert quantities(snapshots(root, noon)) == {"calls": "1"}
    late = land(root, "04-11", [event("3", "04-10 09:00")])
    run(root, "04-11")
    late.unlink()
    with pytest.raises(DayCannotBeReadAgain, match="is gone"):
        snapshots(root, noon)


def test_a_window_that_holds_nothing_has_an_entry(root: DataRoot) -> None:
    assert snapshots(root).usage == {APRIL.key: {}}


def test_what_no_window_takes_is_set_aside_with_the_first_reason(root: DataRoot) -> None:
    ai = {"model": "a/x", "input_tokens": 1, "output_tokens": 1}
    land(root, "04-20", [
        event("1", "04-05", customer_id="stranger", feature="nonsense"),
        event("2", "04-05", feature="nonsense", value=Decimal(-1)),
        event("3", "04-05", value=Decimal(-1)),
        event("4", "03-31 23:59:59.999999"),
        event("5", "04-05", feature="mails"),
        event("6", "04-05", feature="chat"),
        event("7", "04-05", feature="chat", **ai | {"model": "a/nobody"}),
        event("8", "04-05", feature="chat", customer_id="stranger", **ai | {"model": "twice"}),
        event("9", "05-09"),
        event("10", "04-05"),
        event("11", "04-05", feature="storage", value=Decimal(-5)),
    ])  # fmt: skip
    run(root, "04-20")
    plan = tuple(feature for feature in PLAN if feature.code != "mails")
    request = replace(APRIL, features=plan)
    taken = snapshots(root, request)
    assert reasons(taken) == {
        "feature_not_in_plan": 1,
        "future": 1,
        "missing_tokens": 1,
        "negative_value": 1,
        "no_access": 1,
        "unknown_customer": 2,
        "unknown_feature": 1,
        "unknown_model": 1,
    }
    assert quantities(taken) == {"calls": "1", "storage": "-5"}


def test_usage_of_a_customer_who_is_created_later_appears_as_late(root: DataRoot) -> None:
    land(root, "04-10", [event("1", "04-10", customer_id="app-7")])
    run(root, "04-10")
    known = (ACME, KnownCustomer("app-7", "acme", day("05-02")))
    assert reasons(snapshots(root, customers=known)) == {"unknown_customer": 1}
    late = replace(APRIL, key=replace(APRIL.key, cutoff_on=day("05-02")))
    taken = snapshots(root, late, customers=known, through="05-02")
    assert quantities(taken) == {"calls": "1"}
    assert reasons(taken) == {}


def test_a_future_event_leaves_the_list_when_its_time_has_come(root: DataRoot) -> None:
    land(root, "04-10", [event("1", "04-20")])
    run(root, "04-10")
    assert reasons(snapshots(root, through="04-19")) == {"future": 1}
    assert reasons(snapshots(root, through="04-20")) == {}


def test_tokens_are_told_apart_by_model_and_by_the_price_at_the_instant(root: DataRoot) -> None:
    chat = {"feature": "chat", "output_tokens": 1, "model": "a/x"}
    land(root, "04-10", [
        event("1", "04-10", input_tokens=10, **chat),
        event("2", "04-11", input_tokens=20, **chat | {"model": "b/twice"}),
        event("3", "04-11", input_tokens=30, **chat | {"model": "x"}),
    ])  # fmt: skip
    run(root, "04-11")
    snapshot = snapshots(root).usage[APRIL.key]["chat"]
    assert snapshot.quantity == 63
    found = [(use.model, use.tokens, use.price_per_million[0]) for use in snapshot.tokens]
    assert found == [("a/x", (40, 2, 0, 0), Decimal(3)), ("b/twice", (20, 1, 0, 0), Decimal(2))]


def test_amounts_of_events_are_summed(root: DataRoot) -> None:
    land(root, "04-10", [
        event("1", "04-10", amount=Decimal("1.25")),
        event("2", "04-11", amount=Decimal("0.000000001")),
        event("3", "04-11"),
    ])  # fmt: skip
    run(root, "04-11")
    assert snapshots(root).usage[APRIL.key]["calls"].amount == Decimal("1.250000001")


def test_thousands_of_windows_are_answered_at_once(root: DataRoot) -> None:
    rows = [
        event(f"{n}", f"04-{n % 28 + 1:02} 10:00", customer_id=f"c{n % 2000}") for n in range(8000)
    ]
    land(root, "04-30", rows)
    run(root, "04-30")
    customers = [KnownCustomer(f"c{n}", f"c{n}", day("04-01")) for n in range(2000)]
    requests = [
        WindowRequest(WindowKey(f"c{n}", at(start), at(end), day("05-01")), PLAN)
        for n in range(2000)
        for start, end in (("04-01", "04-15 10:00"), ("04-15 10:00", "05-01"))
    ]
    taken = snapshots(root, *requests, customers=customers)
    assert sum(one["calls"].events for one in taken.usage.values() if one) == 8000
    assert reasons(taken) == {}


EVENT = st.fixed_dictionaries(
    {
        "id": st.integers(0, 12),
        "hour": st.integers(0, 6 * 24),
        "value": st.integers(-2, 9),
        "lands": st.integers(0, 6),
        "feature": st.sampled_from(["calls", "mails", "peak", "last"]),
    }
)


def expected(events: list[dict[str, int]], bounds: list[int], cutoff: int) -> dict[Any, Decimal]:
    """What the rules give, event by event: the first of an id counts, in the window of its hour."""
    seen: set[int] = set()
    used: dict[Any, list[tuple[int, int, int]]] = defaultdict(list)
    for one in sorted(events, key=lambda it: it["lands"]):
        if one["id"] in seen:
            continue
        seen.add(one["id"])
        place = sum(bound <= one["hour"] for bound in bounds)
        is_within = 0 < place < len(bounds)
        if is_within and one["lands"] <= cutoff and one["value"] >= 0:
            used[place - 1, one["feature"]].append((one["hour"], one["id"], one["value"]))
    sums = {
        "calls": lambda rows: sum(value for _, _, value in rows),
        "mails": len,
        "peak": lambda rows: max(value for _, _, value in rows),
        "last": lambda rows: max((hour, f"{id_:02}", value) for hour, id_, value in rows)[2],
    }
    return {key: Decimal(sums[key[1]](rows)) for key, rows in used.items()}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    events=st.lists(EVENT, max_size=40),
    inner=st.lists(st.integers(1, 6 * 24 - 1), max_size=3, unique=True),
    cutoff=st.integers(0, 6),
)
def test_snapshots_are_what_the_rules_give_event_by_event(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[dict[str, int]],
    inner: list[int],
    cutoff: int,
) -> None:
    root = DataRoot(tmp_path_factory.mktemp("root"))
    first = datetime(2026, 4, 1, tzinfo=UTC)
    events = list({(e["lands"], e["id"]): e for e in events}.values())
    random.Random(len(events)).shuffle(events)
    by_day: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        instant = first + timedelta(hours=one["hour"])
        fields = {"feature": one["feature"], "value": Decimal(one["value"])}
        fields |= {"occurred_at": instant, "received_at": first + timedelta(days=30)}
        by_day[one["lands"]].append(event(f"{one['id']:02}", "04-01", **fields))
    for lands, rows in by_day.items():
        land(root, f"04-{lands + 10:02}", rows)
    run(root, "04-20")
    bounds = [0, *sorted(inner), 6 * 24]
    instants = [first + timedelta(hours=hour) for hour in bounds]
    requests = [
        WindowRequest(WindowKey("acme", a, b, day(f"04-{cutoff + 10}")), PLAN)
        for a, b in pairwise(instants)
    ]
    taken = snapshots(root, *requests, through="04-20")
    found = {
        (place, feature): snapshot.quantity
        for place, request in enumerate(requests)
        for feature, snapshot in taken.usage[request.key].items()
    }
    assert found == expected(events, bounds, cutoff)
    assert failed_checks(root, requests, customers=(ACME,), spec=SPEC, through=day("04-20")) == {}


def test_a_root_whose_path_looks_like_a_pattern_reads_its_own_files(tmp_path: Path) -> None:
    root, other = DataRoot(tmp_path / "a[b]*c"), DataRoot(tmp_path / "abc")
    noon = window("04-01", "04-16 12:00")
    land(root, "04-20", [event("1", "04-05"), event("2", "04-16 10:00"), event("3", "04-16 13:00")])
    run(root, "04-20")
    assert quantities(snapshots(root, noon)) == {"calls": "2"}
    for path in list(root.warehouse.rglob("*.parquet")):
        matching = other.warehouse / path.relative_to(root.warehouse)
        matching.parent.mkdir(parents=True, exist_ok=True)
        pl.read_parquet(path, glob=False).clear().write_parquet(matching)
    assert quantities(snapshots(root, noon)) == {"calls": "2"}
