"""Price models: from the units above the included to priced parts. Amounts stay exact here.

One dataclass a model of CAT-10 and one function, `priced`, that matches over them.
Which units are above the included is decided in `rating`; rounding happens on the line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from billing_core.exact import product


@dataclass(frozen=True, slots=True)
class Tier:
    """A price for the units above the previous tier and up to `up_to` (None: no end)."""

    up_to: Decimal | None
    unit_price: Decimal
    flat: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class PerUnit:
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Package:
    """Started blocks of `size` units, after `free_units`."""

    size: Decimal
    price: Decimal
    free_units: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each unit at the price of the tier it falls in."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """All units at the price of the tier that the total reaches."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Percentage:
    """A rate, in basis points, of a summed value."""

    rate_bp: int


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The sum of the amounts that the events carry."""


Price = PerUnit | Package | Graduated | Volume | Percentage | Dynamic


@dataclass(frozen=True, slots=True)
class Part:
    """Units at one unit price, or a flat fee (`quantity` None); `exact` in major units.

    label: the tier's bounds, or empty where the model has a single price.
    """

    label: str
    quantity: Fraction | None
    unit_price: Decimal | None
    exact: Fraction


def priced(price: Price, over: Fraction, amount: Decimal) -> tuple[Part, ...]:
    """The parts that make the charge of one window.

    takes:   over, priced units above the included, > 0;
             amount, the sum of the events' own amounts (for `dynamic`), major units.
    returns: parts in the order of the tiers; their exact amounts add up to the charge.
    rule:    CAT-10, CAT-13.

    >>> [str(p.exact) for p in priced(Package(Decimal(100), Decimal(5)), Fraction(101), Decimal(0))]
    ['10']
    >>> tiers = (Tier(Decimal(10), Decimal("1.00"), Decimal(2)), Tier(None, Decimal("0.50")))
    >>> [(p.label, str(p.exact)) for p in priced(Graduated(tiers), Fraction(21, 2), Decimal(0))]
    [('0 to 10', '2'), ('0 to 10', '10'), ('above 10', '1/4')]
    >>> [str(p.exact) for p in priced(Volume(tiers), Fraction(21, 2), Decimal(0))]
    ['21/4']
    """
    match price:
        case PerUnit(unit_price):
            return (_units("", over, unit_price),)
        case Package(size, block_price, free_units):
            blocks = ceil(max(over - Fraction(free_units), Fraction(0)) / Fraction(size))
            return (_units("", Fraction(blocks), block_price),)
        case Graduated(tiers):
            return tuple(_graduated(over, tiers))
        case Volume(tiers):
            return tuple(_volume(over, tiers))
        case Percentage(rate_bp):
            return (_units("", over, Decimal(rate_bp).scaleb(-4)),)
        case Dynamic():  # pragma: no branch  the last model
            return (Part("", over, None, Fraction(amount)),)


def tier_bounds(tiers: tuple[Tier, ...]) -> tuple[str, ...]:
    """How each tier's bounds are read: `(from, up_to]`, the last without end.

    >>> tier_bounds((Tier(Decimal(10), Decimal(1)), Tier(None, Decimal(1))))
    ('0 to 10', 'above 10')
    >>> tier_bounds((Tier(None, Decimal(1)),))
    ('all',)
    """
    labels, below = [], Decimal(0)
    for tier in tiers:
        if tier.up_to is not None:
            labels.append(f"{below:,f} to {tier.up_to:,f}")
            below = tier.up_to
        else:
            labels.append(f"above {below:,f}" if below else "all")
    return tuple(labels)


def _units(label: str, quantity: Fraction, unit_price: Decimal) -> Part:
    return Part(label, quantity, unit_price, product(quantity, unit_price))


def _graduated(over: Fraction, tiers: tuple[Tier, ...]) -> Iterator[Part]:
    below = Fraction(0)
    for tier, label in zip(tiers, tier_bounds(tiers), strict=True):
        top = over if tier.up_to is None else min(over, Fraction(tier.up_to))
        if top > below:
            if tier.flat:
                yield Part(label, None, tier.flat, Fraction(tier.flat))
            yield _units(label, top - below, tier.unit_price)
            below = top


def _volume(over: Fraction, tiers: tuple[Tier, ...]) -> Iterator[Part]:
    for tier, label in zip(tiers, tier_bounds(tiers), strict=True):
        if tier.up_to is None or over <= tier.up_to:
            if tier.flat:
                yield Part(label, None, tier.flat, Fraction(tier.flat))
            yield _units(label, over, tier.unit_price)
            return
