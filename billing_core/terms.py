"""What the catalog gives one subscription now: price, features, prices of overage.

Terms are a snapshot. They are taken from the catalog in force at an instant and are kept
with the subscription for the period, so that a later catalog version does not reach back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from billing_core import pricing
from billing_core.catalog import (
    Addon,
    Catalog,
    Interval,
    Overage,
    Plan,
    PlanFeature,
    PriceInCurrency,
)
from billing_core.currencies import (
    converted,
    effective_day,
    lacks_price,
    overage_in,
    price_in,
    rate_on,
)
from billing_core.errors import BillingError
from billing_core.money import Currency
from billing_core.period import Span

ONE = Fraction(1)


class NoPriceInCurrency(BillingError):
    """An amount has no price in the subscription's currency, and no rate is in force. CUR-2."""

    code = "PRICE-01"

    def __init__(self, *, path: str, currency: str, own: str) -> None:
        super().__init__(
            what=f"there is no price in {currency}, and no exchange rate from {own} to {currency}",
            where=f"the catalog, {path}",
            mend=f"add a price in {currency}, or a row to exchange_rates",
        )


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """One feature as a plan or an add-on has it. Rules CAT-5, CAT-12, ADD-3.

    included: priced units; price: of the units above it, None where they are blocked.
    per:      event units in one priced unit.
    during:   in the terms of a window, when it could be used; empty: in all of the window.
    """

    code: str
    name: str
    type: str
    unit: str
    aggregation: str
    is_ai: bool
    margin_bp: int
    included: Fraction
    unlimited: bool
    price: pricing.Price | None
    mode: str
    per: Fraction = ONE
    event_unit: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    tax_category: str = "standard"
    credits_per_unit: Decimal | None = None
    during: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class AddonTerms:
    """An add-on in a currency, as in force for one period. Rules ADD-1, ADD-3, ADD-6.

    model: of consumption, `boolean` where it fits any; price: of a period of the plan.
    """

    code: str
    name: str
    model: str
    price: Decimal
    feature: FeatureTerms
    tax_category: str = "standard"


@dataclass(frozen=True, slots=True)
class Terms:
    """A plan at an interval in a currency, as in force for one period.

    interval:      None on a free plan. features: enabled ones only, by code.
    exchange_rate: at which what has no price in the currency is converted in this period, from
                   the catalog's; None in the catalog's own, or without a row (CUR-2).
    """

    plan: str
    plan_name: str
    consumption_model: str
    interval: str | None
    currency: Currency
    amount: Decimal
    features: tuple[FeatureTerms, ...]
    tax_category: str = "standard"
    is_free: bool = False
    included_funds: Fraction = Fraction(0)
    block_on_exhaustion: bool = False
    exchange_rate: Decimal | None = None
    by_code: Mapping[str, FeatureTerms] = field(default_factory=dict, compare=False, repr=False)

    @property
    def seats(self) -> tuple[FeatureTerms, ...]:
        return tuple(feature for feature in self.features if feature.type == "seats")


def terms_of(
    catalog: Catalog,
    code: str,
    interval: Interval | None,
    currency: Currency,
    *,
    rate: Decimal | None = None,
) -> Terms:
    """The terms that the catalog gives to a new period of a plan. Rules CAT-4, CAT-5, CUR-2.

    takes:  a plan of the catalog, an interval and currency that it is priced in, and the rate
            of that currency.
    raises: NoPriceInCurrency.
    """
    plan = catalog.plans[code]
    if currency.code != catalog.currency and rate is None:
        _raise_if_unpriced(catalog, code, currency.code)
    features = tuple(
        _feature_terms(catalog, name, held, currency=currency, rate=rate)
        for name, held in sorted(plan.features.items())
        if held.enabled
    )
    return Terms(
        plan=code,
        plan_name=plan.name,
        consumption_model=plan.consumption_model,
        interval=interval,
        currency=currency,
        amount=Decimal(0) if interval is None else _amount(plan, interval, currency),
        features=features,
        tax_category=plan.tax_category,
        is_free=plan.free,
        included_funds=_included_funds(plan, interval, rate),
        block_on_exhaustion=plan.block_on_exhaustion,
        exchange_rate=rate,
        by_code={feature.code: feature for feature in features},
    )


