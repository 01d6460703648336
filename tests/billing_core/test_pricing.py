"""Rule CAT-10: the price models, and what always holds for them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.pricing import (
    Dynamic,
    Graduated,
    Package,
    Percentage,
    PerUnit,
    Price,
    Tier,
    Volume,
    priced,
    tiers_of,
)

NO_FEE = Decimal(0)
TIERS = tiers_of(
    [
        (Decimal(10), Decimal("1.00"), Decimal(2)),
        (Decimal(20), Decimal("0.50"), NO_FEE),
        (None, Decimal("0.10"), Decimal(1)),
    ]
)
PER_UNIT = PerUnit(Decimal("0.0000025"))
PACKAGE = Package(Decimal(100), Decimal("5.00"))
FREE_UNITS = Package(Decimal(100), Decimal("5.00"), Decimal(50))
GRADUATED, VOLUME = Graduated(TIERS), Volume(TIERS)
PERCENTAGE = Percentage(290)

# fmt: off
CHARGES: dict[str, tuple[Price, str, str]] = {
    # case                                    model        over        exact charge
    "per unit, one":                        (PER_UNIT,    "1",        "0.0000025"),
    "per unit, a fraction":                 (PER_UNIT,    "0.5",      "0.00000125"),
    "package, a part of the first":         (PACKAGE,     "0.001",    "5"),
    "package, one below full":              (PACKAGE,     "99",       "5"),
    "package, full":                        (PACKAGE,     "100",      "5"),
    "package, one above full":              (PACKAGE,     "101",      "10"),
    "package, within the free units":       (FREE_UNITS,  "50",       "0"),
    "package, just above the free units":   (FREE_UNITS,  "50.1",     "5"),
    "package, free units and one full":     (FREE_UNITS,  "150",      "5"),
    "package, free units and one more":     (FREE_UNITS,  "151",      "10"),
    "graduated, the first unit":            (GRADUATED,   "1",        "3"),
    "graduated, one below the bound":       (GRADUATED,   "9",        "11"),
    "graduated, on the bound":              (GRADUATED,   "10",       "12"),
    "graduated, just above the bound":      (GRADUATED,   "10.5",     "12.25"),
    "graduated, one above the bound":       (GRADUATED,   "11",       "12.5"),
    "graduated, on the second bound":       (GRADUATED,   "20",       "17"),
    "graduated, in the last tier":          (GRADUATED,   "25.5",     "18.55"),
    "volume, one below the bound":          (VOLUME,      "9",        "11"),
    "volume, on the bound":                 (VOLUME,      "10",       "12"),
    "volume, one above the bound":          (VOLUME,      "11",       "5.5"),
    "volume, on the second bound":          (VOLUME,      "20",       "10"),
    "volume, above the last bound":         (VOLUME,      "20.5",     "3.05"),
    "percentage of a value":                (PERCENTAGE,  "1000",     "29"),
    "percentage, not rounded":              (PERCENTAGE,  "0.01",     "0.00029"),
    "dynamic, the events' own amounts":     (Dynamic(),   "3",        "12.345"),
}
# fmt: on


@pytest.mark.parametrize(("model", "over", "expected"), CHARGES.values(), ids=CHARGES)
def test_priced(model: Price, over: str, expected: str) -> None:
    parts = priced(model, Fraction(over), Decimal("12.345"))
    assert sum(part.exact for part in parts) == Fraction(expected)


def test_a_tier_without_upper_bound_alone_takes_all_units() -> None:
    (part,) = priced(Graduated(tiers_of([(None, Decimal(2), NO_FEE)])), Fraction(7), Decimal(0))
    assert (part.label, part.quantity, part.exact) == ("all", 7, 14)


def test_bounds_are_read_with_thousands() -> None:
    tiers = tiers_of([(Decimal(1000), Decimal(1), NO_FEE), (Decimal(2500), Decimal(1), NO_FEE)])
    assert [tier.label for tier in tiers] == ["0 to 1,000", "1,000 to 2,500"]


def test_a_volume_with_bounds_below_the_use_prices_nothing() -> None:
    """The catalog asks for a last tier without end; without it nothing is invented."""
    assert priced(Volume(TIERS[:1]), Fraction(11), Decimal(0)) == ()


overs = st.fractions(min_value=Fraction(1, 1000), max_value=10**9, max_denominator=1000)
money = st.decimals(0, 1000, places=4)
rising = st.lists(st.integers(1, 10**6), min_size=0, max_size=5, unique=True).map(sorted)


@st.composite
def tier_tables(draw: st.DrawFn) -> tuple[Tier, ...]:
    """Tiers with rising bounds, the last without end."""
    bounds: list[int | None] = [*draw(rising), None]
    return tiers_of(
        (None if bound is None else Decimal(bound), draw(money), draw(money)) for bound in bounds
    )


models = st.one_of(
    money.map(PerUnit),
    st.builds(Package, st.integers(1, 1000).map(Decimal), money, st.integers(0, 50).map(Decimal)),
    tier_tables().map(Graduated),
    st.integers(0, 10_000).map(Percentage),
)


@given(tiers=tier_tables(), over=overs)
def test_tier_quantities_add_up_to_the_quantity(tiers: tuple[Tier, ...], over: Fraction) -> None:
    for model in (Graduated(tiers), Volume(tiers)):
        parts = priced(model, over, Decimal(0))
        assert sum(part.quantity for part in parts if part.quantity is not None) == over


@given(model=models, over=overs, more=overs)
def test_more_use_never_costs_less(model: Price, over: Fraction, more: Fraction) -> None:
    """Of every model but volume, whose price for all units may fall."""
    before = sum(part.exact for part in priced(model, over, Decimal(0)))
    assert sum(part.exact for part in priced(model, over + more, Decimal(0))) >= before >= 0


@given(tiers=tier_tables(), over=overs)
def test_each_entered_tier_has_one_flat_fee(tiers: tuple[Tier, ...], over: Fraction) -> None:
    parts = priced(Graduated(tiers), over, Decimal(0))
    below = [Fraction(0), *(tier.up_to for tier in tiers if tier.up_to is not None)]
    entered = [tier for tier, start in zip(tiers, below, strict=True) if over > start]
    fees = [part.exact for part in parts if part.quantity is None]
    assert fees == [Fraction(tier.flat) for tier in entered if tier.flat]
