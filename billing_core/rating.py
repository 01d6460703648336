"""Applying prices to usage: from a window's snapshots to overage lines.

Answers what one closed window of one feature costs, and into which parts its usage
falls (included, billed, blocked). What was used is SQL's answer, when is the fold's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from billing_core.errors import NegativeQuantity
from billing_core.exact import exact_sum, exactly, quotient
from billing_core.invoice import InvoiceLine, LineDetail, LineType, UsedFeature
from billing_core.money import Currency, Money, allocate
from billing_core.period import Period
from billing_core.pricing import Graduated, Package, Part, Percentage, PerUnit, Volume, priced
from billing_core.terms import FeatureTerms, Terms
from billing_core.tokens import TokenCost, token_costs
from billing_core.usage import UsageSnapshot

ZERO = Fraction(0)
ONE_PRICE = (PerUnit, Package, Percentage)
WITH_TIERS = (Graduated, Volume)


@dataclass(frozen=True, slots=True)
class RatedWindow:
    """What a closed window owes, and where its usage went. Lines and features by code."""

    lines: tuple[InvoiceLine, ...]
    usage: tuple[UsedFeature, ...]


def rate_window(
    terms: Terms,
    snapshots: Mapping[str, UsageSnapshot],
    service: Period,
    *,
    per_event: bool,
) -> RatedWindow:
    """The overage lines of a closed window at its own terms.

    takes:   snapshots by feature; a feature without one was not used.
    returns: lines above 0.00 only (INV-7), by code.
    rule:    USE-4, CAT-10, CAT-12, CAT-13, AI-6, USE-6.
    """
    lines, usage = [], []
    for feature in terms.features:
        if feature.type != "metered":
            continue
        snapshot = snapshots.get(feature.code)
        if feature.is_ai:
            line, used = _rate_tokens(feature, snapshot, terms, service, per_event)
        else:
            line, used = _rate_units(feature, snapshot, terms.currency, service)
        usage.append(used)
        if line is not None and line.amount.minor != 0:
            lines.append(line)
    return RatedWindow(tuple(lines), tuple(usage))


def uncharged(rated: RatedWindow) -> RatedWindow:
    """A rated window of which nothing is charged: what would have been billed is blocked.

    rule: SUB-3, USE-4, USE-6.
    """
    usage = (replace(it, blocked=it.blocked + it.billed, billed=ZERO) for it in rated.usage)
    return RatedWindow((), tuple(usage))


def units_over(used: Fraction, feature: FeatureTerms) -> Fraction:
    """The priced units above the included; 0 when unlimited. Rule USE-4."""
    if feature.unlimited or used <= feature.included:
        return ZERO
    return used - feature.included


def _rate_units(
    feature: FeatureTerms, snapshot: UsageSnapshot | None, currency: Currency, service: Period
) -> tuple[InvoiceLine | None, UsedFeature]:
    if snapshot is not None and snapshot.quantity < 0:
        raise NegativeQuantity(name=f"usage of {feature.code}", quantity=snapshot.quantity)
    used = ZERO if snapshot is None else quotient(snapshot.quantity, feature.per)
    over = units_over(used, feature)
    within = feature.included if over else used
    if snapshot is None or not over or feature.price is None or feature.mode != "charge":
        return None, _used(feature, used, within=within, blocked=over)
    parts = priced(feature.price, over, snapshot.amount)
    exact = exact_sum([part.exact for part in parts])
    bounded = _bounded(feature, exact)
    amount = Money.rounded(bounded, currency)
    single = parts[0] if isinstance(feature.price, ONE_PRICE) else None
    line = InvoiceLine(
        type=LineType.FEATURE_OVERAGE,
        code=feature.code,
        name=feature.name,
        amount=amount,
        quantity=over if single is None or single.quantity is None else single.quantity,
        unit=_package_unit(feature) if isinstance(feature.price, Package) else feature.unit,
        unit_price=None if single is None else single.unit_price,
        service=service,
        used=used,
        included=feature.included,
        details=_tier_details(feature, parts, amount)
        if bounded == exact
        else (_bound_detail(amount, is_raised=bounded > exact),),
        rule="CAT-10",
        tax_category=feature.tax_category,
    )
    return line, _used(feature, used, within=within, billed=over)


def _rate_tokens(
    feature: FeatureTerms,
    snapshot: UsageSnapshot | None,
    terms: Terms,
    service: Period,
    per_event: bool,
) -> tuple[InvoiceLine | None, UsedFeature]:
    used = ZERO if snapshot is None else exactly(snapshot.quantity)
    if snapshot is None or feature.unlimited:
        return None, _used(feature, used, within=used)
    costs = token_costs(
        snapshot.tokens,
        margin_bp=feature.margin_bp,
        per_event=per_event,
        rate=terms.exchange_rate,
    )
    amount = Money.rounded(exact_sum([cost.exact for cost in costs]), terms.currency)
    line = InvoiceLine(
        type=LineType.FEATURE_OVERAGE,
        code=feature.code,
        name=feature.name,
        amount=amount,
        quantity=used,
        unit=feature.unit,
        service=service,
        used=used,
        included=ZERO,
        details=_token_details(feature, costs, amount),
        rule="AI-1" if per_event else "AI-7",
        tax_category=feature.tax_category,
    )
    return line, _used(feature, used, within=ZERO, billed=used)


def _bounded(feature: FeatureTerms, exact: Fraction) -> Fraction:
    """The exact charge within the window's minimum and maximum. Rules CAT-10, CAT-13."""
    if feature.minimum is not None:
        exact = max(exact, Fraction(feature.minimum))
    if feature.maximum is not None:
        exact = min(exact, Fraction(feature.maximum))
    return exact


