"""Which document a month or an end makes: one that is posted told again, a new one, or none.

One path for every boundary that need not make an invoice, for every end, and for what is
corrected after it. A renewal always makes an invoice and goes to `issuing` itself; what a
document contains is decided there too.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from billing_core.invoice import Invoice, InvoiceLine, InvoiceType
from billing_core.issuing import (
    Cause,
    adjustment_lines,
    invoice_id_of,
    is_booked,
    issue,
    issue_credit_note,
    known,
    late,
    net,
    surplus_credit,
    with_due,
)
from billing_core.period import billing_date, boundary, midnight
from billing_core.records import with_unused, without_record
from billing_core.setting import NEVER, Setting
from billing_core.state import CustomerState, Status, Subscription
from billing_core.step import Step


def settle(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    charges: Sequence[InvoiceLine],
    setting: Setting,
) -> tuple[CustomerState, tuple[Invoice, ...]]:
    """The invoice of a month inside a year or of an end, where there is something to invoice.

    What is posted for it is told first, and stays its only document: charges that come up
    behind it, or behind a later invoice, are adjustments.
    takes: charges, and credits for unused days.
    rule:  INV-6, INV-7, INV-10, INV-12, USE-7, PST-2, PST-6.
    """
    state = with_unused(state, charges)
    alone = replace(cause, type=InvoiceType.ADJUSTMENT)
    note = replace(cause, type=InvoiceType.CREDIT_NOTE)
    if is_booked(state, alone, setting):
        state, told = issue(state, subscription, alone, (), setting)
        return _behind(state, cause, charges), (told,)
    if is_booked(state, note, setting):
        due = adjustment_lines(state, subscription, cause, setting)
        state, told = issue_credit_note(state, subscription, note, due, setting)
        return _behind(state, cause, charges), (told,)
    if is_booked(state, cause, setting):
        state, told = issue(state, subscription, cause, charges, setting)
        return state, (told,)
    if cause.at < setting.booked_through_at:
        return _behind(state, cause, charges), ()
    return _new(state, subscription, cause, charges, setting)


def _new(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    charges: Sequence[InvoiceLine],
    setting: Setting,
) -> tuple[CustomerState, tuple[Invoice, ...]]:
    """An invoice of the charges; without any, a document that books adjustments alone.

    An end books them on its final invoice, if they are not the customer's. Rule INV-10.
    """
    due = adjustment_lines(state, subscription, cause, setting)
    if not charges and not due:
        return state, ()
    is_charged = any(line.amount.minor > 0 for line in charges)
    if due and not is_charged and net(due, due[0].amount).minor < 0:
        note = replace(cause, type=InvoiceType.CREDIT_NOTE)
        state, made = issue_credit_note(state, subscription, note, due, setting)
        return _behind(state, cause, charges), (made,)
    if not charges and cause.type is not InvoiceType.FINAL:
        cause = replace(cause, type=InvoiceType.ADJUSTMENT)
    state, made = issue(state, subscription, cause, charges, setting)
    return (state, (made,)) if made.lines else (without_record(state, made), ())


def _behind(state: CustomerState, cause: Cause, charges: Sequence[InvoiceLine]) -> CustomerState:
    """Charges behind a posted invoice are due; credits are the customer's. Rule SUB-9."""
    credited = [line for line in charges if line.amount.minor < 0]
    state = with_due(state, late(state, cause, [it for it in charges if it.amount.minor > 0]))
    if not credited:
        return state
    surplus = surplus_credit(cause, -net(credited, credited[0].amount))
    return replace(state, credits=(*state.credits, surplus))


def correction_at(
    state: CustomerState, subscription: Subscription, setting: Setting
) -> datetime | None:
    """When a difference from what a subscription posted is booked; None for never.

    takes: one that ended or rests, of which no next invoice is known.
    After the end that is the day on which it is known, in a pause the next monthly boundary
    behind what is posted; a posted correction has its own.
    rule: INV-12.
    """
    after = subscription.settled_at or NEVER
    posted = _posted_correction(state, subscription, after, setting)
    if posted is not None:
        return posted.made_at
    if not state.adjustments:
        return None
    cause = _correction(state, subscription, after, setting)
    is_told = is_booked(state, cause, setting) or is_booked(
        state, replace(cause, type=InvoiceType.CREDIT_NOTE), setting
    )
    has_lines = adjustment_lines(state, subscription, cause, setting)
    return cause.at if has_lines and not is_told else None


def correct(state: CustomerState, subscription: Subscription, setting: Setting) -> Step:
    """The adjustment invoice or credit note of an ended or resting subscription. Rule INV-12.

    takes: a subscription that has one to make: see `correction_at`.
    """
    after = subscription.settled_at or NEVER
    posted = _posted_correction(state, subscription, after, setting)
    if posted is None:
        cause = _correction(state, subscription, after, setting)
        state, made = _new(state, subscription, cause, (), setting)
    else:
        cause = Cause(posted.type, subscription.id, posted.made_at, posted.billing_day)
        state, made = settle(state, subscription, cause, (), setting)
    settled = replace(subscription, settled_at=cause.at)
    return Step(replace(state, subscription=settled), invoices=made)


def _posted_correction(
    state: CustomerState, subscription: Subscription, after: datetime, setting: Setting
) -> Invoice | None:
    """The first posted correction of an ended or resting subscription after an instant."""
    return min(
        (
            it
            for it in setting.booked.values()
            if it.made_at > after
            and it.type in {InvoiceType.ADJUSTMENT, InvoiceType.CREDIT_NOTE}
            and it.id
            == invoice_id_of(state, Cause(it.type, subscription.id, it.made_at, it.billing_day))
        ),
        key=lambda it: it.made_at,
        default=None,
    )


def _correction(
    state: CustomerState, subscription: Subscription, after: datetime, setting: Setting
) -> Cause:
    """The cause of a correction: the last known day, but never before what it corrects.

    A scenario knows of a difference from the day on which the last thing came in late.
    """
    if subscription.status is Status.PAUSED:
        return _at_boundary(subscription, after, setting)
    at = after + timedelta(microseconds=1)
    zone = setting.zone_of(known(state).time_zone, at)
    day = setting.known_on if setting.takes_later_usage else setting.late_through
    if day > billing_date(at, zone):
        at = midnight(day, zone)
    day = max(day, billing_date(at, zone))
    name = subscription.id
    return Cause(InvoiceType.ADJUSTMENT, name, at, day, known_on=max(day, at.date()))


def _at_boundary(subscription: Subscription, after: datetime, setting: Setting) -> Cause:
    """The cause of a correction in a pause: the next monthly boundary, as if it ran. INV-12.

    It is counted from the anchor, and lies behind nothing that is posted.
    """
    zone, months = setting.zone_of(subscription.time_zone, after), subscription.months + 1
    while True:
        day = boundary(subscription.anchor, months)
        at = midnight(day, zone)
        if at > after and at >= setting.booked_through_at:
            known_on = setting.cutoff_on(at)
            return Cause(InvoiceType.ADJUSTMENT, subscription.id, at, day, known_on=known_on)
        months += 1
