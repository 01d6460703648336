"""What happens on a boundary: the closed window is settled, the next one opens.

The order is INV-2's: overage of the closed window at the old terms, scheduled changes,
advance charges at the new terms. Boundaries are counted from the anchor (CNV-3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from billing_core.addons import (
    base_lines,
    changed_at,
    in_window,
    offered_terms,
    renewed_addons,
    window_terms,
)
from billing_core.catalog import Policies
from billing_core.coming import coming, is_withdrawn, renewal_terms
from billing_core.discounts import after_cycle, discount_line
from billing_core.drawing import CREDITS, Drawn, draw, stretches, unit_of
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
from billing_core.offers import began_at, offers_within, still_negotiated
from billing_core.period import MONTHS, Period, Window, boundary, midnight
from billing_core.rating import RatedWindow, rate_window, uncharged
from billing_core.seats import advance_lines, open_seats, true_up_lines
from billing_core.setting import Setting
from billing_core.settling import settle
from billing_core.state import (
    CancelReason,
    CustomerState,
    Funds,
    SeatHolding,
    Status,
    Subscription,
    ended,
)
from billing_core.step import ClosedWindow, Step
from billing_core.terms import Terms, with_lower_costs
from billing_core.usage import UsageSnapshot, WindowKey
from billing_core.values import replace

UNIT = {"monthly": "month", "quarterly": "quarter", "yearly": "year"}


@dataclass(frozen=True, slots=True)
class Settled:
    """A closed window: what it owes, and the record of where its usage went."""

    rated: RatedWindow
    closed: ClosedWindow


def take_boundary(state: CustomerState, subscription: Subscription, setting: Setting) -> Step:
    """The end of the running window. Rules INV-1, INV-2, INV-6, INV-7, CHG-13, CAT-8.

    takes: a subscription with a window, at the instant of its end.
    """
    window = running(subscription)
    settled = close_window(state, subscription, window, setting)
    if paid_period(subscription).end != window.end:
        return _settle_month(state, subscription, settled, subscription, setting)
    reason = coming(subscription, setting, window.end_at).reason
    if reason is not None:
        return _end(state, subscription, settled, reason, setting)
    terms = renewal_terms(subscription, setting, window.end_at, window.end)
    opening = next_terms(subscription, terms, window.end_at, setting)
    if opening.terms.is_free:
        return _settle_month(state, subscription, settled, opening, setting)
    return _renew(state, subscription, settled, opening, setting)


def next_terms(
    subscription: Subscription, terms: Terms, at: datetime, setting: Setting
) -> Subscription:
    """A subscription with the terms of its next period, of which nothing is charged yet.

    rule: CHG-13, ADD-4, OFR-3: a discount is lost on another plan or interval.
    """
    own = subscription.terms
    is_same = (terms.plan, terms.interval) == (own.plan, own.interval)
    held = {holding.feature: holding.held for holding in subscription.seats}
    return replace(
        subscription,
        terms=terms,
        seats=open_seats(terms, held),
        discount=subscription.discount if is_same else None,
        plan_charge=Money(0, terms.currency),
        next_plan=None,
        next_interval=None,
        negotiated=still_negotiated(subscription, terms.plan, at),
        addons=renewed_addons(subscription, terms, setting, at),
    )


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
    """A window settled as it closes; where its plan was withdrawn nothing is charged. CAT-8."""
    settled = _closed(state, subscription, window, setting)
    is_waived = is_withdrawn(subscription, setting, window.end_at)
    return without_charge(settled) if is_waived else settled


def without_charge(settled: Settled) -> Settled:
    """A closed window with all that it would charge waived. Rules PAY-3, CAT-8."""
    usage = waived(settled.rated.usage)
    return Settled(RatedWindow((), usage), replace(settled.closed, usage=usage))


def _closed(
    state: CustomerState, subscription: Subscription, window: Window, setting: Setting
) -> Settled:
    """The window rated at its own terms with the usage known at its cutoff. Rules USE-3, USE-8.

    Of a posted window within the lookback, the usage known now: the difference is late usage.
    """
    terms, policies = window_terms(subscription), setting.policies_at(window.end_at)
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
    rated = rate_metered(subscription, window, setting.usage.get(key, {}), policies)
    if is_settled and is_more_waived(window.end_at, setting):
        rated = without_more(rated, invoice_of(window, setting))
    return Settled(rated, ClosedWindow(key, window, terms, rated.usage))


def rate_metered(
    subscription: Subscription,
    window: Window,
    snapshots: Mapping[str, UsageSnapshot],
    policies: Policies,
) -> RatedWindow:
    """A window of a plan on the metered model, closed or running. Rules USE-4, SUB-3."""
    rated = rate_window(
        window_terms(subscription),
        snapshots,
        service_days(window),
        per_event=policies.token_cost_rounding == "per_event",
    )
    return uncharged(rated) if subscription.status is Status.TRIALING else rated


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
    terms, unit = window_terms(subscription), unit_of(subscription.terms)
    funds = state.funds or Funds(unit, Fraction(0), Fraction(0))
    zone = setting.zone_of(subscription.time_zone, window.start_at)
    changed = _lower_costs(subscription, window, setting) if unit == CREDITS else ()
    cut_at = [
        *(it.at for it in funds.additions),
        *(at for at, _ in changed),
        *changed_at(subscription),
    ]
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
    own, since, found = window_terms(subscription), began_at(subscription, setting), []
    for at, version in offers_within(
        subscription, setting, since, until=window.end_at, is_included=False
    ):
        offered = offered_terms(subscription, version)
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
    """The subscription in the window after the running one. Rules CNV-3, CNV-9, SUB-3."""
    old, months = running(subscription), subscription.months + 1
    end = boundary(subscription.anchor, months + 1)
    own = None if state.customer is None else state.customer.time_zone
    zone, trial_ends_at = setting.zone_of(own, old.end_at), subscription.trial_ends_at
    if subscription.status is Status.TRIALING:
        end = min(end, paid_period(subscription).end)
        trial_ends_at = midnight(paid_period(subscription).end, zone)
    window = Window(old.end, end, old.end_at, midnight(end, zone))
    period = window.period if subscription.terms.is_free else subscription.period
    is_new = period is None or period.start == window.start
    return replace(
        subscription,
        months=months,
        window=window,
        began_at=None if is_new else began_at(subscription, setting),
        time_zone=setting.zone_name(own, old.end_at),
        period=period,
        trial_ends_at=trial_ends_at,
        addons=in_window(subscription.addons, window),
    )


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
    addons = subscription.addons
    if addons:
        addons, bases = base_lines(subscription, paid_period(subscription), unit=base.unit)
        charges = (base, *bases, *charges[1:])
    off = discount_line(base, subscription.discount)
    if off is not None:
        charges, effective = (*charges, off), base.amount + off.amount
    charged = replace(
        subscription,
        seats=with_advances(subscription.seats, charges),
        plan_charge=effective,
        discount=after_cycle(subscription.discount),
        addons=addons,
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
        owing_seats(subscription, setting, at),
        paid_period(subscription),
        is_monthly=setting.policies_at(at).seat_price_is_monthly,
    )


def owing_seats(
    subscription: Subscription, setting: Setting, at: datetime
) -> tuple[SeatHolding, ...]:
    """Seats with the true-ups that are owed for them: none on a withdrawn plan. CAT-8."""
    if not is_withdrawn(subscription, setting, at):
        return subscription.seats
    return tuple(replace(holding, additions=()) for holding in subscription.seats)


def waived(usage: Sequence[UsedFeature]) -> tuple[UsedFeature, ...]:
    """The same usage with what would have been billed waived. Rules PAY-3, CAT-9."""
    return tuple(replace(item, waived=item.billed, billed=Fraction(0)) for item in usage)


def _renew(
    state: CustomerState,
    subscription: Subscription,
    settled: Settled,
    opening: Subscription,
    setting: Setting,
) -> Step:
    """A billing month: overage and true-ups at the old terms, the new period at the new.

    The first paid period of a subscription that was free until then is its initial one (INV-4).
    """
    window = settled.closed.window
    at, start = window.end_at, window.end
    is_first = subscription.terms.is_free and subscription.invoice_id is None
    months = MONTHS[opening.terms.interval or "monthly"]
    period = Period(start, boundary(subscription.anchor, subscription.months + 1 + months))
    paying, charges = charged_period(replace(opening, period=period), setting, at)
    lines = [*charges, *settled.rated.lines, *pending_true_ups(subscription, setting, at)]
    cause = Cause(
        InvoiceType.INITIAL if is_first else InvoiceType.RECURRING,
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


def _settle_month(
    state: CustomerState,
    subscription: Subscription,
    settled: Settled,
    opening: Subscription,
    setting: Setting,
) -> Step:
    """A month opens for which no plan price is due: resets, and an invoice if something is owed.

    It lies inside a quarter or a year, or it is of a free plan; what a paid one still owes as
    it becomes free makes a final invoice.
    rule: INV-6, SUB-2, CHG-13.
    """
    window = settled.closed.window
    is_last = opening.terms.is_free and not subscription.terms.is_free
    true_ups = pending_true_ups(subscription, setting, window.end_at) if is_last else ()
    cause = Cause(
        InvoiceType.FINAL if is_last else InvoiceType.OVERAGE,
        subscription.id,
        window.end_at,
        window.end,
        window=window,
        usage=settled.rated.usage,
    )
    state = _without_more(state, subscription, window.end_at, setting)
    lines = [*settled.rated.lines, *true_ups]
    state, made = settle(state, subscription, cause, lines, setting)
    renewed = replace(state, subscription=next_window(state, opening, setting))
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    return Step(renewed, invoices=made, windows=(closed,))


def _end(
    state: CustomerState,
    subscription: Subscription,
    settled: Settled,
    reason: CancelReason,
    setting: Setting,
) -> Step:
    """A subscription ends with its period: what is still owed makes a final invoice.

    rule: SUB-6, INV-7, CAT-8.
    """
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
    state = _without_more(state, subscription, window.end_at, setting)
    state, made = settle(state, subscription, cause, lines, setting)
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    state = replace(state, subscription=ended(subscription, window.end_at, reason))
    return Step(state, invoices=made, windows=(closed,))


def _without_more(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> CustomerState:
    """The state of which a withdrawn plan corrects only what is the customer's. Rule CAT-8."""
    if not is_withdrawn(subscription, setting, at):
        return state
    kept = tuple(item for item in state.adjustments if item.amount.minor < 0)
    return replace(state, adjustments=kept)
