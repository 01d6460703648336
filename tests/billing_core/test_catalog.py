"""A catalog version is read whole or refused with every place, what is wrong, and the cure."""

from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from billing_core.catalog import Catalog, Policies, effective_instant, group_of, plan_currencies
from billing_core.catalog_checks import (
    patched_catalog,
    read_catalog,
    text_of,
    version_problems,
)
from billing_core.errors import Problem
from billing_core.patches import patched_plan
from billing_core.schema import merge_patch
from tests.billing_core.broken import BASE, CATALOGS


def problems(tree: Any) -> tuple[Problem, ...]:
    read = read_catalog(tree, file="catalog/2026.yaml")
    return read if isinstance(read, tuple) else ()


def catalog(**patch: Any) -> Catalog:
    read = read_catalog(merge_patch(BASE, patch), file="catalog/2026.yaml")
    assert isinstance(read, Catalog), "\n".join(map(str, read))
    return read


def test_a_right_catalog_has_no_problem() -> None:
    assert problems(BASE) == ()


@pytest.mark.parametrize(("patch", "code", "path"), CATALOGS.values(), ids=CATALOGS)
def test_a_wrong_catalog_names_place_and_cure(patch: Any, code: str, path: str) -> None:
    found = problems(merge_patch(deepcopy(BASE), patch))
    assert (code, path) in {(problem.code, problem.path) for problem in found}
    for problem in found:
        assert problem.file == "catalog/2026.yaml"
        assert problem.what
        assert problem.mend


def test_a_mistyped_key_names_the_nearest_known_one() -> None:
    patch = {"plans": {"starter": {"consumption_modle": "metered"}}}
    (found,) = problems(merge_patch(BASE, patch))
    assert found.mend == "did you mean 'consumption_model'?"


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {
        "plans": {"starter": {"prices": None, "features": {"cals": {}}}, "pro": {"free": "true"}}
    }
    assert [problem.code for problem in problems(merge_patch(BASE, wrong))] == [
        "CATALOG-11",
        "CATALOG-10",
        "CATALOG-11",
    ]


@pytest.mark.parametrize("tree", [None, [], "catalog", "29.00"])
def test_what_is_no_mapping_is_no_catalog(tree: object) -> None:
    assert [problem.code for problem in problems(tree)] == ["CATALOG-03"]


def test_values_are_exact_and_keep_their_scale() -> None:
    price = catalog().plans["pro"].prices["monthly"]
    assert str(price.amount) == "99.00"
    assert catalog().ai_models["openai/tiny"].cache_read == 0  # type: ignore[union-attr]
    assert catalog().ai_models["openai/gpt-4o-mini"] == "genai-prices"
    assert catalog().tax[0].from_ == date(2019, 1, 1)


def test_a_catalog_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        catalog().plans["pro"].name = "Other"  # type: ignore[misc]


def test_switches_have_the_defaults_of_the_rules() -> None:
    assert Policies().model_dump() == {
        "billing_time_zone": "UTC",
        "unit_price_decrease_immediate": False,
        "late_actions": "adjust",
        "checkout_days": 7,
        "credit_extra_seats_on_upgrade": True,
        "seat_price_is_monthly": False,
        "on_conflict": "hold",
        "grace_hours": 24,
        "late_usage": "next_invoice",
        "late_usage_windows": 1,
        "token_cost_rounding": "exact",
        "engine_changes": "hold",
        "collection": "automatic",
        "payment_days": 30,
        "dunning_offsets_hours": (8, 16),
    }


def test_the_text_of_a_catalog_reads_back_to_it() -> None:
    read = catalog()
    assert read_catalog(text_of(read), file="again") == read
    assert "policies" not in text_of(read)


def test_a_version_begins_at_local_midnight_or_at_its_instant() -> None:
    amsterdam = ZoneInfo("Europe/Amsterdam")
    assert effective_instant(catalog(), amsterdam) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    at = catalog(effective_at="2026-01-01T08:30:00Z")
    assert effective_instant(at, amsterdam) == datetime(2026, 1, 1, 8, 30, tzinfo=UTC)


