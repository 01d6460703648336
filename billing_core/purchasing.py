"""Purchases that are paid alone: packs, top-ups, add-ons. There when paid, or not at all.

Whoever pays automatically has what he bought from the payment on; until then there is only
a draft. Whoever pays on terms has it at once. A failed payment undoes the purchase.
"""

from dataclasses import replace
from datetime import datetime

from billing_core.actions import ReasonCode
from billing_core.addons import held_addon, with_addon
from billing_core.cycle import running
from billing_core.invoice import InvoiceLine
from billing_core.issuing import Cause, day_of, issue, known, late, with_due
from billing_core.money import Money
from billing_core.overdue import payment_days
from billing_core.period import Span
from billing_core.records import paid, paid_in_advance, with_record
from billing_core.setting import Setting
from billing_core.state import (
    WITH_ACCESS,
    Addition,
    CustomerState,
    HeldAddon,
    Purchase,
    Subscription,
)
from billing_core.step import Refused, Step
from billing_core.terms import AddonTerms


def purchased(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    line: InvoiceLine,
    *,
    gives: Addition | AddonTerms,
    setting: Setting,
    is_late: bool = False,
) -> Step:
    """What was bought, invoiced alone: there at once, or when its payment succeeds. PAY-3, CUS-1.

    What costs nothing makes no invoice (INV-7). What is heard of after a later invoice was
    posted is there from its day on, and charged by an adjustment (ACT-3): it counts as of the
    window in which it was bought, which decides whether it is within the lookback.
    """
    if not line.amount.minor:
        return Step(_given(state, gives, cause.at, cause, None))
    if is_late:
        behind = replace(cause, day=running(subscription).end, id_day=cause.day)
        state = with_due(state, late(state, behind, [line]))
        return Step(_given(state, gives, cause.at, cause, None))
    made, invoice = issue(state, subscription, cause, [line], setting)
    is_owed = made.invoices[-1].unpaid.minor > 0
    days = payment_days(known(state), setting.policies_at(cause.at))
    if days is not None or not is_owed:
        return Step(_given(made, gives, cause.at, cause, invoice.id), invoices=(invoice,))
    waiting = Purchase(
        action_id=cause.name,
        subscription_id=subscription.id,
        period=subscription.period if isinstance(gives, AddonTerms) else None,
        line=line,
        draft=replace(invoice, is_postable=False, billing_day=cause.day),
        gives=gives,
    )
    return Step(replace(state, purchases=(*state.purchases, waiting)))


def is_open(state: CustomerState, purchase: Purchase) -> bool:
    """Whether a purchase that waits can still be had: while what it was bought for runs.

    rule: PAY-3, CAP-2; an add-on's price is for what is left of one period.
    """
    subscription = state.subscription
    if subscription is None or subscription.id != purchase.subscription_id:
        return False
    if subscription.window is None or subscription.status not in WITH_ACCESS:
        return False
    if isinstance(purchase.gives, AddonTerms):
        return subscription.period == purchase.period
    is_pack = purchase.gives.kind == "purchase"
    return subscription.terms.consumption_model == ("credits" if is_pack else "balance")


def pay_purchase(
    state: CustomerState, purchase: Purchase, amount: Money | None, at: datetime, setting: Setting
) -> Step:
    """The purchase made, once it is paid in full; the invoice keeps its id. Rules PAY-0, PAY-3.

    Of one that cannot be had any more, what was paid stays the customer's (PAY-2).
    takes: amount, None for all that is asked.
    """
    subscription, draft = state.subscription, purchase.draft
    if subscription is None or not is_open(state, purchase):
        state = paid_in_advance(state, draft, amount or draft.total)
        return undone(state, purchase, "its payment came after what it was bought for had ended")
    if amount is not None:
        state = paid_in_advance(state, draft, amount)
        drafted = with_record(state, subscription, draft, setting)
        if drafted.invoices[-1].unpaid.minor > 0:
            return Step(state)
    day = day_of(setting, state, at)
    cause = Cause(draft.type, purchase.action_id, at, day, id_day=draft.billing_day)
    state, invoice = issue(_without(state, purchase), subscription, cause, [purchase.line], setting)
    if amount is None:
        state = paid(state, invoice.id, None)
    return Step(_given(state, purchase.gives, at, cause, invoice.id), invoices=(invoice,))


def undone(state: CustomerState, purchase: Purchase, why: str) -> Step:
    """A purchase that came to nothing: refused after all, without an invoice. Rule PAY-3."""
    no = Refused(
        ReasonCode.PAYMENT_FAILED, f"{purchase.line.name} was not bought: {why}; buy again"
    )
    return Step(_without(state, purchase), undone=((purchase.action_id, no),))


def _without(state: CustomerState, purchase: Purchase) -> CustomerState:
    return replace(state, purchases=tuple(it for it in state.purchases if it != purchase))


def _given(
    state: CustomerState,
    gives: Addition | AddonTerms,
    at: datetime,
    cause: Cause,
    invoice_id: str | None,
) -> CustomerState:
    """The state in which what was bought is there, from an instant on."""
    if isinstance(gives, Addition):
        if state.funds is None:
            raise ValueError(f"{state.customer_id} has a window without funds")
        added = replace(gives, at=at, on=cause.day)
        funds = replace(state.funds, additions=(*state.funds.additions, added))
        return replace(state, funds=funds)
    subscription = state.subscription
    if subscription is None:
        raise ValueError(f"{state.customer_id} has an add-on without a subscription")
    before = held_addon(subscription, gives.code)
    held = HeldAddon(
        terms=gives,
        taken_at=at,
        is_paid=True,
        spans=(*(() if before is None else before.spans), Span(at)),
        invoice_id=invoice_id,
    )
    return replace(state, subscription=with_addon(subscription, held))
