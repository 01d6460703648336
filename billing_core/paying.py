"""Payment results: which invoice they are for, and what they do to the subscription.

Results arrive as actions. Only a failed result moves the dunning; silence never does.
"""

from dataclasses import replace
from datetime import datetime

from billing_core.actions import InvoiceReference, Payment, ReasonCode
from billing_core.cancelling import end_unpaid
from billing_core.invoice import Invoice, InvoiceType
from billing_core.issuing import day_of
from billing_core.money import Currency, Money
from billing_core.purchasing import pay_purchase, undone
from billing_core.records import (
    asked,
    failed,
    failing,
    given_up,
    paid,
    paid_in_advance,
    record_called,
    record_named,
    with_record,
    with_result,
)
from billing_core.setting import Setting
from billing_core.state import (
    ENDED,
    CustomerState,
    InvoiceRecord,
    PaymentResult,
    Purchase,
    Status,
    Subscription,
)
from billing_core.step import Applied, Notice, Refused, Step, refused
from billing_core.subscribing import open_first_period

DUNNED = frozenset(
    {InvoiceType.INITIAL, InvoiceType.RECURRING, InvoiceType.PLAN_CHANGE, InvoiceType.OVERAGE}
)
"""Invoices whose failed payment makes a subscription past due. Rule PAY-3.

An initial one that is unpaid follows a trial or a free plan: a checkout's is only made when
it is paid.
"""


def take_payment(state: CustomerState, action: Payment, at: datetime, setting: Setting) -> Step:
    """The result of an attempt to collect an invoice. Rules PAY-0, PAY-1, PAY-3, SUB-11."""
    of_draft = _take_of_draft(state, action, at, setting)
    if of_draft is not None:
        return of_draft
    record = record_called(state, action.invoice, setting)
    if record is None:
        return refused(
            state, ReasonCode.UNKNOWN_INVOICE, f"no invoice is {name_text(action.invoice)}"
        )
    no = _too_fine(action, record.total.currency)
    if no is not None:
        return Step(state, no)
    kept = with_result(state, record.id, _result(action, at, asked(record)))
    if action.result == "succeeded":
        return Step(restored(paid(kept, record.id, _amount(action, record.total.currency))))
    return _failed(kept, record, at, setting)


def _result(action: Payment, at: datetime, asked_for: Money) -> PaymentResult:
    """The result as it was presented and settled. Rule CUR-1.

    takes: asked_for, what was presented where the action does not say.
    """
    settlement = action.settlement
    return PaymentResult(
        action_id=action.id,
        at=at,
        result=action.result,
        amount=_amount(action, asked_for.currency) or asked_for,
        settled=None if settlement is None else settlement.amount,
        settlement_currency=None if settlement is None else settlement.currency,
    )


def _kept(step: Step, before: CustomerState, draft: Invoice, action: Payment, at: datetime) -> Step:
    """The step with the result of a draft kept; one that failed too, though nothing is paid."""
    if isinstance(step.decision, Refused):
        return step
    advance, state = record_named(before, draft.id), step.state
    rest = draft.total if advance is None else draft.total + advance.unpaid
    if record_named(state, draft.id) is None:
        state = paid_in_advance(state, draft, Money(0, draft.currency))
    return replace(step, state=with_result(state, draft.id, _result(action, at, rest)))


def _take_of_draft(
    state: CustomerState, action: Payment, at: datetime, setting: Setting
) -> Step | None:
    """The result for a checkout or a purchase that waits for it; None where it names neither."""
    subscription, waiting = state.subscription, _waiting(state, action)
    checkout = _checkout(subscription, action)
    if subscription is not None and checkout is not None:
        step = _take_first(state, subscription, checkout, action, at=at, setting=setting)
        return _kept(step, state, checkout, action, at)
    if waiting is not None:
        step = _take_waiting(state, waiting, action, at=at, setting=setting)
        return _kept(step, state, waiting.draft, action, at)
    return None


def _checkout(subscription: Subscription | None, action: Payment) -> Invoice | None:
    """The checkout's draft, where a payment names it by id or by type and date. Rule PAY-0."""
    checkout = None if subscription is None else subscription.checkout
    return checkout if checkout is not None and _names(action, checkout) else None