def _bound_detail(amount: Money, *, is_raised: bool) -> LineDetail:
    """The only detail where the minimum or the maximum decided the amount: its name."""
    label = "minimum" if is_raised else "maximum"
    return LineDetail("bound", label, None, None, amount)


def _tier_details(
    feature: FeatureTerms, parts: tuple[Part, ...], amount: Money
) -> tuple[LineDetail, ...]:
    if not isinstance(feature.price, WITH_TIERS):
        return ()
    amounts = _shared(amount, [part.exact for part in parts])
    return tuple(
        LineDetail(
            kind="flat" if part.quantity is None else "tier",
            label=part.label,
            quantity=part.quantity,
            unit_price=part.unit_price,
            amount=share,
        )
        for part, share in zip(parts, amounts, strict=True)
    )


def _token_details(
    feature: FeatureTerms, costs: tuple[TokenCost, ...], amount: Money
) -> tuple[LineDetail, ...]:
    amounts = _shared(amount, [cost.exact for cost in costs])
    return tuple(
        LineDetail("margin", f"{feature.margin_bp}", None, None, share)
        if cost.token_class is None
        else LineDetail(
            kind="tokens",
            label=cost.model,
            quantity=Fraction(cost.tokens),
            unit_price=cost.price_per_million,
            amount=share,
            token_class=cost.token_class,
        )
        for cost, share in zip(costs, amounts, strict=True)
    )


def _shared(amount: Money, exacts: list[Fraction]) -> list[Money]:
    """A line's amount over its parts by largest remainder. Rule CNV-4."""
    if not any(exacts):
        return [Money(0, amount.currency) for _ in exacts]
    return allocate(amount, exacts)


def _package_unit(feature: FeatureTerms) -> str:
    size = feature.price.size if isinstance(feature.price, Package) else Decimal(1)
    return f"package of {size:,f} {feature.unit}"


def _used(
    feature: FeatureTerms,
    used: Fraction,
    *,
    within: Fraction,
    billed: Fraction = ZERO,
    blocked: Fraction = ZERO,
) -> UsedFeature:
    """Where the usage went: within the included, billed or blocked; together what was used."""
    return UsedFeature(
        feature=feature.code,
        name=feature.name,
        unit=feature.unit,
        used=used,
        included=feature.included,
        unlimited=feature.unlimited,
        from_included=within,
        billed=billed,
        blocked=blocked,
        waived=ZERO,
    )
