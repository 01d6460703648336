"""What a new catalog version changes: every field of the schema, for whom, and when."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from billing_core.catalog import Catalog
from billing_core.catalog_diff import (
    ROW_KEYS,
    CatalogChange,
    Subscriber,
    catalog_changes,
    felt,
)
from billing_core.fairness import changes
from billing_core.field_rules import REASONS, RULES, Reach
from billing_core.schema import merge_patch
from tests.billing_core.broken import BASE
from tests.billing_core.builders import CURRENCIES, day, versions_of


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation may hold itself, not in a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Annotated, Union, UnionType}:
        for part in get_args(annotation):
            yield from models(part)


def patterns(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every path of the schema at which two versions may differ, `*` for codes."""
    for name, field in model.model_fields.items():
        if name in ROW_KEYS.get(model, ()):
            continue
        path, held = f"{prefix}{field.alias or name}", field.annotation
        if get_origin(held) is dict:
            yield f"{path}.*"
            for inner in models(get_args(held)[1]):
                yield from patterns(inner, f"{path}.*.")
        elif get_origin(held) is tuple and set(models(get_args(held)[0])) & ROW_KEYS.keys():
            yield f"{path}.*"
            yield from patterns(get_args(held)[0], f"{path}.*.")
        elif inner_models := list(models(held)):
            if type(None) in get_args(held):
                yield path
            for inner in inner_models:
                yield from patterns(inner, f"{path}.")
        else:
            yield path


def test_no_field_of_the_schema_is_unknown_to_the_diff() -> None:
    assert set(patterns(Catalog)) - RULES.keys() == set()


def test_no_rule_is_of_a_field_that_does_not_exist() -> None:
    assert RULES.keys() - set(patterns(Catalog)) == set()
    assert {rule.rule for rule in RULES.values()} == REASONS.keys()


TREE: dict[str, Any] = merge_patch(
    BASE,
    {
        "policies": {"payment_days": "30", "token_cost_rounding": "exact"},
        "plans": {
            "starter": {
                "prices": {
                    "monthly": {
                        "trial_days": "14",
                        "intro_offer": {"type": "percentage", "value": "5000", "cycles": "3"},
                        "currencies": {"EUR": {"amount": "27.00"}},
                    }
                },
                "features": {"calls": {"overage": {"minimum_amount": "1", "maximum_amount": "90"}}},
            },
            "pro": {"prices": {"monthly": {"currencies": {"EUR": {"amount": "90.00"}}}}},
        },
        "promo_codes": {"SAVE20": {"cycles": "3", "max_redemptions": "10"}},
    },
)


def catalog(patch: Mapping[str, Any] | None = None) -> Catalog:
    return Catalog.model_validate(merge_patch(deepcopy(TREE), patch or {}))


def only(patch: Mapping[str, Any]) -> CatalogChange:
    (change,) = catalog_changes(catalog(), catalog(patch))
    return change


def starter(**fields: Any) -> dict[str, Any]:
    return {"plans": {"starter": fields}}


def monthly(**fields: Any) -> dict[str, Any]:
    return starter(prices={"monthly": fields})


def calls(**fields: Any) -> dict[str, Any]:
    return starter(features={"calls": fields})


def overage(**fields: Any) -> dict[str, Any]:
    return calls(overage=fields)


TIERS = [
    {"up_to": "10", "unit_price": "0.02"},
    {"up_to": "20", "unit_price": "0.01"},
    {"unit_price": "0.005"},
]


def pro_tiers(*changed: Mapping[str, str]) -> dict[str, Any]:
    return {"plans": {"pro": {"features": {"calls": {"overage": {"tiers": list(changed)}}}}}}