def addon_terms(
    catalog: Catalog, code: str, currency: Currency, *, rate: Decimal | None = None
) -> AddonTerms | None:
    """The terms that the catalog gives to a new period of an add-on. Rules ADD-3, CAT-4, CUR-2.

    takes:   an add-on of the catalog, and the rate of the currency.
    returns: None where it has no price in the currency.
    raises:  NoPriceInCurrency, for its use.
    """
    addon, price = catalog.addons[code], catalog.addons[code].price
    if currency.code != catalog.currency:
        local = addon.currencies.get(currency.code)
        here = price_in(price, None if local is None else local.price, rate)
        if here is None:
            return None
        price = here
        if rate is None:
            _raise_if_use_unpriced(catalog, code, currency.code)
    feature = _feature_terms(catalog, addon.feature, addon, currency=currency, rate=rate)
    is_bare = addon.included is None and addon.overage is None and addon.pricing == "fixed"
    if feature.type == "metered" and addon.model == "metered" and is_bare:
        feature = replace(feature, unlimited=True)
    return AddonTerms(
        code=code,
        name=addon.name,
        model=addon.model,
        price=price,
        feature=feature,
        tax_category=addon.tax_category,
    )


def with_features(terms: Terms, features: Mapping[str, FeatureTerms]) -> Terms:
    """Terms with other features, which are put in order of code."""
    by_code = {code: features[code] for code in sorted(features)}
    return replace(terms, features=tuple(by_code.values()), by_code=by_code)


def unpriced_paths(plan: Plan, currency: str) -> Iterator[str]:
    """Paths in a plan of money that has no price in a currency: it wants a rate. Rule CUR-2."""
    for interval, price in plan.prices.items():
        if price.included_balance and currency in price.currencies:
            yield f"prices.{interval}.included_balance"
    for name, held in plan.features.items():
        if not held.enabled:
            continue
        if held.pricing == "ai_model" and plan.consumption_model != "credits":
            yield f"features.{name}.pricing"
        if held.overage is not None and lacks_price(held.overage, currency):
            yield f"features.{name}.overage"


def _raise_if_unpriced(catalog: Catalog, code: str, currency: str) -> None:
    for path in unpriced_paths(catalog.plans[code], currency):
        raise NoPriceInCurrency(
            path=f"plans.{code}.{path}", currency=currency, own=catalog.currency
        )


def addon_unpriced_paths(addon: Addon, currency: str) -> Iterator[str]:
    """Paths in an add-on of what its use costs and is not priced in a currency. Rule CUR-2."""
    if addon.pricing == "ai_model" and addon.model != "credits":
        yield "pricing"
    if addon.overage is not None and lacks_price(addon.overage, currency):
        yield "overage"


def _raise_if_use_unpriced(catalog: Catalog, code: str, currency: str) -> None:
    for path in addon_unpriced_paths(catalog.addons[code], currency):
        raise NoPriceInCurrency(
            path=f"addons.{code}.{path}", currency=currency, own=catalog.currency
        )


class Priced(Protocol):
    """What is sold at one price, which it may have in other currencies too. Rule CAT-4."""

    @property
    def price(self) -> Decimal: ...

    @property
    def currencies(self) -> Mapping[str, PriceInCurrency]: ...


def price_of_sold(terms: Terms, sold: Priced, catalog: Catalog, on: date) -> Decimal | None:
    """What an add-on, a pack or an item costs a subscription, exact, in its currency.

    takes:   on, a day of the period: its rate counts where the period began without one.
    returns: None where it has no price in the currency and no rate is known.
    rule:    CAT-4, CUR-2: its own price there, else converted at the rate of the period.
    """
    code = terms.currency.code
    if code == catalog.currency:
        return sold.price
    local = sold.currencies.get(code)
    rate = period_rate(terms, catalog, on)
    return price_in(sold.price, None if local is None else local.price, rate)


