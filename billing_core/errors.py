"""Everything that can go wrong in billing, each with a code that never changes.

Bad data is a value (`Fault`, `Problem`): one customer or one file is set aside and
the run goes on. Bad code raises. Every message says what, where and how to mend it.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar


class BillingError(Exception):
    """A billing rule could not be applied. Says what, where, and how to mend it."""

    code: ClassVar[str]

    def __init__(self, *, what: str, where: str, mend: str) -> None:
        super().__init__(f"[{self.code}] {what}\n  where: {where}\n  mend:  {mend}")
        self.what, self.where, self.mend = what, where, mend


class CurrencyMismatch(BillingError):
    """Two amounts of different currencies were added."""

    code = "MONEY-01"

    def __init__(self, left: str, right: str) -> None:
        super().__init__(
            what=f"cannot add {right} to {left}",
            where="an invoice, or a sum over customers",
            mend="bill one currency per invoice; group by currency before you sum",
        )


class UnknownCurrency(BillingError):
    """A currency whose minor unit is not known."""

    code = "MONEY-02"

    def __init__(self, currency: str) -> None:
        super().__init__(
            what=f"no minor unit is known for currency {currency!r}",
            where="the catalog or a customer",
            mend="use an ISO 4217 code in capitals, for example USD",
        )


class EmptyPeriod(BillingError):
    """A period ends on or before the day it starts."""

    code = "PER-01"

    def __init__(self, start: date, end: date) -> None:
        super().__init__(
            what=f"a period from {start} to {end} has no days",
            where="a subscription, a seat change or a price",
            mend="the end day is not included; to cover one day, end on the day after",
        )


class NegativeQuantity(BillingError):
    """A quantity that cannot be below zero is below zero."""

    code = "QTY-01"

    def __init__(self, *, name: str, quantity: Decimal) -> None:
        super().__init__(
            what=f"{name} is {quantity}, and a quantity cannot be below zero",
            where="the usage snapshot or the plan's included quantity",
            mend="look for a reversal event larger than the usage it reverses",
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """A BillingError as a value: what kept one customer from being billed. Rule PST-4."""

    customer_id: str
    code: str
    what: str
    where: str
    mend: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one place of an input file, and its cure. Rule CAT-1.

    `path` is the way to the place, as in `plans.pro.prices.monthly.amount`.
    """

    code: str
    file: str
    path: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.what}\n  where: {self.file}: {self.path}\n  mend:  {self.mend}"


def fault_of(customer_id: str, error: BillingError) -> Fault:
    """The fault that sets one customer aside for an error. Rule PST-4."""
    return Fault(customer_id, error.code, error.what, error.where, error.mend)
