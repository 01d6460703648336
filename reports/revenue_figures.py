"""What a revenue report is made of: a month's figures, each in one currency.

The shell reads them from the published warehouse. Parts that do not add up to their whole
are refused here, so a report that exists ties to the invoices. Rules CUR-2, PAY-2.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing_core.errors import BillingError
from billing_core.money import Currency, Money

AGE_TITLES = ("Not yet due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")
"""Ages of open balances by days past due, in their order. Rule PAY-2."""


class FiguresDoNotTie(BillingError):
    """The parts of a revenue figure do not add up to it."""

    code = "REV-01"

    def __init__(self, *, figure: str, currency: str, parts: Decimal, whole: Decimal) -> None:
        super().__init__(
            what=f"{figure} add up to {parts} {currency}, billed before tax is {whole}",
            where="the figures of the revenue report",
            mend="count the same posted invoices in both: see the marts that the report reads",
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """What one plan, feature or kind of charge brought, before tax, in major units."""

    name: str
    invoices: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AgeBucket:
    """Open balances of one age. Rule PAY-2."""

    customers: int
    invoices: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class CustomerAmount:
    """What one customer was billed in the month, tax included."""

    name: str
    plan: str
    invoices: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class MonthAmount:
    """A month of the history: its first day, billed with tax, collected."""

    month: date
    billed: Decimal
    collected: Decimal


@dataclass(frozen=True, slots=True)
class DayUse:
    """Events of one day."""

    day: date
    events: int


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """How much of a feature was used in the month, and by how many customers."""

    name: str
    unit: str
    quantity: Decimal
    customers: int


@dataclass(frozen=True, slots=True)
class CurrencyFigures:
    """A month in one currency. Amounts are in its major units.

    billed:      totals of the posted invoices of the month, credit notes below zero.
    tax:         the tax in them.
    outstanding: by age, in the order of AGE_TITLES.
    by_plan, by_feature: billed before tax, each adding up to it, largest first.
    largest:     customers by what they were billed, largest first.
    history:     the months up to this one, oldest first; may be empty.
    raises:      FiguresDoNotTie.
    """

    currency: Currency
    invoices: int
    customers: int
    billed: Decimal
    tax: Decimal
    collected: Decimal
    outstanding: tuple[AgeBucket, ...]
    by_plan: tuple[Amount, ...]
    by_feature: tuple[Amount, ...]
    largest: tuple[CustomerAmount, ...]
    history: tuple[MonthAmount, ...] = ()

    def __post_init__(self) -> None:
        before_tax = self.billed - self.tax
        for figure, parts in (("plans", self.by_plan), ("features", self.by_feature)):
            together = sum((part.amount for part in parts), Decimal(0))
            if together != before_tax:
                raise FiguresDoNotTie(
                    figure=figure, currency=self.currency.code, parts=together, whole=before_tax
                )

    @property
    def open(self) -> Decimal:
        """All open balances."""
        return sum((bucket.amount for bucket in self.outstanding), Decimal(0))

    @property
    def overdue(self) -> Decimal:
        """Open balances past their due date."""
        return sum((bucket.amount for bucket in self.outstanding[1:]), Decimal(0))


@dataclass(frozen=True, slots=True)
class ConvertedAmount:
    """What was billed in one currency, and what that is worth in the catalog's. Rule CUR-2.

    original:  tax included. converted: None where a billing day has no exchange rate.
    """

    original: Money
    converted: Money | None


@dataclass(frozen=True, slots=True)
class RevenueFigures:
    """All figures of a month's report.

    month: its first day. as_of: the day of the open balances. currencies: by code.
    daily: each day of the month that has events. features: most customers first.
    converted: by currency, where any is not the catalog's own; empty otherwise.
    """

    seller: str
    month: date
    as_of: date
    currencies: tuple[CurrencyFigures, ...]
    daily: tuple[DayUse, ...] = ()
    features: tuple[FeatureUse, ...] = ()
    converted: tuple[ConvertedAmount, ...] = ()
