"""What differs between two catalog versions, whom it helps or hurts, and whom it reaches when.

Every difference is a change of one field of the schema, judged by `field_rules`; what is
added or removed as a whole is one change. Whom it reaches is counted over subscriptions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from pydantic import BaseModel

from billing_core.catalog import Catalog, ExchangeRate, PlanFeature, TaxRate
from billing_core.currencies import effective_day
from billing_core.field_rules import REASONS, RULES, Reach, Verdict
from billing_core.period import MONTHS, boundary

ROW_KEYS: Final[Mapping[type[BaseModel], tuple[str, ...]]] = {
    TaxRate: ("country", "category", "from_"),
    ExchangeRate: ("from_", "to", "valid_from"),
}
"""Lists that are dated rows: a row is the same while these are."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One field that differs. Rules FAIR-1 to FAIR-10.

    path:     the keys that lead to it; pattern, the same with `*` for codes.
    old, new: None where there was or is nothing.
    """

    path: tuple[str, ...]
    pattern: str
    old: Any
    new: Any
    verdict: Verdict
    reach: Reach
    rule: str

    @property
    def reason(self) -> str:
        """Why it counts when it does."""
        return REASONS[self.rule]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A present customer, as far as a change may concern him.

    renews_on: the end of the running period; is_ending: it is not renewed.
    """

    customer_id: str
    plan: str
    interval: str | None
    currency: str
    country: str | None
    anchor: date
    renews_on: date
    is_ending: bool = False


@dataclass(frozen=True, slots=True)
class Felt:
    """How many present customers a change reaches, and the first and last day on which it does.

    customers: None where it is not known who has it: an add-on.
    """

    customers: int | None
    first: date | None = None
    last: date | None = None


def catalog_changes(old: Catalog, new: Catalog) -> tuple[CatalogChange, ...]:
    """All that differs, in the order of the schema and of the codes."""
    found = [
        _change(path, pattern, was, now) for path, pattern, was, now in _walk(old, new, (), ())
    ]
    lowers = new.policies.unit_price_decrease_immediate
    return tuple(_lowered(change, new) if lowers else change for change in found)


def felt(
    change: CatalogChange, subscribers: Iterable[Subscriber], *, old: Catalog, new: Catalog
) -> Felt:
    """Whom a change reaches among the present customers, and when.

    takes: old, new, the versions; the new one is in force from its effective day on.
    rule:  FAIR-1, FAIR-3, CAT-14.
    """
    if change.reach in {Reach.NEW, Reach.PURCHASES, Reach.NOBODY, Reach.REFUSED}:
        return Felt(0)
    if change.path[0] == "addons":
        return Felt(None)
    concerns, on = _concerned(change, old, new), _begins_on(change, new)
    reached = [it for it in subscribers if concerns(it)]
    if change.reach is Reach.RENEWAL:
        reached = [it for it in reached if not it.is_ending]
        days = [_renewal(it, on, MONTHS[it.interval or "monthly"]) for it in reached]
    elif change.reach is Reach.BILLING_DAY:
        days = [_renewal(replace(it, renews_on=on), on, 1) for it in reached]
    else:
        days = [on for _ in reached]
    return Felt(len(days), min(days, default=None), max(days, default=None))


Difference = tuple[tuple[str, ...], tuple[str, ...], Any, Any]
"""Path, pattern, old and new value."""


def _walk(
    old: BaseModel, new: BaseModel, path: tuple[str, ...], pattern: tuple[str, ...]
) -> Iterator[Difference]:
    skipped = ROW_KEYS.get(type(old), ())
    for name, field in type(old).model_fields.items():
        was, now, key = getattr(old, name), getattr(new, name), field.alias or name
        if was == now or name in skipped:
            continue
        at, rule = (*path, key), (*pattern, key)
        if key in {"tax", "exchange_rates"}:
            was, now = _rows(was), _rows(now)
        if isinstance(was, dict) and isinstance(now, dict):
            for code in sorted({*was, *now}, key=str):
                yield from _between(was.get(code), now.get(code), (*at, code), (*rule, "*"))
        else:
            yield from _between(was, now, at, rule)


