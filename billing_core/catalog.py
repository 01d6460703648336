"""One version of the catalog as values: features, plans, prices, packs, policies.

The models have the keys of the YAML files as attributes. That a version makes sense as a
whole (codes that are named exist, prices fit their features) is `catalog_checks`.
"""

from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from billing_core.period import midnight
from billing_core.schema import (
    Amount,
    BasisPoints,
    Code,
    Count,
    Country,
    CurrencyCode,
    Day,
    DayOrInstant,
    Lines,
    MarginPoints,
    PositiveAmount,
    PositiveCount,
    PromoCodeText,
    Record,
    Text,
    YesNo,
)

Interval = Literal["monthly", "quarterly", "yearly"]
ConsumptionModel = Literal["metered", "credits", "balance"]
FeatureType = Literal["boolean", "metered", "seats", "quota"]
Aggregation = Literal["sum", "count", "max", "latest", "unique_count"]
Measure = Literal["time_weighted", "peak", "latest"]
DiscountType = Literal["percentage", "amount"]
GENAI_PRICES = "genai-prices"
"""In place of a model's prices: take their dated history from the package of that name."""

ZERO = Decimal(0)


class Numbering(Record):
    """How invoices are numbered. Rule PST-2.

    format: with `{year}` and `{n}` or `{n:06}`; next: the first number of the books.
    """

    format: Text = "INV-{year}-{n:06}"
    next: PositiveCount = 1


class Seller(Record):
    """Who issues the invoices. Rules TAX-1, PST-2."""

    name: Text
    country: Country
    tax_id: Text | None = None
    address: Lines = ()
    email: Text | None = None
    iban: Text | None = None
    bic: Text | None = None
    numbering: Numbering = Numbering()


class Policies(Record):
    """The switches of the rules, each with its default.

    billing_time_zone: of customers without their own (CNV-1).
    unit_price_decrease_immediate: FAIR-3. late_actions: ACT-3. checkout_days: SUB-8.
    credit_extra_seats_on_upgrade: CHG-4. seat_price_is_monthly: SEAT-4.
    on_conflict: USE-2. grace_hours: USE-8. late_usage, late_usage_windows: USE-7.
    token_cost_rounding: AI-7. engine_changes: PST-5.
    collection, payment_days, dunning_offsets_hours: PAY-1.
    """

    billing_time_zone: Text = "UTC"
    unit_price_decrease_immediate: YesNo = False
    late_actions: Literal["adjust", "refuse"] = "adjust"
    checkout_days: PositiveCount = 7
    credit_extra_seats_on_upgrade: YesNo = True
    seat_price_is_monthly: YesNo = False
    on_conflict: Literal["hold", "first"] = "hold"
    grace_hours: Count = 24
    late_usage: Literal["next_invoice", "waive"] = "next_invoice"
    late_usage_windows: Count = 1
    token_cost_rounding: Literal["exact", "per_event"] = "exact"  # tokens of AI
    engine_changes: Literal["hold", "adjust"] = "hold"
    collection: Literal["automatic", "on_terms"] = "automatic"
    payment_days: Count = 30
    dunning_offsets_hours: tuple[PositiveCount, ...] = (8, 16)


class Feature(Record):
    """What is sold; its code stands on usage events. Rules CAT-2, CAT-11, CAT-12.

    unit: what is priced and shown; event_unit: what events count, `per` of them to a unit.
    aggregation, property, dimensions: of metered features; measure: of quotas.
    """

    type: FeatureType
    name: Text
    unit: Text | None = None
    event_unit: Text | None = None
    per: PositiveAmount = Decimal(1)
    aggregation: Aggregation = "sum"
    property: Text | None = None
    measure: Measure = "time_weighted"
    dimensions: tuple[Text, ...] = ()
    tax_category: Code = "standard"


class Tier(Record):
    """A price for the units above the tier before and up to `up_to` (None: no end). Rule CAT-10."""

    up_to: PositiveAmount | None = None
    unit_price: Amount
    flat: Amount = ZERO


class OverageInCurrency(Record):
    """The money of an overage clause in another currency. Rule CAT-4."""

    unit_price: Amount | None = None
    price: Amount | None = None
    tiers: tuple[Tier, ...] = ()
    minimum_amount: Amount | None = None
    maximum_amount: Amount | None = None


