"""Add-ons as a subscription holds them: their features, what they cost, what is unused.

A held add-on brings one feature into the terms of the windows in which it was active. Its
price is for a period of the plan; what activates and ends one is in `addon_changes`.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from billing_core.errors import BillingError
from billing_core.invoice import InvoiceLine, LineType
from billing_core.money import Money
from billing_core.period import Period, Span, Window
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import HeldAddon, Subscription
from billing_core.terms import AddonTerms, FeatureTerms, Terms, with_features

UNUSED = "unused_addon"
"""The charge type of a credit for unused days of an add-on."""


class AddonNotPriced(BillingError):
    """A subscription renews with an add-on that has no price in its currency any more."""

    code = "PRICE-03"

    def __init__(self, *, addon: str, currency: str, at: datetime) -> None:
        super().__init__(
            what=f"add-on {addon!r} has no price in {currency} on {at.date()}",
            where=f"the catalog version in force on {at.date()}, addons.{addon}.currencies",
            mend=f"keep a price in {currency} while someone has the add-on",
        )


def active(subscription: Subscription) -> tuple[HeldAddon, ...]:
    """The add-ons that are active, by code."""
    return tuple(held for held in subscription.addons if held.is_active)


def held_addon(subscription: Subscription, code: str) -> HeldAddon | None:
    """An add-on that is active or was in this period; None of any other."""
    return next((held for held in subscription.addons if held.terms.code == code), None)


def with_addon(subscription: Subscription, held: HeldAddon) -> Subscription:
    """The subscription with an add-on in place of what it held of it, in order of code."""
    others = (it for it in subscription.addons if it.terms.code != held.terms.code)
    addons = sorted((*others, held), key=lambda it: it.terms.code)
    return replace(subscription, addons=tuple(addons))


def window_terms(subscription: Subscription) -> Terms:
    """What counts in the running window: the plan, and what add-ons brought into it.

    rule: ADD-3, ADD-6, CNV-9: a feature counts while its add-on is active, its included
          units in full.
    """
    window = subscription.window
    if not subscription.addons or window is None:
        return subscription.terms
    features = dict(subscription.terms.by_code)
    for held in sorted(subscription.addons, key=lambda it: it.is_active):
        if held.spans:
            code = held.terms.feature.code
            features[code] = _joined(held, features.get(code), window)
    return with_features(subscription.terms, features)


def current_features(subscription: Subscription) -> tuple[FeatureTerms, ...]:
    """The features of the plan and of the add-ons that are active now, by code. Rule QTA-2."""
    if not subscription.addons:
        return subscription.terms.features
    gone = (held.terms.feature.code for held in subscription.addons if not held.is_active)
    without = set(gone) - {it.terms.feature.code for it in active(subscription)}
    kept = subscription.terms.by_code
    return tuple(
        feature
        for feature in window_terms(subscription).features
        if feature.code in kept or feature.code not in without
    )


def offered_terms(subscription: Subscription, version: CatalogVersion) -> Terms | None:
    """What a version offers of the plan and of the add-ons whose terms are older than it."""
    own = subscription.terms
    offered = version.terms_like(own)
    if offered is None or not subscription.addons:
        return offered
    features = dict(offered.by_code)
    for held in subscription.addons:
        addon = version.addon_for(held.terms.code, own)
        if addon is not None and held.taken_at < version.effective_at:
            features[addon.feature.code] = addon.feature
    return with_features(offered, features)


def changed_at(subscription: Subscription) -> tuple[datetime, ...]:
    """The instants at which a feature came into the running window or left it. Rule CRD-4."""
    spans = (span for held in subscription.addons for span in held.spans)
    return tuple(at for span in spans for at in (span.start_at, span.end_at) if at is not None)


def in_window(addons: Iterable[HeldAddon], window: Window) -> tuple[HeldAddon, ...]:
    """Add-ons at the start of a window: the active ones can be used in all of it."""
    whole = (Span(window.start_at),)
    return tuple(replace(held, spans=whole if held.is_active else ()) for held in addons)


def renewed_addons(
    subscription: Subscription, terms: Terms, setting: Setting, at: datetime
) -> tuple[HeldAddon, ...]:
    """The add-ons that go on in a new period, at the catalog's terms, not charged yet.

    takes:  terms, of the new period's plan: one that has the feature, is free or draws on
            something else ends its add-on.
    raises: AddonNotPriced.
    rule:   ADD-4, FAIR-3, CHG-13, SUB-10.
    """
    if not subscription.addons or terms.is_free:
        return ()
    version, currency = setting.version_at(at), terms.currency.code
    found = []
    for held in active(subscription):
        code = held.terms.code
        if code not in version.catalog.addons:
            continue
        offered = version.addon_for(code, terms)
        if offered is None:
            raise AddonNotPriced(addon=code, currency=currency, at=at)
        if offered.feature.code not in terms.by_code and fits(offered, terms):
            found.append(HeldAddon(offered, at))
    return tuple(found)


def fits(addon: AddonTerms, terms: Terms) -> bool:
    """Whether an add-on can be had on a plan's consumption model. Rule ADD-1."""
    return addon.model in {"boolean", terms.consumption_model}


