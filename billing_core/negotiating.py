"""Terms that the founder agrees on with one customer, above the catalog's.

They come as a change of the catalog would, for this subscription alone: what is better is
there at once, prices and what is worse at the next renewal; and so when they end.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from billing_core.actions import OverrideTerms, ReasonCode
from billing_core.errors import Problem
from billing_core.fairness import improved, running_at
from billing_core.offers import negotiated_version, still_negotiated, version_for
from billing_core.period import midnight
from billing_core.schema import Tree
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import ENDED, CustomerState, Negotiated, Status, Subscription
from billing_core.step import Applied, Decision, Refused, Scheduled, Step, refused
from billing_core.subscribing import only_built
from billing_core.terms import Terms, with_lower_costs


def override_terms(
    state: CustomerState, action: OverrideTerms, at: datetime, setting: Setting
) -> Step:
    """Terms above the catalog until they end: a patch over the plan, an empty one ends all.

    The later patch lies over the earlier; each stands until its own end.
    rule: FAIR-1 to FAIR-4.
    """
    subscription = state.subscription
    if subscription is None or subscription.status in ENDED:
        return refused(state, ReasonCode.NOT_SUBSCRIBED, "there is no subscription to agree on")
    if subscription.status is Status.PENDING_PAYMENT:
        what = "the checkout is unpaid, and its price is the one shown; agree on terms once it is"
        return refused(state, ReasonCode.NOT_SUBSCRIBED, what)
    agreed = _agreed(state, subscription, action, at, setting)
    if isinstance(agreed, Refused):
        return Step(state, agreed)
    before = negotiated_version(setting.version_at(at), _standing(subscription, at))
    after = version_for(agreed, setting, at)
    state = running_at(state, agreed, setting, at)
    running = state.subscription or agreed
    if not isinstance(before, CatalogVersion):
        before = setting.version_at(at)
    return Step(state, _decision(running, before, after))


def negotiated_by(
    name: str, plan: str, patch: Tree, at: datetime, until: datetime | None
) -> Negotiated:
    """What an action agrees on, as it is kept with the subscription."""
    text = json.dumps(patch, ensure_ascii=False, separators=(",", ":"))
    return Negotiated(name, plan, text, at, until)


def no_plan(problems: Sequence[Problem]) -> Refused:
    """The refusal of a patch over whose plan there is no sense in it: place, what, cure."""
    first = problems[0]
    what = f"the patch makes no plan: {first.path}: {first.what}; {first.mend}"
    return Refused(ReasonCode.PLAN_NOT_AVAILABLE, what)


def unfit_patch(
    terms: Terms, patch: Tree, version: CatalogVersion, negotiated: tuple[Negotiated, ...]
) -> Refused | None:
    """Why a patch cannot stand above the catalog, or None. Rule FAIR-4.

    takes:  negotiated, all that would stand with it.
    raises: NotBilledYet.
    """
    offered = negotiated_version(version, negotiated)
    if not isinstance(offered, CatalogVersion):
        return no_plan(offered)
    currency = terms.currency.code
    if offered.terms_like(terms) is None:
        what = (
            f"the patch leaves plan {terms.plan!r} without a {terms.interval} price in {currency}"
        )
        return Refused(ReasonCode.INTERVAL_NOT_AVAILABLE, f"{what}; keep prices.{terms.interval}")
    path = next(_in_another_currency(patch, currency, version.catalog.currency), None)
    if path is not None:
        what = (
            f"the subscription is in {currency}, and the patch gives {path} in "
            f"{version.catalog.currency} alone; add currencies: {{{currency}: ...}} beside it"
        )
        return Refused(ReasonCode.CURRENCY_NOT_AVAILABLE, what)
    only_built(terms.plan, offered.catalog)
    return None


def _agreed(
    state: CustomerState,
    subscription: Subscription,
    action: OverrideTerms,
    at: datetime,
    setting: Setting,
) -> Subscription | Refused:
    """The subscription with what is agreed from now on, or why it cannot be."""
    standing = _standing(subscription, at)
    if not action.patch:
        kept = tuple(it for it in subscription.negotiated if it not in standing)
        ended = tuple(replace(it, until_at=at) for it in standing)
        return replace(subscription, negotiated=(*kept, *ended))
    own = None if state.customer is None else state.customer.time_zone
    until = None if action.until is None else midnight(action.until, setting.zone_of(own, at))
    if until is not None and until <= at:
        what = f"what is agreed would end on {action.until}, before it begins; name a later day"
        return Refused(ReasonCode.EXPIRED, what)
    added = negotiated_by(action.id, subscription.terms.plan, action.patch, at, until)
    no = unfit_patch(subscription.terms, action.patch, setting.version_at(at), (*standing, added))
    return no or replace(subscription, negotiated=(*subscription.negotiated, added))


def _standing(subscription: Subscription, at: datetime) -> tuple[Negotiated, ...]:
    return still_negotiated(subscription, subscription.terms.plan, at)


def _decision(running: Subscription, before: CatalogVersion, after: CatalogVersion) -> Decision:
    """Applied, or scheduled for the renewal at which the rest of it counts. Rule FAIR-10."""
    own, period = running.terms, running.period
    was, offered = before.terms_like(own), after.terms_like(own)
    if was is None or offered is None or period is None:
        return Applied()
    lowers = after.catalog.policies.unit_price_decrease_immediate
    at_once = with_lower_costs(improved(was, offered, lowers_unit_prices=lowers), offered)
    return Applied() if at_once == offered else Scheduled(period.end)


def _in_another_currency(patch: Tree, currency: str, default: str) -> Iterator[str]:
    """Paths of prices that a patch gives in the catalog's currency and not in another one."""
    if currency == default:
        return
    for interval, price in _mappings(patch.get("prices")):
        if "amount" in price and currency not in (price.get("currencies") or {}):
            yield f"prices.{interval}.amount"
    for code, held in _mappings(patch.get("features")):
        overage = held.get("overage")
        if isinstance(overage, dict) and currency not in (overage.get("currencies") or {}):
            for key in ("unit_price", "price", "tiers", "minimum_amount", "maximum_amount"):
                if key in overage:
                    yield f"features.{code}.overage.{key}"


def _mappings(tree: object) -> Iterator[tuple[str, Tree]]:
    if isinstance(tree, dict):
        yield from ((key, value) for key, value in tree.items() if isinstance(value, dict))
