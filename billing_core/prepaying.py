"""Credits and balance bought beforehand: credit packs and top-ups.

What is bought stands in the running window, whose use is drawn with it from that instant on.
How it is paid, and that it is there only when it is, is in `purchasing`.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from billing_core.actions import BuyCreditPack, ReasonCode, TopUp
from billing_core.invoice import InvoiceLine, InvoiceType, LineType
from billing_core.issuing import Cause, day_of
from billing_core.money import Money
from billing_core.period import Period
from billing_core.purchasing import purchased
from billing_core.setting import Setting
from billing_core.state import WITH_ACCESS, Addition, CustomerState, Subscription
from billing_core.step import Refused, Step, refused
from billing_core.terms import price_of_sold


def buy_credit_pack(
    state: CustomerState, action: BuyCreditPack, at: datetime, setting: Setting
) -> Step:
    """Credits of a pack, at the price in force. Rules CRD-2, CUR-2, FAIR-6, PAY-3."""
    subscription = _drawing_on(state, "credits")
    if isinstance(subscription, Refused):
        return Step(state, subscription)
    catalog = setting.version_at(at).catalog
    pack = catalog.credit_packs.get(action.pack)
    if pack is None:
        known = ", ".join(catalog.credit_packs) or "none"
        what = f"credit pack {action.pack!r} is not on sale; on sale: {known}"
        return refused(state, ReasonCode.PACK_NOT_AVAILABLE, what)
    day = day_of(setting, state, at)
    price = price_of_sold(subscription.terms, pack, catalog, day)
    if price is None:
        what = f"pack {action.pack!r} has no price in {subscription.terms.currency.code}"
        return refused(state, ReasonCode.CURRENCY_NOT_AVAILABLE, what)
    name = pack.name or f"{pack.credits:,f} credits"
    line = _line(action.pack, name, Money.rounded(price, subscription.terms.currency), day)
    line = replace(line, unit_price=price, rule="CRD-2", tax_category=pack.tax_category)
    added = Addition(
        state.customer_id, at, day, "purchase", Fraction(pack.credits), action.pack, name
    )
    cause = Cause(InvoiceType.PACK_PURCHASE, action.id, at, day)
    return purchased(state, subscription, cause, line, gives=added, setting=setting)


def top_up(state: CustomerState, action: TopUp, at: datetime, setting: Setting) -> Step:
    """Money added to the balance; what is added is what is invoiced. Rules BAL-3, PAY-3."""
    subscription = _drawing_on(state, "balance")
    if isinstance(subscription, Refused):
        return Step(state, subscription)
    amount = Money.rounded(action.amount, subscription.terms.currency)
    if not amount.minor:
        what = f"{action.amount} {amount.currency} is less than can be paid"
        return refused(state, ReasonCode.BELOW_MINIMUM, what)
    day = day_of(setting, state, at)
    line = replace(_line(None, "Balance top-up", amount, day), rule="BAL-3")
    added = Addition(state.customer_id, at, day, "topup", amount.exact, None, line.name)
    cause = Cause(InvoiceType.BALANCE_TOPUP, action.id, at, day)
    return purchased(state, subscription, cause, line, gives=added, setting=setting)


def _drawing_on(state: CustomerState, model: str) -> Subscription | Refused:
    """The subscription that can take what is bought, or why there is none. Rule CAP-2."""
    subscription = state.subscription
    if subscription is None or subscription.window is None:
        return Refused(
            ReasonCode.NOT_SUBSCRIBED, "no subscription is running; subscribe or resume first"
        )
    terms = subscription.terms
    if subscription.status not in WITH_ACCESS:
        return Refused(ReasonCode.NOT_SUBSCRIBED, f"subscription {subscription.id} has no access")
    if terms.consumption_model != model:
        what = f"plan {terms.plan!r} is {terms.consumption_model}, not on {model}"
        return Refused(ReasonCode.WRONG_MODEL, what)
    return subscription


def _line(code: str | None, name: str, amount: Money, day: date) -> InvoiceLine:
    return InvoiceLine(
        type=LineType.PACK,
        code=code,
        name=name,
        amount=amount,
        quantity=Fraction(1),
        unit="",
        unit_price=amount.major,
        service=Period(day, day + timedelta(days=1)),
        rule="",
    )