def period_rate(terms: Terms, catalog: Catalog, on: date) -> Decimal | None:
    """The rate of a running period; of one that began without, that of a later version. CUR-2."""
    if terms.exchange_rate is not None or terms.currency.code == catalog.currency:
        return terms.exchange_rate
    return rate_on(catalog, terms.currency.code, max(on, effective_day(catalog)))


def with_lower_costs(terms: Terms, offered: Terms) -> Terms:
    """Terms with the costs in credits that an offer has lower; a higher one waits. Rule CRD-3."""
    features = (_cheaper(it, offered.by_code.get(it.code)) for it in terms.features)
    return with_features(terms, {feature.code: feature for feature in features})


def _cheaper(own: FeatureTerms, offered: FeatureTerms | None) -> FeatureTerms:
    cost = None if offered is None else offered.credits_per_unit
    if cost is None or own.credits_per_unit is None:
        return own
    return replace(own, credits_per_unit=min(own.credits_per_unit, cost))


def _included_funds(plan: Plan, interval: Interval | None, rate: Decimal | None) -> Fraction:
    """Credits or balance of each month, whatever the interval. Rules CAT-4, CUR-2, INV-8."""
    if interval is None or plan.consumption_model == "metered":
        return Fraction(0)
    price = plan.prices[interval]
    if plan.consumption_model == "credits":
        return Fraction(price.included_credits)
    own = price.included_balance
    return Fraction(own if rate is None else converted(own, rate))


def _amount(plan: Plan, interval: Interval, currency: Currency) -> Decimal:
    price = plan.prices[interval]
    local = price.currencies.get(currency.code)
    return price.amount if local is None or local.amount is None else local.amount


def _feature_terms(
    catalog: Catalog,
    code: str,
    held: PlanFeature | Addon,
    *,
    currency: Currency,
    rate: Decimal | None,
) -> FeatureTerms:
    """One feature as it is had, its overage in the currency."""
    feature, overage = catalog.features[code], held.overage
    if overage is not None and currency.code != catalog.currency:
        overage = overage_in(overage, currency.code, rate)
    return FeatureTerms(
        code=code,
        name=feature.name,
        type=feature.type,
        unit=feature.unit or "",
        aggregation=feature.aggregation,
        is_ai=held.pricing == "ai_model",
        margin_bp=held.margin_bp,
        included=Fraction(held.included or 0),
        unlimited=held.unlimited,
        price=None if overage is None or overage.mode == "block" else price_of(overage),
        mode="block" if overage is None else overage.mode,
        per=Fraction(feature.per),
        event_unit=feature.event_unit or feature.unit or "",
        minimum=None if overage is None else overage.minimum_amount,
        maximum=None if overage is None else overage.maximum_amount,
        tax_category=feature.tax_category,
        credits_per_unit=held.credits_per_unit,
    )


def price_of(overage: Overage) -> pricing.Price:
    """The price model that an overage clause names; the catalog made sure that it has it.

    rule: CAT-10.
    """
    match overage.model:
        case "package":
            return pricing.Package(_given(overage.size), _given(overage.price), overage.free_units)
        case "graduated":
            return pricing.Graduated(_tiers(overage))
        case "volume":
            return pricing.Volume(_tiers(overage))
        case "percentage":
            return pricing.Percentage(overage.rate_bp or 0)
        case "dynamic":
            return pricing.Dynamic()
        case "per_unit":  # pragma: no branch  the last model
            return pricing.PerUnit(_given(overage.unit_price))


def _given(value: Decimal | None) -> Decimal:
    if value is None:
        raise ValueError("an overage clause without the price of its model passed the catalog")
    return value


def _tiers(overage: Overage) -> tuple[pricing.Tier, ...]:
    return pricing.tiers_of((tier.up_to, tier.unit_price, tier.flat) for tier in overage.tiers)