class Overage(Record):
    """What the units above the included cost, and whether they are charged at all.

    model:  which of the prices below counts (CAT-10).
    mode:   charge; confirm (OVR-1); block: above the included nothing is charged.
    block:  soft or hard, what the product does when the limit is reached (QTA-4).
    """

    model: Literal["per_unit", "package", "graduated", "volume", "percentage", "dynamic"] = (
        "per_unit"
    )
    mode: Literal["charge", "confirm", "block"] = "charge"
    block: Literal["soft", "hard"] = "soft"
    unit_price: Amount | None = None
    size: PositiveAmount | None = None
    price: Amount | None = None
    free_units: Amount = ZERO
    tiers: tuple[Tier, ...] = ()
    rate_bp: BasisPoints | None = None
    minimum_amount: Amount | None = None
    maximum_amount: Amount | None = None
    currencies: dict[CurrencyCode, OverageInCurrency] = Field(default_factory=dict)


class PlanFeature(Record):
    """A feature as a plan has it. Rule CAT-5."""

    enabled: YesNo = True
    included: Amount = ZERO
    unlimited: YesNo = False
    overage: Overage | None = None
    credits_per_unit: Amount | None = None
    pricing: Literal["fixed", "ai_model"] = "fixed"
    margin_bp: MarginPoints = 0


class IntroOffer(Record):
    """A discount of the first cycles. Rule OFR-1.

    value: basis points of a percentage, money of an amount.
    """

    type: DiscountType
    value: PositiveAmount
    cycles: PositiveCount


class PlanPriceInCurrency(Record):
    """A plan price in another currency. Rules CAT-4, OFR-1."""

    amount: Amount
    intro_offer: IntroOffer | None = None


class PlanPrice(Record):
    """What a plan costs for one interval. Rule CAT-4.

    included_credits, included_balance: per month, on every interval.
    """

    amount: Amount
    trial_days: Count = 0
    intro_offer: IntroOffer | None = None
    included_credits: Amount = ZERO
    included_balance: Amount = ZERO
    currencies: dict[CurrencyCode, PlanPriceInCurrency] = Field(default_factory=dict)


class Plan(Record):
    """What a customer subscribes to. Rule CAT-3."""

    name: Text
    consumption_model: ConsumptionModel
    public: YesNo = True
    free: YesNo = False
    block_on_exhaustion: YesNo = False
    prices: dict[Interval, PlanPrice] = Field(default_factory=dict)
    features: dict[Code, PlanFeature] = Field(default_factory=dict)
    tax_category: Code = "standard"


class PriceInCurrency(Record):
    """The price of an add-on, pack or item in another currency. Rule CAT-4."""

    price: Amount


class Addon(Record):
    """One feature more, at its own price. Rules ADD-1, ADD-3.

    included None and no overage: a metered feature is unlimited.
    """

    name: Text
    feature: Code
    model: Literal["boolean", "metered", "credits", "balance"]
    price: Amount
    included: Amount | None = None
    unlimited: YesNo = False
    overage: Overage | None = None
    credits_per_unit: Amount | None = None
    pricing: Literal["fixed", "ai_model"] = "fixed"
    margin_bp: MarginPoints = 0
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class CreditPack(Record):
    """Credits bought once. Rule CRD-2."""

    name: Text | None = None
    credits: PositiveAmount
    price: Amount
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class CapacityPack(Record):
    """Units of features, bought once, for a number of days. Rule CAP-1."""

    name: Text | None = None
    price: Amount
    grants: dict[Code, PositiveAmount]
    valid_days: PositiveCount
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class QuotaPack(Record):
    """Slots of a quota feature. Rules JOB-1, JOB-3.

    mode: one_time, valid for `valid_days`; subscription: `price` a month for `term_months`.
    """

    name: Text | None = None
    feature: Code
    slots: PositiveCount
    price: Amount
    mode: Literal["one_time", "subscription"]
    valid_days: PositiveCount | None = None
    term_months: PositiveCount | None = None
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class PromoCode(Record):
    """A discount for whoever types its code. Rule PRM-1.

    cycles None: for ever. plans empty: every plan. expires_at a date: 00:00 of that day.
    """

    type: DiscountType
    value: PositiveAmount
    cycles: PositiveCount | None = None
    plans: tuple[Code, ...] = ()
    max_redemptions: PositiveCount | None = None
    expires_at: DayOrInstant | None = None
    active: YesNo = True


class AiPrices(Record):
    """Money per million tokens of one model, by token class. Rules AI-1, AI-4."""

    input: Amount
    output: Amount
    cache_read: Amount = ZERO
    cache_write: Amount = ZERO


