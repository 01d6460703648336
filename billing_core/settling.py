"""Which document a month or an end makes: one that is posted told again, a new one, or none.

One path for every boundary that need not make an invoice and for every end. A renewal always
makes one and goes to `issuing` itself; what a document contains is decided there too.
"""

from collections.abc import Sequence
from dataclasses import replace

from billing_core.invoice import Invoice, InvoiceLine, InvoiceType
from billing_core.issuing import (
    Cause,
    adjustment_lines,
    is_booked,
    issue,
    issue_credit_note,
    late,
    net,
    surplus_credit,
    with_due,
)
from billing_core.records import without_record
from billing_core.setting import Setting
from billing_core.state import CustomerState, Subscription


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
    alone = replace(cause, type=InvoiceType.ADJUSTMENT)
    note = replace(cause, type=InvoiceType.CREDIT_NOTE)
    if is_booked(state, alone, setting):
        state, told = issue(state, subscription, alone, (), setting)
        return _behind(state, cause, charges), (told,)
    if is_booked(state, note, setting):
        due = adjustment_lines(state.adjustments, subscription, cause, setting)
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
    due = adjustment_lines(state.adjustments, subscription, cause, setting)
    if not charges and not due:
        return state, ()
    if not charges and net(due, due[0].amount).minor < 0:
        note = replace(cause, type=InvoiceType.CREDIT_NOTE)
        state, made = issue_credit_note(state, subscription, note, due, setting)
        return state, (made,)
    if not charges and cause.type is not InvoiceType.FINAL:
        cause = replace(cause, type=InvoiceType.ADJUSTMENT)
    state, made = issue(state, subscription, cause, charges, setting)
    return (state, (made,)) if made.lines else (without_record(state, made), ())


def _behind(state: CustomerState, cause: Cause, charges: Sequence[InvoiceLine]) -> CustomerState:
    """Charges of a day behind a posted invoice are due; credits are the customer's. SUB-9."""
    credited = [line for line in charges if line.amount.minor < 0]
    state = with_due(state, late(state, cause, [it for it in charges if it.amount.minor > 0]))
    if not credited:
        return state
    surplus = surplus_credit(cause, -net(credited, credited[0].amount))
    return replace(state, credits=(*state.credits, surplus))
