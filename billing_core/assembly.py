"""From charges to an invoice: order on the page, credits cut to what is owed, tax.

Every invoice passes here once, so that its identities hold wherever it was made. The
charges come in priced; what is decided here is order, credits and tax only.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from functools import partial

from billing_core.catalog import Catalog
from billing_core.invoice import InvoiceLine, InvoiceType, LineType
from billing_core.money import Currency, Money, allocate, total
from billing_core.period import Period
from billing_core.state import Customer, CustomerCredit
from billing_core.tax import rate_bp, treatment

PAGE_ORDER = {kind: place for place, kind in enumerate(LineType)}
ALWAYS_SHOWN = frozenset({LineType.PLAN_BASE, LineType.ADDON_BASE, LineType.TAX})
"""Lines that stay on the page at 0.00. Rule INV-7."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """An invoice's lines, what is left of the customer credits, and what was cut off.

    surplus: credit beyond the charges, above or equal 0; it becomes a customer credit.
    """

    lines: tuple[InvoiceLine, ...]
    credits: tuple[CustomerCredit, ...]
    surplus: Money
    note: str | None


def invoice_id(customer_id: str, kind: InvoiceType, cause: str, day: date) -> str:
    """The id of an invoice from its first draft on. Rule PAY-0.

    >>> invoice_id("acme", InvoiceType.RECURRING, "s1", date(2026, 5, 1))
    'acme/recurring/s1/2026-05-01'
    """
    return f"{customer_id}/{kind}/{cause}/{day}"


def assembled(
    charges: Sequence[InvoiceLine],
    *,
    customer: Customer,
    credits: tuple[CustomerCredit, ...],  # noqa: A002  # the field's word
    catalog: Catalog,
    currency: Currency,
    day: date,
    at: datetime,
) -> Assembled:
    """The lines of an invoice in page order, with customer credits drawn and tax added.

    Where a credit takes back tax at a higher rate than the charges carry, fewer credits are
    drawn, then more is cut, until the total is not below 0.

    takes:  charges and credit lines, rounded; credits, oldest first.
    rule:   INV-3, INV-7, INV-9, CHG-6, INV-10, CUS-1, TAX-1, TAX-2.
    """
    taxed = partial(tax_lines, customer=customer, catalog=catalog, currency=currency, day=day)
    none = Money(0, currency)
    lines, surplus = cut_credits(in_page_order(charges), none)
    limit = total([line.amount for line in lines], currency)
    drawn, left = draw_credits(credits, limit, at=at, day=day)
    tax = taxed((*lines, *drawn))
    least = none
    while (below := total([line.amount for line in (*lines, *drawn, *tax)], currency)).minor < 0:
        step = Money((1 - below.minor) // 2, currency)
        if drawn:
            limit -= step
            drawn, left = draw_credits(credits, limit, at=at, day=day)
        else:
            least += step
            lines, surplus = cut_credits(in_page_order(charges), least)
        tax = taxed((*lines, *drawn))
    note = treatment(customer, catalog.seller, catalog.tax, day).note if tax else None
    page = in_page_order([*lines, *drawn]) if drawn else lines
    return Assembled((*page, *tax), left, surplus, note)


def in_page_order(lines: Sequence[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """Lines as they stand on the page. Rules INV-3, INV-13; a sort that keeps made order."""
    return tuple(sorted(lines, key=_page_key))


_LATER = {"true_up": 1, "unused_addon": 1, "customer_credit": 2}
"""Lines that stand behind others of their type: true-ups behind advances, credits of add-ons
behind those of plan and seats, then customer credits. Rule INV-3."""


def _page_key(line: InvoiceLine) -> tuple[int, int, str, str]:
    late = _LATER.get(line.charge_type or "", 0)
    seat_day = str(line.service.start) if line.type is LineType.FEATURE_SEATS else ""
    code = "" if line.charge_type == "customer_credit" else line.code or ""
    return PAGE_ORDER[line.type], late, code, seat_day


def cut_credits(
    lines: Sequence[InvoiceLine], least: Money
) -> tuple[tuple[InvoiceLine, ...], Money]:
    """Lines whose sum is not below the least: negative ones are cut from the last on the page.

    returns: the lines, those cut to 0.00 left out; and what was cut off, >= 0.
    rule:    CHG-6, INV-10.
    """
    currency = least.currency
    over = least.minor - sum(line.amount.minor for line in lines)
    surplus = Money(max(over, 0), currency)
    kept: list[InvoiceLine] = []
    for line in reversed(lines):
        if over > 0 and line.amount.minor < 0:
            cut = min(over, -line.amount.minor)
            over -= cut
            line = replace(line, amount=line.amount + Money(cut, currency))  # noqa: PLW2901
        if line.amount.minor or line.type in ALWAYS_SHOWN:
            kept.append(line)
    return tuple(reversed(kept)), surplus


def draw_credits(
    credits: tuple[CustomerCredit, ...],  # noqa: A002  # the field's word
    owed: Money,
    *,
    at: datetime,
    day: date,
) -> tuple[tuple[InvoiceLine, ...], tuple[CustomerCredit, ...]]:
    """Customer credits applied to what is owed: one line each, oldest first.

    returns: the credit lines, and the credits with what is left of them.
    rule:    CUS-1, INV-13: same currency, never beyond what is owed, not once expired.
    """
    lines, left = [], []
    for credit in credits:
        usable = credit.left.currency == owed.currency and (
            credit.expires_at is None or credit.expires_at > at
        )
        drawn = min(credit.left.minor, owed.minor) if usable else 0
        if drawn > 0:
            amount = Money(drawn, owed.currency)
            owed, credit = owed - amount, replace(credit, left=credit.left - amount)  # noqa: PLW2901
            lines.append(_credit_line(credit, amount, day))
        left.append(credit)
    return tuple(lines), tuple(left)


def _credit_line(credit: CustomerCredit, amount: Money, day: date) -> InvoiceLine:
    return InvoiceLine(
        type=LineType.CREDIT,
        code=credit.id,
        name=credit.reason,
        amount=-amount,
        quantity=Fraction(1),
        unit="credit",
        service=Period(day, date.fromordinal(day.toordinal() + 1)),
        rule="CUS-1",
        charge_type="customer_credit",
    )


def tax_lines(
    lines: Sequence[InvoiceLine],
    *,
    customer: Customer,
    catalog: Catalog,
    currency: Currency,
    day: date,
) -> tuple[InvoiceLine, ...]:
    """One tax line for each rate, on the sum of its lines, highest first; none out of scope.

    Customer credits reduce the bases by largest remainder. A line that corrects another
    brings its rate along, whatever the customer's is now.
    rule: TAX-1, TAX-2, TAX-3, INV-13.
    """
    how = treatment(customer, catalog.seller, catalog.tax, day)
    by_category: dict[str, int] = defaultdict(int)
    bases: dict[int | None, int] = defaultdict(int)
    categories: dict[int | None, set[str]] = defaultdict(set)
    for line in lines:
        if line.corrects is not None:
            bases[line.tax_rate_bp] += line.amount.minor
            categories[line.tax_rate_bp].add(line.tax_category)
        elif line.charge_type != "customer_credit":
            by_category[line.tax_category] += line.amount.minor
    for category, minor in by_category.items():
        rate = rate_bp(how, category, catalog.tax, day)
        bases[rate] += minor
        categories[rate].add(category)
    drawn = sum(line.amount.minor for line in lines if line.charge_type == "customer_credit")
    if drawn:
        rates = sorted(bases, key=lambda rate: -1 if rate is None else rate)
        weights = [Fraction(max(bases[rate], 0)) for rate in rates]
        for rate, part in zip(rates, allocate(Money(drawn, currency), weights), strict=True):
            bases[rate] += part.minor
    return tuple(
        _tax_line(Money(bases[rate], currency), rate, "+".join(sorted(categories[rate])), day)
        for rate in sorted((rate for rate in bases if rate is not None), reverse=True)
    )


def _tax_line(base: Money, rate: int, category: str, day: date) -> InvoiceLine:
    return InvoiceLine(
        type=LineType.TAX,
        code=category,
        name="VAT",
        amount=Money.rounded(base.exact * Fraction(rate, 10_000), base.currency),
        quantity=base.exact,
        unit="",
        service=Period(day, date.fromordinal(day.toordinal() + 1)),
        rule="TAX-1",
        tax_category=category,
        tax_rate_bp=rate,
    )
