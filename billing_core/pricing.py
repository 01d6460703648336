"""Price models: from the units above the included to priced parts. Amounts stay exact here.

One dataclass a model of CAT-10 and one function, `priced`, that matches over them.
Which units are above the included is decided in `rating`; rounding happens on the line.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from billing_core.exact import exactly, product

ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Tier:
    """A price for the units above the previous tier and up to `up_to` (None: no end).

    label: how its bounds are read, `(from, up_to]`.
    """

    up_to: Fraction | None
    unit_price: Decimal
    flat: Decimal
    label: str


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
    >>> none = Decimal(0)
    >>> tiers = tiers_of([(Decimal(10), Decimal(1), Decimal(2)), (None, Decimal("0.50"), none)])
    >>> [(p.label, str(p.exact)) for p in priced(Graduated(tiers), Fraction(21, 2), none)]
    [('0 to 10', '2'), ('0 to 10', '10'), ('above 10', '1/4')]
    >>> [str(p.exact) for p in priced(Volume(tiers), Fraction(21, 2), Decimal(0))]
    ['21/4']
    """
    match price:
        case PerUnit(unit_price):
            return (_units("", over, unit_price),)
        case Package(size, block_price, free_units):
            charged = over - exactly(free_units) if free_units else over
            blocks = ceil(charged / exactly(size)) if charged > 0 else 0
            return (_units("", Fraction(blocks), block_price),)
        case Graduated(tiers):
            return tuple(_graduated(over, tiers))
        case Volume(tiers):
            return tuple(_volume(over, tiers))
        case Percentage(rate_bp):
            return (_units("", over, Decimal(rate_bp).scaleb(-4)),)
        case Dynamic():  # pragma: no branch  the last model
            return (Part("", over, None, exactly(amount)),)


def tiers_of(rows: Iterable[tuple[Decimal | None, Decimal, Decimal]]) -> tuple[Tier, ...]:
    """Tiers with their labels, from rows of (up to, unit price, flat fee) in rising order.

    >>> price, no_fee = Decimal(1), Decimal(0)
    >>> [tier.label for tier in tiers_of([(Decimal(1000), price, no_fee), (None, price, no_fee)])]
    ['0 to 1,000', 'above 1,000']
    >>> [tier.label for tier in tiers_of([(None, price, no_fee)])]
    ['all']
    """
    tiers, below = [], Decimal(0)
    for up_to, unit_price, flat in rows:
        if up_to is None:
            label = f"above {below:,f}" if below else "all"
            tiers.append(Tier(None, unit_price, flat, label))
        else:
            tiers.append(Tier(exactly(up_to), unit_price, flat, f"{below:,f} to {up_to:,f}"))
            below = up_to
    return tuple(tiers)


def _units(label: str, quantity: Fraction, unit_price: Decimal) -> Part:
    return Part(label, quantity, unit_price, product(quantity, unit_price))


def _graduated(over: Fraction, tiers: tuple[Tier, ...]) -> Iterator[Part]:
    below = ZERO
    for tier in tiers:
        top = over if tier.up_to is None or over < tier.up_to else tier.up_to
        if top <= below:
            return
        yield from _in_tier(tier, top - below if below else top)
        below = top


def _volume(over: Fraction, tiers: tuple[Tier, ...]) -> Iterator[Part]:
    for tier in tiers:
        if tier.up_to is None or over <= tier.up_to:
            yield from _in_tier(tier, over)
            return


def _in_tier(tier: Tier, quantity: Fraction) -> Iterator[Part]:
    if tier.flat:
        yield Part(tier.label, None, tier.flat, exactly(tier.flat))
    yield _units(tier.label, quantity, tier.unit_price)
