"""What of an invoice can still be credited, and the lines of a credit note on it.

A note has the lines that it corrects, negative, with the tax that they carried. An amount is
shared over all that is left of the invoice; of lines named alone the tax follows from what
is credited of its rate in all, so that notes one after another add up to the invoice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from billing_core.actions import CorrectedLine
from billing_core.assembly import in_page_order
from billing_core.invoice import Invoice, InvoiceLine, LineType
from billing_core.money import Money, allocate
from billing_core.period import Period
from billing_core.state import GivenBack, InvoiceRecord

Rate = int | None
"""A tax rate in basis points; None where there is no tax."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is left of an invoice at one tax rate: before tax, and the tax. `bill` is as made.

    line: the tax line of the rate; None where there is no tax.
    """

    rate: Rate
    bill: Money
    base: Money
    tax: Money
    line: InvoiceLine | None


@dataclass(frozen=True, slots=True)
class Left:
    """What of an invoice can still be credited. Rule PST-2.

    lines: its charges with what is left of each, one for each type, code and rate; they
           name the invoice in `corrects`.
    most:  with tax, what all notes together may still come to.
    """

    lines: tuple[InvoiceLine, ...]
    parts: tuple[Part, ...]
    most: Money


def left_of(invoice: Invoice, record: InvoiceRecord) -> Left:
    """What is left of an invoice after all that was given back and written off of it."""
    back = record.given_back
    parts = tuple(_parts(invoice, back))
    taken = sum(it.amount.minor for it in back) + record.written_off.minor
    most = Money(max(record.total.minor - taken, 0), record.total.currency)
    return Left(_charges(invoice, record.rates, back), parts, most)


def _charges(
    invoice: Invoice, rates: Sequence[tuple[str, Rate]], back: Sequence[GivenBack]
) -> tuple[InvoiceLine, ...]:
    """The charges with what is left of each; what an adjustment gave back is by its code."""
    own = dict(rates)
    charges: dict[tuple[LineType, str | None, Rate], InvoiceLine] = {}
    for line in invoice.lines:
        if line.type is LineType.TAX or line.amount.minor <= 0:
            continue
        rate = line.tax_rate_bp if line.corrects else own.get(line.tax_category)
        key = (line.type, line.code, rate)
        before = charges.get(key)
        amount = line.amount if before is None else line.amount + before.amount
        charges[key] = replace(before or line, amount=amount, tax_rate_bp=rate, corrects=invoice.id)
    left = (replace(line, amount=line.amount - _back(back, line)) for line in charges.values())
    return tuple(line for line in left if line.amount.minor > 0)


def _back(back: Iterable[GivenBack], line: InvoiceLine) -> Money:
    kinds = {line.type, LineType.ADJUSTMENT}
    minor = sum(it.amount.minor for it in back if it.code == line.code and it.type in kinds)
    return Money(minor, line.amount.currency)


def _parts(invoice: Invoice, back: Sequence[GivenBack]) -> Iterable[Part]:
    """By tax rate what is left, highest first, and last what carries no tax."""
    currency, rest = invoice.currency, invoice.subtotal
    for line in invoice.lines:
        if line.type is LineType.TAX:
            base = Money.rounded(line.quantity, currency)
            rest -= base
            yield _part(line.tax_rate_bp, base, line.amount, line, back)
    yield _part(None, rest, Money(0, currency), None, back)


def _part(
    rate: Rate, base: Money, tax: Money, line: InvoiceLine | None, back: Sequence[GivenBack]
) -> Part:
    own = [it for it in back if it.rate_bp == rate]
    taxes = sum(it.amount.minor for it in own if it.type is LineType.TAX)
    bases = sum(it.amount.minor for it in own if it.type is not LineType.TAX)
    currency = base.currency
    return Part(rate, base, base - Money(bases, currency), tax - Money(taxes, currency), line)


def note_of_amount(left: Left, amount: Money, day: date) -> tuple[InvoiceLine, ...]:
    """The lines of a note of an amount with its tax, shared over all that is left. CNV-4, TAX-2.

    takes: amount, > 0 and at most what is left.
    """
    parts = [part for part in left.parts if part.base.minor > 0]
    weights = [
        Fraction(max(minor, 0)) for part in parts for minor in (part.base.minor, part.tax.minor)
    ]
    shares = allocate(amount, weights)
    lines, taxes = [], []
    for part, base, tax in zip(parts, shares[::2], shares[1::2], strict=True):
        own = [line for line in left.lines if line.tax_rate_bp == part.rate]
        amounts = allocate(base, [Fraction(line.amount.minor) for line in own])
        lines += [_line(line, it) for line, it in zip(own, amounts, strict=True) if it.minor]
        taxes += _taxes(part, base, tax, day)
    return (*in_page_order(lines), *taxes)


def note_of_lines(
    left: Left, wanted: Sequence[CorrectedLine], day: date
) -> tuple[InvoiceLine, ...] | str:
    """The lines of a note of some lines' amounts, which are before tax, with their tax.

    returns: why it cannot be: a line that the invoice does not have, or less of it.
    rule:    INV-13, TAX-2, PST-2.
    """
    asked: dict[tuple[str, str | None], Fraction] = defaultdict(Fraction)
    for it in wanted:
        asked[it.type, it.code] += Fraction(it.amount)
    lines: list[InvoiceLine] = []
    for (kind, code), exact in asked.items():
        named = f"{kind} {code}" if code else kind
        found = [line for line in left.lines if (line.type, line.code) == (kind, code)]
        amount = Money.rounded(exact, left.most.currency)
        there = Money(sum(line.amount.minor for line in found), amount.currency)
        if amount.minor > there.minor or amount.exact != exact or not found:
            return f"of the line {named} {there} can be given back, not {amount}"
        lines += _taken(found, amount)
    return _with_taxes(left, lines, day)


def _taken(found: Sequence[InvoiceLine], amount: Money) -> list[InvoiceLine]:
    """An amount of lines of one type and code, of the first rate first."""
    lines = []
    for line in found:
        part = Money(min(line.amount.minor, amount.minor), amount.currency)
        amount -= part
        if part.minor:
            lines.append(_line(line, part))
    return lines


def _with_taxes(
    left: Left, lines: Sequence[InvoiceLine], day: date
) -> tuple[InvoiceLine, ...] | str:
    bases = _bases(lines)
    taxes = []
    for part in left.parts:
        base = bases.pop(part.rate, None)
        if base is None:
            continue
        if base.minor > part.base.minor:
            return f"{part.base} of what was charged for the lines is left, not {base}"
        taxes += _taxes(part, base, _tax(part, base), day)
    return (*in_page_order(lines), *taxes)


def _bases(lines: Iterable[InvoiceLine]) -> dict[Rate, Money]:
    bases: dict[Rate, Money] = {}
    for line in lines:
        before = bases.get(line.tax_rate_bp, Money(0, line.amount.currency))
        bases[line.tax_rate_bp] = before - line.amount
    return bases


def _tax(part: Part, base: Money) -> Money:
    """The tax of what is credited at a rate: of all credited by now, less what was before."""
    if base == part.base or part.line is None:
        return part.tax
    credited = part.bill - part.base + base
    whole = Money.rounded(credited.exact * Fraction(part.rate or 0, 10_000), base.currency)
    before = part.line.amount - part.tax
    return Money(min(max((whole - before).minor, 0), part.tax.minor), base.currency)


def _taxes(part: Part, base: Money, tax: Money, day: date) -> list[InvoiceLine]:
    """The tax line of a note for what it credits at a rate; none out of scope or of nothing."""
    if part.line is None or not (base.minor or tax.minor):
        return []
    service = Period(day, day + timedelta(days=1))
    return [replace(part.line, amount=-tax, quantity=-base.exact, service=service, rule="TAX-2")]


def _line(line: InvoiceLine, amount: Money) -> InvoiceLine:
    """A line of an invoice as the note has it: so much of it, negative. Rule INV-13."""
    return replace(
        line,
        amount=-amount,
        quantity=Fraction(1),
        unit="",
        unit_price=None,
        days=None,
        used=None,
        included=None,
        unlimited=False,
        details=(),
        rule="INV-13",
    )
