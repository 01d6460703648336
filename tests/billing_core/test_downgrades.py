"""Rules CHG-8, QTA-5: what is told of a downgrade, with its figures."""

from typing import Any

import pytest

from billing_core.catalog import Catalog
from billing_core.step import Notice
from tests.billing_core.builders import (
    LADDER,
    act,
    created,
    folded,
    instant,
    ladder,
    setting_of,
    subscribed,
    use,
)

BIG: dict[str, Any] = {
    "name": "Big",
    "consumption_model": "metered",
    "prices": {"monthly": {"amount": "99.00"}, "yearly": {"amount": "990.00"}},
    "features": {
        "api_calls": {"unlimited": "true"},
        "editors": {"included": "20"},
        "viewers": {"included": "20"},
        "guests": {"included": "20"},
    },
}


def catalog(**policies: Any) -> Catalog:
    plans = {**LADDER["plans"], "big": BIG}
    return ladder(plans=plans, groups={"main": ["free", "starter", "big"]}, policies=policies)


SEATS = {"editors": "8", "viewers": "4", "guests": "9"}


def told(
    plan: str, *, interval: str = "monthly", at: str = "2026-04-10 12:00", **policies: Any
) -> tuple[Notice, ...]:
    """The notices of a downgrade from big with seats held and 12,000 calls used by noon."""
    uses = [use("2026-04-09", "12000"), use("2026-04-10 13:00", "500")]
    story = [
        created(),
        subscribed("2026-04-01", "big", interval, seats=SEATS),
        act(at, "change_plan", plan=plan),
    ]
    return folded(story, setting_of(catalog(**policies), uses=uses), "2026-04-30").notices


def figures(notices: tuple[Notice, ...]) -> list[tuple[str | None, int, int, str]]:
    return [(it.feature, int(it.used or 0), int(it.limit or 0), str(it.cost)) for it in notices]


WARNED = {
    # case                        plan, interval         feature, active, included, estimated cost
    "seats and use with a price": (
        ("starter", "monthly", {}),
        [
            ("api_calls", 12_000, 10_000, "40.00 USD"),
            ("editors", 8, 5, "75.00 USD"),
            ("viewers", 4, 3, "0.00 USD"),
        ],
    ),
    "a seat price a month, for a year": (
        ("starter", "yearly", {"seat_price_is_monthly": "true"}),
        [
            ("api_calls", 12_000, 10_000, "40.00 USD"),
            ("editors", 8, 5, "900.00 USD"),
            ("viewers", 4, 3, "0.00 USD"),
        ],
    ),
    "what the plan does not have": (
        ("free", "monthly", {}),
        [
            ("api_calls", 12_000, 1_000, "0.00 USD"),
            ("editors", 8, 0, "0.00 USD"),
            ("guests", 9, 0, "0.00 USD"),
            ("viewers", 4, 0, "0.00 USD"),
        ],
    ),
}


@pytest.mark.parametrize(("asked", "wanted"), WARNED.values(), ids=WARNED)
def test_each_feature_above_the_plan_is_told_with_its_cost(
    asked: tuple[str, str, dict[str, Any]], wanted: list[Any]
) -> None:
    plan, interval, policies = asked
    notices = told(plan, interval=interval, **policies)
    assert figures(notices) == wanted
    assert {(it.kind, str(it.on), it.at) for it in notices} == {
        ("downgrade_warning", "2026-04-10", instant("2026-04-10 12:00"))
    }


def test_at_the_start_of_a_month_nothing_is_used_yet() -> None:
    assert [it.feature for it in told("starter", at="2026-04-01")] == ["editors", "viewers"]


def test_on_a_plan_with_credits_only_seats_are_told() -> None:
    features = {"api_calls": {"credits_per_unit": "1"}, "editors": {"included": "1"}}
    plans = {
        **LADDER["plans"],
        "points": {
            "name": "Points",
            "consumption_model": "credits",
            "prices": {"monthly": {"amount": "10.00", "included_credits": "5"}},
            "features": features,
        },
    }
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "2"}),
        act("2026-04-10", "assign_plan", plan="points", effective="renewal"),
    ]
    uses = [use("2026-04-09", "12000")]
    notices = folded(story, setting_of(ladder(plans=plans), uses=uses), "2026-04-30").notices
    assert figures(notices) == [("editors", 2, 1, "0.00 USD")]
