"""How a customer stands at an instant: subscription, access, seats, usage, money owed.

What a person asks about a customer, read off the state and the usage of the running
window. Nothing here changes anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from billing_core.addons import active, current_features
from billing_core.bill import drawn_so_far
from billing_core.coming import coming
from billing_core.cycle import rate_metered
from billing_core.drawing import CREDITS
from billing_core.invoice import UsedFeature
from billing_core.money import Currency, Money, total
from billing_core.period import Period
from billing_core.setting import Setting
from billing_core.state import (
    WITH_ACCESS,
    CancelReason,
    CustomerState,
    Funds,
    InvoiceRecord,
    Subscription,
)
from billing_core.usage import WindowKey


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What will happen to a subscription on a day: its end, or another plan or interval.

    reason: why it ends; None of a change.
    """

    on: date
    reason: CancelReason | None = None
    plan: str | None = None
    interval: str | None = None

    @property
    def is_cancel(self) -> bool:
        return self.reason is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """One customer's standing. Money is by currency, since none is added to another.

    status, plan, ...: of the last subscription; None for who never had one.
    usage:             of the running window, as known; empty without access.
    plan_credits, ...: what is left of credits and balance, exact, as far as usage is known.
    features, limits:  of the plan and of active add-ons; addons: the codes of those.
    outstanding:       what is owed on invoices, below zero what was paid too much (PAY-2).
    uncollectible:     the part of it whose dunning has ended without success (PAY-1).
    """

    customer_id: str
    status: str | None = None
    subscription_id: str | None = None
    plan: str | None = None
    plan_name: str | None = None
    interval: str | None = None
    currency: Currency | None = None
    anchor: date | None = None
    period: Period | None = None
    scheduled: Scheduled | None = None
    has_access: bool = False
    seats: Mapping[str, int] = field(default_factory=dict)
    usage: tuple[UsedFeature, ...] = ()
    limits: Mapping[str, Fraction | None] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()
    outstanding: tuple[Money, ...] = ()
    uncollectible: tuple[Money, ...] = ()
    customer_credit: tuple[Money, ...] = ()
    plan_credits: Fraction = Fraction(0)
    purchased_credits: Fraction = Fraction(0)
    balance: Fraction = Fraction(0)


def standing(state: CustomerState, setting: Setting, *, at: datetime) -> Standing:
    """How a customer stands, the state being that of the instant.

    takes: setting, with the usage of the running window under its known landing day.
    rule:  SUB-1, PAY-2, CUS-1.
    """
    owed, credit = _outstanding(state.invoices), _credit(state, at)
    lost = _outstanding([record for record in state.invoices if record.is_uncollectible])
    subscription = state.subscription
    if subscription is None:
        return Standing(
            state.customer_id, outstanding=owed, uncollectible=lost, customer_credit=credit
        )
    funds = _funds(state, setting)
    is_credits = funds.unit == CREDITS
    terms, has_access = subscription.terms, subscription.status in WITH_ACCESS
    features = current_features(subscription)
    return Standing(
        customer_id=state.customer_id,
        status=subscription.status,
        subscription_id=subscription.id,
        plan=terms.plan,
        plan_name=terms.plan_name,
        interval=terms.interval,
        currency=terms.currency,
        anchor=subscription.anchor,
        period=subscription.period,
        scheduled=scheduled(subscription, setting, at),
        has_access=has_access,
        seats={holding.feature: holding.held for holding in subscription.seats},
        usage=_usage(state, setting),
        limits={
            item.code: None if item.unlimited else item.included
            for item in features
            if item.type in {"metered", "quota"}
        },
        features=tuple(item.code for item in features) if has_access else (),
        addons=tuple(held.terms.code for held in active(subscription)),
        outstanding=owed,
        uncollectible=lost,
        customer_credit=credit,
        plan_credits=funds.plan if is_credits else Fraction(0),
        purchased_credits=funds.purchased,
        balance=Fraction(0) if is_credits else funds.plan,
    )


def scheduled(subscription: Subscription, setting: Setting, at: datetime) -> Scheduled | None:
    """What the end of the running period brings, as known at an instant; None for the same.

    rule: CHG-8, CHG-10, CAT-8.
    """
    own, period = subscription.terms, subscription.period
    if subscription.status not in WITH_ACCESS or period is None:
        return None
    what = coming(subscription, setting, at)
    if what.plan is None:
        return Scheduled(period.end, what.reason)
    if (what.plan, what.interval) == (own.plan, own.interval):
        return None
    return Scheduled(period.end, plan=what.plan, interval=what.interval)


def _funds(state: CustomerState, setting: Setting) -> Funds:
    """What is left of credits or balance, as far as usage is known."""
    drawn = drawn_so_far(state, setting)
    if drawn is not None:
        return drawn.left
    return state.funds or Funds(CREDITS, Fraction(0), Fraction(0))


def _usage(state: CustomerState, setting: Setting) -> tuple[UsedFeature, ...]:
    subscription = state.subscription
    if subscription is None or subscription.window is None:
        return ()
    drawn = drawn_so_far(state, setting)
    if drawn is not None:
        return drawn.rated.usage
    window = subscription.window
    key = WindowKey(state.customer_id, window.start_at, window.end_at, setting.known_on)
    policies = setting.policies_at(window.start_at)
    return rate_metered(subscription, window, setting.usage.get(key, {}), policies).usage


def _outstanding(records: Iterable[InvoiceRecord]) -> tuple[Money, ...]:
    by_currency: dict[str, list[Money]] = {}
    for record in records:
        by_currency.setdefault(record.total.currency.code, []).append(record.unpaid)
    return _sums(by_currency)


def _credit(state: CustomerState, at: datetime) -> tuple[Money, ...]:
    by_currency: dict[str, list[Money]] = {}
    for credit in state.credits:
        is_usable = credit.expires_at is None or credit.expires_at > at
        if is_usable and credit.left.minor:
            by_currency.setdefault(credit.left.currency.code, []).append(credit.left)
    return _sums(by_currency)


def _sums(by_currency: Mapping[str, list[Money]]) -> tuple[Money, ...]:
    return tuple(total(amounts, amounts[0].currency) for _, amounts in sorted(by_currency.items()))