def _waiting(state: CustomerState, action: Payment) -> Purchase | None:
    """The purchase that waits for the payment: the last one, where several are named so."""
    named = (it for it in reversed(state.purchases) if _names(action, it.draft))
    return next(named, None)


def _names(action: Payment, draft: Invoice) -> bool:
    """Whether a payment names a draft: by its id, or by its type and date. Rule PAY-0."""
    named = action.invoice
    if isinstance(named, InvoiceReference):
        return named.type == draft.type and named.on == draft.billing_day
    return named == draft.id


def _take_waiting(
    state: CustomerState, purchase: Purchase, action: Payment, *, at: datetime, setting: Setting
) -> Step:
    """What a payment does to a purchase that waits for it. Rule PAY-3."""
    currency = purchase.draft.currency
    no = _too_fine(action, currency)
    if no is not None:
        return Step(state, no)
    if action.result == "failed":
        return undone(state, purchase, "its payment failed")
    return pay_purchase(state, purchase, _amount(action, currency), at, setting)


def _take_first(
    state: CustomerState,
    subscription: Subscription,
    checkout: Invoice,
    action: Payment,
    *,
    at: datetime,
    setting: Setting,
) -> Step:
    """The first period opens when the checkout is paid in full. Rules SUB-4, SUB-11, PAY-2."""
    no = _too_fine(action, checkout.currency)
    if no is not None or action.result == "failed":
        return Step(state, no or Applied())
    amount = _amount(action, checkout.currency)
    if amount is None:
        step = open_first_period(state, subscription, at, setting)
        return replace(step, state=paid(step.state, step.invoices[-1].id, None))
    state = paid_in_advance(state, checkout, amount)
    drafted = with_record(state, subscription, checkout, setting)
    if drafted.invoices[-1].unpaid.minor > 0:
        return Step(state)
    return open_first_period(state, subscription, at, setting)


def _amount(action: Payment, currency: Currency) -> Money | None:
    """What a payment pays; None where it says nothing, which is all that is unpaid."""
    return None if action.amount is None else Money.rounded(action.amount, currency)


def _too_fine(action: Payment, currency: Currency) -> Refused | None:
    """The refusal of an amount that its currency does not have; None of any other."""
    amount = _amount(action, currency)
    if amount is None or amount.major == action.amount:
        return None
    return Refused(
        ReasonCode.PAYMENT_FAILED,
        f"{action.amount} cannot have been paid: {currency.code} has {currency.minor_digits} "
        "decimal places; land the payment again under a new id with the amount that was paid",
    )


def restored(state: CustomerState) -> CustomerState:
    """Active again, once no failed invoice of the subscription is unpaid. Rule PAY-1."""
    subscription = state.subscription
    if subscription is None or subscription.status is not Status.PAST_DUE:
        return state
    if failing(state, subscription):
        return state
    return replace(state, subscription=replace(subscription, status=Status.ACTIVE))


def _failed(state: CustomerState, record: InvoiceRecord, at: datetime, setting: Setting) -> Step:
    """Past due at the first failure; cancelled when the last retry of any invoice fails. PAY-1.

    A paused subscription becomes past due when it goes on. What an ended one owes does not
    concern the one after it: it is uncollectible when its own last retry has failed. On terms
    nothing is dunned.
    """
    is_dunned = record.type in DUNNED and record.payment_days is None
    if not is_dunned or record.unpaid.minor <= 0:
        return Step(state)
    subscription, told_of = state.subscription, state
    state = failed(state, record.id)
    is_last = record.failures >= len(setting.policies_at(at).dunning_offsets_hours)
    is_own = subscription is not None and record.subscription_id == subscription.id
    if subscription is None or not is_own or subscription.status in ENDED:
        return Step(given_up(state, record.id) if is_last else state)
    notices: tuple[Notice, ...] = ()
    if not failing(told_of, subscription):
        on = day_of(setting, state, at)
        notices = (Notice(state.customer_id, "past_due", on, at, invoice_id=record.id),)
    if subscription.status is Status.ACTIVE:
        subscription = replace(subscription, status=Status.PAST_DUE)
    if is_last:
        return replace(end_unpaid(state, subscription, at, setting), notices=notices)
    return Step(replace(state, subscription=subscription), notices=notices)


def name_text(named: str | InvoiceReference) -> str:
    """An invoice as an action names it, for people."""
    return f"{named.type} on {named.on}" if isinstance(named, InvoiceReference) else repr(named)
