"""Rule CNV-4: money is rounded once, half away from zero, and shared without loss."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.errors import CurrencyMismatch
from billing_core.money import Currency, Money, allocate, total
from tests.billing_core.builders import BHD, EUR, JPY, USD

# fmt: off
ROUNDED = {
    # case                          exact        currency  shown
    "below half a cent":          ("0.124999",   USD,      "0.12 USD"),
    "half a cent goes up":        ("0.125",      USD,      "0.13 USD"),
    "half a cent, negative":      ("-0.125",     USD,      "-0.13 USD"),
    "below half, negative":       ("-0.124999",  USD,      "-0.12 USD"),
    "half of an even cent":       ("0.005",      USD,      "0.01 USD"),
    "nothing":                    ("0",          USD,      "0.00 USD"),
    "negative rounds to nothing": ("-0.004",     USD,      "0.00 USD"),
    "no decimals, below half":    ("0.4999",     JPY,      "0 JPY"),
    "no decimals, half":          ("0.5",        JPY,      "1 JPY"),
    "no decimals, whole":         ("12345",      JPY,      "12345 JPY"),
    "three decimals, below half": ("1.2344999",  BHD,      "1.234 BHD"),
    "three decimals, half":       ("1.2345",     BHD,      "1.235 BHD"),
    "beyond a float's digits":    ("9007199254740993.005", USD, "9007199254740993.01 USD"),
}
# fmt: on


@pytest.mark.parametrize(("exact", "currency", "expected"), ROUNDED.values(), ids=ROUNDED)
def test_rounded(exact: str, currency: Currency, expected: str) -> None:
    assert str(Money.rounded(Decimal(exact), currency)) == expected


def test_a_third_is_rounded_once() -> None:
    assert Money.rounded(Fraction(100, 3), USD) == Money(3333, USD)


def test_a_currency_reads_as_its_code() -> None:
    assert str(USD) == "USD"


@pytest.mark.parametrize("other", [EUR, Currency("USD", 3)])
def test_two_currencies_are_not_added(other: Currency) -> None:
    with pytest.raises(CurrencyMismatch, match="MONEY-01"):
        Money(1, USD) + Money(1, other)


def test_an_amount_is_exact_whatever_the_precision_of_decimals() -> None:
    with localcontext() as context:
        context.prec = 5
        assert str(Money(123_456_789, USD)) == "1234567.89 USD"


def test_a_sum_is_of_one_currency() -> None:
    with pytest.raises(CurrencyMismatch, match="cannot add EUR to USD"):
        total([Money(1, USD), Money(1, EUR)], USD)


def test_the_sum_of_nothing_is_zero_of_the_currency() -> None:
    assert total([], BHD) == Money(0, BHD)


def test_less_and_minus() -> None:
    assert Money(5, USD) - Money(7, USD) == -Money(2, USD)


# fmt: off
SHARED = {
    # case                                whole  weights          parts
    "equal, the first take the rest":   (100,    [1, 1, 1],       [34, 33, 33]),
    "the largest remainder first":      (100,    [1, 1, 4],       [17, 17, 66]),
    "a part of weight nothing":         (5,      [0, 1],          [0, 5]),
    "negative":                         (-100,   [1, 1, 1],       [-34, -33, -33]),
    "less than there are parts":        (2,      [1, 1, 1],       [1, 1, 0]),
    "nothing":                          (0,      [1, 2],          [0, 0]),
}
# fmt: on


@pytest.mark.parametrize(("whole", "weights", "parts"), SHARED.values(), ids=SHARED)
def test_allocate(whole: int, weights: list[int], parts: list[int]) -> None:
    shares = allocate(Money(whole, USD), [Fraction(weight) for weight in weights])
    assert [share.minor for share in shares] == parts


exacts = st.fractions(max_denominator=10**9)
weights = st.lists(st.fractions(min_value=0, max_denominator=10**4), min_size=1, max_size=8).filter(
    any
)


@given(exact=exacts, currency=st.sampled_from([USD, JPY, BHD]))
def test_rounding_is_off_by_half_a_minor_unit_at_most(exact: Fraction, currency: Currency) -> None:
    rounded = Fraction(Money.rounded(exact, currency).major)
    assert abs(rounded - exact) * 10**currency.minor_digits * 2 <= 1
    assert Money.rounded(-exact, currency) == -Money.rounded(exact, currency)


@given(minor=st.integers(-(10**12), 10**12), weights=weights)
def test_shares_add_up_and_lie_beside_the_exact_ones(minor: int, weights: list[Fraction]) -> None:
    shares = allocate(Money(minor, USD), weights)
    assert sum(share.minor for share in shares) == minor
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share.minor - minor * weight / sum(weights)) < 1
