"""Drawing use on credits or on a balance, stretch by stretch.

Answers what the use of a window took from what was there, what was blocked, and which
features a deficit is charged for. What is carried from window to window is in `ledger`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor

from billing_core.catalog import Addon, Catalog, Feature, PlanFeature
from billing_core.errors import NegativeQuantity
from billing_core.exact import exact_sum, product, quotient
from billing_core.invoice import InvoiceLine, LineDetail, LineType, UsedFeature
from billing_core.money import Money, allocate
from billing_core.period import Period, Window, billing_date, midnight
from billing_core.pricing import PerUnit
from billing_core.rating import RatedWindow
from billing_core.state import Addition, Funds
from billing_core.terms import FeatureTerms, Terms
from billing_core.tokens import TokenCost, token_costs
from billing_core.usage import TOKEN_CLASSES, Usage, UsageSnapshot, WindowKey

CREDITS = "credits"
"""What credits are counted in; a balance is counted in its currency."""

_ZERO = Fraction(0)
_PLACES = 10**9
_TOKENS_PRICED = 1000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window in which use is drawn together. Rule CRD-4.

    day: the customer's date of the stretch.
    """

    start_at: datetime
    end_at: datetime
    day: date


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of a customer's credits or balance. Rules LED-1, LED-2, BAL-5.

    kind:   `consumption`, `purchase`, `topup`, `reset` or `adjustment`.
    unit:   `credits`, or the currency of a balance.
    amount, balance_after: exact; of credits the balance is plan plus purchased.
    code:   the feature consumed, or the pack bought.
    """

    customer_id: str
    at: datetime
    on: date
    kind: str
    unit: str
    amount: Fraction
    balance_after: Fraction
    code: str | None
    description: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A window drawn: what it owes, its entries in order of time, and what is left at its end.

    keys: the stretches whose usage was asked for; they tile the window.
    """

    rated: RatedWindow
    entries: tuple[LedgerEntry, ...]
    left: Funds
    keys: tuple[WindowKey, ...]


def stretches(window: Window, zone: tzinfo, cut_at: Iterable[datetime]) -> tuple[Stretch, ...]:
    """The stretches of a window, in order: cut at each local midnight and the instants given.

    takes:   cut_at, instants of purchases, top-ups and changes of terms.
    returns: none of a window that was closed at the instant at which it opened.
    rule:    CRD-4.
    """
    cuts = {window.start_at, window.end_at, *cut_at}
    day = window.start + timedelta(days=1)
    while (at := midnight(day, zone)) < window.end_at:
        cuts.add(at)
        day += timedelta(days=1)
    ordered = sorted(at for at in cuts if window.start_at <= at <= window.end_at)
    return tuple(
        Stretch(start, end, max(billing_date(start, zone), window.start))
        for start, end in pairwise(ordered)
    )


def unit_of(terms: Terms) -> str:
    """What a plan's credits or balance are counted in."""
    return CREDITS if terms.consumption_model == "credits" else terms.currency.code


def in_store(unit: str, funds: Funds) -> Fraction:
    """What can be drawn: of credits those of the plan and bought ones. Rule CRD-1."""
    return funds.plan + funds.purchased if unit == CREDITS else funds.plan


@dataclass(frozen=True, slots=True)
class _Use:
    """What one feature used in one stretch: units, those of them paid, and what they drew.

    costs: on a balance, what its tokens cost.
    """

    day: date
    feature: str
    units: Fraction
    paid: Fraction
    drawn: Fraction
    costs: tuple[TokenCost, ...] = ()


@dataclass(slots=True)
class _Walk:
    """How far a window has been drawn."""

    customer_id: str
    unit: str
    plan: Fraction
    purchased: Fraction
    entries: list[LedgerEntry] = field(default_factory=list)
    uses: list[_Use] = field(default_factory=list)

    @property
    def left(self) -> Funds:
        return Funds(self.unit, self.plan, self.purchased)


def draw(
    terms: Terms,
    funds: Funds,
    keys: Sequence[tuple[Stretch, WindowKey]],
    usage: Usage,
    *,
    service: Period,
    is_blocking: bool,
    per_event: bool,
    changed: Sequence[tuple[datetime, Terms]] = (),
) -> Drawn:
    """The use of a window drawn by time on what was there at its start and was added since.

    takes:   funds, at the window's start, with the additions since; keys, its stretches in
             order; is_blocking, whether nothing beyond what is there is used or charged;
             changed, other terms from an instant on, by instant.
    returns: lines of a deficit, which only a balance that does not block can have.
    rule:    CRD-1, CRD-3, CRD-4, BAL-1, BAL-2, BAL-4, BAL-6, LED-2.
    """
    customer_id = keys[0][1].customer_id if keys else ""
    walk = _Walk(customer_id, funds.unit, funds.plan, funds.purchased)
    waiting = list(funds.additions)
    for stretch, key in keys:
        while waiting and waiting[0].at <= stretch.start_at:
            _add(walk, waiting.pop(0))
        snapshots = usage.get(key, {})
        own = next((it for at, it in reversed(changed) if at <= stretch.start_at), terms)
        _take(walk, own, stretch, snapshots, is_blocking=is_blocking, per_event=per_event)
    for addition in waiting:
        _add(walk, addition)
    lines = _deficit_lines(walk, terms, service)
    rated = RatedWindow(lines, _used_features(walk, terms, {line.code: line for line in lines}))
    return Drawn(rated, tuple(walk.entries), walk.left, tuple(key for _, key in keys))


