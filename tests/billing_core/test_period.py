"""Rules CNV-1, CNV-2, CNV-3, CNV-6: days, boundaries from an anchor, local midnights."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.errors import EmptyPeriod
from billing_core.period import (
    MONTHS,
    Period,
    Window,
    billing_date,
    boundary,
    cutoff_day,
    midnight,
)
from tests.billing_core.builders import ZONES, day, instant

APRIL = Period(date(2026, 4, 1), date(2026, 5, 1))

# fmt: off
REMAINING = {
    # case                            on             days left
    "the day before it begins":     ("2026-03-31",   30),
    "its first day":                ("2026-04-01",   30),
    "its second day":               ("2026-04-02",   29),
    "the middle":                   ("2026-04-16",   15),
    "its last day":                 ("2026-04-30",   1),
    "the day on which it ends":     ("2026-05-01",   0),
    "long after":                   ("2027-01-01",   0),
}
BOUNDARIES = {
    # case                                 anchor        months  day
    "the 31st in a short February":      ("2026-01-31",  1,      "2026-02-28"),
    "the 31st in a leap year":           ("2024-01-31",  1,      "2024-02-29"),
    "the 31st comes back":               ("2026-01-31",  2,      "2026-03-31"),
    "the 31st in April":                 ("2026-01-31",  3,      "2026-04-30"),
    "the 30th in February":              ("2026-01-30",  1,      "2026-02-28"),
    "February 29 a year later":          ("2024-02-29",  12,     "2025-02-28"),
    "February 29 four years later":      ("2024-02-29",  48,     "2028-02-29"),
    "no leap year at a century":         ("2096-02-29",  48,     "2100-02-28"),
    "over the year's end":               ("2026-12-15",  1,      "2027-01-15"),
    "none":                              ("2026-12-15",  0,      "2026-12-15"),
}
CUTOFFS = {
    # case                                    window ends                  grace  last day
    "midnight, a day of grace":             ("2026-05-01",                   24,    "2026-05-01"),
    "midnight, no grace":                   ("2026-05-01",                   0,     "2026-04-30"),
    "a microsecond after, no grace":        ("2026-05-01 00:00:00.000001",   0,     "2026-05-01"),
    "noon, a day of grace":                 ("2026-05-01 12:00",             24,    "2026-05-02"),
    "an hour of grace":                     ("2026-05-01",                   1,     "2026-05-01"),
    "west of Greenwich, two days of grace": ("2026-05-01 05:00",             48,    "2026-05-03"),
}
MIDNIGHTS = {
    # case                                zone                   day           instant
    "Greenwich":                        ("UTC",                  "2026-05-01", "2026-05-01 00:00"),
    "east":                             ("Asia/Tokyo",           "2026-05-01", "2026-04-30 15:00"),
    "summer in the north":              ("Europe/Amsterdam",     "2026-03-30", "2026-03-29 22:00"),
    "winter in the north":              ("Europe/Amsterdam",     "2026-03-29", "2026-03-28 23:00"),
    "summer in the south ends":         ("Australia/Sydney",     "2026-04-05", "2026-04-04 13:00"),
    "winter in the south":              ("Australia/Sydney",     "2026-04-06", "2026-04-05 14:00"),
    "clocks skip midnight":             ("America/Sao_Paulo",    "2018-11-04", "2018-11-04 03:00"),
    "midnight comes twice":             ("America/Havana",       "2026-11-01", "2026-11-01 04:00"),
    "half an hour of summer":           ("Australia/Lord_Howe",  "2026-04-06", "2026-04-05 13:30"),
    "a zone of quarters":               ("Pacific/Chatham",      "2026-01-01", "2025-12-31 10:15"),
}
# fmt: on

anchors = st.dates(date(2000, 1, 1), date(2110, 12, 31))
zones = st.sampled_from(sorted(set(ZONES) - {"Pacific/Apia"}))


@pytest.mark.parametrize(("on", "left"), REMAINING.values(), ids=REMAINING)
def test_remaining(on: str, left: int) -> None:
    assert APRIL.remaining(day(on)) == left
    assert APRIL.remaining_share(day(on)) == Fraction(left, 30)


@pytest.mark.parametrize(
    ("start", "end"), [("2026-04-01", "2026-04-01"), ("2026-04-02", "2026-04-01")]
)
def test_a_period_without_days_is_refused(start: str, end: str) -> None:
    with pytest.raises(EmptyPeriod, match="PER-01"):
        Period(day(start), day(end))


@pytest.mark.parametrize(("anchor", "months", "expected"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_boundary(anchor: str, months: int, expected: str) -> None:
    assert boundary(day(anchor), months) == day(expected)


@pytest.mark.parametrize(("end_at", "grace", "expected"), CUTOFFS.values(), ids=CUTOFFS)
def test_cutoff_day(end_at: str, grace: int, expected: str) -> None:
    assert cutoff_day(instant(end_at), grace) == day(expected)


@pytest.mark.parametrize(("zone", "on", "expected"), MIDNIGHTS.values(), ids=MIDNIGHTS)
def test_midnight(zone: str, on: str, expected: str) -> None:
    assert midnight(day(on), ZONES[zone]) == instant(expected)


def test_a_window_has_a_period() -> None:
    window = Window(APRIL.start, APRIL.end, instant("2026-04-01 10:00"), instant("2026-05-01"))
    assert window.period == APRIL


@pytest.mark.parametrize("year", [2023, 2024, 2100])
@pytest.mark.parametrize("interval", MONTHS)
def test_periods_of_every_anchor_day_tile_the_days(year: int, interval: str) -> None:
    """Each day lies in exactly one period, and start <= day < end. Rule CNV-3."""
    months = MONTHS[interval]
    for start in (date(year, 1, 1) + timedelta(days=n) for n in range(366)):
        edges = [boundary(start, months * n) for n in range(24 // months + 2)]
        assert edges[0] == start
        for left, right in pairwise(edges):
            assert left < right
            assert right.day == start.day or (
                right.day < start.day and (right + timedelta(days=1)).day == 1
            )


@given(anchor=anchors, months=st.integers(0, 1200), later=st.integers(1, 24))
def test_boundaries_rise(anchor: date, months: int, later: int) -> None:
    assert boundary(anchor, months) < boundary(anchor, months + later)


@given(anchor=anchors, months=st.integers(0, 60), zone=zones)
def test_windows_in_a_zone_hold_the_days_between_their_dates(
    anchor: date, months: int, zone: str
) -> None:
    """The first and the last microsecond of a window lie on its first and last day. CNV-9."""
    own = ZONES[zone]
    start, end = boundary(anchor, months), boundary(anchor, months + 1)
    start_at, end_at = midnight(start, own), midnight(end, own)
    assert start_at < end_at
    assert billing_date(start_at, own) == start
    assert billing_date(start_at - timedelta(microseconds=1), own) < start
    assert billing_date(end_at - timedelta(microseconds=1), own) == end - timedelta(days=1)


@given(on=st.dates(date(2000, 1, 1), date(2037, 12, 31)), zone=zones)
def test_a_day_begins_at_its_midnight(on: date, zone: str) -> None:
    own = ZONES[zone]
    assert billing_date(midnight(on, own), own) == on
    assert billing_date(midnight(on, own) - timedelta(microseconds=1), own) < on
    assert midnight(on, own).tzinfo is UTC


@given(start=anchors, days=st.integers(1, 400), split=st.integers(0, 400))
def test_used_and_unused_days_add_up(start: date, days: int, split: int) -> None:
    """Splitting a period and adding up changes nothing. Rule CNV-6."""
    whole = Period(start, start + timedelta(days=days))
    on = start + timedelta(days=min(split, days))
    assert whole.remaining(on) + (on - start).days == whole.days


@given(
    end_at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    grace=st.integers(0, 200),
)
def test_a_landing_day_is_in_if_it_begins_before_the_end_of_the_grace(
    end_at: datetime, grace: int
) -> None:
    last = cutoff_day(end_at, grace)
    limit = end_at + timedelta(hours=grace)
    assert midnight(last, UTC) < limit <= midnight(last + timedelta(days=1), UTC)
