"""Rule CAT-8: which plans can be deleted, and what becomes of those who have them."""

from dataclasses import replace
from typing import Any

import pytest

from billing_core.actions import DeletePlan
from billing_core.catalog import Catalog
from billing_core.coming import PlanNotPriced, coming, interval_like, renewal_terms, withdrawn_at
from billing_core.deleting import delete_plan, deletion_outcome
from billing_core.fold import Folded
from billing_core.setting import PlanDeletion, Setting
from billing_core.step import Refused
from billing_core.subscribing import NotBilledYet
from tests.billing_core.builders import (
    LADDER,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    posted,
    setting_of,
    subscribed,
    use,
)

PRO: dict[str, Any] = {
    **LADDER["plans"]["starter"],
    "name": "Pro",
    "prices": {"monthly": {"amount": "99.00", "currencies": {"JPY": {"amount": "9900"}}}},
}
PLANS: dict[str, Any] = {**LADDER["plans"], "pro": PRO}


def plans(**changes: Any) -> Catalog:
    return ladder(plans={**PLANS, **changes}, groups={"main": ["free", "starter", "pro"]})


def deletion(plan: str = "starter", to: str | None = None, at: str = "2026-04-10") -> Any:
    fields = {"option": "migrate", "to": to} if to else {"option": "cancel"}
    given = {"id": f"delete-{plan}", "actor": "founder", "plan": plan, **fields}
    moment = instant(at)
    return DeletePlan.model_validate({**given, "at": moment, "received_at": moment})


def without(*actions: DeletePlan, catalog: Catalog | None = None, **changes: Any) -> Setting:
    """A setting in which some plans are deleted."""
    setting = setting_of(catalog or plans(), **changes)
    for action in actions:
        decision = delete_plan(action, setting, ())
        assert isinstance(decision, PlanDeletion), decision
        setting = replace(setting, deletions=(*setting.deletions, decision))
    return setting


def told(story: list[Any], setting: Setting, until: str = "2026-06-01") -> Folded:
    return folded([created(), *story], setting, until)


def test_a_plan_that_the_catalog_dropped_can_still_be_deleted() -> None:
    """Who has it would else renew on nothing."""
    later = {code: tree for code, tree in PLANS.items() if code != "starter"}
    dropped = ladder(effective_at="2026-04-05", plans=later)
    setting = setting_of(plans(), dropped)
    gone = PlanDeletion("delete-starter", instant("2026-04-10"), "starter", "pro")
    assert delete_plan(deletion(to="pro"), setting, ()) == gone
    moved = told([subscribed("2026-04-01")], replace(setting, deletions=(gone,)), "2026-05-01")
    assert invoices(moved)[1:] == ["2026-05-01 recurring: plan_base 99.00 = 99.00"]


def test_a_plan_with_something_that_is_not_billed_is_nothing_to_go_on_with() -> None:
    odd = {**PRO, "features": {"room": {"included": "1", "overage": {"unit_price": "1.00"}}}}
    features = {**LADDER["features"], "room": {"type": "quota", "name": "Room", "unit": "GB"}}
    catalog = ladder(plans={**PLANS, "odd": odd}, features=features)
    with pytest.raises(NotBilledYet):
        delete_plan(deletion(to="odd"), setting_of(catalog), ())


def test_an_outcome_says_what_became_of_it() -> None:
    setting = without(deletion())
    done = deletion_outcome(deletion(), setting.deletions[0])
    assert (str(done), done.customer_id, done.action_id) == ("applied", None, "delete-starter")
    again = delete_plan(deletion(), setting, ())
    assert isinstance(again, Refused)
    assert str(deletion_outcome(deletion(), again)) == "refused plan_not_available"


LATE = {
    # case                            plan deleted  known on       is late
    "renewed without it": ("starter", "2026-05-02", True),
    "renewed with it": ("starter", "2026-05-05", False),
    "another plan renewed": ("pro", "2026-05-02", False),
    "a free plan, somebody billed": ("free", "2026-05-02", True),
}


