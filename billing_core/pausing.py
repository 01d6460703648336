"""A subscription that rests: no billing, no access; and how it goes on.

A pause closes the running window and charges what is pending; nothing is given back. A
resume opens a new period on its day, at the catalog's terms of that instant.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from billing_core.actions import Pause, ReasonCode, Resume
from billing_core.addons import active, in_window, renewed_addons
from billing_core.cancelling import closed_now
from billing_core.coming import coming, renewal_terms
from billing_core.cycle import charged_period, paid_period, pending_true_ups
from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, day_of, invoice_id_of, issue
from billing_core.money import Money
from billing_core.offers import still_negotiated
from billing_core.period import MONTHS, Period, Window, boundary, midnight
from billing_core.records import failing
from billing_core.seats import open_seats
from billing_core.setting import Setting
from billing_core.settling import settle
from billing_core.state import (
    ENDED,
    CancelReason,
    CustomerState,
    Status,
    Subscription,
    ended,
    trial_end,
)
from billing_core.step import Step, refused

_NOT_RUNNING = "no subscription is running; there is nothing to pause"
CANNOT_PAUSE: Mapping[Status, tuple[ReasonCode, str]] = {
    Status.PENDING_PAYMENT: (ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING),
    Status.PAUSED: (ReasonCode.NOT_SUBSCRIBED, "the subscription is paused already; resume it"),
    Status.TRIALING: (ReasonCode.TRIALING, "a trial cannot be paused; cancel it"),
    Status.PAST_DUE: (ReasonCode.PAST_DUE, "an invoice is unpaid; pay it before pausing"),
}


def pause(state: CustomerState, action: Pause, at: datetime, setting: Setting) -> Step:
    """No access from the instant on; overage and true-ups are invoiced. Rules SUB-5, SUB-10."""
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING)
    if subscription.status in CANNOT_PAUSE:
        return refused(state, *CANNOT_PAUSE[subscription.status])
    settled = closed_now(state, subscription, at, setting)
    window = settled.closed.window
    cause = Cause(InvoiceType.OVERAGE, action.id, at, window.end, window, usage=settled.rated.usage)
    lines = [*settled.rated.lines, *pending_true_ups(subscription, setting, at)]
    state, made = settle(state, subscription, cause, lines, setting)
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    resting = _resting(subscription, at, setting)
    return Step(replace(state, subscription=resting), invoices=made, windows=(closed,))


def resume(state: CustomerState, action: Resume, at: datetime, setting: Setting) -> Step:
    """A new period from the day on, at the price then in force. Rules SUB-5, SUB-10.

    Seats and add-ons go on and are charged in full.

    It takes back a cancellation that was still to come.
    raises: PlanNotPriced.
    """
    subscription = state.subscription
    if subscription is None or subscription.status is not Status.PAUSED:
        return refused(state, ReasonCode.NOT_PAUSED, "no subscription is paused")
    subscription = replace(subscription, cancel_on=None)
    if coming(subscription, setting, at).plan is None:
        what = f"plan {subscription.terms.plan!r} was deleted; subscribe to another one instead"
        return refused(state, ReasonCode.PLAN_NOT_AVAILABLE, f"{what}, after a cancellation")
    opened = reopened(state, _renewed(state, subscription, setting, at), at, setting)
    if opened.terms.is_free:
        return Step(replace(state, subscription=opened))
    charged, lines = charged_period(opened, setting, at)
    cause = Cause(InvoiceType.RECURRING, action.id, at, opened.anchor, period=opened.period)
    charged = replace(charged, invoice_id=invoice_id_of(state, cause))
    state, invoice = issue(state, charged, cause, lines, setting)
    return Step(replace(state, subscription=charged), invoices=(invoice,))


def _renewed(
    state: CustomerState, subscription: Subscription, setting: Setting, at: datetime
) -> Subscription:
    """A paused subscription with the terms of its next period, a change that waited included."""
    own, on = subscription.terms, day_of(setting, state, at)
    terms = renewal_terms(subscription, setting, at, on)
    is_same = (terms.plan, terms.interval) == (own.plan, own.interval)
    return replace(
        subscription,
        terms=terms,
        negotiated=still_negotiated(subscription, terms.plan, at),
        discount=subscription.discount if is_same else None,
        next_plan=None,
        next_interval=None,
    )


def reopened(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Subscription:
    """A subscription in the first window of a new period of its terms, which begins at once.

    takes:   a subscription with the terms of the new period.
    returns: the anchor on the day, seats and add-ons held but not yet charged, no cancellation
             to come; past due where an invoice of before the pause has failed and is unpaid.
    rule:    SUB-5, CHG-2, CHG-13, ADD-4, PAY-1.
    """
    start, terms = day_of(setting, state, at), subscription.terms
    own = None if state.customer is None else state.customer.time_zone
    end = boundary(start, 1)
    months = MONTHS[terms.interval] if terms.interval else 1
    held = {holding.feature: holding.held for holding in subscription.seats}
    window = Window(start, end, at, midnight(end, setting.zone_of(own, at)))
    return replace(
        subscription,
        status=Status.PAST_DUE if failing(state, subscription) else Status.ACTIVE,
        anchor=start,
        months=0,
        period=Period(start, boundary(start, months)),
        window=window,
        addons=in_window(renewed_addons(subscription, terms, setting, at), window),
        time_zone=setting.zone_name(own, at),
        seats=open_seats(terms, held),
        plan_charge=Money(0, terms.currency),
        cancel_on=None,
        expires_at=None,
        settled_at=None,
        trial_ends_at=trial_end(subscription, at),
    )


def end_paused(state: CustomerState, subscription: Subscription, at: datetime) -> Step:
    """A paused subscription ends on the day of its cancellation, without invoice. SUB-5, CAT-8."""
    is_asked = subscription.cancel_on is not None
    reason = CancelReason.REQUESTED if is_asked else CancelReason.PLAN_DELETED
    return Step(replace(state, subscription=ended(subscription, at, reason)))


def _resting(subscription: Subscription, at: datetime, setting: Setting) -> Subscription:
    nothing = Money(0, subscription.terms.currency)
    is_ending = coming(subscription, setting, at).plan is None
    zone = setting.zone_of(subscription.time_zone, at)
    return replace(
        subscription,
        status=Status.PAUSED,
        window=None,
        period=None,
        plan_charge=None,
        settled_at=at,
        expires_at=midnight(paid_period(subscription).end, zone) if is_ending else None,
        seats=tuple(replace(it, advance=nothing, additions=()) for it in subscription.seats),
        addons=tuple(replace(it, spans=(), is_paid=False) for it in active(subscription)),
    )
