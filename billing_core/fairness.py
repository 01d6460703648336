"""What a later catalog version gives to those who are subscribed already.

What helps a customer reaches a running period at once; what hurts him waits for renewal, and
prices wait either way. So terms only ever get better inside a period, and an increase that
is taken back stays until the period's end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction

from billing_core.drawing import unit_of
from billing_core.issuing import day_of
from billing_core.money import Money
from billing_core.offers import began_at, offers_within
from billing_core.period import Span, billing_date
from billing_core.pricing import PerUnit
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import (
    Addition,
    CustomerState,
    Funds,
    HeldAddon,
    SeatAddition,
    SeatHolding,
    Subscription,
)
from billing_core.terms import FeatureTerms, Terms, with_features


@dataclass(frozen=True, slots=True)
class Change:
    """What a catalog version changes in a field of a plan. Rules FAIR-2, FAIR-3, FAIR-9.

    feature:    its code.
    old, new:   as the catalog has them; None for what is not there.
    is_at_once: whether it reaches who is subscribed already, or waits for renewal.
    """

    feature: str
    field: str
    old: object
    new: object
    is_at_once: bool


def changes(own: Terms, offered: Terms, *, lowers_unit_prices: bool = False) -> tuple[Change, ...]:
    """What an offer changes in the features of terms, by code; a reason for each field.

    takes: lowers_unit_prices, the switch `unit_price_decrease_immediate`.
    rule:  FAIR-1, FAIR-2, FAIR-3, FAIR-9.
    """
    found: list[Change] = []
    for code in sorted({*own.by_code, *offered.by_code}):
        old, new = own.by_code.get(code), offered.by_code.get(code)
        if old is None or new is None:
            found.append(Change(code, "enabled", old is not None, new is not None, old is None))
            continue
        found += _changes(old, new, lowers_unit_prices=lowers_unit_prices)
    return tuple(found)


def improved(own: Terms, offered: Terms, *, lowers_unit_prices: bool = False) -> Terms:
    """Terms with all that an offer has better; the rest as it was. Rules FAIR-1 to FAIR-4.

    A period that began without an exchange rate takes that of the offer (CUR-2).
    Costs in credits are lowered from their instant on, where they are drawn (CRD-3). More
    credits or balance are those of each month; FAIR-5 adds them to the running one.
    """
    if own.consumption_model == offered.consumption_model:
        funds = max(own.included_funds, offered.included_funds)
        own = own if funds == own.included_funds else replace(own, included_funds=funds)
    better = [
        change
        for change in changes(own, offered, lowers_unit_prices=lowers_unit_prices)
        if change.is_at_once
    ]
    if not better:
        return own
    features = dict(own.by_code)
    for change in better:
        if change.field == "enabled":
            features[change.feature] = offered.by_code[change.feature]
        else:
            old = features[change.feature]
            features[change.feature] = replace(old, **{change.field: change.new})  # type: ignore[arg-type]
    rate = offered.exchange_rate if own.exchange_rate is None else own.exchange_rate
    return replace(with_features(own, features), exchange_rate=rate)


def improved_feature(
    own: FeatureTerms, offered: FeatureTerms, *, lowers_unit_prices: bool = False
) -> FeatureTerms:
    """A feature with all that an offer of it has better. Rules FAIR-2, FAIR-3."""
    found = _changes(own, offered, lowers_unit_prices=lowers_unit_prices)
    better = {change.field: change.new for change in found if change.is_at_once}
    return replace(own, **better) if better else own  # type: ignore[arg-type]


def in_force(
    subscription: Subscription, setting: Setting, at: datetime, *, is_included: bool = True
) -> Subscription:
    """A subscription with what was offered to it since its period began. Rules FAIR-4, FAIR-8.

    takes:   is_included, whether a version of the very instant counts.
    returns: the subscription itself where nothing is better.
    """
    if subscription.period is None or subscription.window is None:
        return subscription
    if not subscription.negotiated and len(setting.versions) == 1:
        return subscription
    since, last = began_at(subscription, setting), setting.versions[-1].effective_at
    if not subscription.negotiated and last <= since:
        return subscription
    for offered_at, version in offers_within(
        subscription, setting, since, until=at, is_included=is_included
    ):
        subscription = _with_offer(subscription, version, offered_at, setting)
    return subscription


def running_at(
    state: CustomerState,
    subscription: Subscription,
    setting: Setting,
    at: datetime,
    *,
    is_included: bool = True,
) -> CustomerState:
    """The state with its subscription as `in_force`, and the more credits or balance it brings.

    takes:   subscription, the state's, or that with something newly agreed on.
    returns: the state itself where nothing is better.
    rule:    FAIR-4, FAIR-5.
    """
    running = in_force(subscription, setting, at, is_included=is_included)
    if running is state.subscription:
        return state
    state = replace(state, subscription=running)
    if running.terms.included_funds == subscription.terms.included_funds:
        return state
    more = _increases(subscription, setting, at, is_included=is_included)
    added = tuple(_more_included(state, since, amount, setting) for since, amount in more)
    funds = state.funds or Funds(unit_of(running.terms), Fraction(0), Fraction(0))
    return replace(state, funds=replace(funds, additions=(*funds.additions, *added)))


def _increases(
    subscription: Subscription, setting: Setting, at: datetime, *, is_included: bool
) -> Iterator[tuple[datetime, Fraction]]:
    """By how much more was included of credits or balance, each from its instant on. FAIR-5."""
    own, had = subscription.terms, subscription.terms.included_funds
    since = began_at(subscription, setting)
    for offered_at, version in offers_within(
        subscription, setting, since, until=at, is_included=is_included
    ):
        offered = version.terms_like(own)
        if offered is None or offered.consumption_model != own.consumption_model:
            continue
        if offered.included_funds > had:
            yield offered_at, offered.included_funds - had
            had = offered.included_funds


def _more_included(
    state: CustomerState, at: datetime, amount: Fraction, setting: Setting
) -> Addition:
    """Credits or balance that are included from an instant on, beyond those of before. FAIR-5."""
    day = day_of(setting, state, at)
    return Addition(state.customer_id, at, day, "adjustment", amount, None, "more included")


def _changes(old: FeatureTerms, new: FeatureTerms, *, lowers_unit_prices: bool) -> list[Change]:
    code = old.code
    found = []
    if new.included != old.included:
        found.append(
            Change(code, "included", old.included, new.included, new.included > old.included)
        )
    if new.unlimited != old.unlimited:
        found.append(Change(code, "unlimited", old.unlimited, new.unlimited, new.unlimited))
    if new.price != old.price:
        is_lower = lowers_unit_prices and _is_lower(old, new)
        found.append(Change(code, "price", old.price, new.price, is_lower))
    for name in ("mode", "minimum", "maximum", "margin_bp"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            found.append(Change(code, name, before, after, is_at_once=False))
    return found


def _is_lower(old: FeatureTerms, new: FeatureTerms) -> bool:
    """Whether a price of units in arrears falls; seats are paid in advance."""
    if not isinstance(old.price, PerUnit) or not isinstance(new.price, PerUnit):
        return False
    return old.type != "seats" and new.price.unit_price < old.price.unit_price


def _with_offer(
    subscription: Subscription, version: CatalogVersion, at: datetime, setting: Setting
) -> Subscription:
    lowers = version.catalog.policies.unit_price_decrease_immediate
    if subscription.addons:
        subscription = _with_better_addons(subscription, version, lowers_unit_prices=lowers)
    own = subscription.terms
    offered = version.terms_like(own)
    if offered is None:
        return subscription
    terms = _used_from(own, improved(own, offered, lowers_unit_prices=lowers), at)
    if terms is own:
        return subscription
    on = billing_date(at, setting.zone_of(subscription.time_zone, at))
    held = {holding.feature: holding for holding in subscription.seats}
    seats = tuple(_with_more_included(own, item, held, on) for item in terms.seats)
    return replace(subscription, terms=terms, seats=seats)


def _used_from(own: Terms, terms: Terms, at: datetime) -> Terms:
    """Terms in which use of the features that are new counts from an instant on. Rule FAIR-1."""
    if len(terms.by_code) == len(own.by_code):
        return terms
    during = (Span(at),)
    features = {
        code: feature if code in own.by_code else replace(feature, during=during)
        for code, feature in terms.by_code.items()
    }
    return with_features(terms, features)


def _with_better_addons(
    subscription: Subscription, version: CatalogVersion, *, lowers_unit_prices: bool
) -> Subscription:
    """The features of add-ons as a later version has them better; their prices wait. FAIR-3."""
    own = subscription.terms

    def better(held: HeldAddon) -> HeldAddon:
        offered = version.addon_for(held.terms.code, own)
        if offered is None or version.effective_at <= held.taken_at:
            return held
        feature = improved_feature(
            held.terms.feature, offered.feature, lowers_unit_prices=lowers_unit_prices
        )
        return replace(held, terms=replace(held.terms, feature=feature))

    return replace(subscription, addons=tuple(map(better, subscription.addons)))


def _with_more_included(
    own: Terms, feature: FeatureTerms, held: Mapping[str, SeatHolding], on: date
) -> SeatHolding:
    """A holding when more of its seats are included: no true-up of those from that day on.

    What was paid in advance stays paid; of seats above the old number those that are still
    to be settled become included first. Rules FAIR-8, SEAT-5.
    """
    holding = held.get(feature.code)
    if holding is None:
        nothing = Money(0, own.currency)
        return SeatHolding(feature.code, 0, int(feature.included), nothing)
    before = own.by_code[feature.code].included
    more = int(feature.included - before)
    covered = max(holding.covered, int(feature.included))
    additions = settled_until(holding.additions, more, on)
    return replace(holding, covered=covered, additions=additions)


def settled_until(
    additions: tuple[SeatAddition, ...], more: int, on: date
) -> tuple[SeatAddition, ...]:
    """Additions of which a number of seats is paid for up to a day only; of that day not at all."""
    found: list[SeatAddition] = []
    for addition in additions:
        freed = 0 if addition.included_on is not None else min(addition.quantity, max(more, 0))
        more -= freed
        if freed and addition.added_on < on:
            found.append(replace(addition, quantity=freed, included_on=on))
        if addition.quantity > freed:
            found.append(replace(addition, quantity=addition.quantity - freed))
    return tuple(found)