def test_a_patch_makes_the_next_version() -> None:
    at = datetime(2026, 5, 5, tzinfo=UTC)
    patch = {"plans": {"starter": {"prices": {"monthly": {"amount": "35.00"}}}}}
    after = patched_catalog(catalog(), patch, at=at, file="action p1")
    assert isinstance(after, Catalog)
    assert after.plans["starter"].prices["monthly"].amount == Decimal(35)
    assert after.plans["pro"] == catalog().plans["pro"]
    assert after.effective_at == at


def test_a_patch_that_breaks_the_catalog_is_refused() -> None:
    at = datetime(2026, 5, 5, tzinfo=UTC)
    patch = {"groups": {"standard": ["starter", "por"]}}
    found = patched_catalog(catalog(), patch, at=at, file="action p1")
    assert isinstance(found, tuple)
    assert [(one.code, one.file) for one in found] == [("CATALOG-10", "action p1")]


def test_negotiated_terms_are_a_patch_over_the_plan() -> None:
    patch = {"prices": {"monthly": {"amount": "25.00"}}}
    plan = patched_plan(catalog(), "starter", [patch], file="action o1")
    assert not isinstance(plan, tuple)
    assert plan.prices["monthly"].amount == Decimal(25)
    wrong = {"prices": {"monthly": {"amuont": "25.00"}}}
    found = patched_plan(catalog(), "starter", [patch, wrong], file="action o1")
    assert isinstance(found, tuple)
    assert found[0].mend == "did you mean 'amount'?"


@pytest.mark.parametrize(
    ("key", "value"), [("type", "quota"), ("aggregation", "max"), ("unit", "request")]
)
def test_how_a_feature_is_counted_never_changes(key: str, value: str) -> None:
    patch: dict[str, Any] = {"features": {"calls": {key: value}}, "addons": None}
    after = catalog(**patch)
    (found,) = version_problems(catalog(), after, file="catalog/2027.yaml")
    assert (found.code, found.path) == ("CATALOG-23", f"features.calls.{key}")
    assert version_problems(after, after, file="catalog/2027.yaml") == ()


def test_groups_and_currencies_of_plans() -> None:
    euro = {"prices": {"monthly": {"currencies": {"EUR": {"amount": "19.00"}}}}}
    read = catalog(plans={"coins": euro})
    assert group_of(read, "pro") == "standard"
    assert group_of(read, "coins") is None
    assert plan_currencies(read, read.plans["coins"]) == {"USD", "EUR"}
    assert plan_currencies(read, read.plans["free"]) == frozenset()


def test_a_rate_in_force_or_a_price_is_enough_for_another_currency() -> None:
    euro: dict[str, Any] = {
        "plans": {
            code: {"prices": {"monthly": {"currencies": {"EUR": {"amount": "19.00"}}}}}
            for code in ("starter", "pro")
        }
    }
    assert problems(merge_patch(BASE, euro)) == ()
    later = {"exchange_rates": [{**BASE["exchange_rates"][0], "valid_from": "2026-01-02"}]}
    (found,) = problems(merge_patch(BASE, euro | later))
    assert found.path == "plans.starter.features.calls.overage"
    local = {"overage": {"currencies": {"EUR": {"unit_price": "0.02"}}}}
    priced = merge_patch(BASE, euro | later)
    priced["plans"]["starter"]["features"] = {"calls": {"overage": {"unit_price": "0.02"}}}
    priced["plans"]["pro"]["features"] = {}
    for section in ("addons", "credit_packs", "capacity_packs", "quota_packs"):
        priced[section] = {}
    priced["store"] = {}
    assert [one.path for one in problems(priced)] == ["plans.starter.features.calls.overage"]
    assert (
        problems(merge_patch(priced, {"plans": {"starter": {"features": {"calls": local}}}})) == ()
    )
