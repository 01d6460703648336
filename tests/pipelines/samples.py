"""Invoices made of values, for the tests of drafts, books and the warehouse."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from billing_core.actions import Outcome, OutcomeStatus, ReasonCode
from billing_core.errors import Fault
from billing_core.invoice import (
    Invoice,
    InvoiceLine,
    InvoiceType,
    LineDetail,
    LineType,
    UsedFeature,
)
from billing_core.money import Currency, Money
from billing_core.period import Period, Window
from pipelines.drafts import write_drafts
from pipelines.paths import DataRoot
from pipelines.posting import Numbering, Posted, post

NUMBERING = Numbering("Example Labs B.V.")
USD = Currency("USD", 2)
APRIL, MAY = Period(date(2026, 4, 1), date(2026, 5, 1)), Period(date(2026, 5, 1), date(2026, 6, 1))


def midnight(day: date) -> datetime:
    """The first instant of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def base_line(minor: int = 9900, service: Period = MAY, currency: Currency = USD) -> InvoiceLine:
    """The plan price of one period."""
    return InvoiceLine(
        type=LineType.PLAN_BASE,
        name="Pro",
        amount=Money(minor, currency),
        quantity=Fraction(1),
        unit="month",
        service=service,
        rule="INV-5",
        unit_price=Decimal(minor).scaleb(-currency.minor_digits),
        days=(service.days, service.days),
    )


def overage_line(used: int = 102_000, currency: Currency = USD) -> InvoiceLine:
    """API calls above 100,000 at 0.01, with their one tier as detail."""
    over = used - 100_000
    amount = Money.rounded(Fraction(over, 100), currency)
    return InvoiceLine(
        type=LineType.FEATURE_OVERAGE,
        name="API calls",
        amount=amount,
        quantity=Fraction(over),
        unit="call",
        service=APRIL,
        rule="USE-4",
        code="api_calls",
        unit_price=Decimal("0.010"),
        used=Fraction(used),
        included=Fraction(100_000),
        details=(
            LineDetail("tier", "all", Fraction(over), Decimal("0.010"), amount),
            LineDetail("flat", "flat", None, None, Money(0, currency)),
        ),
    )


def tax_line(minor: int, currency: Currency = USD) -> InvoiceLine:
    """21 % of tax, already as an amount."""
    return InvoiceLine(
        type=LineType.TAX,
        name="VAT",
        amount=Money(minor, currency),
        quantity=Fraction(1),
        unit="",
        service=MAY,
        rule="INV-13",
        code="standard",
        tax_rate_bp=2100,
    )


def api_calls(used: int = 102_000) -> UsedFeature:
    """What the window used of API calls."""
    over = Fraction(max(used - 100_000, 0))
    zero = Fraction(0)
    return UsedFeature(
        feature="api_calls",
        name="API calls",
        unit="call",
        used=Fraction(used),
        included=Fraction(100_000),
        unlimited=False,
        from_included=Fraction(used) - over,
        billed=over,
        blocked=zero,
        waived=zero,
    )


def initial(customer: str, on: date = APRIL.start, *, minor: int = 9900) -> Invoice:
    """The first invoice of a customer: the plan price in advance."""
    return Invoice(
        id=f"{customer}:initial:subscription:{on}",
        customer_id=customer,
        type=InvoiceType.INITIAL,
        billing_day=on,
        made_at=midnight(on),
        known_on=on,
        currency=USD,
        plan="pro",
        plan_name="Pro",
        lines=(base_line(minor, APRIL), tax_line(minor * 21 // 100)),
        period=APRIL,
    )


def recurring(customer: str, *, used: int = 102_000, cutoff: date = MAY.start) -> Invoice:
    """The invoice of 1 May: overage of April, May in advance, tax."""
    lines = (base_line(), overage_line(used))
    tax = sum(line.amount.minor for line in lines) * 21 // 100
    return Invoice(
        id=f"{customer}:recurring:subscription:{MAY.start}",
        customer_id=customer,
        type=InvoiceType.RECURRING,
        billing_day=MAY.start,
        made_at=midnight(MAY.start),
        known_on=cutoff,
        currency=USD,
        plan="pro",
        plan_name="Pro",
        lines=(*lines, tax_line(tax)),
        usage=(api_calls(used),),
        window=Window(APRIL.start, APRIL.end, midnight(APRIL.start), midnight(APRIL.end)),
        period=MAY,
        cutoff_on=cutoff,
        note="Reverse charge",
    )


def checkout(customer: str) -> Invoice:
    """An initial invoice that waits for its payment: it cannot be posted."""
    return replace(initial(customer), is_postable=False)


def a_fault(customer: str) -> Fault:
    """What keeps a customer from being billed."""
    return Fault(customer, "PRICE-01", "no price", "plan pro", "add a price")


def outcome(customer: str | None, at: datetime, action_id: str = "action_1") -> Outcome:
    """An action that was done."""
    return Outcome(action_id, customer, OutcomeStatus.APPLIED, "Done.", at, at)


def refusal(customer: str, at: datetime, action_id: str = "action_2") -> Outcome:
    """An action that was not done."""
    reason = ReasonCode.PAST_DUE
    return Outcome(action_id, customer, OutcomeStatus.REFUSED, "No.", at, at, reason=reason)


def many(customers: int) -> list[Invoice]:
    """Two invoices for each of so many customers, some seconds apart."""
    names = [f"customer_{number:03}" for number in range(customers)]
    later = timedelta(seconds=1)
    return [
        replace(invoice, made_at=invoice.made_at + later * number)
        for number, name in enumerate(names)
        for invoice in (initial(name), recurring(name, used=100_000 + 137 * number))
    ]


def draft_and_post(
    root: DataRoot, invoices: Sequence[Invoice], *, issued_on: date = MAY.start
) -> Posted:
    """Post these invoices, as a run and a person who looked at its drafts would."""
    summary = write_drafts(root, invoices, through=date(2026, 12, 31))
    return post(root, draft_hash=summary.hash, issued_on=issued_on, numbering=NUMBERING)
