"""What a landing day adds: rules USE-1, USE-2, USE-6, USE-9, and token costs, AI-1 to AI-4."""

import os
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.datasets import current_file, current_files
from pipelines.kept_days import read_receipts
from pipelines.metering import meter_days
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import DataRoot
from pipelines.snapshots import CHECKS, failed_checks
from pipelines.usage_frames import FeatureDefinition
from tests.pipelines.usage_roots import (
    ACME,
    APRIL,
    SPEC,
    at,
    day,
    event,
    land,
    quantities,
    run,
    snapshots,
    tree,
)

ADDED = ("usage_daily", "usage_ids", "usage_states", "usage_excluded", "set_aside")


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def receipts(root: DataRoot) -> list[tuple[int, ...]]:
    """Rows, counted, duplicates, conflicts, set aside, retracted, retractions of each day."""
    columns = (
        "rows",
        "counted",
        "duplicates",
        "conflicts",
        "set_aside",
        "retracted",
        "retractions",
    )
    return list(read_receipts(root, date(2027, 1, 1)).select(columns).iter_rows())


def daily(root: DataRoot) -> list[tuple[Any, ...]]:
    """Landing day, event day, feature, events and value of every row."""
    files = current_files(root, "usage_daily").values()
    rows = pl.concat([pl.read_parquet(path) for path in files])
    kept = rows.select("landing_day", "event_day", "feature", "events", "value")
    return [(str(a)[5:], str(b)[5:], c, d, f"{e.normalize():f}") for a, b, c, d, e in kept.rows()]


def checked(root: DataRoot, through: str = "05-01") -> None:
    """Nothing is lost on any level."""
    failed = failed_checks(root, (APRIL,), customers=(ACME,), spec=SPEC, through=day(through))
    assert failed == {}


def test_a_day_is_summed_by_customer_feature_and_event_day(root: DataRoot) -> None:
    land(root, "04-02", [
        event("1", "04-01 23:59:59.999999", value=Decimal("0.5")),
        event("2", "04-02 00:00", value=Decimal("1.25")),
        event("3", "04-02 12:00", value=Decimal("1.25")),
    ])  # fmt: skip
    metered = run(root, "04-02")
    assert metered.days == (day("04-02"),)
    assert metered.problems == ()
    assert daily(root) == [
        ("04-02", "04-01", "calls", 1, "0.5"),
        ("04-02", "04-02", "calls", 2, "2.5"),
    ]
    assert receipts(root) == [(3, 3, 0, 0, 0, 0, 0)]


