"""Discounts on the plan price: whose they are, what they take off, when a code is refused.

A discount is frozen when the subscription begins and is kept with it; each paid period
takes one cycle of it. Whether a code with a cap still has a place is settled before
customers are billed apart (`redemptions`) and comes in as a value.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from billing_core.actions import ReasonCode, Subscribe
from billing_core.catalog import IntroOffer, PlanPrice, PromoCode
from billing_core.invoice import InvoiceLine, LineType
from billing_core.money import Money
from billing_core.period import midnight
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import CustomerState, Discount, Subscription
from billing_core.step import Refused
from billing_core.terms import Terms

LEAST_WITH_CODE = Decimal("0.50")
"""What a checkout with a code must come to, before customer credits and tax. Rule PRM-1."""


def discount_asked(
    state: CustomerState, action: Subscribe, terms: Terms, at: datetime, *, setting: Setting
) -> Discount | Refused | None:
    """The discount that a new subscription begins with, or why its code is refused.

    rule: OFR-1, OFR-2, PRM-1, PRM-2: an intro offer comes before a code.
    """
    version = setting.version_at(at)
    welcome = None if has_subscribed(state) else welcome_offer(terms, version)
    if action.promo_code is None:
        return welcome
    no = next(_code_refusals(state, action, terms, at, setting=setting), None)
    if no is not None:
        return no
    if welcome is not None:
        return Refused(
            ReasonCode.INTRO_OFFER_ACTIVE,
            f"code {action.promo_code} does not add to the welcome offer of plan {terms.plan!r}; "
            "subscribe without it",
        )
    promo = version.catalog.promo_codes[action.promo_code]
    return _discount(promo, _price(terms, version), terms, promo.cycles, action.promo_code)


def welcome_offer(terms: Terms, version: CatalogVersion) -> Discount | None:
    """The intro offer of a plan's price; a currency's own replaces the base one. Rule OFR-1."""
    if terms.interval is None:
        return None
    price = _price(terms, version)
    local = price.currencies.get(terms.currency.code)
    if local is not None and local.intro_offer is not None:
        offer = local.intro_offer
        is_percentage = offer.type == "percentage"
        amount = Fraction(0) if is_percentage else Fraction(offer.value)
        return Discount(None, int(offer.value) if is_percentage else None, amount, offer.cycles)
    offered = price.intro_offer
    return None if offered is None else _discount(offered, price, terms, offered.cycles, None)


def trial_offered(terms: Terms, version: CatalogVersion) -> int:
    """The days of the trial of a plan's price; 0 for none. Rules OFR-1, SUB-3."""
    return 0 if terms.interval is None else _price(terms, version).trial_days


def has_subscribed(state: CustomerState) -> bool:
    """Whether a subscription ever began, a trial included; an expired checkout did not. OFR-3."""
    return state.has_subscribed or _has_begun(state.subscription)


def redeemed_codes(state: CustomerState) -> tuple[str, ...]:
    """The codes that the customer has redeemed in his life. Rule PRM-2."""
    running = state.subscription
    if running is None or running.promo_code is None or not _has_begun(running):
        return state.redeemed
    return (*state.redeemed, running.promo_code)


def with_remembered(state: CustomerState) -> CustomerState:
    """The state that still knows of the last subscription when a new one takes its place."""
    return replace(state, has_subscribed=has_subscribed(state), redeemed=redeemed_codes(state))


def discount_line(base: InvoiceLine, discount: Discount | None) -> InvoiceLine | None:
    """What a discount takes off the plan of one period, rounded once; None where nothing.

    takes: base, the plan_base line.
    rule:  DSC-1, TAX-2, CNV-9: it is never prorated, and carries the line's tax category.
    """
    if discount is None or discount.cycles_left == 0:
        return None
    off = discount.amount
    if discount.percent_bp is not None:
        off = base.amount.exact * discount.percent_bp / 10_000
    amount = Money.rounded(min(off, base.amount.exact), base.amount.currency)
    if not amount.minor:
        return None
    return replace(
        base,
        type=LineType.DISCOUNT,
        code=discount.code,
        name=_name(discount),
        amount=-amount,
        unit="",
        unit_price=None,
        charge_type=_charge_type(discount),
        rule="DSC-1",
    )


