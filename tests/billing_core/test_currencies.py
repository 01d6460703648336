"""Exchange rates: which row counts, that nothing is rounded, what wants a rate."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.catalog import Catalog, CreditPack, Overage
from billing_core.currencies import (
    converted,
    lacks_price,
    overage_in,
    price_in,
    rate_days,
    rate_on,
    worth_on,
    worth_together,
)
from billing_core.fairness import improved
from billing_core.terms import period_rate, price_of_sold, terms_of
from tests.billing_core.builders import (
    EUR,
    JPY,
    USD,
    day,
    ladder,
    plan_of,
    terms_with,
    versions_of,
)


def row(rate: str, valid_from: str, from_: str = "USD", to: str = "EUR") -> dict[str, str]:
    return {"from": from_, "to": to, "rate": rate, "valid_from": valid_from, "source": "ECB"}


RATES = [
    row("0.92", "2025-06-01"),
    row("0.90", "2026-05-10"),
    row("1.5", "2025-01-01", "EUR", "USD"),
]


def rated(**changes: Any) -> Catalog:
    return ladder(exchange_rates=RATES, **{"effective_at": "2026-01-01", **changes})


@pytest.mark.parametrize(
    ("on", "rate"),
    [
        ("2025-05-31", None),
        ("2025-06-01", "0.92"),
        ("2026-05-09", "0.92"),
        ("2026-05-10", "0.90"),
        ("2030-01-01", "0.90"),
    ],
)
def test_the_row_in_force_is_the_last_one_not_after_the_day(on: str, rate: str | None) -> None:
    assert rate_on(rated(), "EUR", day(on)) == (None if rate is None else Decimal(rate))


def test_only_rows_from_the_catalogs_currency_price_anything() -> None:
    assert rate_on(rated(), "USD", day("2026-01-01")) is None
    assert rate_on(rated(), "JPY", day("2026-01-01")) is None


def test_days_with_a_rate_of_their_own_lie_after_the_first() -> None:
    assert rate_days(rated(), "EUR") == (day("2026-05-10"),)
    assert rate_days(rated(), "JPY") == ()


@pytest.mark.parametrize(
    ("currency", "in_currency", "worth"),
    [
        ("EUR", "EUR", Fraction(1)),
        ("USD", "EUR", Fraction(92, 100)),
        ("EUR", "USD", Fraction(3, 2)),
        ("JPY", "USD", None),
    ],
)
def test_what_a_currency_is_worth(currency: str, in_currency: str, worth: Fraction | None) -> None:
    assert worth_on(rated(), currency, in_currency, day("2026-01-01")) == worth


def test_a_report_takes_the_row_the_other_way_round_where_there_is_no_other() -> None:
    one_way = ladder(exchange_rates=RATES[:2])
    assert worth_on(one_way, "EUR", "USD", day("2026-01-01")) == Fraction(100, 92)


def test_each_billing_day_is_worth_its_own_row() -> None:
    billed = [(day("2026-05-09"), Decimal("92.00")), (day("2026-05-10"), Decimal("90.00"))]
    catalogs = [ladder(exchange_rates=RATES[:2])]
    assert worth_together(billed, catalogs, currency="EUR", in_currency="USD") == 200
    early = [(day("2025-05-31"), Decimal(1)), *billed]
    assert worth_together(early, catalogs, currency="EUR", in_currency="USD") is None


numbers = st.decimals(min_value=0, max_value=10**12, places=9)


@given(numbers, numbers)
def test_a_conversion_loses_nothing(amount: Decimal, rate: Decimal) -> None:
    assert Fraction(converted(amount, rate)) == Fraction(amount) * Fraction(rate)


def test_the_longest_numbers_of_a_catalog_are_converted_exactly() -> None:
    long = Decimal("0." + "1" * 37)
    assert Fraction(converted(long, long)) == Fraction(long) ** 2


@pytest.mark.parametrize(
    ("local", "rate", "price"),
    [("9", "0.9", "9"), (None, "0.9", "9.0"), (None, None, None), ("0", "0.9", "0")],
    ids=["its own", "converted", "neither", "its own, nothing"],
)
def test_a_price_of_its_own_comes_before_a_rate(
    local: str | None, rate: str | None, price: str | None
) -> None:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    assert price_in(Decimal(10), number(local), number(rate)) == number(price)


TIERS = [{"up_to": "10", "unit_price": "1.00", "flat": "2.00"}, {"unit_price": "0.50"}]


@pytest.mark.parametrize(
    ("clause", "lacks"),
    [
        ({"unit_price": "1"}, True),
        ({"unit_price": "1", "mode": "block"}, False),
        ({"unit_price": "1", "mode": "confirm"}, True),
        ({"unit_price": "1", "currencies": {"EUR": {"unit_price": "1"}}}, False),
        (
            {"unit_price": "1", "minimum_amount": "1", "currencies": {"EUR": {"unit_price": "1"}}},
            True,
        ),
        ({"unit_price": "1", "currencies": {"JPY": {"unit_price": "1"}}}, True),
        ({"model": "volume", "tiers": TIERS}, True),
        ({"model": "volume", "tiers": TIERS, "currencies": {"EUR": {"tiers": TIERS}}}, False),
        ({"model": "percentage", "rate_bp": "290"}, False),
        ({"model": "percentage", "rate_bp": "290", "maximum_amount": "9"}, True),
        ({"model": "dynamic"}, False),
    ],
)
def test_what_lacks_a_price(clause: Mapping[str, Any], lacks: bool) -> None:
    assert lacks_price(Overage.model_validate(clause), "EUR") is lacks


def test_a_clause_is_converted_where_it_has_no_money_of_its_own() -> None:
    clause = {"unit_price": "0.02", "minimum_amount": "5", "maximum_amount": "9"}
    local = {"EUR": {"maximum_amount": "8.50"}}
    here = overage_in(Overage.model_validate(clause | {"currencies": local}), "EUR", Decimal("0.9"))
    assert (here.unit_price, here.minimum_amount, here.maximum_amount) == (
        Decimal("0.018"),
        Decimal("4.5"),
        Decimal("8.50"),
    )


def test_tiers_are_converted_as_a_whole_or_not_at_all() -> None:
    clause = Overage.model_validate({"model": "volume", "tiers": TIERS})
    here = overage_in(clause, "EUR", Decimal("0.9"))
    assert [(it.up_to, it.unit_price, it.flat) for it in here.tiers] == [
        (10, Decimal("0.9"), Decimal("1.8")),
        (None, Decimal("0.45"), 0),
    ]
    with pytest.raises(ValueError, match="without a price in the currency"):
        overage_in(clause, "EUR", None)


def in_euros(
    rates: list[dict[str, str]], effective_at: str = "2026-01-01", **calls: Any
) -> Catalog:
    price = {"amount": "10.00", "currencies": {"EUR": {"amount": "9.00"}}}
    overage = {"overage": {"unit_price": "0.10"}}
    features = {"calls": {**overage, **calls}}
    return ladder(
        effective_at=effective_at,
        features={
            name: {"type": "metered", "name": name, "unit": "call"} for name in ("calls", "mails")
        },
        groups={},
        plans={
            "pro": plan_of(
                features | ({"mails": overage} if rates[1:] else {}), prices={"monthly": price}
            )
        },
        exchange_rates=rates,
    )


def test_terms_are_those_of_the_day_on_which_the_period_begins() -> None:
    (version,) = versions_of(in_euros([row("0.9", "2026-01-01"), row("0.8", "2026-05-10")]))

    def rate(on: str) -> Decimal | None:
        terms = version.terms_on("pro", "monthly", "EUR", on=day(on))
        assert terms is not None
        return terms.exchange_rate

    assert [rate(on) for on in ("2025-12-31", "2026-05-09", "2026-05-10")] == [
        Decimal("0.9"),
        Decimal("0.9"),
        Decimal("0.8"),
    ]
    dollars = version.terms_on("pro", "monthly", "USD", on=day("2026-06-01"))
    assert dollars is not None
    assert dollars.exchange_rate is None
    assert version.terms_on("pro", "yearly", "EUR", on=day("2026-06-01")) is None


def test_an_offer_to_a_running_period_is_at_the_rate_of_that_period() -> None:
    old, new = versions_of(
        in_euros([row("0.9", "2026-01-01")]),
        in_euros([row("0.9", "2026-01-01"), row("0.8", "2026-02-01")], "2026-02-01"),
    )
    own = old.terms["pro", "monthly", "EUR"]
    offered = new.terms_like(own)
    assert offered is not None
    better = improved(own, offered, lowers_unit_prices=True)
    assert better.by_code["calls"].price == own.by_code["calls"].price
    mails = better.by_code["mails"].price
    assert mails == own.by_code["calls"].price
    assert better.exchange_rate == Decimal("0.9")


def test_a_period_that_began_without_a_rate_takes_that_of_the_offer() -> None:
    local = {"overage": {"unit_price": "0.10", "currencies": {"EUR": {"unit_price": "0.07"}}}}
    old = in_euros([row("0.9", "2027-01-01")], **local)
    new = in_euros([row("0.8", "2026-02-01"), row("0.7", "2028-01-01")], "2026-02-01", **local)
    first, second = versions_of(old, new)
    own = first.terms["pro", "monthly", "EUR"]
    offered = second.terms_like(own)
    assert offered is not None
    assert own.exchange_rate is None
    assert improved(own, offered).exchange_rate == Decimal("0.8")
    assert period_rate(own, new, date(2026, 1, 1)) == Decimal("0.8")


PACK = CreditPack.model_validate(
    {"credits": "30", "price": "3.00", "currencies": {"JPY": {"price": "450"}}}
)


@pytest.mark.parametrize(
    ("currency", "rate", "price"),
    [(USD, None, "3.00"), (JPY, "150", "450"), (EUR, "0.95", "2.85"), (EUR, None, "2.76")],
    ids=["own", "priced", "the period's rate", "the catalog's rate"],
)
def test_what_a_pack_costs(currency: Any, rate: str | None, price: str) -> None:
    terms = terms_with(currency=currency, exchange_rate=None if rate is None else Decimal(rate))
    assert price_of_sold(terms, PACK, rated(), day("2026-04-01")) == Decimal(price)


def test_a_pack_without_price_and_rate_is_not_sold() -> None:
    assert price_of_sold(terms_with(currency=EUR), PACK, ladder(), day("2026-04-01")) is None


def test_included_balance_is_money_and_credits_are_not() -> None:
    price = {"amount": "10.00", "currencies": {"EUR": {"amount": "9.00"}}}
    balance = plan_of(
        {}, consumption_model="balance", prices={"monthly": {**price, "included_balance": "10"}}
    )
    credit = plan_of(
        {}, consumption_model="credits", prices={"monthly": {**price, "included_credits": "10"}}
    )
    catalog = rated(groups={}, plans={"balance": balance, "credits": credit})
    included = {
        code: terms_of(catalog, code, "monthly", EUR, rate=Decimal("0.9")).included_funds
        for code in ("balance", "credits")
    }
    assert included == {"balance": 9, "credits": 10}
