"""What the catalog gives one subscription now: price, features, prices of overage.

Terms are a snapshot. They are taken from the catalog in force at an instant and are kept
with the subscription for the period, so that a later catalog version does not reach back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from billing_core import pricing
from billing_core.catalog import Addon, Catalog, Interval, Overage, Plan, PlanFeature
from billing_core.errors import BillingError
from billing_core.money import Currency
from billing_core.period import Span

ONE = Fraction(1)


class NoPriceInCurrency(BillingError):
    """An amount has no price in the subscription's currency."""

    code = "PRICE-01"

    def __init__(self, *, feature: str, path: str, currency: str) -> None:
        super().__init__(
            what=f"feature {feature!r} has no overage price in {currency}",
            where=f"the catalog, {path}.overage.currencies",
            mend=f"add a unit price in {currency}",
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

    interval: None on a free plan. features: enabled ones only, by code.
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
    by_code: Mapping[str, FeatureTerms] = field(default_factory=dict, compare=False, repr=False)

    @property
    def seats(self) -> tuple[FeatureTerms, ...]:
        return tuple(feature for feature in self.features if feature.type == "seats")


def terms_of(catalog: Catalog, code: str, interval: Interval | None, currency: Currency) -> Terms:
    """The terms that the catalog gives to a new period of a plan. Rules CAT-4, CAT-5.

    takes:  a plan of the catalog, and an interval and currency that it is priced in.
    raises: NoPriceInCurrency.
    """
    plan = catalog.plans[code]
    features = tuple(
        _feature_terms(catalog, name, held, path=f"plans.{code}.features.{name}", currency=currency)
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
        included_funds=_included_funds(plan, interval),
        block_on_exhaustion=plan.block_on_exhaustion,
        by_code={feature.code: feature for feature in features},
    )


def addon_terms(catalog: Catalog, code: str, currency: Currency) -> AddonTerms | None:
    """The terms that the catalog gives to a new period of an add-on. Rules ADD-3, CAT-4.

    takes:   an add-on of the catalog.
    returns: None where it has no price in the currency.
    raises:  NoPriceInCurrency, for its overage.
    """
    addon = catalog.addons[code]
    local = addon.currencies.get(currency.code)
    if local is None and currency.code != catalog.currency:
        return None
    feature = _feature_terms(
        catalog, addon.feature, addon, path=f"addons.{code}", currency=currency
    )
    is_bare = addon.included is None and addon.overage is None and addon.pricing == "fixed"
    if feature.type == "metered" and addon.model == "metered" and is_bare:
        feature = replace(feature, unlimited=True)
    return AddonTerms(
        code=code,
        name=addon.name,
        model=addon.model,
        price=addon.price if local is None else local.price,
        feature=feature,
        tax_category=addon.tax_category,
    )


def with_features(terms: Terms, features: Mapping[str, FeatureTerms]) -> Terms:
    """Terms with other features, which are put in order of code."""
    by_code = {code: features[code] for code in sorted(features)}
    return replace(terms, features=tuple(by_code.values()), by_code=by_code)


def with_lower_costs(terms: Terms, offered: Terms) -> Terms:
    """Terms with the costs in credits that an offer has lower; a higher one waits. Rule CRD-3."""
    features = (_cheaper(it, offered.by_code.get(it.code)) for it in terms.features)
    return with_features(terms, {feature.code: feature for feature in features})


def _cheaper(own: FeatureTerms, offered: FeatureTerms | None) -> FeatureTerms:
    cost = None if offered is None else offered.credits_per_unit
    if cost is None or own.credits_per_unit is None:
        return own
    return replace(own, credits_per_unit=min(own.credits_per_unit, cost))


def _included_funds(plan: Plan, interval: Interval | None) -> Fraction:
    """Credits or balance of each month, whatever the interval. Rules CAT-4, INV-8."""
    if interval is None or plan.consumption_model == "metered":
        return Fraction(0)
    price = plan.prices[interval]
    is_credits = plan.consumption_model == "credits"
    return Fraction(price.included_credits if is_credits else price.included_balance)


def _amount(plan: Plan, interval: Interval, currency: Currency) -> Decimal:
    price = plan.prices[interval]
    local = price.currencies.get(currency.code)
    return price.amount if local is None or local.amount is None else local.amount


def _feature_terms(
    catalog: Catalog, code: str, held: PlanFeature | Addon, *, path: str, currency: Currency
) -> FeatureTerms:
    """One feature as it is had, its overage in the currency. raises: NoPriceInCurrency."""
    feature, overage = catalog.features[code], held.overage
    if overage is not None and currency.code != catalog.currency:
        overage = _in_currency(overage, path=path, feature=code, currency=currency.code)
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


def _in_currency(overage: Overage, *, path: str, feature: str, currency: str) -> Overage:
    """The clause with its money in another currency; a share of a value has no currency."""
    if overage.model in {"percentage", "dynamic"} or overage.mode == "block":
        return overage
    local = overage.currencies.get(currency)
    if local is None:
        raise NoPriceInCurrency(feature=feature, path=path, currency=currency)
    return overage.model_copy(
        update={
            "unit_price": local.unit_price,
            "price": local.price,
            "tiers": local.tiers or overage.tiers,
            "minimum_amount": local.minimum_amount,
            "maximum_amount": local.maximum_amount,
        }
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
