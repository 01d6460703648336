"""Rules CAT-4, CAT-5, CUR-3: what a plan gives, in a currency."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_core.catalog import Overage
from billing_core.pricing import (
    Dynamic,
    Graduated,
    Package,
    Percentage,
    PerUnit,
    Price,
    Volume,
    tiers_of,
)
from billing_core.terms import FeatureTerms, NoPriceInCurrency, price_of, terms_of
from tests.billing_core.builders import CURRENCIES, JPY, USD, ladder, plan_of, versions_of

TIERS = [{"up_to": "10", "unit_price": "1.00", "flat": "2"}, {"unit_price": "0.10"}]
AS_VALUES = tiers_of(
    [(Decimal(10), Decimal("1.00"), Decimal(2)), (None, Decimal("0.10"), Decimal(0))]
)

# fmt: off
PRICES: dict[str, tuple[dict[str, Any], Price]] = {
    # case clause price
    "per unit": ({"unit_price": "0.02"}, PerUnit(Decimal("0.02"))),
    "package": ({"model": "package", "size": "100", "price": "5"},
        Package(Decimal(100), Decimal(5))),
    "free units": ({"model": "package", "size": "9", "price": "5", "free_units": "1"},
        Package(Decimal(9), Decimal(5), Decimal(1))),
    "graduated": ({"model": "graduated", "tiers": TIERS}, Graduated(AS_VALUES)),
    "volume": ({"model": "volume", "tiers": TIERS}, Volume(AS_VALUES)),
    "percentage": ({"model": "percentage", "rate_bp": "290"}, Percentage(290)),
    "dynamic": ({"model": "dynamic"}, Dynamic()),
}
# fmt: on


@pytest.mark.parametrize(("clause", "expected"), PRICES.values(), ids=PRICES)
def test_price_of(clause: dict[str, Any], expected: Price) -> None:
    assert price_of(Overage.model_validate(clause)) == expected


def test_a_clause_without_its_price_is_a_defect_of_the_catalog_checks() -> None:
    with pytest.raises(ValueError, match="passed the catalog"):
        price_of(Overage())


def only(overage: dict[str, Any] | None, currency: str = "USD", **held: Any) -> FeatureTerms:
    """The one feature of a plan with an overage clause."""
    tree = {"calls": {"included": "5", **held, **({"overage": overage} if overage else {})}}
    price = {"amount": "10.00", "currencies": {"EUR": {"amount": "9.00"}}}
    catalog = ladder(
        features={"calls": {"type": "metered", "name": "Calls", "unit": "call"}},
        plans={"pro": plan_of(tree, prices={"monthly": price})},
    )
    (feature,) = terms_of(catalog, "pro", "monthly", CURRENCIES[currency]).features
    return feature


def test_a_feature_without_overage_is_blocked() -> None:
    feature = only(None)
    assert (feature.price, feature.mode, feature.included) == (None, "block", 5)


def test_a_clause_that_blocks_has_no_price() -> None:
    feature = only({"mode": "block", "unit_price": "0.02"})
    assert (feature.price, feature.mode) == (None, "block")


LOCAL = {"unit_price": "0.03", "minimum_amount": "1", "maximum_amount": "9"}


def test_another_currency_takes_its_own_money() -> None:
    own = {"unit_price": "0.02", "minimum_amount": "2", "currencies": {"EUR": LOCAL}}
    feature = only(own, "EUR")
    assert feature.price == PerUnit(Decimal("0.03"))
    assert (feature.minimum, feature.maximum) == (Decimal(1), Decimal(9))
    assert only(own).minimum == Decimal(2)


def test_tiers_of_another_currency() -> None:
    local = {"EUR": {"tiers": [{"unit_price": "0.09"}]}}
    feature = only({"model": "graduated", "tiers": TIERS, "currencies": local}, "EUR")
    assert feature.price == Graduated(tiers_of([(None, Decimal("0.09"), Decimal(0))]))


@pytest.mark.parametrize(
    "clause",
    [{"model": "percentage", "rate_bp": "290"}, {"model": "dynamic"}, {"mode": "block"}],
    ids=["percentage", "dynamic", "block"],
)
def test_what_has_no_currency_needs_no_price_in_it(clause: dict[str, Any]) -> None:
    assert only(clause, "EUR").price == only(clause).price


def test_a_price_that_is_missing_in_a_currency_is_named() -> None:
    with pytest.raises(NoPriceInCurrency, match=r"PRICE-01.*no price in EUR, and no exchange rate"):
        only({"unit_price": "0.02"}, "EUR")


def test_terms_of_a_paid_plan() -> None:
    terms = terms_of(ladder(), "starter", "yearly", USD)
    assert (terms.amount, terms.interval, terms.is_free) == (Decimal("290.00"), "yearly", False)
    assert [feature.code for feature in terms.features] == [
        "api_calls",
        "editors",
        "guests",
        "viewers",
    ]
    assert [feature.code for feature in terms.seats] == ["editors", "guests", "viewers"]
    assert terms.by_code["editors"].included == Fraction(5)


def test_terms_of_a_free_plan() -> None:
    terms = terms_of(ladder(), "free", None, USD)
    assert (terms.amount, terms.interval, terms.is_free) == (0, None, True)


def test_a_version_knows_its_terms_by_plan_interval_and_currency() -> None:
    (version,) = versions_of(ladder())
    assert set(version.terms) == {
        ("free", None, "USD"),
        *(("starter", interval, "USD") for interval in ("monthly", "quarterly", "yearly")),
        *(("hidden", interval, "USD") for interval in ("monthly", "quarterly", "yearly")),
        ("starter", "monthly", "JPY"),
        ("hidden", "monthly", "JPY"),
    }
    assert version.terms["starter", "monthly", "JPY"].currency == JPY


def test_a_plan_cannot_be_had_in_a_currency_without_price_and_rate() -> None:
    price = {"amount": "10.00", "currencies": {"EUR": {"amount": "9.00"}}}
    plan = plan_of({"calls": {"overage": {"unit_price": "1"}}}, prices={"monthly": price})
    features = {"calls": {"type": "metered", "name": "Calls", "unit": "call"}}
    (version,) = versions_of(ladder(features=features, plans={"pro": plan}))
    assert set(version.terms) == {("pro", "monthly", "USD")}