def _add(walk: _Walk, addition: Addition) -> None:
    """What was bought, topped up or included besides, from its instant on. CRD-2, BAL-3, FAIR-5."""
    if addition.kind == "purchase":
        walk.purchased += addition.amount
    else:
        walk.plan += addition.amount
    entry = LedgerEntry(
        addition.customer_id,
        addition.at,
        addition.on,
        addition.kind,
        walk.unit,
        addition.amount,
        in_store(walk.unit, walk.left),
        addition.code,
        addition.name,
    )
    walk.entries.append(entry)


def _take(
    walk: _Walk,
    terms: Terms,
    stretch: Stretch,
    snapshots: Mapping[str, UsageSnapshot],
    *,
    is_blocking: bool,
    per_event: bool,
) -> None:
    """The use of one stretch, features in the order of their code. Rules CRD-1, CRD-4."""
    for feature in terms.features:
        snapshot = snapshots.get(feature.code)
        if snapshot is None or feature.type != "metered":
            continue
        units, cost, costs = _cost(terms, feature, snapshot, per_event=per_event)
        available = max(in_store(walk.unit, walk.left), _ZERO)
        paid = units
        if is_blocking and cost > available:
            paid = Fraction(floor(units * available / cost * _PLACES), _PLACES)
            cost = available
        walk.uses.append(_Use(stretch.day, feature.code, units, paid, cost, costs))
        if cost:
            _spend(walk, stretch, feature, cost)


def _spend(walk: _Walk, stretch: Stretch, feature: FeatureTerms, cost: Fraction) -> None:
    """What a feature cost, taken from the plan's first. Rules CRD-1, LED-2."""
    bought = max(cost - max(walk.plan, _ZERO), _ZERO) if walk.unit == CREDITS else _ZERO
    walk.plan -= cost - bought
    walk.purchased -= bought
    entry = LedgerEntry(
        walk.customer_id,
        stretch.start_at,
        stretch.day,
        "consumption",
        walk.unit,
        -cost,
        in_store(walk.unit, walk.left),
        feature.code,
        feature.name,
    )
    walk.entries.append(entry)


def _cost(
    terms: Terms, feature: FeatureTerms, snapshot: UsageSnapshot, *, per_event: bool
) -> tuple[Fraction, Fraction, tuple[TokenCost, ...]]:
    """Priced units (of AI tokens), what they cost in credits or money, and of which tokens.

    rule: CRD-1, BAL-1, AI-6, CUR-2.
    """
    if snapshot.quantity < 0:
        raise NegativeQuantity(name=f"usage of {feature.code}", quantity=snapshot.quantity)
    units = quotient(snapshot.quantity, feature.per)
    if terms.consumption_model == "credits":
        cost = Fraction(feature.credits_per_unit or 0) * units
        return units, cost / _TOKENS_PRICED if feature.is_ai else cost, ()
    if feature.is_ai:
        costs = token_costs(
            snapshot.tokens,
            margin_bp=feature.margin_bp,
            per_event=per_event,
            rate=terms.exchange_rate,
        )
        return units, exact_sum([cost.exact for cost in costs]), costs
    return units, product(units, _unit_price(feature).unit_price), ()


def _unit_price(feature: FeatureTerms) -> PerUnit:
    """The price of a unit on a balance. Rule BAL-1."""
    if not isinstance(feature.price, PerUnit):
        raise ValueError(f"feature {feature.code} has no price for each unit on a balance plan")
    return feature.price


def attributed(
    uses: Sequence[tuple[date, str, Fraction]], deficit: Fraction
) -> dict[str, Fraction]:
    """A deficit by the features that spent last, exact; the parts add up to it.

    takes: what was spent, as (day, feature, amount); deficit, at most the sum of it.
    rule:  BAL-4, BAL-6: from the newest day back, within a day from the last code.

    >>> spent = [(date(2026, 4, 5), "b", Fraction(20)), (date(2026, 4, 6), "a", Fraction(10))]
    >>> {code: str(part) for code, part in attributed(spent, Fraction(25)).items()}
    {'a': '10', 'b': '15'}
    """
    by_day: dict[tuple[date, str], Fraction] = defaultdict(Fraction)
    for day, code, amount in uses:
        by_day[day, code] += amount
    parts: dict[str, Fraction] = defaultdict(Fraction)
    for day, code in sorted(by_day, reverse=True):
        part = min(by_day[day, code], deficit)
        if part > 0:
            parts[code] += part
            deficit -= part
    return dict(sorted(parts.items()))


