"""Exact products and sums of quantities and prices, reduced once.

A chain of Fractions is reduced after each step, and rating spends most of its time there.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm


def product(quantity: Fraction | int, price: Decimal) -> Fraction:
    """A quantity at a price, exact.

    >>> product(Fraction(1, 3), Decimal("0.06"))
    Fraction(1, 50)
    """
    units, parts = quantity.as_integer_ratio()
    numerator, denominator = price.as_integer_ratio()
    return Fraction(units * numerator, parts * denominator)


def exactly(value: Decimal) -> Fraction:
    """A decimal as a fraction; what `Fraction(value)` gives, without its search for the type.

    >>> exactly(Decimal("0.125"))
    Fraction(1, 8)
    """
    return Fraction(*value.as_integer_ratio())


def quotient(quantity: Decimal, per: Fraction) -> Fraction:
    """A quantity in units that hold `per` of what it counts. Rule CAT-12.

    >>> quotient(Decimal("1.5"), Fraction(60))
    Fraction(1, 40)
    """
    numerator, denominator = quantity.as_integer_ratio()
    return Fraction(numerator * per.denominator, denominator * per.numerator)


def exact_sum(values: Sequence[Fraction]) -> Fraction:
    """The sum of exact amounts; 0 when there are none.

    >>> exact_sum([Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)])
    Fraction(1, 1)
    """
    if len(values) == 1:
        return values[0]
    scale = lcm(*[value.denominator for value in values])
    return Fraction(sum([v.numerator * (scale // v.denominator) for v in values]), scale)
