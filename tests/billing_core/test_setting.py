"""Rules CAT-1, CNV-1, USE-8: which version, zone and cutoff are in force at an instant."""

from datetime import UTC, date, timedelta

import pytest

from billing_core.setting import NoCatalogInForce, UnknownTimeZone
from tests.billing_core.builders import ZONES, day, instant, ladder, setting_of

TWO = (
    ladder(),
    ladder(
        effective_at="2026-05-01",
        policies={"billing_time_zone": "Asia/Tokyo", "grace_hours": "0"},
    ),
)

# fmt: off
IN_FORCE = {
    # case                                 at                             version
    "as the first one begins":          ("2020-01-01",                    0),
    "the moment before the second":     ("2026-04-30 23:59:59.999999",    0),
    "as the second one begins":         ("2026-05-01",                    1),
    "long after":                       ("2030-01-01",                    1),
}
# fmt: on


@pytest.mark.parametrize(("at", "place"), IN_FORCE.values(), ids=IN_FORCE)
def test_the_last_version_not_after_the_instant_counts(at: str, place: int) -> None:
    setting = setting_of(*TWO)
    assert setting.version_at(instant(at)) is setting.versions[place]


def test_before_the_first_version_nothing_can_happen() -> None:
    before = instant("2020-01-01") - timedelta(microseconds=1)
    with pytest.raises(NoCatalogInForce, match=r"(?s)CATALOG-50.*2019-12-31T23:59:59Z"):
        setting_of(*TWO).version_at(before)


def test_the_customers_own_zone_comes_before_the_catalogs() -> None:
    setting = setting_of(*TWO)
    assert setting.zone_of("Europe/Amsterdam", instant("2026-05-01")) == ZONES["Europe/Amsterdam"]
    assert setting.zone_of(None, instant("2026-05-01")) == ZONES["Asia/Tokyo"]
    assert setting.zone_of(None, instant("2026-04-30")) == ZONES["UTC"]


def test_a_zone_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownTimeZone, match=r"(?s)ZONE-01.*'Mars/Base'.*update_customer"):
        setting_of().zone_of("Mars/Base", instant("2026-05-01"))


@pytest.mark.parametrize(
    ("takes_later", "known_on", "expected"),
    [
        (False, "2026-05-20", "2026-05-01"),
        (True, "2026-05-20", "2026-05-20"),
        (True, "2026-04-20", "2026-05-01"),
    ],
    ids=["as at its own cutoff", "with all that is known", "nothing later is known"],
)
def test_cutoff(takes_later: bool, known_on: str, expected: str) -> None:
    setting = setting_of(takes_later_usage=takes_later, known_on=day(known_on))
    assert setting.cutoff_on(instant("2026-05-01")) == day(expected)


def test_the_grace_is_that_of_the_windows_end() -> None:
    setting = setting_of(*TWO)
    assert setting.cutoff_on(instant("2026-05-31")) == date(2026, 5, 30)
    assert instant("2026-05-31").tzinfo is UTC