CHANGES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # patch, verdict, reach, rule
    "a higher base price": (monthly(amount="39.00"), "harm", Reach.RENEWAL, "FAIR-3"),
    "a lower base price": (monthly(amount="19.00"), "benefit", Reach.RENEWAL, "FAIR-3"),
    "a price in EUR": (
        monthly(currencies={"EUR": {"amount": "30"}}), "harm", Reach.RENEWAL, "FAIR-3",
    ),
    "a currency less": (monthly(currencies={"EUR": None}), "harm", Reach.RENEWAL, "CUR-1"),
    "a currency more": (
        monthly(currencies={"JPY": {"amount": "3000"}}), "neutral", Reach.RENEWAL, "CUR-1",
    ),
    "an interval more": (
        starter(prices={"yearly": {"amount": "290"}}), "neutral", Reach.RENEWAL, "FAIR-3",
    ),
    "an interval less": (
        {"plans": {"pro": {"prices": {"yearly": None}}}}, "harm", Reach.RENEWAL, "FAIR-3",
    ),
    "a longer trial": (monthly(trial_days="30"), "benefit", Reach.NEW, "OFR-2"),
    "no trial": (monthly(trial_days="0"), "harm", Reach.NEW, "OFR-2"),
    "no welcome offer": (monthly(intro_offer=None), "harm", Reach.NEW, "OFR-2"),
    "fewer cycles": (monthly(intro_offer={"cycles": "1"}), "harm", Reach.NEW, "OFR-2"),
    "more included": (calls(included="200"), "benefit", Reach.AT_ONCE, "FAIR-2"),
    "less included": (calls(included="99"), "harm", Reach.RENEWAL, "FAIR-2"),
    "unlimited": (calls(unlimited="true"), "benefit", Reach.AT_ONCE, "FAIR-9"),
    "overage off": (calls(overage=None), "neutral", Reach.RENEWAL, "FAIR-9"),
    "overage blocked": (overage(mode="block"), "neutral", Reach.RENEWAL, "FAIR-9"),
    "a hard block": (overage(block="hard"), "harm", Reach.RENEWAL, "FAIR-9"),
    "a higher unit price": (overage(unit_price="0.03"), "harm", Reach.RENEWAL, "FAIR-3"),
    "a lower unit price": (overage(unit_price="0.01"), "benefit", Reach.RENEWAL, "FAIR-3"),
    "no minimum": (overage(minimum_amount=None), "benefit", Reach.RENEWAL, "FAIR-3"),
    "a higher maximum": (overage(maximum_amount="91"), "harm", Reach.RENEWAL, "FAIR-3"),
    "no maximum": (overage(maximum_amount=None), "harm", Reach.RENEWAL, "FAIR-3"),
    "a unit price in EUR": (
        overage(currencies={"EUR": {"unit_price": "0.02"}}), "neutral", Reach.RENEWAL, "CUR-2",
    ),
    "a lower tier": (
        pro_tiers(*TIERS[:2], {"unit_price": "0.004"}), "benefit", Reach.RENEWAL, "FAIR-3",
    ),
    "a higher and a lower tier": (
        pro_tiers({"up_to": "10", "unit_price": "0.03"}, TIERS[1], {"unit_price": "0.004"}),
        "neutral", Reach.RENEWAL, "FAIR-3",
    ),
    "other tiers": (pro_tiers(*TIERS[1:]), "neutral", Reach.RENEWAL, "FAIR-3"),
    "more seats included": (
        starter(features={"editors": {"included": "8"}}), "benefit", Reach.AT_ONCE, "FAIR-2",
    ),
    "a lower seat price": (
        starter(features={"editors": {"overage": {"unit_price": "20"}}}),
        "benefit", Reach.RENEWAL, "FAIR-3",
    ),
    "a feature more": (starter(features={"sso": {}}), "benefit", Reach.AT_ONCE, "FAIR-2"),
    "a feature less": (starter(features={"calls": None}), "harm", Reach.RENEWAL, "FAIR-2"),
    "a feature off": (calls(enabled="false"), "harm", Reach.RENEWAL, "FAIR-2"),
    "cheaper in credits": (
        {"plans": {"coins": {"features": {"calls": {"credits_per_unit": "0.5"}}}}},
        "benefit", Reach.AT_ONCE, "CRD-3",
    ),
    "dearer in credits": (
        {"plans": {"coins": {"features": {"calls": {"credits_per_unit": "2"}}}}},
        "harm", Reach.RENEWAL, "CRD-3",
    ),
    "more credits": (
        {"plans": {"coins": {"prices": {"monthly": {"included_credits": "600"}}}}},
        "benefit", Reach.AT_ONCE, "FAIR-5",
    ),
    "a lower margin": (
        {"plans": {"pro": {"features": {"chat": {"margin_bp": "1000"}}}}},
        "benefit", Reach.RENEWAL, "FAIR-4",
    ),
    "a hidden plan": (starter(public="false"), "harm", Reach.NEW, "CAT-7"),
    "another name": (starter(name="Small"), "neutral", Reach.NOBODY, "CAT-1"),
    "a plan less": ({"plans": {"coins": None}}, "harm", Reach.RENEWAL, "CAT-8"),
    "an add-on less": ({"addons": {"more": None}}, "harm", Reach.REFUSED, "ADD-5"),
    "a dearer pack": (
        {"credit_packs": {"coins_30": {"price": "4"}}}, "harm", Reach.PURCHASES, "FAIR-6",
    ),
    "a code less": ({"promo_codes": {"SAVE20": None}}, "harm", Reach.NEW, "PRM-2"),
    "a code for ever": (
        {"promo_codes": {"SAVE20": {"cycles": None}}}, "benefit", Reach.NEW, "PRM-2",
    ),
    "a code for every plan": (
        {"promo_codes": {"SAVE20": {"plans": []}}}, "benefit", Reach.NEW, "PRM-2",
    ),
    "fewer places": (
        {"promo_codes": {"SAVE20": {"max_redemptions": "5"}}}, "harm", Reach.NEW, "PRM-2",
    ),
    "a dearer model": (
        {"ai_models": {"openai/tiny": {"input": "0.20"}}}, "harm", Reach.AT_ONCE, "AI-2",
    ),
    "a model less": ({"ai_models": {"openai/tiny": None}}, "harm", Reach.AT_ONCE, "AI-2"),
    "another source of prices": (
        {"ai_models": {"openai/tiny": "genai-prices"}}, "neutral", Reach.AT_ONCE, "AI-2",
    ),
    "more days to pay": ({"policies": {"payment_days": "60"}}, "benefit", Reach.AT_ONCE, "CAT-14"),
    "tokens rounded up": (
        {"policies": {"token_cost_rounding": "per_event"}}, "harm", Reach.AT_ONCE, "CAT-14",
    ),
    "a higher tax": (
        {"tax": [{"country": "NL", "rate_bp": "2200", "from": "2019-01-01"}]},
        "harm", Reach.BILLING_DAY, "CAT-14",
    ),
    "a lower rate": (
        {"exchange_rates": [{**BASE["exchange_rates"][0], "rate": "0.90"}]},
        "benefit", Reach.RENEWAL, "CUR-2",
    ),
    "another unit": ({"features": {"calls": {"unit": "hit"}}}, "neutral", Reach.REFUSED, "CAT-2"),
    "another seller's name": ({"seller": {"name": "New"}}, "neutral", Reach.BILLING_DAY, "TAX-1"),
    "another group": (
        {"groups": {"standard": ["pro", "starter"]}}, "neutral", Reach.AT_ONCE, "CAT-6",
    ),
    "a share of creators": (
        {"store": {"revenue_share": {"cap_per_month": "10"}}}, "neutral", Reach.NOBODY, "REV-1",
    ),
    "an audit": (
        {"store": {"items": {"dark": {"price": "7.00"}}}}, "harm", Reach.PURCHASES, "FAIR-6",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("patch", "verdict", "reach", "rule"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_is_and_when_it_counts(
    patch: dict[str, Any], verdict: str, reach: str, rule: str
) -> None:
    change = only(patch)
    assert (change.verdict, change.reach, change.rule) == (verdict, reach, rule)
    assert change.reason


def test_the_same_version_changes_nothing() -> None:
    assert catalog_changes(catalog(), catalog()) == ()


def test_changes_come_in_the_order_of_the_schema() -> None:
    patch = merge_patch(calls(included="200"), monthly(amount="39.00") | {"currency": "EUR"})
    paths = [".".join(it.path) for it in catalog_changes(catalog(), catalog(patch))]
    assert paths == [
        "currency",
        "plans.starter.prices.monthly.amount",
        "plans.starter.features.calls.included",
    ]


def test_a_feature_that_is_added_but_not_enabled_is_nothing() -> None:
    change = only(starter(features={"sso": {"enabled": "false"}}))
    assert (change.verdict, change.old, change.new) == ("neutral", None, None)


def test_the_switch_lets_a_lower_unit_price_come_at_once() -> None:
    switch = {"policies": {"unit_price_decrease_immediate": "true"}}
    for patch, reach in (
        (overage(unit_price="0.01"), Reach.AT_ONCE),
        (overage(unit_price="0.03"), Reach.RENEWAL),
        (starter(features={"editors": {"overage": {"unit_price": "20"}}}), Reach.RENEWAL),
        (overage(maximum_amount="80"), Reach.RENEWAL),
    ):
        _, change = catalog_changes(catalog(), catalog(merge_patch(switch, patch)))
        assert change.reach == reach, patch


SAME_AS_BILLED = [name for name, row in CHANGES.items() if "plans" in row[0]]


@pytest.mark.parametrize("name", SAME_AS_BILLED)
def test_what_is_said_to_come_at_once_does_when_billed(name: str) -> None:
    """The diff says of a feature what `fairness.changes` does to a running period."""
    patch = CHANGES[name][0]
    first, second = versions_of(catalog(), catalog(patch))
    change = only(patch)
    if change.path[2:3] != ("features",) or change.rule == "CRD-3":
        return
    at_once = False
    for key, own in first.terms.items():
        offered = second.terms.get(key)
        if offered is not None and key[0] == change.path[1]:
            found = [it for it in changes(own, offered) if it.feature == change.path[3]]
            at_once |= any(it.is_at_once for it in found)
    assert at_once == (change.reach is Reach.AT_ONCE)


def subscriber(name: str, plan: str = "starter", **fields: Any) -> Subscriber:
    given: dict[str, Any] = {
        "interval": "monthly",
        "currency": "USD",
        "country": "US",
        "anchor": day("2026-01-15"),
        "renews_on": day("2026-04-15"),
        **fields,
    }
    return Subscriber(name, plan, **given)


PEOPLE = (
    subscriber("a"),
    subscriber("b", anchor=day("2026-03-31"), renews_on=day("2026-04-30")),
    subscriber("leaves", is_ending=True),
    subscriber("euro", currency="EUR", country="NL"),
    subscriber("pro", "pro", interval="yearly", renews_on=day("2027-01-15")),
    subscriber("pro monthly", "pro"),
    subscriber("free", "free", interval=None),
)
FELT = {
    "a price in the catalog's currency": (
        monthly(amount="39.00"), 2, "2026-04-30", "2026-05-15",
    ),
    "a price in another": (
        monthly(currencies={"EUR": {"amount": "30"}}), 1, "2026-05-15", "2026-05-15",
    ),
    "a benefit": (calls(included="200"), 4, "2026-04-16", "2026-04-16"),
    "a harm": (calls(included="1"), 3, "2026-04-30", "2026-05-15"),
    "a yearly price": (
        {"plans": {"pro": {"prices": {"yearly": {"amount": "999"}}}}},
        1, "2027-01-15", "2027-01-15",
    ),
    "new ones only": (monthly(trial_days="0"), 0, None, None),
    "an add-on": ({"addons": {"more": {"price": "1"}}}, None, None, None),
    "a tax from later on": (
        {"tax": [*BASE["tax"], {"country": "NL", "rate_bp": "900", "from": "2026-07-01"}]},
        1, "2026-07-15", "2026-07-15",
    ),
    "a rate": (
        {"exchange_rates": [{**BASE["exchange_rates"][0], "rate": "0.90"}]},
        1, "2026-05-15", "2026-05-15",
    ),
    "a policy": ({"policies": {"payment_days": "60"}}, 7, "2026-04-16", "2026-04-16"),
    "a group": (
        {"groups": {"standard": ["pro", "starter"]}}, 6, "2026-04-16", "2026-04-16",
    ),
    "a model": (
        {"ai_models": {"openai/tiny": {"input": "0.20"}}}, 2, "2026-04-16", "2026-04-16",
    ),
    "a tax category": (
        {"features": {"editors": {"tax_category": "books"}}}, 4, "2026-04-30", "2026-05-15",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("patch", "customers", "first", "last"), FELT.values(), ids=FELT)
def test_whom_a_change_reaches_and_when(
    patch: dict[str, Any], customers: int | None, first: str | None, last: str | None
) -> None:
    old, new = catalog(), catalog({"effective_at": "2026-04-16", **patch})
    change = catalog_changes(old, new)[-1]
    found = felt(change, PEOPLE, old=old, new=new)

    def as_day(text: str | None) -> date | None:
        return None if text is None else day(text)

    assert (found.customers, found.first, found.last) == (customers, as_day(first), as_day(last))


def test_the_currencies_of_the_tests_are_known() -> None:
    assert {"USD", "EUR", "JPY"} <= CURRENCIES.keys()