def _prices_or_text(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<prices>"


AiModel = Annotated[
    Annotated[AiPrices, Tag("<prices>")] | Annotated[Literal["genai-prices"], Tag("<text>")],
    Discriminator(_prices_or_text),
]
"""A model's own prices, or where they come from."""


class Creator(Record):
    """Who made an item, and has a share of its sales. Rule STO-1."""

    name: Text


class Audit(Record):
    """What was measured of an item. Rule STO-2."""

    css_kb: Amount
    fcp_s: Amount
    tti_s: Amount
    fps: Amount
    contrast: Amount
    keyboard: YesNo
    focus: YesNo
    screen_reader: YesNo
    reduced_motion: YesNo


class Item(Record):
    """A theme or skin. Rules STO-1, STO-2.

    licence_days: of a timed licence; interval: of a subscription.
    """

    name: Text
    creator: Code
    kind: Literal["fixed", "timed", "subscription"]
    price: Amount
    licence_days: PositiveCount | None = None
    interval: Literal["monthly", "yearly"] | None = None
    on_sale: tuple[Day, Day] | None = None
    audit: Audit | None = None
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class Bundle(Record):
    """Several items at one price. Rules STO-1, STO-3."""

    name: Text
    items: tuple[Code, ...]
    price: Amount
    licence_days: PositiveCount | None = None
    on_sale: tuple[Day, Day] | None = None
    currencies: dict[CurrencyCode, PriceInCurrency] = Field(default_factory=dict)
    tax_category: Code = "standard"


class ShareTier(Record):
    """A creator's share of net sales above the tier before and up to `up_to`. Rule REV-1."""

    up_to: PositiveAmount | None = None
    share_bp: BasisPoints


class RevenueShare(Record):
    """What creators earn. Rules REV-1, REV-2."""

    tiers: tuple[ShareTier, ...] = (
        ShareTier(up_to=Decimal(10_000), share_bp=7000),
        ShareTier(up_to=Decimal(50_000), share_bp=6000),
        ShareTier(share_bp=5000),
    )
    cap_per_month: Amount = Decimal(20_000)
    payout_minimum: Amount = Decimal(50)


class Store(Record):
    """Creators, what they sell, and their share."""

    creators: dict[Code, Creator] = Field(default_factory=dict)
    items: dict[Code, Item] = Field(default_factory=dict)
    bundles: dict[Code, Bundle] = Field(default_factory=dict)
    revenue_share: RevenueShare = RevenueShare()


class TaxRate(Record):
    """A tax rate of a country and category, from a day on. Rule TAX-1."""

    country: Country
    category: Code = "standard"
    rate_bp: BasisPoints
    from_: Day = Field(alias="from")


class ExchangeRate(Record):
    """How much of one currency another is worth, from a day on. Rule CUR-2."""

    from_: CurrencyCode = Field(alias="from")
    to: CurrencyCode
    rate: PositiveAmount
    valid_from: Day
    source: Text


class Catalog(Record):
    """One version of the catalog. Rule CAT-1.

    effective_at: a date alone means 00:00 in the billing time zone; see `effective_instant`.
    groups:       plans of each, lowest to highest.
    """

    catalog: Text
    effective_at: DayOrInstant
    currency: CurrencyCode
    seller: Seller
    policies: Policies = Policies()
    features: dict[Code, Feature] = Field(default_factory=dict)
    groups: dict[Code, tuple[Code, ...]] = Field(default_factory=dict)
    plans: dict[Code, Plan] = Field(default_factory=dict)
    addons: dict[Code, Addon] = Field(default_factory=dict)
    credit_packs: dict[Code, CreditPack] = Field(default_factory=dict)
    capacity_packs: dict[Code, CapacityPack] = Field(default_factory=dict)
    quota_packs: dict[Code, QuotaPack] = Field(default_factory=dict)
    promo_codes: dict[PromoCodeText, PromoCode] = Field(default_factory=dict)
    ai_models: dict[Code, AiModel] = Field(default_factory=dict)
    store: Store = Store()
    tax: tuple[TaxRate, ...] = ()
    exchange_rates: tuple[ExchangeRate, ...] = ()


def effective_instant(catalog: Catalog, zone: tzinfo) -> datetime:
    """When a version comes into force: UTC. A date alone is 00:00 in the zone. Rule CAT-1.

    takes: zone, the catalog's own billing time zone.
    """
    at = catalog.effective_at
    return at if isinstance(at, datetime) else midnight(at, zone)


def group_of(catalog: Catalog, plan: str) -> str | None:
    """The group that a plan is in, or None. Rule CAT-3."""
    return next((code for code, plans in catalog.groups.items() if plan in plans), None)


def plan_currencies(catalog: Catalog, plan: Plan) -> frozenset[str]:
    """The currencies that a plan is priced in; none for a free plan. Rules CAT-6, CUR-1."""
    if not plan.prices:
        return frozenset()
    others = (code for price in plan.prices.values() for code in price.currencies)
    return frozenset({catalog.currency, *others})
