"""Money: a whole number of minor units of one currency.

Quantity times unit price is an exact Fraction. It becomes money once per invoice
line, in `Money.rounded`. Half a cent cannot be represented, so it cannot be lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Self

from billing_core.errors import CurrencyMismatch


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency and how many decimals its minor unit has (JPY 0, BHD 3).

    The table of currencies is the world's, not ours: the shell hands the value in.
    """

    code: str
    minor_digits: int

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency, in minor units (cents).

    >>> usd = Currency("USD", 2)
    >>> print(Money(1230, usd) + Money(5, usd))
    12.35 USD
    """

    minor: int
    currency: Currency

    @classmethod
    def rounded(cls, exact: Fraction | Decimal | int, currency: Currency) -> Self:
        """The nearest whole minor unit; a half goes away from zero.

        takes:   exact, in major units (dollars).
        rule:    CNV-4, once per invoice line.

        >>> usd = Currency("USD", 2)
        >>> print(Money.rounded(Decimal("0.125"), usd), Money.rounded(Fraction(-1, 8), usd))
        0.13 USD -0.13 USD
        """
        numerator, denominator = exact.as_integer_ratio()
        doubled = 2 * abs(numerator) * 10**currency.minor_digits
        nearest = (doubled + denominator) // (2 * denominator)
        return cls(nearest if numerator >= 0 else -nearest, currency)

    @property
    def exact(self) -> Fraction:
        """The amount in major units (dollars), to count on with."""
        return Fraction(self.minor, 10**self.currency.minor_digits)

    @property
    def major(self) -> Decimal:
        """The amount in major units (dollars), at the currency's own scale."""
        # Made from text, since arithmetic of decimals rounds to the caller's context.
        return Decimal(f"{self.minor}e-{self.currency.minor_digits}")

    def __add__(self, other: Self) -> Self:
        if self.currency != other.currency:
            raise CurrencyMismatch(self.currency.code, other.currency.code)
        return type(self)(self.minor + other.minor, self.currency)

    def __sub__(self, other: Self) -> Self:
        return self + -other

    def __neg__(self) -> Self:
        return type(self)(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.major} {self.currency.code}"


def total(amounts: Sequence[Money], currency: Currency) -> Money:
    """The sum of rounded amounts, never rounded again; zero when there are none. Rule CNV-4."""
    for amount in amounts:
        if amount.currency is not currency and amount.currency != currency:
            raise CurrencyMismatch(currency.code, amount.currency.code)
    return Money(sum([amount.minor for amount in amounts]), currency)


def allocate(whole: Money, weights: Sequence[Fraction]) -> list[Money]:
    """A total shared out by weight so that the parts add up to it exactly.

    takes:   whole, of either sign; weights, each >= 0, at least one above zero.
    returns: one part per weight, same order. Left-over minor units go to the
             largest remainders, the earlier part first.
    rule:    CNV-4.

    >>> [str(part) for part in allocate(Money(100, Currency("USD", 2)), [Fraction(1)] * 3)]
    ['0.34 USD', '0.33 USD', '0.33 USD']
    """
    whole_weights = _in_whole_numbers(weights)
    sign, size, weight = (1 if whole.minor >= 0 else -1), abs(whole.minor), sum(whole_weights)
    shares = [divmod(size * part, weight) for part in whole_weights]
    parts = [floor for floor, _ in shares]
    if left := size - sum(parts):
        by_remainder = sorted(range(len(shares)), key=lambda i: (-shares[i][1], i))
        for i in by_remainder[:left]:
            parts[i] += 1
    return [Money(sign * part, whole.currency) for part in parts]


def _in_whole_numbers(weights: Sequence[Fraction]) -> list[int]:
    """The same proportions without denominators."""
    scale = lcm(*[weight.denominator for weight in weights])
    return [weight.numerator * (scale // weight.denominator) for weight in weights]
