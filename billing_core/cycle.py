"""What happens on a boundary: the closed window is settled, the next one opens.

The order is INV-2's: overage of the closed window at the old terms, scheduled changes,
advance charges at the new terms. Boundaries are counted from the anchor (CNV-3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from billing_core.discounts import after_cycle, discount_line
from billing_core.drawing import CREDITS, Drawn, draw, stretches, unit_of
from billing_core.errors import BillingError
from billing_core.invoice import InvoiceLine, InvoiceType, LineType, UsedFeature
from billing_core.issuing import Cause, invoice_id_of, issue
from billing_core.late_usage import (
    at_most_booked,
    booked_cutoff,
    invoice_of,
    is_charged,
    is_more_waived,
    without_more,
)
from billing_core.money import Money
from billing_core.offers import began_at, offers_within, still_negotiated, version_for
from billing_core.period import MONTHS, Period, Window, boundary, midnight
from billing_core.rating import RatedWindow, rate_window
from billing_core.seats import advance_lines, open_seats, true_up_lines
from billing_core.setting import Setting
from billing_core.settling import settle
from billing_core.state import CustomerState, Funds, SeatHolding, Status, Subscription, ended
from billing_core.step import ClosedWindow, Step
from billing_core.terms import Terms, with_lower_costs
from billing_core.usage import WindowKey
from billing_core.values import replace

UNIT = {"monthly": "month", "quarterly": "quarter", "yearly": "year"}


class PlanNotPriced(BillingError):
    """A subscription renews on a plan that the catalog no longer prices."""

    code = "PRICE-02"

    def __init__(self, *, plan: str, interval: str | None, currency: str, on: date) -> None:
        super().__init__(
            what=f"plan {plan!r} has no {interval} price in {currency} on {on}",
            where=f"the catalog version in force on {on}, plans.{plan}.prices",
            mend="keep the price while someone is subscribed, or delete the plan with an option",
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """A closed window: what it owes, and the record of where its usage went."""

    rated: RatedWindow
    closed: ClosedWindow


def take_boundary(state: CustomerState, subscription: Subscription, setting: Setting) -> Step:
    """The end of the running window. Rules INV-1, INV-2, INV-6, INV-7.

    takes: a subscription with a window, at the instant of its end.
    """
    window = running(subscription)
    settled = close_window(state, subscription, window, setting)
    if subscription.terms.is_free:
        free = replace(subscription, terms=_free_terms(subscription, window.end_at, setting))
        renewed = next_window(state, free, setting)
        return Step(replace(state, subscription=renewed), windows=(settled.closed,))
    if subscription.cancel_on == window.end:
        return _end(state, subscription, settled, setting)
    if subscription.period is not None and subscription.period.end == window.end:
        return _renew(state, subscription, settled, setting)
    return _settle_month(state, subscription, settled, setting)


def _free_terms(subscription: Subscription, at: datetime, setting: Setting) -> Terms:
    """A free plan's terms for its next month: the catalog's. Rules FAIR-4, SUB-2."""
    own = subscription.terms
    version = version_for(subscription, setting, at)
    return version.terms.get((own.plan, None, own.currency.code), own)


def running(subscription: Subscription) -> Window:
    """The running window of a subscription that has one."""
    if subscription.window is None:
        raise ValueError(f"subscription {subscription.id} has no running window")
    return subscription.window


def paid_period(subscription: Subscription) -> Period:
    """The period that the plan price paid for, of a subscription that has one."""
    if subscription.period is None:
        raise ValueError(f"subscription {subscription.id} has no period")
    return subscription.period


def close_window(
    state: CustomerState, subscription: Subscription, window: Window, setting: Setting
) -> Settled:
    """The window rated at its own terms with the usage known at its cutoff. Rules USE-3, USE-8.

    Of a posted window within the lookback, the usage known now: the difference is late usage.
    """
    terms, policies = subscription.terms, setting.policies_at(window.end_at)
    is_settled = is_charged(window, setting)
    cutoff = setting.cutoff_on(window.end_at)
    if is_settled:
        cutoff = booked_cutoff(window, setting)
    key = WindowKey(state.customer_id, window.start_at, window.end_at, cutoff)
    if terms.consumption_model != "metered":
        drawn = draw_window(state, subscription, window, cutoff, setting)
        rated = drawn.rated
        if is_settled:
            rated = at_most_booked(rated, invoice_of(window, setting))
        return Settled(rated, ClosedWindow(key, window, terms, rated.usage, drawn=drawn))
    rated = rate_window(
        terms,
        setting.usage.get(key, {}),
        service_days(window),
        per_event=policies.token_cost_rounding == "per_event",
    )
    if is_settled and is_more_waived(window.end_at, setting):
        rated = without_more(rated, invoice_of(window, setting))
    return Settled(rated, ClosedWindow(key, window, terms, rated.usage))


def draw_window(
    state: CustomerState,
    subscription: Subscription,
    window: Window,
    cutoff: date,
    setting: Setting,
) -> Drawn:
    """A window of a plan with credits or a balance drawn, with the usage known at a cutoff.

    rule: CRD-1, CRD-4, BAL-2, SUB-2: on a free plan, as in a trial, nothing is charged.
    """
    terms, unit = subscription.terms, unit_of(subscription.terms)
    funds = state.funds or Funds(unit, Fraction(0), Fraction(0))
    zone = setting.zone_of(subscription.time_zone, window.start_at)
    changed = _lower_costs(subscription, window, setting) if unit == CREDITS else ()
    cut_at = [*(it.at for it in funds.additions), *(at for at, _ in changed)]
    keys = [
        (it, WindowKey(state.customer_id, it.start_at, it.end_at, cutoff))
        for it in stretches(window, zone, cut_at)
    ]
    is_uncharged = terms.is_free or subscription.status is Status.TRIALING
    policies = setting.policies_at(window.end_at)
    return draw(
        terms,
        funds,
        keys,
        setting.usage,
        service=service_days(window),
        is_blocking=unit == CREDITS or terms.block_on_exhaustion or is_uncharged,
        per_event=policies.token_cost_rounding == "per_event",
        changed=changed,
    )


def _lower_costs(
    subscription: Subscription, window: Window, setting: Setting
) -> tuple[tuple[datetime, Terms], ...]:
    """Lower costs in credits that were offered since the period began, each from its instant.

    rule: CRD-3: a higher cost waits for renewal, and a lowered one is kept until then.
    """
    own, since = subscription.terms, began_at(subscription, setting)
    key, found = (own.plan, own.interval, own.currency.code), []
    for at, version in offers_within(
        subscription, setting, since, until=window.end_at, is_included=False
    ):
        offered = version.terms.get(key)
        if offered is not None:
            lower = with_lower_costs(own, offered)
            if lower != own:
                found.append((at, lower))
            own = lower
    return tuple(found)


def service_days(window: Window) -> Period:
    """The days of a window; one closed on its first day covers that day."""
    return Period(window.start, max(window.end, window.start + timedelta(days=1)))


def next_window(state: CustomerState, subscription: Subscription, setting: Setting) -> Subscription:
    """The subscription in the window after the running one. Rules CNV-3, CNV-9."""
    old, months = running(subscription), subscription.months + 1
    end = boundary(subscription.anchor, months + 1)
    own = None if state.customer is None else state.customer.time_zone
    window = Window(old.end, end, old.end_at, midnight(end, setting.zone_of(own, old.end_at)))
    zone = setting.zone_name(own, old.end_at)
    period = window.period if subscription.terms.is_free else subscription.period
    return replace(subscription, months=months, window=window, time_zone=zone, period=period)


def period_charges(
    terms: Terms, holdings: tuple[SeatHolding, ...], period: Period, setting: Setting, at: datetime
) -> tuple[InvoiceLine, ...]:
    """What a new period costs in advance: the plan, and seats above the included.

    rule: SUB-4, SEAT-1, INV-2.
    """
    base = InvoiceLine(
        type=LineType.PLAN_BASE,
        name=terms.plan_name,
        amount=Money.rounded(terms.amount, terms.currency),
        quantity=Fraction(1),
        unit=UNIT[terms.interval or "monthly"],
        unit_price=terms.amount,
        service=period,
        rule="INV-1",
        tax_category=terms.tax_category,
    )
    is_monthly = setting.policies_at(at).seat_price_is_monthly
    return (base, *advance_lines(terms, holdings, period, is_monthly=is_monthly))


def charged_period(
    subscription: Subscription, setting: Setting, at: datetime
) -> tuple[Subscription, tuple[InvoiceLine, ...]]:
    """A subscription that remembers what its new period cost in advance, and the lines of that.

    takes: a subscription with the terms, seats and period that it is charged for.
    rule:  SUB-4, INV-2, DSC-1, OFR-2, CNV-7.
    """
    charges = period_charges(
        subscription.terms, subscription.seats, paid_period(subscription), setting, at
    )
    base, effective = charges[0], charges[0].amount
    off = discount_line(base, subscription.discount)
    if off is not None:
        charges, effective = (*charges, off), base.amount + off.amount
    charged = replace(
        subscription,
        seats=with_advances(subscription.seats, charges),
        plan_charge=effective,
        discount=after_cycle(subscription.discount),
    )
    return charged, charges


def with_advances(
    holdings: tuple[SeatHolding, ...], charges: Sequence[InvoiceLine]
) -> tuple[SeatHolding, ...]:
    """Holdings that remember what was charged for them in advance."""
    paid = {
        line.code: line.amount
        for line in charges
        if line.type is LineType.FEATURE_SEATS and line.charge_type == "advance"
    }
    return tuple(
        replace(holding, advance=paid[holding.feature]) if holding.feature in paid else holding
        for holding in holdings
    )


def pending_true_ups(
    subscription: Subscription, setting: Setting, at: datetime
) -> tuple[InvoiceLine, ...]:
    """The true-ups of the running period. Rule SEAT-2."""
    return true_up_lines(
        subscription.terms,
        subscription.seats,
        paid_period(subscription),
        is_monthly=setting.policies_at(at).seat_price_is_monthly,
    )


def waived(usage: Sequence[UsedFeature]) -> tuple[UsedFeature, ...]:
    """The same usage with what would have been billed waived. Rules PAY-3, CAT-9."""
    return tuple(replace(item, waived=item.billed, billed=Fraction(0)) for item in usage)


def _renew(
    state: CustomerState, subscription: Subscription, settled: Settled, setting: Setting
) -> Step:
    """A billing month: overage and true-ups at the old terms, the new period at the new."""
    window = settled.closed.window
    at, start = window.end_at, window.end
    terms = renewal_terms(subscription, setting, at)
    months = MONTHS[terms.interval or "monthly"]
    period = Period(start, boundary(subscription.anchor, subscription.months + 1 + months))
    held = {holding.feature: holding.held for holding in subscription.seats}
    seats = open_seats(terms, held)
    is_changed = subscription.next_plan is not None
    opening = replace(
        subscription,
        terms=terms,
        period=period,
        seats=seats,
        discount=None if is_changed else subscription.discount,
        next_plan=None,
        next_interval=None,
        negotiated=still_negotiated(subscription, terms.plan, at),
    )
    paying, charges = charged_period(opening, setting, at)
    lines = [*charges, *settled.rated.lines, *pending_true_ups(subscription, setting, at)]
    cause = Cause(
        InvoiceType.RECURRING,
        subscription.id,
        at,
        start,
        window=window,
        period=period,
        usage=settled.rated.usage,
    )
    paying = replace(paying, invoice_id=invoice_id_of(state, cause))
    state, invoice = issue(state, paying, cause, lines, setting)
    renewed = next_window(state, paying, setting)
    closed = replace(settled.closed, invoice_id=invoice.id)
    return Step(replace(state, subscription=renewed), invoices=(invoice,), windows=(closed,))


def renewal_terms(subscription: Subscription, setting: Setting, at: datetime) -> Terms:
    """The catalog's terms at a renewal, and above them what was negotiated. FAIR-3, 4, CHG-13.

    raises: PlanNotPriced, NegotiatedTermsDoNotFit.
    """
    old = subscription.terms
    key = (old.plan, old.interval, old.currency.code)
    if subscription.next_plan is not None:
        key = (subscription.next_plan, subscription.next_interval, old.currency.code)
    terms = version_for(subscription, setting, at).terms.get(key)
    if terms is None:
        raise PlanNotPriced(plan=key[0], interval=key[1], currency=key[2], on=at.date())
    return terms


def _settle_month(
    state: CustomerState, subscription: Subscription, settled: Settled, setting: Setting
) -> Step:
    """A month inside a quarter or a year: resets, and an invoice if overage is due. INV-6."""
    window = settled.closed.window
    cause = Cause(
        InvoiceType.OVERAGE,
        subscription.id,
        window.end_at,
        window.end,
        window=window,
        usage=settled.rated.usage,
    )
    state, made = settle(state, subscription, cause, settled.rated.lines, setting)
    renewed = replace(state, subscription=next_window(state, subscription, setting))
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    return Step(renewed, invoices=made, windows=(closed,))


def _end(
    state: CustomerState, subscription: Subscription, settled: Settled, setting: Setting
) -> Step:
    """A cancellation that takes effect: what is still owed makes a final invoice. SUB-6, INV-7."""
    window = settled.closed.window
    lines = [*settled.rated.lines, *pending_true_ups(subscription, setting, window.end_at)]
    cause = Cause(
        InvoiceType.FINAL,
        subscription.id,
        window.end_at,
        window.end,
        window=window,
        usage=settled.rated.usage,
    )
    state, made = settle(state, subscription, cause, lines, setting)
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    state = replace(state, subscription=ended(subscription, window.end_at))
    return Step(state, invoices=made, windows=(closed,))