def test_the_same_event_counts_once_within_a_day_and_across_days(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01"), event("1", "04-01"), event("2", "04-01")])
    land(root, "04-02", [event("1", "04-01"), event("3", "04-02")])
    run(root, "04-02")
    assert receipts(root) == [(3, 2, 1, 0, 0, 0, 0), (2, 1, 1, 0, 0, 0, 0)]
    checked(root)


def test_an_id_counts_again_after_the_days_that_are_remembered(root: DataRoot) -> None:
    spec = replace(SPEC, dedupe_days=2)
    for folder in ("04-01", "04-03", "04-04", "04-06"):
        land(root, folder, [event("1", "04-01")])
    run(root, "04-06", spec)
    assert [counted for _, counted, *_ in receipts(root)] == [1, 0, 1, 0]


def test_one_id_with_other_content_is_listed_and_never_counted(root: DataRoot) -> None:
    first = event("1", "04-01", value=Decimal(5), received_at=at("04-01 00:00:01"))
    other = first | {"value": Decimal(6), "received_at": at("04-01 00:00:02")}
    land(root, "04-01", [other, first])
    land(root, "04-02", [other | {"received_at": None}])
    run(root, "04-02")
    assert daily(root) == [("04-01", "04-01", "calls", 1, "5")]
    assert receipts(root) == [(2, 1, 0, 1, 0, 0, 0), (1, 0, 0, 1, 0, 0, 0)]
    kept = [pl.read_parquet(p) for p in current_files(root, "usage_conflicts").values()]
    rows = pl.concat(kept).select("landing_day", "first_landing_day", "row_number", "value")
    assert rows.rows() == [
        (day("04-01"), day("04-01"), 1, Decimal(6)),
        (day("04-02"), day("04-01"), 1, Decimal(6)),
    ]


CONTENT = {
    "value": ({"value": Decimal("5.000000001")}, True),
    "instant, by a microsecond": ({"occurred_at": at("04-01 00:00:00.000001")}, True),
    "customer": ({"customer_id": "other"}, True),
    "feature": ({"feature": "mails"}, True),
    "amount": ({"amount": Decimal(1)}, True),
    "another source is another event": ({"source": "other"}, False),
    "arrival": ({"received_at": at("04-01 10:00")}, False),
}


@pytest.mark.parametrize(("change", "is_conflict"), CONTENT.values(), ids=CONTENT)
def test_content_is_what_is_billed(
    root: DataRoot, change: dict[str, Any], is_conflict: bool
) -> None:
    first = event("1", "04-01", value=Decimal(5))
    land(root, "04-01", [first])
    land(root, "04-02", [first | change])
    run(root, "04-02")
    assert receipts(root)[1][3] == int(is_conflict)


def test_many_days_at_once_give_the_same_bytes_as_one_by_one(tmp_path: Path) -> None:
    roots = [DataRoot(tmp_path / name) for name in ("once", "daily")]
    for root in roots:
        for number in range(1, 9):
            rows = [
                event(f"{min(number, 6) * 10 + n % 7}", f"04-0{number}", value=Decimal(n % 5))
                for n in range(20)
            ]
            rows += [
                event(f"r{number}", f"04-0{number}", retracts=f"{number * 10 - 9}"),
                event(f"p{number}", f"04-0{number}", feature="peak"),
                event(f"b{number}", f"04-0{number}", feature=None),
            ]
            land(root, f"04-0{number}", rows)
    run(roots[0], "04-08")
    for number in range(1, 9):
        run(roots[1], f"04-0{number}")
    written = [path.name for path in roots[0].warehouse.iterdir()]
    once, one_by_one = (tree(root, *written) for root in roots)
    assert once.keys() == one_by_one.keys()
    assert once == one_by_one
    checked(roots[0])


def test_a_day_that_is_already_written_is_known_to_the_days_around_it(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    land(root, "04-02", [event("2", "04-02")])
    land(root, "04-03", [event("2", "04-02"), event("3", "04-03")])
    run(root, "04-03")
    before = tree(root, "usage_daily", "usage_ids")
    for number in (1, 3):  # as a kill leaves it: groups of days are written side by side
        folder = root.dataset("usage_receipts") / f"landing_day=2026-04-0{number}"
        folder.rename(root.root / f"gone-{number}")
    assert run(root, "04-03").days == (day("04-01"), day("04-03"))
    assert tree(root, "usage_daily", "usage_ids") == before


def test_a_day_that_cannot_be_read_again_is_known_to_the_days_after_it(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    gone = land(root, "04-02", [event("2", "04-02")])
    land(root, "04-03", [event("2", "04-02"), event("3", "04-03")])
    run(root, "04-03", MeteringSpec(features=(FeatureDefinition("calls"),)))
    gone.unlink()
    assert run(root, "04-03").days == (day("04-01"), day("04-03"))
    assert [counted for _, counted, *_ in receipts(root)] == [1, 1, 1]
    checked(root)


def test_a_run_with_nothing_new_changes_no_file(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    run(root, "04-02")
    before = {path: path.stat().st_mtime_ns for path in root.root.rglob("*") if path.is_file()}
    assert run(root, "04-02").days == ()
    after = {path: path.stat().st_mtime_ns for path in root.root.rglob("*") if path.is_file()}
    assert after == before


def test_old_files_are_not_needed_again(root: DataRoot, tmp_path: Path) -> None:
    whole = DataRoot(tmp_path / "whole")
    for other in (root, whole):
        for number in range(1, 31):
            land(other, f"04-{number:02}", [
                event(f"{number}", f"04-{number:02}"),
                event(f"{max(number - 3, 1)}", f"04-{max(number - 3, 1):02}"),
            ])  # fmt: skip
    run(root, "04-29")
    for path in root.usage_landing.glob("day=2026-04-[012][0-9]/*"):
        path.unlink()
    metered = run(root, "04-30")
    run(whole, "04-30")
    assert metered.days == (day("04-30"),)
    assert tree(root, "usage_daily", "usage_ids") == tree(whole, "usage_daily", "usage_ids")
    assert snapshots(root).snapshots.equals(snapshots(whole).snapshots)


IN_2019 = at("04-01").replace(year=2019)
UNUSABLE = {
    "no id": ({"event_id": None}, "missing_event_id"),
    "empty id": ({"event_id": ""}, "missing_event_id"),
    "no customer": ({"customer_id": None}, "missing_customer"),
    "no feature": ({"feature": None}, "missing_feature"),
    "no instant": ({"occurred_at": None}, "missing_occurred_at"),
    "a value of 19 digits": ({"value": Decimal(10**18)}, "value_out_of_range"),
    "no output tokens": ({"model": "a/x", "input_tokens": 1}, "missing_tokens"),
    "tokens without a model": ({"input_tokens": 1, "output_tokens": 1}, "missing_tokens"),
    "negative tokens": (
        {"model": "a/x", "input_tokens": -1, "output_tokens": 1},
        "negative_tokens",
    ),
    "unknown model": (
        {"model": "a/y", "input_tokens": 1, "output_tokens": 1},
        "unknown_model",
    ),
    "a model that two providers have": (
        {"model": "twice", "input_tokens": 1, "output_tokens": 1},
        "ambiguous_model",
    ),
    "before the first price": (
        {"model": "a/x", "input_tokens": 1, "output_tokens": 1} | {"occurred_at": IN_2019},
        "unknown_model",
    ),
    "no counted property": ({"feature": "visitors"}, "missing_property"),
    "properties that are no JSON": (
        {"feature": "visitors", "properties": "{visitor"},
        "missing_property",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_bad_row_is_set_aside_and_the_others_count(
    root: DataRoot, change: dict[str, Any], reason: str
) -> None:
    land(root, "04-01", [event("1", "04-01"), event("2", "04-01") | change, event("3", "04-01")])
    run(root, "04-01")
    assert receipts(root) == [(3, 2, 0, 0, 1, 0, 0)]
    path = current_file(root, "set_aside", "landing_day=2026-04-01")
    assert path is not None
    (row,) = pl.read_parquet(path).iter_rows(named=True)
    assert (row["reason"], row["row_number"]) == (reason, 2)
    assert row["path"] == "day=2026-04-01/a.parquet"
    assert row["what"]
    assert row["mend"]
    checked(root)


def test_a_row_that_was_set_aside_may_land_again_with_its_id(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01", feature=None)])
    land(root, "04-02", [event("1", "04-01")])
    run(root, "04-02")
    assert [counted for _, counted, *_ in receipts(root)] == [0, 1]


def test_a_file_that_is_damaged_inside_is_set_aside_whole(root: DataRoot) -> None:
    path = land(root, "04-01", [event(str(n), "04-01") for n in range(5000)])
    land(root, "04-01", [event("good", "04-01")], name="b.parquet")
    content = bytearray(path.read_bytes())
    content[100:2000] = os.urandom(1900)
    path.write_bytes(bytes(content))
    metered = run(root, "04-01")
    assert [problem.code for problem in metered.problems] == ["LAND-06"]
    assert daily(root) == [("04-01", "04-01", "calls", 1, "1")]
    assert [row for row, *_ in receipts(root)] == [None, 1]
    checked(root)


RETRACTIONS: dict[str, tuple[list[tuple[str, list[dict[str, Any]]]], str, tuple[int, int]]] = {
    "on the same day": (
        [("04-01", [event("1", "04-01"), event("r", "04-01", retracts="1")])],
        "",
        (1, 1),
    ),
    "on a later day": (
        [("04-01", [event("1", "04-01")]), ("04-03", [event("r", "04-03", retracts="1")])],
        "",
        (0, 1),
    ),
    "before the event arrives": (
        [("04-01", [event("r", "04-01", retracts="1")]), ("04-03", [event("1", "04-01")])],
        "",
        (1, 1),
    ),
    "twice takes back once": (
        [
            ("04-01", [event("1", "04-01"), event("2", "04-01")]),
            ("04-02", [event("r", "04-02", retracts="1")]),
            ("04-03", [event("s", "04-03", retracts="1"), event("1", "04-01")]),
        ],
        "1",
        (0, 2),
    ),
    "of another source takes back nothing": (
        [("04-01", [event("1", "04-01"), event("r", "04-01", retracts="1", source="x")])],
        "1",
        (0, 1),
    ),
}


@pytest.mark.parametrize(("files", "left", "counts"), RETRACTIONS.values(), ids=RETRACTIONS)
@pytest.mark.parametrize("cadence", ["once", "daily"])
def test_a_retraction_takes_its_event_back(
    root: DataRoot,
    files: list[tuple[str, list[dict[str, Any]]]],
    left: str,
    counts: tuple[int, int],
    cadence: str,
) -> None:
    for folder, rows in files:
        land(root, folder, rows)
        if cadence == "daily":
            run(root, folder)
    run(root, "04-05")
    assert quantities(snapshots(root)).get("calls", "") == left
    totals = [sum(column) for column in zip(*receipts(root), strict=True)]
    assert (totals[5], totals[6]) == counts
    checked(root)


@pytest.mark.parametrize("cadence", ["once", "daily"])
def test_a_retraction_of_a_retraction_takes_nothing_back(root: DataRoot, cadence: str) -> None:
    land(root, "04-01", [event("1", "04-01"), event("2", "04-01")])
    land(root, "04-02", [event("r", "04-02", retracts="1")])
    land(root, "04-03", [
        event("s", "04-03", retracts="r"),
        event("t", "04-03", retracts="2"),
        event("3", "04-03"),
    ])  # fmt: skip
    if cadence == "daily":
        run(root, "04-02")
    run(root, "04-03")
    assert daily(root) == [
        ("04-01", "04-01", "calls", 2, "2"),
        ("04-02", "04-01", "calls", -1, "-1"),
        ("04-03", "04-01", "calls", -1, "-1"),
        ("04-03", "04-03", "calls", 1, "1"),
    ]
    checked(root)


def test_what_was_known_before_a_retraction_stays_known(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01", feature="peak", value=Decimal(7))])
    land(root, "04-02", [event("2", "04-02", feature="peak", value=Decimal(5))])
    land(root, "04-20", [event("r", "04-20", retracts="1")])
    run(root, "04-20")
    early = replace(APRIL, key=replace(APRIL.key, cutoff_on=day("04-19")))
    assert quantities(snapshots(root, early)) == {"peak": "7"}
    assert quantities(snapshots(root)) == {"peak": "5"}


def test_a_retraction_of_an_event_whose_file_is_gone_is_set_aside(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")]).rename(root.root / "kept")
    (root.root / "kept").rename(root.usage_landing / "day=2026-04-01" / "a.parquet")
    run(root, "04-01")
    (root.usage_landing / "day=2026-04-01" / "a.parquet").unlink()
    land(root, "04-02", [event("r", "04-02", retracts="1")])
    metered = run(root, "04-02")
    assert [problem.code for problem in metered.problems] == ["LAND-03"]
    assert receipts(root)[1] == (1, 0, 0, 0, 1, 0, 0)
    assert quantities(snapshots(root)) == {"calls": "1"}
    checked(root)


def test_an_event_from_the_future_counts_from_its_own_day(root: DataRoot) -> None:
    land(root, "04-01", [
        event("soon", "04-02 00:05"),
        event("later", "04-02 00:05:00.000001"),
        event("late arrival", "04-01 12:00", received_at=at("04-01 11:54")),
        event("much later", "04-20"),
    ])  # fmt: skip
    run(root, "04-01")
    path = current_file(root, "usage_daily", "landing_day=2026-04-01")
    assert path is not None
    rows = pl.read_parquet(path).sort("counts_from", "event_day")
    assert rows.select("counts_from", "event_day", "events").rows() == [
        (day("04-01"), day("04-01"), 1),
        (day("04-01"), day("04-02"), 1),
        (day("04-02"), day("04-02"), 1),
        (day("04-20"), day("04-20"), 1),
    ]


def tokens(root: DataRoot, spec: MeteringSpec) -> list[tuple[int, ...]]:
    use = snapshots(root, spec=spec).usage[APRIL.key]["chat"].tokens
    return [(*one.tokens, *one.rate_units, one.margin_units.get(2000, 0)) for one in use]


def test_token_costs_are_rounded_up_for_each_event_where_the_policy_says_so(
    root: DataRoot,
) -> None:
    chat = {"feature": "chat", "model": "x", "input_tokens": 1000, "output_tokens": 500}
    land(root, "04-01", [event("1", "04-01", **chat)])
    land(root, "04-02", [
        event("2", "04-02", **chat | {"cache_read_tokens": 100, "cache_write_tokens": 50}),
        event("3", "04-02", **chat | {"model": "a/x"}),
    ])  # fmt: skip
    land(root, "04-03", [event("r", "04-03", retracts="3")])
    spec = replace(SPEC, is_per_event=True, margins_bp=(2000, 2500))
    run(root, "04-03", spec)
    assert tokens(root, spec) == [(2000, 1000, 100, 50, 60, 150, 1, 2, 43)]


def test_other_definitions_meter_open_days_again_and_closed_ones_not(root: DataRoot) -> None:
    for number in (1, 2):
        land(root, f"04-0{number}", [event(f"{number}", f"04-0{number}", feature="calls")])
    run(root, "04-02")
    other = replace(SPEC, features=(*SPEC.features, FeatureDefinition("deepest", "max")))
    again = meter_days(root, day("04-02"), other, closed_through=day("04-01"))
    assert again.days == (day("04-02"),)
    assert meter_days(root, day("04-02"), other, closed_through=day("04-01")).days == ()


def test_every_check_on_usage_names_what_is_lost(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01 10:00"), event("2", "04-01 12:00")])
    run(root, "04-01")
    noon = replace(APRIL, key=replace(APRIL.key, start_at=at("04-01 11:00")))
    snapshots(root, noon)
    damaged = {
        "usage_daily": ("usage_conservation", "usage_edges", "usage_receipts"),
        "usage_edges": ("usage_conservation", "usage_edges"),
    }
    for dataset, expected in damaged.items():
        path = current_file(root, dataset, "landing_day=2026-04-01")
        assert path is not None
        kept = path.read_bytes()
        pl.read_parquet(path).with_columns(pl.col("events") * 2).write_parquet(path)
        failed = failed_checks(root, (noon,), customers=(ACME,), spec=SPEC, through=day("05-01"))
        assert tuple(failed) == expected
        path.write_bytes(kept)
    assert set(CHECKS) == set(damaged["usage_daily"])


def test_forty_days_of_one_event_each(root: DataRoot) -> None:
    first = date(2026, 1, 1)
    for number in range(40):
        on = first + timedelta(days=number)
        land(root, f"{on:%m-%d}", [event(str(number // 2), f"{on:%m-%d}")])
    run(root, "02-20")
    assert sum(counted for _, counted, *_ in receipts(root)) == 20