@pytest.mark.parametrize(("plan", "known_on", "is_late"), LATE.values(), ids=LATE)
def test_a_late_deletion(plan: str, known_on: str, is_late: bool) -> None:
    renewed = told([subscribed("2026-04-01")], setting_of(plans()), "2026-05-01").invoices[-1]
    before = replace(renewed, known_on=day(known_on))
    action = deletion(plan).model_copy(update={"received_at": instant("2026-05-05")})
    decision = delete_plan(action, setting_of(plans()), [before])
    assert isinstance(decision, Refused) is is_late
    if isinstance(decision, Refused):
        assert decision.reason == "late_action"


def test_a_year_goes_on_by_the_longest_interval_that_there_is() -> None:
    (version,) = setting_of(plans()).versions
    found = [interval_like(version, "pro", name, "USD") for name in ("yearly", "monthly", None)]
    assert found == ["monthly", "monthly", "monthly"]
    assert interval_like(version, "starter", "quarterly", "USD") == "quarterly"
    assert interval_like(version, "free", "monthly", "USD") is None


def test_a_price_that_is_gone_by_the_renewal_is_said() -> None:
    """The plan had a monthly price when it was chosen to go on with."""
    later = plans(pro={**PRO, "prices": {"yearly": {"amount": "990.00"}}})
    setting = without(deletion(to="pro"))
    versions = setting_of(plans(), later.model_copy(update={"effective_at": day("2026-04-20")}))
    setting = replace(versions, deletions=setting.deletions)
    running = told([subscribed("2026-04-01")], setting, "2026-04-30").state.subscription
    assert running is not None
    with pytest.raises(PlanNotPriced):
        renewal_terms(running, setting, instant("2026-05-01"), day("2026-05-01"))


def test_from_when_on_nothing_can_follow() -> None:
    setting = without(deletion("pro", at="2026-04-20"), deletion(to="free"))
    running = told([subscribed("2026-04-01")], setting, "2026-04-30").state.subscription
    assert running is not None
    assert coming(running, setting, instant("2026-05-01")).plan == "free"
    assert withdrawn_at(running, setting) is None
    gone = (*setting.deletions, PlanDeletion("x", instant("2026-04-25"), "free", None))
    assert withdrawn_at(running, replace(setting, deletions=gone)) == instant("2026-04-25")


def test_a_correction_in_the_customers_favour_is_not_waived_with_the_plan() -> None:
    """March was charged 20.00 too much; late use that would cost more makes no invoice."""
    story = [created(), subscribed("2026-03-01")]
    less = [use("2026-03-10", "11000"), use("2026-03-11", "-1000", landed_on="2026-04-20")]
    more = [use("2026-03-10", "11000"), use("2026-03-11", "1000", landed_on="2026-04-20")]
    gone = without(deletion())
    given = posted(story, without(deletion(), uses=less), "2026-05-10")
    assert [line.split(":")[0] for line in invoices(given)] == [
        "2026-03-01 initial",
        "2026-04-01 recurring",
        "2026-05-01 credit_note",
    ]
    assert given.invoices[-1].total.major == -20
    kept = posted(story, without(deletion(), uses=more), "2026-05-10")
    assert len(kept.invoices) == 2
    assert gone.deletions[0].to is None


def test_a_free_subscription_keeps_the_currency_of_what_was_paid() -> None:
    tale = [subscribed("2026-04-01", currency="JPY")]
    moved = told(tale, without(deletion(to="free")), "2026-05-01")
    assert moved.state.subscription is not None
    assert moved.state.subscription.terms.currency.code == "JPY"
    assert moved.state.subscription.terms.is_free


def test_who_chooses_a_deleted_plan_hears_what_there_is() -> None:
    setting = without(deletion())
    late = told([subscribed("2026-04-12")], setting)
    assert outcomes(late)["s1"] == "refused plan_not_available"
    assert late.outcomes[-1].what == "plan 'starter' is not on offer; on offer: free, pro"
