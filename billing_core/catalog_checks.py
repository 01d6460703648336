"""Whether a catalog version makes sense as a whole, and which of its places does not.

The schema says what each key may hold; here stands what keys must hold together: codes
that are named exist, prices fit their features, groups are alike, currencies can be paid.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Final

from pydantic import ValidationError

from billing_core.catalog import (
    GENAI_PRICES,
    Addon,
    Catalog,
    DiscountType,
    Feature,
    Overage,
    OverageInCurrency,
    Plan,
    PlanFeature,
    PlanPrice,
    QuotaPack,
    Tier,
    plan_currencies,
)
from billing_core.currencies import effective_day, rate_on
from billing_core.errors import Problem
from billing_core.schema import Tree, merge_patch, nearest, plain_tree, problems_of
from billing_core.terms import Priced, addon_unpriced_paths, unpriced_paths

MAX_DIMENSIONS: Final = 2
"""How many dimensions a feature may name. Rule CAT-11."""

LASTING: Final = ("type", "unit", "event_unit", "per", "aggregation", "property", "measure")
"""What may not change of a feature from one version to the next: usage was counted by it."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "per_unit": ("unit_price",),
    "package": ("size", "price"),
    "graduated": ("tiers",),
    "volume": ("tiers",),
    "percentage": ("rate_bp",),
    "dynamic": (),
}
"""The keys that each charge model wants. Rule CAT-10."""

PRICE_KEYS: Final = ("unit_price", "size", "price", "free_units", "tiers", "rate_bp")
"""Keys of an overage clause that belong to one charge model or another."""