def base_lines(
    subscription: Subscription, period: Period, *, unit: str
) -> tuple[tuple[HeldAddon, ...], tuple[InvoiceLine, ...]]:
    """What active add-ons cost for a period, and the add-ons as charged. Rules ADD-2, ADD-6.

    returns: one line for each, by code.
    """
    lines = tuple(
        base_line(subscription.terms, held.terms, period, unit=unit)
        for held in active(subscription)
    )
    addons = tuple(
        replace(held, is_paid=True, invoice_id=None) if held.is_active else held
        for held in subscription.addons
    )
    return addons, lines


def base_line(
    terms: Terms, addon: AddonTerms, period: Period, *, unit: str, of: Period | None = None
) -> InvoiceLine:
    """The price of an add-on for a period, or for what is left of one. Rules ADD-2, CNV-6.

    takes: of, the whole period of which `period` is the rest.
    """
    whole = of or period
    share = Fraction(period.days, whole.days)
    return InvoiceLine(
        type=LineType.ADDON_BASE,
        code=addon.code,
        name=addon.name,
        amount=Money.rounded(Fraction(addon.price) * share, terms.currency),
        quantity=Fraction(1),
        unit=unit,
        unit_price=addon.price,
        days=None if whole == period else (period.days, whole.days),
        service=period,
        rule="ADD-2",
        tax_category=addon.tax_category,
    )


def unused_lines(subscription: Subscription, unused: Period, of: Period) -> tuple[InvoiceLine, ...]:
    """Credit lines for the unused days of active add-ons that were charged, by code. ADD-4."""
    return tuple(
        replace(
            base_line(subscription.terms, held.terms, unused, unit="", of=of),
            type=LineType.CREDIT,
            amount=-Money.rounded(
                Fraction(held.terms.price) * of.remaining_share(unused.start),
                subscription.terms.currency,
            ),
            unit_price=None,
            days=(unused.days, of.days),
            rule="ADD-4",
            charge_type=UNUSED,
        )
        for held in active(subscription)
        if held.is_paid
    )


def _joined(held: HeldAddon, own: FeatureTerms | None, window: Window) -> FeatureTerms:
    """An add-on's feature in a window; where the window has it already the better of both.

    That is where the plan got it while the add-on was paid for, or where one add-on of a
    feature follows another.
    rule: FAIR-1, FAIR-2.
    """
    during = () if held.spans == (Span(window.start_at),) else held.spans
    feature = replace(held.terms.feature, during=during)
    if own is None:
        return feature
    return replace(
        feature,
        included=max(feature.included, own.included),
        unlimited=feature.unlimited or own.unlimited,
        during=_together((*own.during, *during)) if own.during and during else (),
    )


def _together(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The instants that are in any of some spans, as spans in order that do not overlap."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda it: it.start_at):
        last = found[-1] if found else None
        if last is None or (last.end_at is not None and last.end_at < span.start_at):
            found.append(span)
        elif last.end_at is not None and (span.end_at is None or span.end_at > last.end_at):
            found[-1] = replace(last, end_at=span.end_at)
    return tuple(found)
