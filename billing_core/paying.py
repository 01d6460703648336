"""Payment results: which invoice they are for, and what they do to the subscription.

Results arrive as actions. Only a failed result moves the dunning; silence never does.
"""

from dataclasses import replace
from datetime import datetime

from billing_core.actions import InvoiceReference, Payment, ReasonCode
from billing_core.cancelling import end_unpaid
from billing_core.invoice import InvoiceType
from billing_core.issuing import day_of
from billing_core.setting import Setting
from billing_core.state import CustomerState, InvoiceRecord, Status, Subscription
from billing_core.step import Notice, Step, refused
from billing_core.subscribing import open_first_period

DUNNED = frozenset({InvoiceType.RECURRING, InvoiceType.PLAN_CHANGE, InvoiceType.OVERAGE})
"""Invoices whose failed payment makes a subscription past due. Rule PAY-3."""


def take_payment(state: CustomerState, action: Payment, at: datetime, setting: Setting) -> Step:
    """The result of an attempt to collect an invoice. Rules PAY-0, PAY-1, PAY-3, SUB-11."""
    subscription = state.subscription
    if subscription is not None and _is_checkout(subscription, action):
        if action.result == "failed":
            return Step(state)
        step = open_first_period(state, subscription, at, setting)
        return replace(step, state=_paid(step.state, step.invoices[-1].id))
    record = _named(state, action, setting)
    if record is None:
        return refused(state, ReasonCode.UNKNOWN_INVOICE, f"no invoice is {_text(action)}")
    if action.result == "succeeded":
        return Step(_restored(_paid(state, record.id), record))
    if subscription is None or record.type not in DUNNED:
        return Step(state)
    return _failed(state, subscription, record, at, setting)


def _is_checkout(subscription: Subscription, action: Payment) -> bool:
    """Whether a payment names the checkout's draft, by id or by type and date. Rule PAY-0."""
    checkout, named = subscription.checkout, action.invoice
    if checkout is None:
        return False
    if isinstance(named, InvoiceReference):
        return named.type == checkout.type and named.on == checkout.billing_day
    return named == checkout.id


def _named(state: CustomerState, action: Payment, setting: Setting) -> InvoiceRecord | None:
    """The invoice that a payment names: by id or number, or the last of a type and date.

    A checkout that was paid on a later day is still found by its own date, which its id
    keeps (PAY-0).
    """
    named = action.invoice
    for record in reversed(state.invoices):
        if isinstance(named, InvoiceReference):
            days = (str(record.billing_day), record.id.rpartition("/")[2])
            if record.type == named.type and str(named.on) in days:
                return record
        elif record.id == setting.numbers.get(named, named):
            return record
    return None


def _paid(state: CustomerState, name: str) -> CustomerState:
    """The invoice paid in full; paid a second time, it is paid twice (TAX-2, PAY-2)."""
    invoices = tuple(
        replace(item, paid=item.paid + (item.unpaid if item.unpaid.minor > 0 else item.total))
        if item.id == name
        else item
        for item in state.invoices
    )
    return replace(state, invoices=invoices)


def _restored(state: CustomerState, record: InvoiceRecord) -> CustomerState:
    """A payment that succeeds restores the subscription that waited for it. Rule PAY-1."""
    subscription = state.subscription
    if subscription is None or subscription.due_invoice_id != record.id:
        return state
    if subscription.status is not Status.PAST_DUE:
        return state
    active = replace(subscription, status=Status.ACTIVE, failures=0, due_invoice_id=None)
    return replace(state, subscription=active)


def _failed(
    state: CustomerState,
    subscription: Subscription,
    record: InvoiceRecord,
    at: datetime,
    setting: Setting,
) -> Step:
    """Past due at the first failure; cancelled when the last retry fails. Rule PAY-1."""
    if subscription.status not in {Status.ACTIVE, Status.PAST_DUE} or record.unpaid.minor <= 0:
        return Step(state)
    is_first = subscription.status is Status.ACTIVE
    failures = 1 if is_first else subscription.failures + 1
    failing = replace(
        subscription, status=Status.PAST_DUE, failures=failures, due_invoice_id=record.id
    )
    day = day_of(setting, state, at)
    notices = (Notice(state.customer_id, "past_due", day, at),) if is_first else ()
    if failures > len(setting.policies_at(at).dunning_offsets_hours):
        return replace(end_unpaid(state, failing, at, setting), notices=notices)
    return Step(replace(state, subscription=failing), notices=notices)


def _text(action: Payment) -> str:
    named = action.invoice
    return f"{named.type} on {named.on}" if isinstance(named, InvoiceReference) else repr(named)
