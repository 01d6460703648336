"""Rules USE-4, USE-6, CAT-10, CAT-12, CAT-13, AI-6: from snapshots to overage lines."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.errors import NegativeQuantity
from billing_core.invoice import InvoiceLine, UsedFeature
from billing_core.money import Currency, Money, total
from billing_core.period import Period
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
from billing_core.rating import rate_window, units_over
from billing_core.terms import FeatureTerms
from billing_core.usage import TokenUse, UsageSnapshot
from tests.billing_core.builders import BHD, JPY, USD, day, feature_terms, snapshot, terms_with

APRIL = Period(day("2026-04-01"), day("2026-05-01"))
TIERS = tiers_of(
    [(Decimal(10), Decimal("0.333"), Decimal(1)), (None, Decimal("0.111"), Decimal(0))]
)
PRICES = (Decimal(3), Decimal(15), Decimal(0), Decimal(0))


def rated(
    feature: FeatureTerms,
    used: UsageSnapshot | None,
    *,
    currency: Currency = USD,
    per_event: bool = False,
) -> tuple[InvoiceLine | None, UsedFeature]:
    """The line of one feature, if there is one, and where its usage went."""
    usage = {} if used is None else {used.feature: used}
    window = rate_window(terms_with(feature, currency=currency), usage, APRIL, per_event=per_event)
    (where,) = window.usage
    return (window.lines[0] if window.lines else None), where


# fmt: off
OVER = {
    # case                            used      over
    "one below the included":       ("99",      "0"),
    "the included":                 ("100",     "0"),
    "one above the included":       ("101",     "1"),
    "a part of a unit above":       ("100.5",   "0.5"),
}
CHARGED: dict[str, tuple[dict[str, Any], str, str | None, str, str]] = {
    # case terms used amount billed blocked
    "nothing used": ({}, "0", None, "0", "0"),
    "within the included": ({}, "100", None, "0", "0"),
    "above the included": ({}, "350", "2.50", "250", "0"),
    "rounds to half a cent": ({}, "100.5", "0.01", "0.5", "0"),
    "rounds to nothing": ({}, "100.4", None, "0.4", "0"),
    "unlimited": ({"unlimited": True}, "350", None, "0", "0"),
    "without a price, blocked": ({"price": None}, "350", None, "0", "250"),
    "overage switched off": ({"mode": "block"}, "350", None, "0", "250"),
    "waits for confirmation": ({"mode": "confirm"}, "350", None, "0", "250"),
    "raised to the minimum": ({"minimum": Decimal(5)}, "101", "5.00", "1", "0"),
    "no minimum without use": ({"minimum": Decimal(5)}, "100", None, "0", "0"),
    "at the minimum": ({"minimum": Decimal("2.5")}, "350", "2.50", "250", "0"),
    "cut to the maximum": ({"maximum": Decimal(2)}, "350", "2.00", "250", "0"),
    "at the maximum": ({"maximum": Decimal("2.5")}, "350", "2.50", "250", "0"),
    "seconds, priced a minute": ({"per": Fraction(60)}, "6001", None, "1/60", "0"),
    "half a minute more": ({"per": Fraction(60)}, "6030", "0.01", "1/2", "0"),
    "a minute more": ({"per": Fraction(60)}, "6060", "0.01", "1", "0"),
}
# fmt: on


@pytest.mark.parametrize(("used", "expected"), OVER.values(), ids=OVER)
def test_units_over(used: str, expected: str) -> None:
    assert units_over(Fraction(used), feature_terms()) == Fraction(expected)
    assert units_over(Fraction(used), feature_terms(unlimited=True)) == 0


@pytest.mark.parametrize(
    ("terms", "used", "amount", "billed", "blocked"), CHARGED.values(), ids=CHARGED
)
def test_a_feature_is_charged_above_its_included(
    terms: dict[str, Any], used: str, amount: str | None, billed: str, blocked: str
) -> None:
    line, where = rated(feature_terms(**terms), snapshot(used))
    assert (None if line is None else str(line.amount.major)) == amount
    assert (where.billed, where.blocked) == (Fraction(billed), Fraction(blocked))


def test_a_feature_without_a_snapshot_was_not_used() -> None:
    line, where = rated(feature_terms(), None)
    assert line is None
    assert (where.used, where.included) == (0, 100)


def test_only_metered_features_are_rated() -> None:
    terms = terms_with(
        feature_terms("editors", type="seats"),
        feature_terms("sso", type="boolean"),
        feature_terms("storage", type="quota"),
    )
    window = rate_window(terms, {}, APRIL, per_event=False)
    assert (window.lines, window.usage) == ((), ())


def test_usage_below_zero_is_an_error_that_names_it() -> None:
    with pytest.raises(NegativeQuantity, match=r"QTY-01.*usage of calls is -1.5"):
        rated(feature_terms(per=Fraction(60)), snapshot("-1.5"))


def test_a_line_shows_its_working() -> None:
    line, _ = rated(feature_terms(), snapshot("350"))
    assert line is not None
    assert (line.quantity, line.unit_price, line.unit) == (250, Decimal("0.01"), "call")
    assert (line.used, line.included, line.service) == (350, 100, APRIL)
    assert line.details == ()


# fmt: off
WORKING: dict[str, tuple[Price, str, str, str | None, str, list[tuple[str, str, str]]]] = {
    # case model amount quantity unit price unit details
    "package": (Package(Decimal(100), Decimal(5)), "15.00", "3", "5", "package of 100 call", []),
    "percentage": (Percentage(250), "6.25", "250", "0.0250", "call", []),
    "dynamic": (Dynamic(), "12.35", "250", None, "call", []),
    "graduated": (Graduated(TIERS), "30.97", "250", None, "call",
        [("flat", "0 to 10", "1.00"), ("tier", "0 to 10", "3.33"), ("tier", "above 10", "26.64")]),
    "volume": (Volume(TIERS), "27.75", "250", None, "call", [("tier", "above 10", "27.75")]),
}
# fmt: on


@pytest.mark.parametrize(
    ("model", "amount", "quantity", "unit_price", "unit", "details"), WORKING.values(), ids=WORKING
)
def test_each_model_shows_its_working(
    model: Price,
    amount: str,
    quantity: str,
    unit_price: str | None,
    unit: str,
    details: list[tuple[str, str, str]],
) -> None:
    line, _ = rated(feature_terms(price=model), snapshot("350", amount=Decimal("12.345")))
    assert line is not None
    assert (str(line.amount.major), line.quantity) == (amount, Fraction(quantity))
    assert (None if line.unit_price is None else str(line.unit_price)) == unit_price
    assert line.unit == unit
    assert [(d.kind, d.label, str(d.amount.major)) for d in line.details] == details


@pytest.mark.parametrize(("bound", "label"), [("minimum", "minimum"), ("maximum", "maximum")])
def test_a_bound_that_decides_is_the_only_detail(bound: str, label: str) -> None:
    amount = Decimal(100) if bound == "minimum" else Decimal("0.50")
    line, _ = rated(feature_terms(price=Graduated(TIERS), **{bound: amount}), snapshot("350"))
    assert line is not None
    assert [(d.kind, d.label, d.amount.major) for d in line.details] == [
        ("bound", label, amount.quantize(Decimal("0.01")))
    ]


def test_tiers_that_cost_nothing_below_a_price_share_nothing() -> None:
    tiers = tiers_of([(Decimal(10), Decimal(0), Decimal(0)), (None, Decimal(0), Decimal(0))])
    line, where = rated(feature_terms(price=Graduated(tiers)), snapshot("350"))
    assert (line, where.billed) == (None, 250)


@pytest.mark.parametrize(
    ("currency", "shown"), [(JPY, "3"), (USD, "2.50"), (BHD, "2.505")], ids=["JPY", "USD", "BHD"]
)
def test_a_line_is_rounded_to_its_currency(currency: Currency, shown: str) -> None:
    line, _ = rated(feature_terms(), snapshot("350.45"), currency=currency)
    assert line is not None
    assert str(line.amount.major) == shown


AI = feature_terms("chat", is_ai=True, margin_bp=2000, included=Fraction(0), unit="token")
CHAT = snapshot(
    "1500",
    "chat",
    tokens=(
        TokenUse("a/x", (1_000_000, 500_000, 0, 0), PRICES, (30_000, 75_000, 0, 0), {2000: 21_000}),
    ),
)


@pytest.mark.parametrize("per_event", [False, True])
def test_tokens_are_charged_with_their_margin(per_event: bool) -> None:
    line, where = rated(AI, CHAT, per_event=per_event)
    assert line is not None
    assert line.amount == Money(1260, USD)
    assert line.rule == ("AI-1" if per_event else "AI-7")
    assert [(d.kind, d.label, d.token_class, str(d.amount.major)) for d in line.details] == [
        ("tokens", "a/x", "input", "3.00"),
        ("tokens", "a/x", "output", "7.50"),
        ("margin", "2000", None, "2.10"),
    ]
    assert (where.used, where.billed) == (1500, 1500)


def test_tokens_of_an_unlimited_feature_cost_nothing() -> None:
    line, where = rated(feature_terms("chat", is_ai=True, unlimited=True), CHAT)
    assert (line, where.from_included) == (None, 1500)


def test_tokens_that_were_not_used_cost_nothing() -> None:
    line, where = rated(AI, None)
    assert (line, where.used) == (None, 0)


def test_tokens_of_a_free_model_make_no_line() -> None:
    free = snapshot("5", "chat", tokens=(TokenUse("a/x", (5, 0, 0, 0), (Decimal(0),) * 4),))
    line, where = rated(AI, free)
    assert (line, where.billed) == (None, 5)


quantities = st.decimals(0, 10**9, places=9)
tiers = st.just(TIERS)
models = st.one_of(
    st.decimals(0, 100, places=7).map(PerUnit),
    st.builds(Package, st.integers(1, 1000).map(Decimal), st.decimals(0, 100, places=2)),
    tiers.map(Graduated),
    tiers.map(Volume),
    st.integers(0, 10_000).map(Percentage),
    st.just(Dynamic()),
    st.none(),
)
features = st.builds(
    feature_terms,
    price=models,
    included=st.fractions(0, 10**6, max_denominator=100),
    unlimited=st.booleans(),
    mode=st.sampled_from(["charge", "confirm", "block"]),
    per=st.sampled_from([Fraction(1), Fraction(60), Fraction(10**9)]),
    minimum=st.none() | st.decimals(0, 10, places=2),
    maximum=st.none() | st.decimals(10, 1000, places=2),
)


@given(feature=features, quantity=quantities, currency=st.sampled_from([USD, JPY, BHD]))
def test_usage_is_conserved_and_details_add_up(
    feature: FeatureTerms, quantity: Decimal, currency: Currency
) -> None:
    """Rule USE-6: used = included + billed + blocked + waived. Rule CNV-4: parts = line."""
    line, where = rated(feature, snapshot(str(quantity), amount=quantity), currency=currency)
    assert where.used == Fraction(quantity) / feature.per
    assert where.used == where.from_included + where.billed + where.blocked + where.waived
    assert min(where.from_included, where.billed, where.blocked, where.waived) >= 0
    assert where.unlimited or where.from_included <= where.included
    if line is not None:
        assert line.amount.minor > 0
        if line.details:
            assert total([d.amount for d in line.details], currency) == line.amount


@given(feature=features, quantity=quantities, more=quantities)
def test_more_use_never_costs_less(feature: FeatureTerms, quantity: Decimal, more: Decimal) -> None:
    """Of every model but volume, whose price for all units may fall."""
    if isinstance(feature.price, Volume):
        return
    before, _ = rated(feature, snapshot(str(quantity), amount=quantity))
    after, _ = rated(feature, snapshot(str(quantity + more), amount=quantity + more))
    assert (after.amount.minor if after else 0) >= (before.amount.minor if before else 0)
