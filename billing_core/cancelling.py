"""How a subscription ends: at the end of the period, or now with what is unused credited.

A cancellation at period end only marks the day; the boundary does the rest. A cancellation
now closes the window, charges what is pending and gives back unused days (SUB-9).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import partial

from billing_core.actions import Cancel, DeleteCustomer, ReasonCode
from billing_core.addons import UNUSED, held_addon, unused_lines
from billing_core.cycle import (
    Settled,
    close_window,
    owing_seats,
    paid_period,
    pending_true_ups,
    running,
    waived,
    without_charge,
)
from billing_core.invoice import Invoice, InvoiceLine, InvoiceType, LineType
from billing_core.issuing import (
    Cause,
    at_most,
    day_of,
    differences,
    is_booked,
    issue_credit_note,
    unpaid_with_due,
    with_due,
)
from billing_core.money import Money
from billing_core.period import Period
from billing_core.records import failing, given_up, record_named
from billing_core.seats import seat_months, seat_price
from billing_core.setting import Setting
from billing_core.settling import settle
from billing_core.state import (
    ENDED,
    CancelReason,
    CustomerState,
    InvoiceRecord,
    Status,
    Subscription,
    ended,
)
from billing_core.step import Scheduled, Step, refused


def cancel(state: CustomerState, action: Cancel, at: datetime, setting: Setting) -> Step:
    """A cancellation, at period end or now. Rules SUB-6, SUB-9."""
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, "there is no subscription to cancel")
    if subscription.status in {Status.PENDING_PAYMENT, Status.PAUSED}:
        return Step(replace(state, subscription=ended(subscription, at)))
    is_now = action.when == "now" or subscription.terms.is_free
    if subscription.status is Status.PAST_DUE or is_now:
        return _cancel_now(state, subscription, action, at, setting)
    on = paid_period(subscription).end
    cancelling = replace(subscription, cancel_on=on, next_plan=None, next_interval=None)
    return Step(replace(state, subscription=cancelling), Scheduled(on))


def undo_cancel(state: CustomerState) -> Step:
    """A cancellation at period end is taken back before its day. Rule SUB-6."""
    subscription = state.subscription
    if subscription is not None and subscription.status is Status.PAUSED:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, "the subscription is paused; resume it")
    if subscription is None or subscription.status in ENDED or subscription.cancel_on is None:
        return refused(
            state, ReasonCode.NOT_CANCELLING, "no cancellation is waiting for a period's end"
        )
    return Step(replace(state, subscription=replace(subscription, cancel_on=None)))


def delete_customer(
    state: CustomerState, _: DeleteCustomer, at: datetime, setting: Setting
) -> Step:
    """Access ends at once, and nothing that is pending is charged. Rule CAT-9."""
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return Step(state)
    gone = ended(subscription, at, CancelReason.CUSTOMER_DELETED)
    left = replace(state, subscription=gone, adjustments=())
    if subscription.window is None:
        return Step(left)
    closed = closed_now(state, subscription, at, setting).closed
    return Step(left, windows=(replace(closed, usage=waived(closed.usage)),))


def end_unpaid(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Step:
    """Cancelled because an invoice stayed unpaid: the unpaid window's overage is waived.

    What failed is uncollectible, and stays outstanding. A paused one has no window.
    rule: PAY-1, PAY-2, PAY-3.
    """
    state = given_up(state, *failing(state, subscription))
    left = replace(state, subscription=ended(subscription, at, CancelReason.UNPAID))
    if subscription.window is None:
        return Step(left)
    settled = closed_now(state, subscription, at, setting)
    return Step(left, windows=(settled.closed,))


def unused_credits(
    subscription: Subscription, at_day: Period, setting: Setting, at: datetime
) -> tuple[InvoiceLine, ...]:
    """Credit lines for the unused days of the plan, of extra seats and of add-ons.

    takes:   at_day, from the day of the change to the end of the period.
    returns: the plan first, then one line for each seats feature, then one for each add-on,
             by code; negative.
    rule:    CHG-3, CHG-4, SEAT-5, ADD-4, SUB-9, CNV-7.
    """
    terms, period = subscription.terms, paid_period(subscription)
    share = period.remaining_share(at_day.start)
    paid = subscription.plan_charge or Money(0, terms.currency)
    lines = [_credit(None, terms.plan_name, Fraction(paid.major) * share, subscription, at_day)]
    months = seat_months(terms, is_monthly=setting.policies_at(at).seat_price_is_monthly)
    for holding in owing_seats(subscription, setting, at):
        feature = terms.by_code[holding.feature]
        exact = Fraction(holding.advance.major) * share
        if holding.additions:
            added = sum(it.quantity for it in holding.additions if it.included_on is None)
            exact += added * months * Fraction(seat_price(terms, feature)) * share
        lines.append(_credit(feature.code, feature.name, exact, subscription, at_day))
    lines += unused_lines(subscription, at_day, period)
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
    state: CustomerState, subscription: Subscription, action: Cancel, at: datetime, setting: Setting
) -> Step:
    """Access ends at the instant; what is pending is charged, what is unused credited.

    The credit note is the cancellation's own, so no other note has its id (PAY-0).
    """
    settled = closed_now(state, subscription, at, setting)
    if subscription.terms.is_free or subscription.status is Status.TRIALING:
        state = replace(state, subscription=ended(subscription, at))
        return Step(state, windows=(settled.closed,))
    day = day_of(setting, state, at)
    charges = [*settled.rated.lines, *pending_true_ups(subscription, setting, at)]
    unused = unused_credits(subscription, Period(day, paid_period(subscription).end), setting, at)
    note = Cause(InvoiceType.CREDIT_NOTE, action.id, at, day, known_on=setting.cutoff_on(at))
    state, notes, unused = _with_notes(state, subscription, note, unused, setting)
    cause = Cause(
        InvoiceType.FINAL,
        subscription.id,
        at,
        day,
        settled.closed.window,
        usage=settled.rated.usage,
    )
    state, made = settle(state, subscription, cause, [*charges, *unused], setting)
    closed = replace(settled.closed, invoice_id=made[0].id if made else None)
    state = replace(state, subscription=ended(subscription, at))
    return Step(state, invoices=(*notes, *made), windows=(closed,))


def closed_now(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Settled:
    """The window closed at an instant; while past due its overage is waived. Rule PAY-3.

    takes: a subscription with a running window.
    """
    window = replace(running(subscription), end=day_of(setting, state, at), end_at=at)
    settled = close_window(state, subscription, window, setting)
    return without_charge(settled) if subscription.status is Status.PAST_DUE else settled


def _with_notes(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    unused: tuple[InvoiceLine, ...],
    setting: Setting,
) -> tuple[CustomerState, tuple[Invoice, ...], tuple[InvoiceLine, ...]]:
    """A credit note on each unpaid invoice that charged what is unused: its lines, negative.

    Besides the period's invoice that is one for each add-on activated since.
    returns: the notes, and the credits that are on none.
    rule:    SUB-9.
    """
    notes: tuple[Invoice, ...] = ()
    left: tuple[InvoiceLine, ...] = ()
    of_period = tuple(it for it in unused if _charged_by(subscription, it) is None)
    alone = [it for it in unused if it not in of_period]
    for lines in [of_period, *((line,) for line in alone)]:
        named, opened_id = cause, subscription.invoice_id
        if lines is not of_period:
            opened_id = _charged_by(subscription, lines[0])
            named = replace(cause, name=f"{cause.name}.{lines[0].code}")
        opened = record_named(state, opened_id)
        state, made, rest = _with_note(state, subscription, named, lines, opened, setting)
        notes, left = (*notes, *made), (*left, *rest)
    return state, notes, left


def _charged_by(subscription: Subscription, line: InvoiceLine) -> str | None:
    """The invoice of an add-on's activation that charged a credited line; None: the period's."""
    if line.charge_type != UNUSED:
        return None
    held = held_addon(subscription, line.code or "")
    return None if held is None else held.invoice_id


def _with_note(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    unused: tuple[InvoiceLine, ...],
    opened: InvoiceRecord | None,
    setting: Setting,
) -> tuple[CustomerState, tuple[Invoice, ...], tuple[InvoiceLine, ...]]:
    """A credit note on an unpaid invoice: the corrected lines, negative.

    It is at most what is unpaid; with what is still due on that invoice, or where the note is
    posted, its lines may come to another amount: the difference is due. It waits for what the
    final invoice beside it waits for.
    returns: the note, if there is one, and the credits that are on none.
    rule:    SUB-9, ACT-3.
    """
    if opened is None or not unused:
        return state, (), unused
    whole = unpaid_with_due(opened, state, cause, setting)
    is_posted = is_booked(state, cause, setting)
    least = whole if whole.minor < opened.unpaid.minor else opened.unpaid
    if least.minor <= 0 and not is_posted:
        return state, (), unused
    lines = _corrected(unused, opened)
    cut = partial(at_most, state=state, cause=cause, setting=setting)
    wanted = cut(lines, whole) if whole.minor > 0 else lines
    shown = wanted if is_posted else cut(lines, least)
    state, made = issue_credit_note(state, subscription, cause, shown, setting)
    changed = differences(made.lines, wanted, name=opened.id, day=cause.day)
    return with_due(state, changed), (made,), ()


def _corrected(lines: Sequence[InvoiceLine], opened: InvoiceRecord) -> tuple[InvoiceLine, ...]:
    """Credit lines as lines of the invoice that they correct. Rules INV-13, TAX-2."""
    rates = dict(opened.rates)
    return tuple(
        replace(
            line,
            type=_corrected_type(line),
            tax_rate_bp=rates.get(line.tax_category),
            corrects=opened.id,
            rule="SUB-9",
        )
        for line in lines
    )


def _corrected_type(line: InvoiceLine) -> LineType:
    if line.charge_type == UNUSED:
        return LineType.ADDON_BASE
    return LineType.PLAN_BASE if line.code is None else LineType.FEATURE_SEATS
