"""A trial: it waits for a payment method, gives full access, and charges nothing that is used.

It begins on the day of its setup and ends at local midnight after its days, on whatever day
that is. The first paid period begins there, at the catalog's price of that instant.
"""

from datetime import datetime, timedelta

from billing_core.actions import ReasonCode, TrialSetup
from billing_core.coming import coming, renewal_terms
from billing_core.cycle import (
    Settled,
    charged_period,
    close_window,
    next_terms,
    next_window,
    paid_period,
    running,
)
from billing_core.fairness import improved
from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, day_of, invoice_id_of, issue
from billing_core.period import Period, midnight
from billing_core.seats import open_seats
from billing_core.setting import Setting
from billing_core.state import CustomerState, Status, Subscription, ended
from billing_core.step import Refused, Step
from billing_core.subscribing import opened
from billing_core.terms import Terms, with_lower_costs
from billing_core.values import replace


def set_up_trial(state: CustomerState, _: TrialSetup, at: datetime, setting: Setting) -> Step:
    """A payment method is stored and the trial begins; nothing is charged. Rules SUB-3, SUB-8."""
    subscription = state.subscription
    no = _why_not(subscription)
    if subscription is None or no is not None:
        return Step(state, no or _NOTHING_WAITS)
    start = day_of(setting, state, at)
    terms = _terms_at_start(subscription, setting, at)
    held = {holding.feature: holding.held for holding in subscription.seats}
    begun = opened(
        state,
        replace(subscription, terms=terms, anchor=start, seats=open_seats(terms, held)),
        at,
        setting,
    )
    period = Period(start, start + timedelta(days=subscription.trial_days))
    end = min(running(begun).end, period.end)
    zone = setting.zone_of(begun.time_zone, at)
    begun = replace(
        begun,
        status=Status.TRIALING,
        period=period,
        window=replace(running(begun), end=end, end_at=midnight(end, zone)),
        trial_ends_at=midnight(period.end, zone),
    )
    return Step(replace(state, subscription=begun))


def take_trial_boundary(state: CustomerState, subscription: Subscription, setting: Setting) -> Step:
    """The end of a month of a trial, or of the trial. Rules SUB-3, SUB-9, CAT-8, INV-2.

    takes: a subscription on trial with a window, at the instant of its end.
    """
    window = running(subscription)
    at, settled = window.end_at, close_window(state, subscription, window, setting)
    if window.end != paid_period(subscription).end:
        later = next_window(state, subscription, setting)
        return Step(replace(state, subscription=later), windows=(settled.closed,))
    reason = coming(subscription, setting, at).reason
    if reason is not None:
        gone = ended(subscription, at, reason)
        return Step(replace(state, subscription=gone), windows=(settled.closed,))
    first = next_terms(
        subscription, renewal_terms(subscription, setting, at, window.end), at, setting
    )
    first = opened(state, replace(first, anchor=window.end, months=0), at, setting)
    if first.terms.is_free:
        return Step(replace(state, subscription=first), windows=(settled.closed,))
    return _begin_paid(state, first, settled, setting)


def _begin_paid(
    state: CustomerState, first: Subscription, settled: Settled, setting: Setting
) -> Step:
    """The first paid period, from the trial's end on, and its invoice. SUB-3, INV-4, OFR-2."""
    at = settled.closed.window.end_at
    charged, charges = charged_period(first, setting, at)
    cause = Cause(InvoiceType.INITIAL, first.id, at, first.anchor, period=first.period)
    charged = replace(charged, invoice_id=invoice_id_of(state, cause))
    state, invoice = issue(state, charged, cause, charges, setting)
    return Step(
        replace(state, subscription=charged), invoices=(invoice,), windows=(settled.closed,)
    )


def _terms_at_start(subscription: Subscription, setting: Setting, at: datetime) -> Terms:
    """The terms of the day of subscription, with what is better at the setup. FAIR-1, FAIR-4."""
    own, version = subscription.terms, setting.version_at(at)
    offered = version.terms_like(own)
    if offered is None:
        return own
    lowers = version.catalog.policies.unit_price_decrease_immediate
    return with_lower_costs(improved(own, offered, lowers_unit_prices=lowers), offered)


_NOTHING_WAITS = Refused(ReasonCode.NOT_SUBSCRIBED, "no trial waits for its setup; subscribe first")


def _why_not(subscription: Subscription | None) -> Refused | None:
    """Why no trial can be set up, or None."""
    if subscription is None or subscription.status is Status.CANCELED:
        return _NOTHING_WAITS
    match subscription.status:
        case Status.EXPIRED:
            what = "the checkout has expired; subscribe again"
            return Refused(ReasonCode.EXPIRED, what)
        case Status.TRIALING:
            return Refused(ReasonCode.TRIALING, "the trial is running already")
        case Status.PENDING_PAYMENT if subscription.trial_days:
            return None
        case Status.PENDING_PAYMENT:
            what = "this checkout has no trial; pay its initial invoice"
            return Refused(ReasonCode.NOT_FOUND, what)
        case _:
            what = f"subscription {subscription.id} is {subscription.status}; no trial waits"
            return Refused(ReasonCode.ALREADY_ACTIVE, what)
