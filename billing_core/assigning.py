"""How the founder moves a customer to a plan: any that there is, also a private one.

Now it settles as an upgrade does, whatever the rank; at the renewal it waits as a downgrade
does. Who has no subscription begins one.
"""

from datetime import datetime

from billing_core.actions import AssignPlan, ReasonCode, Subscribe
from billing_core.cancelling import closed_now
from billing_core.cycle import without_charge
from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, net, surplus_credit
from billing_core.plan_changes import (
    CANNOT_CHANGE,
    credits_for,
    moved_now,
    scheduled,
    seats_fit,
    target_terms,
    upgrade,
)
from billing_core.setting import Setting
from billing_core.state import ENDED, CustomerState, Subscription
from billing_core.step import Refused, Step
from billing_core.subscribing import only_built, subscribe
from billing_core.terms import Terms
from billing_core.values import replace


def assign_plan(state: CustomerState, action: AssignPlan, at: datetime, setting: Setting) -> Step:
    """A plan that the founder gives a customer, now or from the next period on.

    Another consumption model only comes with a new period.
    rule:   CHG-13, CAT-3, INV-13, SEAT-5.
    raises: NotBilledYet.
    """
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return subscribe(state, _begun(action), at, setting)
    terms = _assigned(subscription, action, at, setting)
    if isinstance(terms, Refused):
        return Step(state, terms)
    if action.effective == "renewal":
        return scheduled(state, subscription, terms, at, setting)
    if terms.is_free:
        return _free_now(state, subscription, terms, action, at=at, setting=setting)
    return upgrade(state, terms, action, at, setting)


def _assigned(
    subscription: Subscription, action: AssignPlan, at: datetime, setting: Setting
) -> Terms | Refused:
    """The terms that are assigned to a subscription, or why they cannot be."""
    if subscription.status in CANNOT_CHANGE:
        return Refused(*CANNOT_CHANGE[subscription.status])
    terms = target_terms(subscription, action, at, setting)
    if isinstance(terms, Refused):
        return terms
    catalog = setting.version_at(at).catalog
    only_built(terms.plan, catalog)
    unfit = None if action.effective == "renewal" else _unfit_now(subscription, terms)
    return unfit or terms


def _unfit_now(subscription: Subscription, terms: Terms) -> Refused | None:
    """Why a plan cannot begin inside a period, or None. Rules CHG-13, SEAT-5."""
    own = subscription.terms
    if terms.consumption_model == own.consumption_model:
        return seats_fit(subscription, terms)
    return Refused(
        ReasonCode.WRONG_MODEL,
        f"plan {own.plan!r} is on {own.consumption_model}, {terms.plan!r} on "
        f"{terms.consumption_model}; assign it with effective: renewal",
    )


def _begun(action: AssignPlan) -> Subscribe:
    """The subscription that an assignment begins for somebody who has none. Rule CAT-3."""
    return Subscribe(
        id=action.id,
        at=action.at,
        received_at=action.received_at,
        actor=action.actor,
        customer=action.customer,
        plan=action.plan,
        interval=action.interval,
    )


def _free_now(
    state: CustomerState,
    old: Subscription,
    terms: Terms,
    action: AssignPlan,
    *,
    at: datetime,
    setting: Setting,
) -> Step:
    """A free plan at once, without invoice: unused days are the customer's credit.

    What the broken window would charge is waived, since there is no invoice for it.
    rule: CHG-13, INV-13, CHG-3, CHG-6.
    """
    closed = without_charge(closed_now(state, old, at, setting)).closed
    opened = moved_now(state, old, terms, at, setting)
    without_true_ups = tuple(replace(it, additions=()) for it in old.seats)
    unused = (
        ()
        if old.terms.is_free
        else credits_for(replace(old, seats=without_true_ups), opened, at, setting)
    )
    credits_held = state.credits
    if unused:
        cause = Cause(InvoiceType.PLAN_CHANGE, action.id, at, opened.anchor)
        credits_held = (*credits_held, surplus_credit(cause, -net(unused, unused[0].amount)))
    return Step(replace(state, subscription=opened, credits=credits_held), windows=(closed,))
