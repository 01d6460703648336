"""Rules CHG-13, CAT-3, INV-13: plans that the founder assigns."""

from typing import Any

import pytest

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
    setting_of,
    subscribed,
    use,
)

PLANS: dict[str, Any] = {
    **LADDER["plans"],
    "tiny": {
        "name": "Tiny",
        "consumption_model": "metered",
        "free": "true",
        "features": {"api_calls": {"included": "5"}},
    },
}


def told(*story: Any, until: str = "2026-04-30", **changes: Any) -> Folded:
    setting = setting_of(ladder(plans=PLANS), **changes)
    return folded([created(), *story], setting, until)


def assigned(at: str, plan: str, **fields: Any) -> Any:
    return act(at, "assign_plan", plan=plan, id="assign", **fields)


BEGUN = [subscribed("2026-03-01"), paid("2026-03-01", ("initial", "2026-03-01"))]
REFUSED = {
    # case                 since then                                   plan       why
    "no such plan": ([], "gold", "plan_not_available"),
    "the same plan": ([], "starter", "already_subscribed"),
    "while past due": (
        [paid("2026-04-02", ("recurring", "2026-04-01"), "failed")],
        "hidden",
        "past_due",
    ),
}


@pytest.mark.parametrize(("since", "plan", "why"), REFUSED.values(), ids=REFUSED)
def test_an_assignment_that_cannot_be(since: list[Any], plan: str, why: str) -> None:
    story = told(*BEGUN, *since, assigned("2026-04-16", plan), assumes_payment=False)
    assert outcomes(story)["assign"] == f"refused {why}"


def test_seats_that_the_plan_does_not_sell_are_refused_now_and_come_along_later() -> None:
    few = {**LADDER["plans"]["starter"], "features": {"editors": {"included": "1"}}}
    setting = setting_of(ladder(plans={**PLANS, "few": few}))
    begun = [created(), subscribed("2026-04-01", seats={"editors": "3"})]
    for effective, outcome in (("now", "refused seats_not_included"), ("renewal", "scheduled")):
        move = assigned("2026-04-16", "few", effective=effective)
        story = folded([*begun, move], setting, "2026-05-01")
        assert outcomes(story)["assign"].startswith(outcome)


def test_from_a_free_plan_to_another_nothing_is_invoiced_or_credited() -> None:
    story = told(subscribed("2026-04-01", "free", interval=None), assigned("2026-04-16", "tiny"))
    assert (invoices(story), story.state.credits) == ([], ())
    running = story.state.subscription
    assert running is not None
    assert (running.terms.plan, str(running.anchor)) == ("tiny", "2026-04-16")


def test_an_unpaid_period_stays_owed_when_a_free_plan_is_assigned() -> None:
    """As at an upgrade: the unused half is credited, the invoice is not reduced. SUB-9."""
    story = told(
        *BEGUN,
        assigned("2026-04-16", "tiny"),
        uses=[use("2026-04-02", "20000")],
        assumes_payment=False,
    )
    assert [str(it.left) for it in story.state.credits] == ["14.50 USD"]
    assert [it.unpaid.minor for it in story.state.invoices] == [0, 2900]
    assert [item.waived for item in story.windows[-1].usage] == [10_000]


def test_the_founder_begins_a_subscription_that_waits_for_its_payment() -> None:
    asked = assigned("2026-04-02", "hidden", interval="monthly")
    story = told(asked, until="2026-04-05", assumes_payment=False)
    assert outcomes(story)["assign"] == "applied"
    running = story.state.subscription
    assert running is not None
    assert (running.id, str(running.status)) == ("assign", "pending_payment")
