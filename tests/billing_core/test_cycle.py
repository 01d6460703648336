"""Rules INV-1, INV-2, INV-6, INV-7, CNV-3, CNV-9, FAIR-3: boundaries, month after month."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.bill import bill
from billing_core.invoice import LineType
from billing_core.period import MONTHS
from tests.billing_core.builders import (
    ZONES,
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    plan_of,
    setting_of,
    starter_at,
    subscribed,
    use,
)

# fmt: off
ANCHORS: dict[str, tuple[str, list[str]]] = {
    # case                        subscribed     the next boundaries
    "the 1st":                  ("2026-04-01",   ["2026-05-01", "2026-06-01", "2026-07-01"]),
    "the 31st":                 ("2026-01-31",   ["2026-02-28", "2026-03-31", "2026-04-30"]),
    "the 31st in a leap year":  ("2024-01-31",   ["2024-02-29", "2024-03-31", "2024-04-30"]),
    "the 30th":                 ("2026-01-30",   ["2026-02-28", "2026-03-30", "2026-04-30"]),
    "February 29":              ("2024-02-29",   ["2024-03-29", "2024-04-29", "2024-05-29"]),
    "over the new year":        ("2026-11-30",   ["2026-12-30", "2027-01-30", "2027-02-28"]),
}
# fmt: on


@pytest.mark.parametrize(("start", "boundaries"), ANCHORS.values(), ids=ANCHORS)
def test_monthly_invoices_are_dated_on_the_anchor(start: str, boundaries: list[str]) -> None:
    told = folded([created(), subscribed(start)], setting_of(), boundaries[-1])
    assert [str(invoice.billing_day) for invoice in told.invoices] == [start, *boundaries]


def test_february_29_comes_back_every_four_years() -> None:
    told = folded(
        [created(), subscribed("2024-02-29", interval="yearly")], setting_of(), "2028-03-01"
    )
    assert [str(invoice.billing_day) for invoice in told.invoices] == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_a_quarter_settles_overage_each_month_and_renews_each_third() -> None:
    uses = [use("2026-04-10", "10050"), use("2026-05-10", "10000"), use("2026-06-10", "10100")]
    story = [created(), subscribed("2026-04-01", interval="quarterly", seats={"editors": "6"})]
    told = folded(story, setting_of(uses=uses), "2026-07-01")
    assert invoices(told) == [
        "2026-04-01 initial: plan_base 81.00; feature_seats/advance editors 25.00 = 106.00",
        "2026-05-01 overage: feature_overage api_calls 1.00 = 1.00",
        "2026-07-01 recurring: plan_base 81.00; feature_overage api_calls 2.00; "
        "feature_seats/advance editors 25.00 = 108.00",
    ]
    assert [window.invoice_id is None for window in told.windows] == [False, True, False]


def test_seats_added_in_a_quarter_are_settled_on_its_billing_month() -> None:
    story = [
        created(),
        subscribed("2026-04-01", interval="quarterly"),
        act("2026-04-16", "add_seats", feature="editors", quantity="6"),
    ]
    assert invoices(folded(story, setting_of(), "2026-07-01"))[1:] == [
        "2026-07-01 recurring: plan_base 81.00; feature_seats/advance editors 25.00; "
        "feature_seats/true_up editors 20.88 = 126.88"  # 25.00 x 76/91
    ]


def test_a_month_whose_overage_rounds_to_nothing_makes_no_invoice() -> None:
    uses = [use("2026-04-10", "10000.2"), use("2026-05-10", "10000.25")]
    story = [created(), subscribed("2026-04-01", interval="quarterly")]
    told = folded(story, setting_of(uses=uses), "2026-06-01")
    assert [str(invoice.total.major) for invoice in told.invoices] == ["81.00", "0.01"]


def test_everyone_pays_what_was_in_force_when_his_period_began() -> None:
    """99, then 119 from the 10th and 109 from the 20th: A 99, B 119, C 109; A renews at 109."""
    catalogs = (
        ladder(plans=starter_at("99")),
        ladder(effective_at="2026-04-10", plans=starter_at("119")),
        ladder(effective_at="2026-04-20", plans=starter_at("109")),
    )
    for start, charged in (
        ("2026-04-01", ["99.00", "109.00"]),
        ("2026-04-15", ["119.00", "109.00"]),
        ("2026-04-25", ["109.00", "109.00"]),
    ):
        told = folded([created(), subscribed(start)], setting_of(*catalogs), "2026-05-26")
        assert [str(invoice.total.major) for invoice in told.invoices] == charged


def test_overage_is_charged_at_the_terms_of_its_own_window() -> None:
    dearer = starter_at("29.00")
    dearer["starter"]["features"]["api_calls"]["overage"] = {"unit_price": "1.00"}
    catalogs = (ladder(), ladder(effective_at="2026-04-10", plans=dearer))
    uses = [use("2026-04-20", "10010"), use("2026-05-20", "10010")]
    told = folded(
        [created(), subscribed("2026-04-01")], setting_of(*catalogs, uses=uses), "2026-06-01"
    )
    assert [str(invoice.total.major) for invoice in told.invoices] == ["29.00", "29.20", "39.00"]


def test_a_version_of_the_boundarys_instant_is_in_force_on_it() -> None:
    catalogs = (ladder(), ladder(effective_at="2026-05-01", plans=starter_at("35.00")))
    told = folded([created(), subscribed("2026-04-01")], setting_of(*catalogs), "2026-05-01")
    assert str(told.invoices[1].total.major) == "35.00"


def test_a_plan_that_is_no_longer_priced_sets_the_customer_aside() -> None:
    catalogs = (ladder(), ladder(effective_at="2026-04-10", plans={"other": plan_of({})}))
    story = [created(), subscribed("2026-04-01")]
    answer = bill("acme", story, setting_of(*catalogs), until=instant("2026-05-02"))
    assert answer.fault is not None
    assert answer.fault.code == "PRICE-02"
    assert answer.fault.what == "plan 'starter' has no monthly price in USD on 2026-05-01"


def test_a_customer_far_east_is_billed_on_his_own_first() -> None:
    """Use at 15:00 UTC on April 30 is already May in Tokyo. Rules CNV-1, CNV-9."""
    story = [created(time_zone="Asia/Tokyo"), subscribed("2026-03-31 15:00")]
    uses = [use("2026-04-30 14:59:59.999999", "10050"), use("2026-04-30 15:00", "20000")]
    told = folded(story, setting_of(uses=uses), "2026-05-01")
    assert invoices(told) == [
        "2026-04-01 initial: plan_base 29.00 = 29.00",
        "2026-05-01 recurring: plan_base 29.00; feature_overage api_calls 1.00 = 30.00",
    ]
    assert told.invoices[1].made_at == instant("2026-04-30 15:00")


def test_a_new_time_zone_counts_from_the_next_boundary() -> None:
    """Rule CUS-1: until then days are those of the zone in which the window began."""
    story = [
        created(time_zone="America/New_York"),
        subscribed("2026-04-01 04:00"),
        act("2026-04-10", "update_customer", time_zone="Asia/Tokyo"),
        act("2026-04-30 20:00", "add_seats", feature="editors", quantity="6"),
        act("2026-05-10 15:00", "cancel", when="now"),
    ]
    told = folded(story, setting_of(), "2026-05-31")
    first, second = told.windows
    assert first.key.end_at == instant("2026-05-01 04:00")
    assert second.key.start_at == instant("2026-05-01 04:00")
    seats = [line for line in told.invoices[1].lines if line.charge_type == "true_up"]
    assert seats[0].days == (1, 30)
    assert second.window.end == day("2026-05-11")
    story[4] = act("2026-05-31 14:00", "cancel", when="now")
    assert folded(story, setting_of(), "2026-05-31").windows[1].window.end == day("2026-05-31")


@pytest.mark.parametrize(
    ("old", "new", "at", "on"),
    [
        ("America/New_York", "Asia/Tokyo", "2026-04-30 20:00", "2026-04-30"),
        ("Asia/Tokyo", "America/New_York", "2026-04-30 16:00", "2026-05-01"),
    ],
    ids=["from west to east", "from east to west"],
)
def test_a_day_lies_in_its_window_whatever_zone_was_chosen(
    old: str, new: str, at: str, on: str
) -> None:
    """Rule CNV-3: start <= day < end, also in the hours that two zones share."""
    story = [
        created(time_zone=old),
        subscribed("2026-03-31 15:00" if old == "Asia/Tokyo" else "2026-04-01 04:00"),
        act("2026-04-10", "update_customer", time_zone=new),
        act(at, "cancel", when="now", id="stop"),
    ]
    told = folded(story, setting_of(), "2026-05-31")
    assert told.windows[-1].window.end == day(on)


@pytest.mark.parametrize("interval", MONTHS)
@pytest.mark.parametrize("start", [f"2024-01-{n:02}" for n in range(1, 32)])
def test_periods_and_windows_of_every_anchor_tile_the_days(interval: str, start: str) -> None:
    """Rule INV-9: the plan_base service periods of a subscription tile its days."""
    story = [created(time_zone="Europe/Amsterdam"), subscribed(f"{start} 12:00", interval=interval)]
    told = folded(story, setting_of(), "2025-12-31")
    bases = [
        line.service
        for invoice in told.invoices
        for line in invoice.lines
        if line.type is LineType.PLAN_BASE
    ]
    assert bases[0].start == day(start)
    assert all(left.end == right.start for left, right in pairwise(bases))
    windows = [closed.window for closed in told.windows]
    assert windows[0].start == day(start)
    for left, right in pairwise(windows):
        assert (left.end, left.end_at) == (right.start, right.start_at)
        assert right.start < right.end


@settings(max_examples=60, deadline=None)
@given(
    offset=st.integers(0, 2000),
    hour=st.integers(0, 23),
    zone=st.sampled_from(sorted(ZONES)),
    interval=st.sampled_from(sorted(MONTHS)),
)
def test_windows_follow_each_other_in_every_zone(
    offset: int, hour: int, zone: str, interval: str
) -> None:
    """No instant is lost or counted twice, over summer time in both hemispheres."""
    start = instant("2021-01-01") + timedelta(days=offset, hours=hour)
    story = [
        created(time_zone=zone),
        subscribed(start.strftime("%Y-%m-%d %H:%M"), interval=interval),
    ]
    until = (start + timedelta(days=430)).date()
    told = folded(story, setting_of(), str(until))
    windows = [closed.window for closed in told.windows]
    assert windows[0].start_at == start
    assert len(windows) >= 14
    for left, right in pairwise(windows):
        assert (left.end, left.end_at) == (right.start, right.start_at)
    for window in windows[1:]:
        last = window.end_at - timedelta(microseconds=1)
        assert window.start_at.astimezone(ZONES[zone]).date() == window.start
        assert last.astimezone(ZONES[zone]).date() == window.end - timedelta(days=1)


def test_a_cancellation_of_the_first_day_closes_a_window_of_that_day() -> None:
    uses: list[Any] = [use("2026-04-01 10:00", "10050")]
    story = [
        created(),
        subscribed("2026-04-01 09:00"),
        act("2026-04-01 11:00", "cancel", when="now"),
    ]
    told = folded(story, setting_of(uses=uses), "2026-04-30")
    assert invoices(told)[1:] == [
        "2026-04-01 final: feature_overage api_calls 1.00; credit -1.00 = 0.00"
    ]
    assert told.invoices[1].lines[0].service.days == 1