def _between(
    was: Any, now: Any, path: tuple[str, ...], pattern: tuple[str, ...]
) -> Iterator[Difference]:
    if was == now:
        return
    if isinstance(was, BaseModel) and type(was) is type(now):
        yield from _walk(was, now, path, pattern)
    else:
        yield path, pattern, was, now


def _rows(rows: Sequence[BaseModel]) -> dict[str, BaseModel]:
    return {"/".join(str(getattr(row, key)) for key in ROW_KEYS[type(row)]): row for row in rows}


def _change(path: tuple[str, ...], pattern: tuple[str, ...], was: Any, now: Any) -> CatalogChange:
    name = ".".join(pattern)
    rule = RULES[name]
    if name == "plans.*.features.*":
        was, now = _enabled(was), _enabled(now)
    verdict = rule.judge(was, now)
    return CatalogChange(path, name, was, now, verdict, rule.reach(verdict), rule.rule)


def _enabled(held: PlanFeature | None) -> PlanFeature | None:
    """A feature that is listed and not enabled is not in the plan. Rule ADD-1."""
    return held if held is not None and held.enabled else None


def _lowered(change: CatalogChange, new: Catalog) -> CatalogChange:
    """A lower unit price in arrears at once, by the switch. Rule FAIR-3."""
    is_price = change.pattern.startswith("plans.*.features.*.overage.")
    if not is_price or not change.pattern.endswith("unit_price"):
        return change
    feature = change.path[3]
    held = new.plans[change.path[1]].features[feature]
    is_plain = held.overage is not None and held.overage.model == "per_unit"
    is_seats = new.features[feature].type == "seats"
    if change.verdict is not Verdict.BENEFIT or is_seats or not is_plain:
        return change
    return replace(change, reach=Reach.AT_ONCE)


def _concerned(change: CatalogChange, old: Catalog, new: Catalog) -> Callable[[Subscriber], bool]:
    """Whose subscription has what changes."""
    path, section = change.path, change.path[0]
    if section == "plans":
        return lambda it: it.plan == path[1] and _has(it, path, new)
    if section == "tax":
        return lambda it: it.country == path[1].split("/")[0]
    if section == "exchange_rates":
        return lambda it: it.currency == path[1].split("/")[1] != new.currency
    if section == "groups":
        members = {*old.groups.get(path[1], ()), *new.groups.get(path[1], ())}
        return lambda it: it.plan in members
    if section in {"features", "ai_models"}:
        plans = set(_plans_with(path[1] if section == "features" else None, old, new))
        return lambda it: it.plan in plans
    return lambda _: True


def _has(it: Subscriber, path: tuple[str, ...], new: Catalog) -> bool:
    """Whether a subscription has the interval and the currency that a path names."""
    if path[2:3] == ("prices",) and it.interval != path[3]:
        return False
    if "currencies" in path[2:]:
        return it.currency == path[path.index("currencies", 2) + 1]
    is_amount = path[2:3] == ("prices",) and path[4:] == ("amount",)
    return not is_amount or it.currency == new.currency


def _plans_with(feature: str | None, old: Catalog, new: Catalog) -> Iterator[str]:
    """Plans that have a feature; without one, plans whose AI tokens cost money."""
    for catalog in (old, new):
        for code, plan in catalog.plans.items():
            for name, held in plan.features.items():
                is_token = held.pricing == "ai_model" and plan.consumption_model != "credits"
                if held.enabled and (is_token if feature is None else name == feature):
                    yield code


def _begins_on(change: CatalogChange, new: Catalog) -> date:
    """The day from which a change counts: the version's, or that of a later row."""
    on = effective_day(new)
    if change.path[0] in {"tax", "exchange_rates"}:
        return max(on, date.fromisoformat(change.path[1].split("/")[2]))
    return on


def _renewal(it: Subscriber, on: date, months: int) -> date:
    """The first boundary of a subscription, every so many months, that is not before a day."""
    since, passed = max(on, it.renews_on), 0
    while (day := boundary(it.anchor, passed)) < since:
        passed += months
    return day