def after_cycle(discount: Discount | None) -> Discount | None:
    """A discount after one paid period; None once it has ended by itself. Rule OFR-2."""
    if discount is None or discount.cycles_left is None:
        return discount
    left = discount.cycles_left - 1
    return replace(discount, cycles_left=left) if left > 0 else None


def is_below_minimum(charges: tuple[InvoiceLine, ...]) -> bool:
    """Whether a checkout with a code comes to less than it must. Rule PRM-1."""
    return sum(line.amount.exact for line in charges) < Fraction(LEAST_WITH_CODE)


def _has_begun(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.period is not None


def _price(terms: Terms, version: CatalogVersion) -> PlanPrice:
    plan = version.catalog.plans[terms.plan]
    return next(price for interval, price in plan.prices.items() if interval == terms.interval)


def _discount(
    offer: IntroOffer | PromoCode,
    price: PlanPrice,
    terms: Terms,
    cycles: int | None,
    code: str | None,
) -> Discount:
    """The discount of an offer in the catalog's currency, in that of the terms. Rule DSC-1."""
    if offer.type == "percentage":
        return Discount(code, int(offer.value), Fraction(0), cycles)
    value = Fraction(offer.value)
    if price.amount:
        value = value * Fraction(terms.amount) / Fraction(price.amount)
    return Discount(code, None, value, cycles)


def _charge_type(discount: Discount) -> str:
    if discount.code is not None:
        return "promo_code"
    return "intro_offer" if discount.name is None else "discount"


def _name(discount: Discount) -> str:
    what = discount.name or "Welcome offer"
    if discount.code is not None:
        what = f"Code {discount.code}"
    if discount.percent_bp is None:
        return what
    return f"{what}, {Decimal(discount.percent_bp).scaleb(-2).normalize():f} %"


def _code_refusals(
    state: CustomerState, action: Subscribe, terms: Terms, at: datetime, *, setting: Setting
) -> Iterator[Refused]:
    """Why a code cannot be redeemed, in the order in which the reasons are looked at. PRM-1."""
    code, catalog = action.promo_code or "", setting.version_at(at).catalog
    promo = catalog.promo_codes.get(code)
    if promo is None:
        yield Refused(ReasonCode.NOT_FOUND, f"there is no code {code}")
        return
    if not promo.active:
        yield Refused(ReasonCode.INACTIVE, f"code {code} is not active")
    if promo.expires_at is not None and _instant(promo.expires_at, at, setting) <= at:
        yield Refused(ReasonCode.EXPIRED, f"code {code} ended on {promo.expires_at}")
    if action.id in setting.without_place:
        what = f"code {code} has been redeemed {promo.max_redemptions} times and can be no more"
        yield Refused(ReasonCode.MAX_REDEMPTIONS_REACHED, what)
    if code in redeemed_codes(state):
        what = f"the customer has redeemed code {code} before"
        yield Refused(ReasonCode.ALREADY_REDEEMED, what)
    if terms.is_free or (promo.plans and terms.plan not in promo.plans):
        plans = ", ".join(promo.plans) or "every paid plan"
        what = f"code {code} is not for plan {terms.plan!r}; it is for {plans}"
        yield Refused(ReasonCode.PLAN_NOT_ELIGIBLE, what)


def _instant(end: date | datetime, at: datetime, setting: Setting) -> datetime:
    """The end of a code: of a date alone 00:00 in the catalog's billing time zone."""
    return end if isinstance(end, datetime) else midnight(end, setting.zone_of(None, at))
