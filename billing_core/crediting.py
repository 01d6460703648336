"""Credit that the founder gives to a customer, and takes away again.

A grant is money of one currency; the next invoices draw on it before tax until it is used
up or expires (`assembly`). What the customer has by his own payments cannot be revoked.
"""

from dataclasses import replace
from datetime import date, datetime

from billing_core.actions import GrantCredit, ReasonCode, RevokeCredit
from billing_core.money import Currency, Money
from billing_core.period import midnight
from billing_core.setting import Setting
from billing_core.state import CustomerCredit, CustomerState
from billing_core.step import Refused, Step, refused

GRANT = "grant/"
"""How the ids of credits begin that the founder gave."""


def grant_credit(state: CustomerState, action: GrantCredit, at: datetime, setting: Setting) -> Step:
    """A customer credit, rounded once to its currency. Rules CUS-1, CNV-4."""
    currency = currency_for(state, action.currency, at, setting)
    if isinstance(currency, Refused):
        return Step(state, currency)
    amount = Money.rounded(action.amount, currency)
    credit = CustomerCredit(
        id=f"{GRANT}{action.id}",
        granted_at=at,
        reason=action.reason,
        granted=amount,
        left=amount,
        expires_at=_expiry(state, action.expires_at, at, setting),
    )
    return Step(replace(state, credits=(*state.credits, credit)))


def revoke_credit(
    state: CustomerState, action: RevokeCredit, at: datetime, setting: Setting
) -> Step:
    """What is left of grants is taken away, the newest first, up to an amount. Rule CUS-1."""
    currency = currency_for(state, action.currency, at, setting)
    if isinstance(currency, Refused):
        return Step(state, currency)
    wanted = Money.rounded(action.amount, currency)
    kept: list[CustomerCredit] = []
    for credit in reversed(state.credits):
        is_grant = credit.id.startswith(GRANT) and credit.left.currency == currency
        is_usable = credit.expires_at is None or credit.expires_at > at
        taken = min(wanted.minor, credit.left.minor) if is_grant and is_usable else 0
        wanted = Money(wanted.minor - taken, currency)
        kept.append(replace(credit, left=credit.left - Money(taken, credit.left.currency)))
    if wanted == Money.rounded(action.amount, currency):
        what = f"no credit in {currency} that was given is left"
        return refused(state, ReasonCode.NOT_FOUND, what)
    return Step(replace(state, credits=tuple(reversed(kept))))


def currency_for(
    state: CustomerState, code: str | None, at: datetime, setting: Setting
) -> Currency | Refused:
    """The currency named, else the subscription's, else the catalog's; one that is sold in."""
    version = setting.version_at(at)
    own = None if state.subscription is None else state.subscription.terms.currency
    code = code or (version.catalog.currency if own is None else own.code)
    if own is not None and own.code == code:
        return own
    sold = (terms.currency for terms in version.terms.values())
    found = next((currency for currency in sold if currency.code == code), None)
    return found or Refused(ReasonCode.CURRENCY_NOT_AVAILABLE, f"nothing is sold in {code}")


def _expiry(
    state: CustomerState, expires_at: date | datetime | None, at: datetime, setting: Setting
) -> datetime | None:
    """The instant of an expiry: of a date alone 00:00 in the customer's billing time zone."""
    if expires_at is None or isinstance(expires_at, datetime):
        return expires_at
    own = None if state.customer is None else state.customer.time_zone
    return midnight(expires_at, setting.zone_of(own, at))
