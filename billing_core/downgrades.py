"""What a customer is told when he asks for a lower plan: what he has above it, and its cost.

A downgrade is allowed whatever he holds and uses (CHG-8); the notices say what it will
cost if he goes on so. Nothing is charged by them.
"""

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from billing_core.addons import active, fits, window_terms
from billing_core.cycle import paid_period, running, service_days
from billing_core.issuing import day_of
from billing_core.money import Money
from billing_core.rating import RatedWindow, rate_window
from billing_core.seats import advance_lines, open_seats
from billing_core.setting import Setting
from billing_core.state import CustomerState, Subscription
from billing_core.step import Looked, Notice
from billing_core.terms import FeatureTerms, Terms, with_features
from billing_core.usage import WindowKey
from billing_core.values import replace


def downgrade_warnings(
    state: CustomerState, subscription: Subscription, terms: Terms, at: datetime, setting: Setting
) -> tuple[tuple[Notice, ...], tuple[Looked, ...]]:
    """A notice for each feature of which more is held or used than a plan includes.

    takes:   a running subscription, and the terms of the plan asked for.
    returns: by feature code, and the usage that has to be known for it: of the running month
             up to the instant, as landed by that day.
    rule:    CHG-8, QTA-5.
    """
    on = day_of(setting, state, at)
    terms = _with_addons(subscription, terms)
    found = dict(_seats(subscription, terms, at, setting))
    looked = _looked(state, subscription, terms, at)
    if looked is not None:
        found |= dict(_usage(looked, subscription, terms, setting))
    notices = tuple(
        Notice(state.customer_id, "downgrade_warning", on, at, code, *found[code])
        for code in sorted(found)
    )
    return notices, () if looked is None else (looked,)


def _with_addons(subscription: Subscription, terms: Terms) -> Terms:
    """The terms with the features of add-ons that go on with the plan. Rule ADD-4."""
    features = dict(terms.by_code)
    for held in () if terms.is_free else active(subscription):
        if fits(held.terms, terms):
            features.setdefault(held.terms.feature.code, held.terms.feature)
    return with_features(terms, features)


Above = tuple[Fraction, Fraction, Money]
"""How much is active, how much the plan includes, and the cost of what is above it."""


def _seats(
    subscription: Subscription, terms: Terms, at: datetime, setting: Setting
) -> Iterator[tuple[str, Above]]:
    """Seats held above the included, at the price of a whole period. Rules SEAT-1, SEAT-5."""
    held = {holding.feature: holding.held for holding in subscription.seats}
    lines = advance_lines(
        terms,
        open_seats(terms, held),
        paid_period(subscription),
        is_monthly=setting.policies_at(at).seat_price_is_monthly,
    )
    costs = {line.code: line.amount for line in lines}
    for code, number in held.items():
        included = _included(terms.by_code.get(code))
        if included is not None and number > included:
            cost = costs.get(code, Money(0, terms.currency))
            yield code, (Fraction(number), included, cost)


def _looked(
    state: CustomerState, subscription: Subscription, terms: Terms, at: datetime
) -> Looked | None:
    """The running month up to an instant; None where both plans do not count by month."""
    window, own = running(subscription), window_terms(subscription)
    models = {own.consumption_model, terms.consumption_model}
    if at <= window.start_at or models != {"metered"}:
        return None
    return Looked(WindowKey(state.customer_id, window.start_at, at, at.date()), own)


def _usage(
    looked: Looked, subscription: Subscription, terms: Terms, setting: Setting
) -> Iterator[tuple[str, Above]]:
    """Use above the included so far, at the overage price of the plan asked for."""
    own = _rated(looked, subscription, looked.terms, setting)
    costs = {line.code: line.amount for line in _rated(looked, subscription, terms, setting).lines}
    for item in own.usage:
        included = _included(terms.by_code.get(item.feature))
        if included is not None and item.used > included:
            cost = costs.get(item.feature, Money(0, terms.currency))
            yield item.feature, (item.used, included, cost)


def _rated(
    looked: Looked, subscription: Subscription, terms: Terms, setting: Setting
) -> RatedWindow:
    policies = setting.policies_at(looked.key.end_at)
    window = replace(running(subscription), end_at=looked.key.end_at)
    return rate_window(
        terms,
        setting.usage.get(looked.key, {}),
        service_days(window),
        per_event=policies.token_cost_rounding == "per_event",
    )


def _included(feature: FeatureTerms | None) -> Fraction | None:
    """What a plan includes of a feature, 0 where it has none of it; None for any number."""
    if feature is None:
        return Fraction(0)
    return None if feature.unlimited else feature.included
