"""How a customer moves to another plan of the group, or to another interval.

Up is at once: the running window is closed and charged at its own terms, unused days are
given back, and a new period begins on the day of the change, at the catalog's terms of that
instant. Down waits for the end of the period.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from billing_core.actions import AssignPlan, ChangePlan, ReasonCode
from billing_core.cancelling import closed_now, unused_credits
from billing_core.catalog import Catalog, group_of
from billing_core.cycle import charged_period, paid_period, pending_true_ups
from billing_core.downgrades import downgrade_warnings
from billing_core.invoice import InvoiceLine, InvoiceType
from billing_core.issuing import Cause, invoice_id_of, issue
from billing_core.money import Money
from billing_core.offers import still_negotiated, version_for
from billing_core.pausing import reopened
from billing_core.period import MONTHS, Period, billing_date
from billing_core.seats import is_above_without_price
from billing_core.setting import Setting
from billing_core.state import ENDED, CustomerState, Status, Subscription
from billing_core.step import Refused, Scheduled, Step, refused
from billing_core.subscribing import only_built
from billing_core.terms import Terms

_NOT_RUNNING = "no subscription is running; subscribe to the plan instead"
CANNOT_CHANGE: Mapping[Status, tuple[ReasonCode, str]] = {
    Status.CANCELED: (ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING),
    Status.EXPIRED: (ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING),
    Status.PENDING_PAYMENT: (ReasonCode.NOT_SUBSCRIBED, "the checkout is unpaid; pay it first"),
    Status.PAUSED: (ReasonCode.NOT_SUBSCRIBED, "the subscription is paused; resume it first"),
    Status.PAST_DUE: (ReasonCode.PAST_DUE, "an invoice is unpaid; pay it before changing the plan"),
}


def change_plan(state: CustomerState, action: ChangePlan, at: datetime, setting: Setting) -> Step:
    """A higher plan of the group or a longer interval at once, others at the period's end.

    rule:   CHG-1 to CHG-13.
    raises: NotBilledYet.
    """
    subscription = state.subscription
    if subscription is None:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING)
    if subscription.status in CANNOT_CHANGE:
        return refused(state, *CANNOT_CHANGE[subscription.status])
    terms = target_terms(subscription, action, at, setting)
    if isinstance(terms, Refused):
        return Step(state, terms)
    catalog = setting.version_at(at).catalog
    only_built(terms.plan, catalog)
    ends_trial = subscription.status is Status.TRIALING and not terms.is_free
    if not ends_trial and not _is_up(subscription.terms, terms, catalog):
        return scheduled(state, subscription, terms, at, setting)
    unfit = seats_fit(subscription, terms)
    if unfit is not None:
        return Step(state, unfit)
    return upgrade(state, terms, action, at, setting)


def target_terms(
    subscription: Subscription, action: ChangePlan | AssignPlan, at: datetime, setting: Setting
) -> Terms | Refused:
    """The terms asked for, or why they cannot be had; without interval the current is kept.

    The founder may name a private plan, and one of another group. Rules CAT-3, CHG-1, CHG-13.
    """
    own = subscription.terms
    code = action.plan or own.plan
    is_own = code == own.plan
    version = version_for(subscription, setting, at) if is_own else setting.version_at(at)
    catalog = version.catalog
    plan = catalog.plans.get(code) if setting.plan_at(code, at) else None
    is_assigned = isinstance(action, AssignPlan)
    if plan is None or not (plan.public or is_own or is_assigned):
        return Refused(ReasonCode.PLAN_NOT_AVAILABLE, f"plan {code!r} is not on offer")
    group = group_of(catalog, own.plan)
    is_near = group is not None and group_of(catalog, code) == group
    if not (is_own or is_near or is_assigned):
        what = f"plan {code!r} is in no group with {own.plan!r}; only the founder can assign it"
        return Refused(ReasonCode.NOT_SAME_GROUP, what)
    interval = None if plan.free else action.interval or own.interval
    if not plan.free and interval not in plan.prices:
        what = (
            f"plan {code!r} has no price for interval {interval}; it has {', '.join(plan.prices)}"
        )
        return Refused(ReasonCode.INTERVAL_NOT_AVAILABLE, what)
    if (code, interval) == (own.plan, own.interval):
        return Refused(ReasonCode.ALREADY_SUBSCRIBED, f"plan {code!r} is the current plan already")
    on = billing_date(at, setting.zone_of(subscription.time_zone, at))
    terms = version.terms_in(code, interval, own.currency, on=on)
    if terms is None:
        what = f"plan {code!r} has no price in {own.currency.code}"
        return Refused(ReasonCode.CURRENCY_NOT_AVAILABLE, what)
    return terms


def _is_up(own: Terms, terms: Terms, catalog: Catalog) -> bool:
    """Whether a change is at once: the rank of the plans decides, then the interval.

    From a free plan it always is, to one never. Rules CHG-9, CHG-11.
    """
    if own.is_free != terms.is_free:
        return own.is_free
    if own.plan != terms.plan:
        group = catalog.groups[group_of(catalog, terms.plan) or ""]
        return group.index(terms.plan) > group.index(own.plan)
    return MONTHS[terms.interval or "monthly"] > MONTHS[own.interval or "monthly"]


def scheduled(
    state: CustomerState, subscription: Subscription, terms: Terms, at: datetime, setting: Setting
) -> Step:
    """Another plan or a shorter interval from the next period on, without credit. Rule CHG-8.

    On another plan the customer is warned of what he has above it.
    """
    later = replace(subscription, next_plan=terms.plan, next_interval=terms.interval)
    decision = Scheduled(paid_period(subscription).end)
    state = replace(state, subscription=later)
    if terms.plan == subscription.terms.plan:
        return Step(state, decision)
    notices, looked = downgrade_warnings(state, subscription, terms, at, setting)
    return Step(state, decision, notices=notices, looked=looked)


def seats_fit(subscription: Subscription, terms: Terms) -> Refused | None:
    """Why the seats held cannot be kept on the plan, or None. Rule SEAT-5."""
    for holding in subscription.seats:
        feature = terms.by_code.get(holding.feature)
        if feature is not None and is_above_without_price(feature, holding.held):
            return Refused(
                ReasonCode.SEATS_NOT_INCLUDED,
                f"plan {terms.plan!r} includes {feature.included} {holding.feature!r} and sells "
                f"no more; {holding.held} are held",
            )
    return None


def upgrade(
    state: CustomerState,
    terms: Terms,
    action: ChangePlan | AssignPlan,
    at: datetime,
    setting: Setting,
) -> Step:
    """The window closed, unused days credited and the new period charged on one invoice.

    A running discount is lost, a cancellation that was to come taken back. A trial and a free
    plan charge no window and give nothing back. Rules CHG-2, CHG-11, CHG-13.
    """
    old = state.subscription
    if old is None or old.status in ENDED:
        raise ValueError(f"{state.customer_id} has no subscription to change")
    settled = closed_now(state, old, at, setting)
    opened, charges = charged_period(moved_now(state, old, terms, at, setting), setting, at)
    cause = Cause(InvoiceType.PLAN_CHANGE, action.id, at, opened.anchor, period=opened.period)
    lines = list(charges)
    if not (old.terms.is_free or old.status is Status.TRIALING):
        cause = replace(cause, window=settled.closed.window, usage=settled.rated.usage)
        lines += [*settled.rated.lines, *pending_true_ups(old, setting, at)]
        lines += credits_for(old, opened, at, setting)
    opened = replace(opened, invoice_id=invoice_id_of(state, cause))
    state, invoice = issue(state, opened, cause, lines, setting)
    is_charged = cause.window is not None
    closed = replace(settled.closed, invoice_id=invoice.id if is_charged else None)
    return Step(replace(state, subscription=opened), invoices=(invoice,), windows=(closed,))


def moved_now(
    state: CustomerState, old: Subscription, terms: Terms, at: datetime, setting: Setting
) -> Subscription:
    """A subscription in a new period of other terms, not yet charged: no discount, no change
    that waits. Rules CHG-2, CHG-10."""
    target = replace(
        old,
        terms=terms,
        discount=None,
        next_plan=None,
        next_interval=None,
        negotiated=still_negotiated(old, terms.plan, at),
    )
    return reopened(state, target, at, setting)


def credits_for(
    old: Subscription, opened: Subscription, at: datetime, setting: Setting
) -> tuple[InvoiceLine, ...]:
    """Unused days of the old period; advance seats only by `credit_extra_seats_on_upgrade`.

    rule: CHG-3, CHG-4, CHG-12, SEAT-5.
    """
    if not setting.policies_at(at).credit_extra_seats_on_upgrade:
        nothing = Money(0, old.terms.currency)
        old = replace(old, seats=tuple(replace(it, advance=nothing) for it in old.seats))
    return unused_credits(old, Period(opened.anchor, paid_period(old).end), setting, at)