def _deficit_lines(walk: _Walk, terms: Terms, service: Period) -> tuple[InvoiceLine, ...]:
    """What exceeds the balance, a line for each feature; they add up to it. BAL-4, CNV-4."""
    if walk.unit == CREDITS or walk.plan >= 0:
        return ()
    spent = [(use.day, use.feature, use.drawn) for use in walk.uses]
    parts = attributed(spent, -walk.plan)
    whole = Money.rounded(-walk.plan, terms.currency)
    amounts = allocate(whole, list(parts.values()))
    lines = [
        _deficit_line(walk, terms.by_code[code], part, amount, service)
        for (code, part), amount in zip(parts.items(), amounts, strict=True)
    ]
    return tuple(line for line in lines if line.amount.minor)


def _deficit_line(
    walk: _Walk, feature: FeatureTerms, part: Fraction, amount: Money, service: Period
) -> InvoiceLine:
    """The units beyond the balance: by their price, of AI the share of the cost in tokens."""
    uses = [use for use in walk.uses if use.feature == feature.code]
    used = exact_sum([use.units for use in uses])
    spent = exact_sum([use.drawn for use in uses])
    return InvoiceLine(
        type=LineType.FEATURE_OVERAGE if feature.is_ai else LineType.BALANCE_OVERAGE,
        code=feature.code,
        name=feature.name,
        amount=amount,
        quantity=used * part / spent,
        unit=feature.unit,
        unit_price=None if feature.is_ai else _unit_price(feature).unit_price,
        service=service,
        used=used,
        included=used - used * part / spent,
        details=_token_details(feature, uses, part / spent, amount) if feature.is_ai else (),
        rule="BAL-4",
        tax_category=feature.tax_category,
    )


def _token_details(
    feature: FeatureTerms, uses: Sequence[_Use], share: Fraction, amount: Money
) -> tuple[LineDetail, ...]:
    """The share of each model's tokens that is charged, by class, and the margin. AI-6, AI-8."""
    sums: dict[tuple[str, str, Decimal], Fraction] = defaultdict(Fraction)
    exact: dict[tuple[str, str, Decimal], Fraction] = defaultdict(Fraction)
    margin = _ZERO
    for cost in (cost for use in uses for cost in use.costs):
        if cost.token_class is None or cost.price_per_million is None:
            margin += cost.exact
        else:
            key = (cost.model, cost.token_class, cost.price_per_million)
            sums[key] += cost.tokens
            exact[key] += cost.exact
    keys = sorted(exact, key=lambda key: (key[0], TOKEN_CLASSES.index(key[1]), key[2]))
    *amounts, rest = allocate(amount, [*(exact[key] for key in keys), margin])
    details = [
        LineDetail("tokens", key[0], sums[key] * share, key[2], part, token_class=key[1])
        for key, part in zip(keys, amounts, strict=True)
    ]
    if margin:
        details.append(LineDetail("margin", f"{feature.margin_bp}", None, None, rest))
    return tuple(details)


def _used_features(
    walk: _Walk, terms: Terms, charged: Mapping[str | None, InvoiceLine]
) -> tuple[UsedFeature, ...]:
    """Where the use of each metered feature went, by code. Rule USE-6."""
    found = []
    for feature in terms.features:
        if feature.type != "metered":
            continue
        uses = [use for use in walk.uses if use.feature == feature.code]
        used, paid = exact_sum([it.units for it in uses]), exact_sum([it.paid for it in uses])
        billed = charged[feature.code].quantity if feature.code in charged else _ZERO
        found.append(
            UsedFeature(
                feature=feature.code,
                name=feature.name,
                unit=feature.unit,
                used=used,
                included=paid - billed,
                unlimited=False,
                from_included=paid - billed,
                billed=billed,
                blocked=used - paid,
                waived=_ZERO,
            )
        )
    return tuple(found)


def not_drawn(catalog: Catalog, code: str) -> tuple[str, str] | None:
    """What of a plan's credits or balance is not billed: its path in the plan, and what it is."""
    plan = catalog.plans[code]
    model = plan.consumption_model
    if model == "metered":
        return None
    for name, held in plan.features.items():
        feature = catalog.features[name]
        if held.enabled and feature.type == "metered":
            what = _not_drawn(feature, held, model)
            if what is not None:
                return f"features.{name}", what
    return None


def addon_not_drawn(catalog: Catalog, code: str, model: str) -> str | None:
    """What of an add-on is not billed on a plan's credits or balance; None where all is."""
    addon = catalog.addons[code]
    feature = catalog.features[addon.feature]
    if model == "metered" or feature.type != "metered":
        return None
    return _not_drawn(feature, addon, model)


def _not_drawn(feature: Feature, held: PlanFeature | Addon, model: str) -> str | None:
    overage = held.overage
    if feature.aggregation not in {"sum", "count"}:
        return f"{feature.aggregation} drawn day by day"
    if held.included or held.unlimited:
        return f"use included apart from the {model}"
    if model == "credits" or held.pricing == "ai_model":
        return None if overage is None else f"overage beside the {model}"
    is_plain = overage is not None and (overage.model, overage.mode) == ("per_unit", "charge")
    bounds = overage is not None and (overage.minimum_amount, overage.maximum_amount)
    if not is_plain or bounds != (None, None):
        return "use on a balance without a plain unit price"
    return None
