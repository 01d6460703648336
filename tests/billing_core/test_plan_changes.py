"""Rules CHG-1 to CHG-6, CHG-11: who may move up, what is not billed yet, what is credited."""

from typing import Any

import pytest

from billing_core.catalog import Catalog
from billing_core.fold import Folded
from tests.billing_core.builders import (
    LADDER,
    act,
    created,
    folded,
    invoices,
    ladder,
    outcomes,
    paid,
    posted,
    setting_of,
    subscribed,
    use,
)


def moved(at: str = "2026-04-16", plan: str | None = "pro", **fields: Any) -> Any:
    """A change of plan with the id `move`."""
    return act(at, "change_plan", plan=plan, id="move", **fields)


PRO: dict[str, Any] = {
    **LADDER["plans"]["starter"],
    "name": "Pro",
    "prices": {"monthly": {"amount": "99.00"}},
}
PLANS: dict[str, Any] = {**LADDER["plans"], "pro": PRO}


def climbed(story: list[Any], **policies: Any) -> Folded:
    """A story until May 20 in a group of free, starter and pro; what is unpaid stays unpaid."""
    return folded(story, setting_of(grouped(**policies), assumes_payment=False), "2026-05-20")


def grouped(**policies: Any) -> Catalog:
    """The ladder of plans with pro, three of them in a group."""
    groups = {"main": ["free", "starter", "pro"]}
    return ladder(plans=PLANS, groups=groups, policies=policies)


STARTER = [
    created(),
    subscribed("2026-04-01"),
    paid("2026-04-01", {"type": "initial", "on": "2026-04-01"}),
]
REFUSED = {
    "without a subscription": ([created()], moved(), "not_subscribed"),
    "after the end": (
        [*STARTER, act("2026-04-10", "cancel", when="now")],
        moved(),
        "not_subscribed",
    ),
    "while paused": ([*STARTER, act("2026-04-10", "pause")], moved(), "not_subscribed"),
    "before the checkout is paid": (STARTER[:2], moved("2026-04-02"), "not_subscribed"),
    "while past due": (
        [*STARTER, paid("2026-05-02", {"type": "recurring", "on": "2026-05-01"}, "failed")],
        moved("2026-05-03"),
        "past_due",
    ),
    "out of the group": (
        [created(), subscribed("2026-04-01", "hidden", actor="founder"), STARTER[2]],
        moved(),
        "not_same_group",
    ),
    "to no plan of the catalog": (STARTER, moved(plan="gold"), "plan_not_available"),
    "to the plan as it is": (STARTER, moved(plan="starter"), "already_subscribed"),
    "at an interval without price": (
        STARTER,
        moved(interval="quarterly"),
        "interval_not_available",
    ),
    "from free, no interval named": (
        [created(), subscribed("2026-04-01", "free")],
        moved(),
        "interval_not_available",
    ),
}


@pytest.mark.parametrize(("story", "move", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_cannot_be_had_is_refused(story: list[Any], move: Any, reason: str) -> None:
    told = climbed([*story, move])
    assert outcomes(told)["move"] == f"refused {reason}"


def test_free_is_down_and_paid_is_up_whatever_the_rank() -> None:
    """Rule CHG-11."""
    catalog = ladder(plans=PLANS, groups={"main": ["starter", "free"]})
    story = [created(), subscribed("2026-04-01"), moved(plan="free")]
    told = folded(story, setting_of(catalog), "2026-04-30")
    assert outcomes(told)["move"] == "scheduled 2026-05-01"
    up = moved(plan="starter", interval="monthly")
    story = [created(), subscribed("2026-04-01", "free", interval=None), up]
    told = folded(story, setting_of(catalog), "2026-04-30")
    assert outcomes(told)["move"] == "applied"


def test_down_waits_for_the_end_of_the_period() -> None:
    pro = [created(), subscribed("2026-04-01", "pro"), STARTER[2]]
    told = climbed([*pro, moved("2026-04-10", "starter")])
    assert outcomes(told)["move"] == "scheduled 2026-05-01"
    assert told.state.subscription is not None
    assert told.state.subscription.terms.plan == "starter"
    assert told.state.subscription.next_plan is None


@pytest.mark.parametrize("is_credited", [True, False])
def test_seats_in_advance_are_credited_by_the_switch(is_credited: bool) -> None:
    story = [*STARTER[:1], subscribed("2026-04-01", seats={"editors": 8}), STARTER[2], moved()]
    told = invoices(climbed(story, credit_extra_seats_on_upgrade=is_credited))[1]
    assert ("editors -37.50" in told) is is_credited
    assert "-14.50" in told


def test_an_upgrade_posted_with_its_month_is_told_again_the_same() -> None:
    story = [*STARTER, moved()]
    setting = setting_of(grouped(), uses=[use("2026-04-10", "15000")])
    once = folded(story, setting, "2026-06-20")
    assert invoices(posted(story, setting, "2026-06-20")) == invoices(once)