_NUMBERING: Final = re.compile(r"[A-Za-z0-9./_ -]*(\{(year|n|n:0[1-9])\}[A-Za-z0-9./_ -]*)*")


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing that is wrong: the number in its code, the path, what, and the cure."""

    number: int
    path: str
    what: str
    mend: str


def read_catalog(tree: object, *, file: str) -> Catalog | tuple[Problem, ...]:
    """A catalog version from nested text, or all that is wrong with it. Rule CAT-1.

    takes: tree, nested mappings and lists whose leaves are text or null; file, for messages.
    """
    try:
        catalog = Catalog.model_validate(tree)
    except ValidationError as error:
        return problems_of(error.errors(), Catalog, prefix="CATALOG", file=file)
    return catalog_problems(catalog, file=file) or catalog


def patched_catalog(
    before: Catalog, patch: Tree, *, at: datetime, file: str
) -> Catalog | tuple[Problem, ...]:
    """The version before with a JSON merge patch applied, in force at an instant. Rule CAT-1."""
    tree = merge_patch(before.model_dump(mode="json", exclude_unset=True), patch)
    return read_catalog(tree | {"effective_at": at.isoformat()}, file=file)


def text_of(catalog: Catalog) -> Tree:
    """A catalog as nested text, with the keys that were given: what `read_catalog` takes."""
    return plain_tree(catalog.model_dump(mode="json", exclude_unset=True))


def catalog_problems(catalog: Catalog, *, file: str) -> tuple[Problem, ...]:
    """All that is wrong with a version as a whole, in the order of its sections. Rule CAT-1."""
    checks = (
        _seller,
        _features,
        _groups,
        _plans,
        _addons,
        _packs,
        _promo_codes,
        _ai_models,
        _store,
        _tax,
        _currencies,
        _exchange_rates,
    )
    found = [finding for check in checks for finding in check(catalog)]
    return _problems(found, file)


def plan_problems(catalog: Catalog, code: str, plan: Plan, *, file: str) -> tuple[Problem, ...]:
    """All that is wrong with a plan, were it in the catalog; paths begin in the plan."""
    found = _problems(_plan(catalog, code, plan), file)
    head = f"plans.{code}."
    return tuple(replace(one, path=one.path.removeprefix(head)) for one in found)


def version_problems(before: Catalog, after: Catalog, *, file: str) -> tuple[Problem, ...]:
    """What a version may not change of the one before it.

    How a feature is counted stays: usage that is already metered was counted by it.
    """
    found = []
    for code in sorted(before.features.keys() & after.features.keys()):
        old, new = before.features[code], after.features[code]
        for key in LASTING:
            was, now = getattr(old, key), getattr(new, key)
            if was != now:
                what = f"{key} of an existing feature changes from {was} to {now}"
                mend = f"keep {key}: {was}, or add a feature with another code"
                found.append(_Finding(23, f"features.{code}.{key}", what, mend))
    return _problems(found, file)


def _problems(found: Iterable[_Finding], file: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(f"CATALOG-{one.number:02}", file, one.path, one.what, one.mend) for one in found
    )


def _unknown(path: str, what: str, code: str, known: Iterable[str]) -> _Finding:
    hint = nearest(code, list(known))
    return _Finding(10, path, f"the {what} {code!r} is not in the catalog", hint)


def _seller(catalog: Catalog) -> Iterator[_Finding]:
    numbering = catalog.seller.numbering.format
    if not _NUMBERING.fullmatch(numbering) or not re.search(r"\{n(:0\d)?\}", numbering):
        yield _Finding(
            21,
            "seller.numbering.format",
            f"{numbering!r} does not make invoice numbers",
            "write {n} or {n:06} once, {year} where wanted, and letters, digits, . / _ -",
        )


def _features(catalog: Catalog) -> Iterator[_Finding]:
    for code, feature in catalog.features.items():
        for key, what, mend in _feature(feature):
            yield _Finding(16, f"features.{code}.{key}", what, mend)


def _feature(feature: Feature) -> Iterator[tuple[str, str, str]]:
    given = feature.model_fields_set
    if feature.type != "boolean" and feature.unit is None:
        yield "unit", f"a {feature.type} feature has no unit", "add what is counted, as unit: call"
    if feature.type != "metered":
        for key in sorted(given & {"aggregation", "property", "dimensions"}):
            yield key, f"{key} stands on a {feature.type} feature", f"leave {key} out"
    if feature.type != "quota" and "measure" in given:
        yield "measure", f"measure stands on a {feature.type} feature", "leave measure out"
    if feature.aggregation == "unique_count" and feature.property is None:
        yield "property", "unique_count has no property to count", "add property: NAME"
    if feature.aggregation != "unique_count" and feature.property is not None:
        what = f"property stands beside aggregation {feature.aggregation}"
        yield "property", what, "leave it out, or count it by aggregation: unique_count"
    if ("event_unit" in given) != ("per" in given):
        what = "event_unit and per stand only together"
        yield "per", what, "write both, as event_unit: second, per: 60; or neither"
    if len(feature.dimensions) > MAX_DIMENSIONS:
        what = f"{len(feature.dimensions)} dimensions are named"
        yield "dimensions", what, f"name at most {MAX_DIMENSIONS}"
    if len(set(feature.dimensions)) != len(feature.dimensions):
        yield "dimensions", "a dimension is named twice", "name each once"


def _groups(catalog: Catalog) -> Iterator[_Finding]:
    places = Counter(plan for plans in catalog.groups.values() for plan in plans)
    for group, plans in catalog.groups.items():
        path = f"groups.{group}"
        for plan in plans:
            if plan not in catalog.plans:
                yield _unknown(path, "plan", plan, catalog.plans)
            if places[plan] > 1:
                what = f"plan {plan!r} stands {places[plan]} times in groups"
                yield _Finding(12, path, what, "a plan is in at most one group, once")
        yield from _alike(catalog, path, [p for p in plans if p in catalog.plans])


def _alike(catalog: Catalog, path: str, codes: list[str]) -> Iterator[_Finding]:
    plans = {code: catalog.plans[code] for code in codes}
    models = {plan.consumption_model for plan in plans.values()}
    if len(models) > 1:
        what = f"plans of one group have the consumption models {', '.join(sorted(models))}"
        yield _Finding(12, path, what, "give all the same model, or move some to another group")
    paid = {code: plan_currencies(catalog, plan) for code, plan in plans.items() if plan.prices}
    if len(set(paid.values())) > 1:
        shown = "; ".join(f"{code}: {', '.join(sorted(has))}" for code, has in paid.items())
        yield _Finding(
            12,
            path,
            f"plans of one group are priced in different currencies ({shown})",
            "price all plans of a group in the same currencies",
        )


def _plans(catalog: Catalog) -> Iterator[_Finding]:
    for code, plan in catalog.plans.items():
        yield from _plan(catalog, code, plan)


def _plan(catalog: Catalog, code: str, plan: Plan) -> Iterator[_Finding]:
    path = f"plans.{code}"
    if plan.free and plan.prices:
        yield _Finding(11, f"{path}.prices", "a free plan has prices", "leave prices out, or free")
    if not plan.free and not plan.prices:
        what = "a plan that is not free has no price"
        mend = "add prices, as prices: {monthly: {amount: 99.00}}, or free: true"
        yield _Finding(11, f"{path}.prices", what, mend)
    if plan.block_on_exhaustion and plan.consumption_model != "balance":
        what = f"block_on_exhaustion stands on the model {plan.consumption_model}"
        yield _Finding(11, f"{path}.block_on_exhaustion", what, "leave it out")
    for interval, price in plan.prices.items():
        yield from _price(plan, price, f"{path}.prices.{interval}")
    for feature, held in plan.features.items():
        yield from _held(catalog, plan, feature, held, path=f"{path}.features.{feature}")


def _price(plan: Plan, price: PlanPrice, path: str) -> Iterator[_Finding]:
    for key, model in (("included_credits", "credits"), ("included_balance", "balance")):
        if getattr(price, key) and plan.consumption_model != model:
            what = f"{key} stands on the consumption model {plan.consumption_model}"
            yield _Finding(11, f"{path}.{key}", what, f"leave it out, or use the model {model}")
    offers = [(f"{path}.intro_offer", price.intro_offer)]
    offers += [
        (f"{path}.currencies.{code}.intro_offer", local.intro_offer)
        for code, local in price.currencies.items()
    ]
    for place, offer in offers:
        if offer is not None:
            yield from _discount(offer.type, offer.value, f"{place}.value")


def _discount(kind: DiscountType, value: object, path: str) -> Iterator[_Finding]:
    points = str(value)
    if kind == "percentage" and not (points.isdecimal() and int(points) <= 10_000):
        yield _Finding(
            18,
            path,
            f"a percentage of {points} basis points is not between 0 and 100 %",
            "write whole basis points up to 10000: 2500 is 25 %",
        )


def _held(
    catalog: Catalog, plan: Plan, code: str, held: PlanFeature, *, path: str
) -> Iterator[_Finding]:
    feature = catalog.features.get(code)
    if feature is None:
        yield _unknown(path, "feature", code, catalog.features)
        return
    given = held.model_fields_set
    for key, what, mend in _fits(feature, held, given, plan.consumption_model):
        yield _Finding(14, f"{path}.{key}", what, mend)
    if held.overage is not None:
        yield from _overage(held.overage, f"{path}.overage")


def _fits(
    feature: Feature, held: PlanFeature | Addon, given: set[str], model: str
) -> Iterator[tuple[str, str, str]]:
    kind, overage = feature.type, held.overage
    if kind == "boolean":
        for key in sorted(given & {"included", "unlimited", "overage", "credits_per_unit"}):
            yield key, f"{key} stands on a boolean feature", "a boolean feature has only enabled"
    is_plain = overage is None or (overage.model, overage.mode) == ("per_unit", "charge")
    if kind == "seats" and overage is not None and not is_plain:
        what = f"seats are priced {overage.model}, {overage.mode}"
        yield "overage", what, "price seats by overage: {unit_price: 25.00}"
    if held.pricing == "ai_model" and kind != "metered":
        yield "pricing", f"ai_model prices a {kind} feature", "use it on a metered feature"
    if held.pricing == "ai_model" and overage is not None:
        what = "an overage price stands beside the prices of AI models"
        yield "overage", what, "leave overage out: tokens have their models' prices"
    if held.pricing != "ai_model" and held.margin_bp:
        yield "margin_bp", "a margin stands on a fixed price", "add pricing: ai_model"
    if held.credits_per_unit is not None and model != "credits":
        what = f"credits_per_unit stands on the consumption model {model}"
        yield "credits_per_unit", what, "leave it out, or use the model credits"
    is_enabled = isinstance(held, Addon) or held.enabled
    if kind == "metered" and model == "credits" and is_enabled and held.credits_per_unit is None:
        yield "credits_per_unit", "a use has no cost in credits", "add credits_per_unit"
    if overage is not None and overage.model == "dynamic" and held.included:
        what = f"dynamic prices stand beside included: {held.included}"
        yield "included", what, "write included: 0"


def _overage(overage: Overage, path: str) -> Iterator[_Finding]:
    needed, given = NEEDED[overage.model], overage.model_fields_set
    if overage.mode != "block" or "model" in given:
        for key in needed:
            if getattr(overage, key) in (None, ()):
                what = f"the charge model {overage.model} has no {key}"
                yield _Finding(13, f"{path}.{key}", what, f"add {key}")
    allowed = {*needed, "free_units"} if overage.model == "package" else set(needed)
    for key in PRICE_KEYS:
        if key in given and key not in allowed:
            what = f"{key} stands on the charge model {overage.model}"
            yield _Finding(13, f"{path}.{key}", what, f"leave {key} out, or name another model")
    yield from _tiers(overage.tiers, f"{path}.tiers")
    yield from _bounds(overage, path)
    for currency, local in overage.currencies.items():
        yield from _tiers(local.tiers, f"{path}.currencies.{currency}.tiers")
        yield from _bounds(local, f"{path}.currencies.{currency}")


def _bounds(overage: Overage | OverageInCurrency, path: str) -> Iterator[_Finding]:
    least, most = overage.minimum_amount, overage.maximum_amount
    if least is not None and most is not None and least > most:
        what = f"the minimum {least} is above the maximum {most}"
        yield _Finding(13, f"{path}.minimum_amount", what, "write a minimum up to the maximum")


def _tiers(tiers: tuple[Tier, ...], path: str) -> Iterator[_Finding]:
    bounds = [tier.up_to for tier in tiers]
    if not bounds:
        return
    if bounds[-1] is not None:
        what = f"the last tier ends at {bounds[-1]}, what is above has no price"
        yield _Finding(15, f"{path}.{len(bounds) - 1}.up_to", what, "leave up_to of the last out")
    for place, bound in enumerate(bounds[:-1]):
        if bound is None:
            what = "a tier without end stands before others"
            yield _Finding(15, f"{path}.{place}.up_to", what, "add up_to to all but the last")
    ended = [(place, bound) for place, bound in enumerate(bounds) if bound is not None]
    for (_, below), (place, bound) in pairwise(ended):
        if bound <= below:
            what = f"the bound {bound} is not above the one before, {below}"
            yield _Finding(15, f"{path}.{place}.up_to", what, "write rising bounds")


def _addons(catalog: Catalog) -> Iterator[_Finding]:
    for code, addon in catalog.addons.items():
        path = f"addons.{code}"
        feature = catalog.features.get(addon.feature)
        if feature is None:
            yield _unknown(f"{path}.feature", "feature", addon.feature, catalog.features)
            continue
        if (addon.model == "boolean") != (feature.type == "boolean"):
            what = f"the model {addon.model} does not fit a {feature.type} feature"
            yield _Finding(14, f"{path}.model", what, "use boolean for boolean features only")
        for key, what, mend in _fits(feature, addon, addon.model_fields_set, addon.model):
            yield _Finding(14, f"{path}.{key}", what, mend)
        if addon.overage is not None:
            yield from _overage(addon.overage, f"{path}.overage")


def _packs(catalog: Catalog) -> Iterator[_Finding]:
    for code, pack in catalog.capacity_packs.items():
        for feature in pack.grants:
            yield from _granted(catalog, feature, f"capacity_packs.{code}.grants.{feature}")
    for code, slots in catalog.quota_packs.items():
        path = f"quota_packs.{code}"
        held = catalog.features.get(slots.feature)
        if held is None:
            yield _unknown(f"{path}.feature", "feature", slots.feature, catalog.features)
        elif held.type != "quota":
            what = f"a quota pack is for a {held.type} feature"
            yield _Finding(17, f"{path}.feature", what, "name a quota feature")
        yield from _term(slots, path)


def _granted(catalog: Catalog, code: str, path: str) -> Iterator[_Finding]:
    feature = catalog.features.get(code)
    if feature is None:
        yield _unknown(path, "feature", code, catalog.features)
    elif feature.type not in {"quota", "metered"}:
        what = f"a capacity pack grants a {feature.type} feature"
        yield _Finding(17, path, what, "grant quota and metered features")


def _term(pack: QuotaPack, path: str) -> Iterator[_Finding]:
    wanted = "valid_days" if pack.mode == "one_time" else "term_months"
    other = "term_months" if pack.mode == "one_time" else "valid_days"
    if getattr(pack, wanted) is None:
        what = f"a pack of mode {pack.mode} has no {wanted}"
        yield _Finding(17, f"{path}.{wanted}", what, f"add {wanted}")
    if getattr(pack, other) is not None:
        what = f"{other} stands on a pack of mode {pack.mode}"
        yield _Finding(17, f"{path}.{other}", what, f"leave {other} out")


def _promo_codes(catalog: Catalog) -> Iterator[_Finding]:
    for code, promo in catalog.promo_codes.items():
        yield from _discount(promo.type, promo.value, f"promo_codes.{code}.value")
        for plan in promo.plans:
            if plan not in catalog.plans:
                yield _unknown(f"promo_codes.{code}.plans", "plan", plan, catalog.plans)


def _ai_models(catalog: Catalog) -> Iterator[_Finding]:
    for code, prices in catalog.ai_models.items():
        provider, _, model = code.partition("/")
        if not provider or not model:
            what = f"the model {code!r} names no provider"
            yield _Finding(21, f"ai_models.{code}", what, "write provider/model")
        if prices == GENAI_PRICES and catalog.currency != "USD":
            what = f"{GENAI_PRICES} are in USD, the catalog is in {catalog.currency}"
            mend = f"write the model's prices in {catalog.currency}, per million tokens"
            yield _Finding(21, f"ai_models.{code}", what, mend)


def _store(catalog: Catalog) -> Iterator[_Finding]:
    store = catalog.store
    for code, item in store.items.items():
        path = f"store.items.{code}"
        if item.creator not in store.creators:
            yield _unknown(f"{path}.creator", "creator", item.creator, store.creators)
        wanted = {"fixed": None, "timed": "licence_days", "subscription": "interval"}[item.kind]
        if wanted is not None and getattr(item, wanted) is None:
            what = f"an item sold {item.kind} has no {wanted}"
            yield _Finding(20, f"{path}.{wanted}", what, f"add {wanted}")
        yield from _on_sale(item.on_sale, path)
    for code, bundle in store.bundles.items():
        path = f"store.bundles.{code}"
        for name in bundle.items:
            if name not in store.items:
                yield _unknown(f"{path}.items", "item", name, store.items)
        if len(set(bundle.items)) != len(bundle.items) or not bundle.items:
            what = "a bundle has no items, or one twice"
            yield _Finding(20, f"{path}.items", what, "name each of its items once")
        yield from _on_sale(bundle.on_sale, path)
    yield from _shares(catalog)


def _on_sale(days: tuple[date, date] | None, path: str) -> Iterator[_Finding]:
    if days is not None and days[0] >= days[1]:
        what = f"the sale from {days[0]} to {days[1]} has no days"
        yield _Finding(
            20, f"{path}.on_sale", what, "the end day is not included; write a later one"
        )


def _shares(catalog: Catalog) -> Iterator[_Finding]:
    tiers, path = catalog.store.revenue_share.tiers, "store.revenue_share.tiers"
    for place, (above, tier) in enumerate(pairwise(tiers)):
        if tier.share_bp >= above.share_bp:
            what = f"the share {tier.share_bp} is not below the one before, {above.share_bp}"
            yield _Finding(20, f"{path}.{place + 1}.share_bp", what, "write falling shares")
        rises = tier.up_to is None or above.up_to is None or tier.up_to > above.up_to
        if above.up_to is None or not rises:
            what = "the tiers' bounds do not rise to a last one without end"
            yield _Finding(20, f"{path}.{place}.up_to", what, "write rising bounds")
    if not tiers or tiers[-1].up_to is not None:
        what = "what is above the last tier has no share"
        yield _Finding(20, path, what, "add a last tier without up_to")


def _tax(catalog: Catalog) -> Iterator[_Finding]:
    seen = set()
    for place, row in enumerate(catalog.tax):
        key = (row.country, row.category, row.from_)
        if key in seen:
            what = f"two rates of {row.country}, {row.category} begin on {row.from_}"
            yield _Finding(24, f"tax.{place}", what, "keep one of them")
        seen.add(key)


def _currencies(catalog: Catalog) -> Iterator[_Finding]:
    for path, currencies in _currency_places(catalog):
        if catalog.currency in currencies:
            what = f"{catalog.currency} is the catalog's own currency and priced twice"
            mend = "leave it out: the amount beside it is in the catalog's currency"
            yield _Finding(19, f"{path}.currencies.{catalog.currency}", what, mend)


def _currency_places(catalog: Catalog) -> Iterator[tuple[str, Iterable[str]]]:
    for code, plan in catalog.plans.items():
        for interval, price in plan.prices.items():
            yield f"plans.{code}.prices.{interval}", price.currencies
        for feature, held in plan.features.items():
            if held.overage is not None:
                yield f"plans.{code}.features.{feature}.overage", held.overage.currencies
    for code, addon in catalog.addons.items():
        if addon.overage is not None:
            yield f"addons.{code}.overage", addon.overage.currencies
    for path, sold in _sold(catalog):
        yield path, sold.currencies


def _exchange_rates(catalog: Catalog) -> Iterator[_Finding]:
    yield from _twice_rated(catalog)
    on = effective_day(catalog)
    sold = {
        currency for plan in catalog.plans.values() for currency in plan_currencies(catalog, plan)
    }
    for currency in sorted(sold - {catalog.currency}):
        if rate_on(catalog, currency, on) is not None:
            continue
        place = next(_unpriced(catalog, currency), None)
        if place is not None:
            yield _Finding(
                19,
                place,
                f"there is no price in {currency}, and no exchange rate from"
                f" {catalog.currency} to {currency} in force on {on}",
                f"add a price in {currency}, or a row to exchange_rates",
            )


def _twice_rated(catalog: Catalog) -> Iterator[_Finding]:
    seen = set()
    for place, row in enumerate(catalog.exchange_rates):
        key = (row.from_, row.to, row.valid_from)
        path = f"exchange_rates.{place}"
        if key in seen:
            what = f"two rates from {row.from_} to {row.to} begin on {row.valid_from}"
            yield _Finding(24, path, what, "keep one of them")
        if row.from_ == row.to:
            what = f"{row.from_} is converted into itself"
            yield _Finding(24, path, what, "name two currencies, or leave the row out")
        seen.add(key)


def _unpriced(catalog: Catalog, currency: str) -> Iterator[str]:
    """Where a rate is needed: money that customers of a currency may owe. Rule CUR-2."""
    for code, plan in catalog.plans.items():
        if currency in plan_currencies(catalog, plan):
            yield from (f"plans.{code}.{path}" for path in unpriced_paths(plan, currency))
    for path, sold in _sold(catalog):
        if currency not in sold.currencies:
            yield path
    for code, addon in catalog.addons.items():
        yield from (f"addons.{code}.{path}" for path in addon_unpriced_paths(addon, currency))


def _sold(catalog: Catalog) -> Iterator[tuple[str, Priced]]:
    """Add-ons, packs and what the store sells, with their paths."""
    for section in ("addons", "credit_packs", "capacity_packs", "quota_packs"):
        for code, sold in getattr(catalog, section).items():
            yield f"{section}.{code}", sold
    for code, item in catalog.store.items.items():
        yield f"store.items.{code}", item
    for code, bundle in catalog.store.bundles.items():
        yield f"store.bundles.{code}", bundle
