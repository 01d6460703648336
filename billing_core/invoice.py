"""The invoice as a plain value: lines that explain themselves, and totals that add up.

Assembly (order on the page, customer credits, tax) is in `assembly`; what a line
costs is decided by the module of its rule. Nothing here has a price.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from billing_core.money import Currency, Money, total
from billing_core.period import Period, Window


class LineType(StrEnum):
    """What a line charges or credits, in the order of the page. Rule INV-3."""

    PLAN_BASE = "plan_base"
    ADDON_BASE = "addon_base"
    FEATURE_OVERAGE = "feature_overage"
    FEATURE_SEATS = "feature_seats"
    BALANCE_OVERAGE = "balance_overage"
    DISCOUNT = "discount"
    CREDIT = "credit"
    PACK = "pack"
    STORE = "store"
    ADJUSTMENT = "adjustment"
    TAX = "tax"


class InvoiceType(StrEnum):
    """Why an invoice was made. Rule INV-4."""

    INITIAL = "initial"
    RECURRING = "recurring"
    OVERAGE = "overage"
    PLAN_CHANGE = "plan_change"
    ADDON_ACTIVATION = "addon_activation"
    PACK_PURCHASE = "pack_purchase"
    BALANCE_TOPUP = "balance_topup"
    STORE_PURCHASE = "store_purchase"
    FINAL = "final"
    ADJUSTMENT = "adjustment"
    CREDIT_NOTE = "credit_note"


PURCHASES = frozenset(
    {
        InvoiceType.ADDON_ACTIVATION,
        InvoiceType.PACK_PURCHASE,
        InvoiceType.BALANCE_TOPUP,
        InvoiceType.STORE_PURCHASE,
    }
)
"""Invoices of one purchase alone: no customer credit and no adjustment is on them. CUS-1."""


@dataclass(frozen=True, slots=True)
class LineDetail:
    """A part of a line: a tier, or one token class of one model. Parts add up to the line.

    kind:       `tier`, `flat`, `tokens` or `margin`.
    label:      `10 to 20` for a tier, the model for tokens; `token_class` names the class.
    quantity:   priced units (tokens for `tokens`); None where there is none.
    unit_price: money per unit; per million for `tokens`.
    """

    kind: str
    label: str
    quantity: Fraction | None
    unit_price: Decimal | None
    amount: Money
    token_class: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line, with its whole working. Rules INV-3, CNV-5.

    code:       feature, add-on, pack or item; of `tax` the category; None for the plan.
    name:       what the customer knows it by.
    quantity:   priced units (minutes, not seconds), exact.
    unit_price: money per priced unit; None where tiers or models have several.
    days:       (days charged, days of the period) where the amount is prorated.
    used, included: priced units of the window, where the line is about usage or seats.
    service:    the days that the line pays for.
    rule:       the rule that made it.
    corrects:   the id of the invoice that an adjustment or a credit note's line corrects.
    tax_rate_bp: of a tax line; of a line that corrects, the rate of what it corrects, None
                for no tax (TAX-2).
    """

    type: LineType
    name: str
    amount: Money
    quantity: Fraction
    unit: str
    service: Period
    rule: str
    code: str | None = None
    charge_type: str | None = None
    unit_price: Decimal | None = None
    days: tuple[int, int] | None = None
    used: Fraction | None = None
    included: Fraction | None = None
    unlimited: bool = False
    details: tuple[LineDetail, ...] = ()
    tax_category: str = "standard"
    tax_rate_bp: int | None = None
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class UsedFeature:
    """What one closed window used of a feature against what it included, in priced units.

    used = from_included + billed + blocked + waived, always. Rule USE-6.
    """

    feature: str
    name: str
    unit: str
    used: Fraction
    included: Fraction
    unlimited: bool
    from_included: Fraction
    billed: Fraction
    blocked: Fraction
    waived: Fraction


@dataclass(frozen=True, slots=True)
class Invoice:
    """What one customer is asked to pay for one cause. Rules INV-3, INV-4, INV-9, PAY-0.

    id:          customer, type, cause and date; the same however often the run is repeated.
    billing_day: the date of the invoice in the customer's zone.
    made_at:     the instant of the boundary or action that made it.
    known_on:    the last landing day that it knew of, actions and usage; what lands after it
                 is late (ACT-1, USE-7).
    cutoff_on:   the last landing day that it was rated with (USE-8); None without usage.
    is_postable: false for a checkout not yet paid: a draft that cannot be posted.
    note:        a text that the law wants on the page (reverse charge), or None.
    """

    id: str
    customer_id: str
    type: InvoiceType
    billing_day: date
    made_at: datetime
    known_on: date
    currency: Currency
    plan: str
    plan_name: str
    lines: tuple[InvoiceLine, ...]
    usage: tuple[UsedFeature, ...] = ()
    window: Window | None = None
    period: Period | None = None
    cutoff_on: date | None = None
    is_postable: bool = True
    note: str | None = None

    @property
    def subtotal(self) -> Money:
        """All lines but tax. Rule INV-9."""
        amounts = [line.amount for line in self.lines if line.type is not LineType.TAX]
        return total(amounts, self.currency)

    @property
    def tax(self) -> Money:
        """The tax lines. Rule INV-9."""
        amounts = [line.amount for line in self.lines if line.type is LineType.TAX]
        return total(amounts, self.currency)

    @property
    def total(self) -> Money:
        """Subtotal and tax. Rule INV-9."""
        return total([line.amount for line in self.lines], self.currency)


def in_time(invoice: Invoice) -> tuple[datetime, bool, str]:
    """What invoices of one customer are put in order of time by.

    At one instant a purchase comes after what opened or renewed what it was bought for.
    """
    return invoice.made_at, invoice.type in PURCHASES, invoice.id
