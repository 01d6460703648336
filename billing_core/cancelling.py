"""How a subscription ends: at the end of the period, or now with what is unused credited.

A cancellation at period end only marks the day; the boundary does the rest. A cancellation
now closes the window, charges what is pending and gives back unused days (SUB-9).
"""

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from billing_core.actions import Cancel, ReasonCode
from billing_core.cycle import (
    Settled,
    close_window,
    paid_period,
    pending_true_ups,
    running,
    waived,
)
from billing_core.invoice import Invoice, InvoiceLine, InvoiceType, LineType
from billing_core.issuing import (
    Cause,
    at_most,
    day_of,
    is_booked,
    issue,
    issue_credit_note,
)
from billing_core.money import Money
from billing_core.period import Period
from billing_core.rating import RatedWindow
from billing_core.records import record_named, without_record
from billing_core.seats import seat_months, seat_price
from billing_core.setting import Setting
from billing_core.state import ENDED, CustomerState, InvoiceRecord, Status, Subscription
from billing_core.step import Scheduled, Step, refused


def cancel(state: CustomerState, action: Cancel, at: datetime, setting: Setting) -> Step:
    """A cancellation, at period end or now. Rules SUB-6, SUB-9."""
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, "there is no subscription to cancel")
    if subscription.status is Status.PENDING_PAYMENT:
        ended = replace(subscription, status=Status.CANCELED, checkout=None, expires_at=None)
        return Step(replace(state, subscription=ended))
    is_now = action.when == "now" or subscription.terms.is_free
    if subscription.status is Status.PAST_DUE or is_now:
        return _cancel_now(state, subscription, at, setting)
    on = paid_period(subscription).end
    cancelling = replace(subscription, cancel_on=on)
    return Step(replace(state, subscription=cancelling), Scheduled(on))


def undo_cancel(state: CustomerState) -> Step:
    """A cancellation at period end is taken back before its day. Rule SUB-6."""
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED or subscription.cancel_on is None:
        return refused(
            state, ReasonCode.NOT_CANCELLING, "no cancellation is waiting for a period's end"
        )
    return Step(replace(state, subscription=replace(subscription, cancel_on=None)))


def end_unpaid(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Step:
    """Cancelled because the invoice stayed unpaid: the unpaid window's overage is waived.

    rule: PAY-1, PAY-3.
    """
    settled = _closed_now(state, subscription, at, setting)
    ended = replace(subscription, status=Status.CANCELED, window=None, cancel_on=None)
    return Step(replace(state, subscription=ended), windows=(settled.closed,))


def unused_credits(
    subscription: Subscription, at_day: Period, setting: Setting, at: datetime
) -> tuple[InvoiceLine, ...]:
    """Credit lines for the unused days of the plan and of extra seats.

    takes:   at_day, from the day of the change to the end of the period.
    returns: the plan first, then one line for each seats feature, by code; negative.
    rule:    CHG-3, CHG-4, SEAT-5, SUB-9, CNV-7.
    """
    terms, period = subscription.terms, paid_period(subscription)
    share = period.remaining_share(at_day.start)
    paid = subscription.plan_charge or Money(0, terms.currency)
    lines = [_credit(None, terms.plan_name, Fraction(paid.major) * share, subscription, at_day)]
    months = seat_months(terms, is_monthly=setting.policies_at(at).seat_price_is_monthly)
    for holding in subscription.seats:
        feature = terms.by_code[holding.feature]
        exact = Fraction(holding.advance.major) * share
        if holding.additions:
            added = sum(addition.quantity for addition in holding.additions)
            exact += added * months * Fraction(seat_price(terms, feature)) * share
        lines.append(_credit(feature.code, feature.name, exact, subscription, at_day))
    return tuple(line for line in lines if line.amount.minor)


def _credit(
    code: str | None, name: str, exact: Fraction, subscription: Subscription, unused: Period
) -> InvoiceLine:
    terms, period = subscription.terms, paid_period(subscription)
    category = terms.tax_category if code is None else terms.by_code[code].tax_category
    return InvoiceLine(
        type=LineType.CREDIT,
        code=code,
        name=name,
        amount=-Money.rounded(exact, terms.currency),
        quantity=Fraction(1),
        unit="",
        service=unused,
        rule="CHG-3" if code is None else "CHG-4",
        charge_type="unused",
        days=(unused.days, period.days),
        tax_category=category,
    )


def _cancel_now(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Step:
    """Access ends at the instant; what is pending is charged, what is unused credited."""
    settled = _closed_now(state, subscription, at, setting)
    ended = replace(subscription, status=Status.CANCELED, window=None, cancel_on=None)
    if subscription.terms.is_free:
        return Step(replace(state, subscription=ended), windows=(settled.closed,))
    day = day_of(setting, state, at)
    charges = [*settled.rated.lines, *pending_true_ups(subscription, setting, at)]
    unused = unused_credits(subscription, Period(day, paid_period(subscription).end), setting, at)
    made: tuple[Invoice, ...] = ()
    closed = settled.closed
    opened = record_named(state, subscription.invoice_id)
    if opened is not None and opened.unpaid.minor > 0 and unused:
        state, note = _note_on(state, subscription, opened, unused, at, setting)
        made, unused = (note,), ()
    cause = Cause(
        InvoiceType.FINAL,
        subscription.id,
        at,
        day,
        settled.closed.window,
        usage=settled.rated.usage,
    )
    if charges or unused or state.adjustments or is_booked(state, cause, setting):
        state, final = issue(state, subscription, cause, [*charges, *unused], setting)
        if final.lines:
            made, closed = (*made, final), replace(closed, invoice_id=final.id)
        else:
            state = without_record(state, final)
    return Step(replace(state, subscription=ended), invoices=made, windows=(closed,))


def _closed_now(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Settled:
    """The window closed at an instant; while past due its overage is waived. Rule PAY-3."""
    window = replace(running(subscription), end=day_of(setting, state, at), end_at=at)
    settled = close_window(state, subscription, window, setting)
    if subscription.status is not Status.PAST_DUE:
        return settled
    usage = waived(settled.rated.usage)
    return Settled(RatedWindow((), usage), replace(settled.closed, usage=usage))


def _note_on(
    state: CustomerState,
    subscription: Subscription,
    opened: InvoiceRecord,
    unused: tuple[InvoiceLine, ...],
    at: datetime,
    setting: Setting,
) -> tuple[CustomerState, Invoice]:
    """A credit note on the unpaid invoice of the period: the corrected lines, negative. SUB-9.

    It waits for what the final invoice beside it waits for.
    """
    day = day_of(setting, state, at)
    cause = Cause(InvoiceType.CREDIT_NOTE, subscription.id, at, day, known_on=setting.cutoff_on(at))
    cut = at_most(unused, opened.unpaid, state=state, cause=cause, setting=setting)
    lines = [
        replace(
            line,
            type=LineType.PLAN_BASE if line.code is None else LineType.FEATURE_SEATS,
            corrects=opened.id,
            rule="SUB-9",
        )
        for line in cut
    ]
    return issue_credit_note(state, subscription, cause, lines, setting)
