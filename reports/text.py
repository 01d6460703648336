"""An invoice as plain text with its whole working, for a terminal.

What the page shows in columns, this says in sums: quantity x unit price x days / total =
amount, with the rule behind each line. Amounts are exact; a quantity without end is a fraction.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from billing_core.invoice import Invoice, InvoiceLine, LineDetail, LineType, UsedFeature
from billing_core.money import Money
from billing_core.period import Period
from reports.formats import (
    ENGLISH,
    counted_unit,
    country_text,
    fraction_text,
    has_end,
    percent_text,
    period_text,
    quantity_text,
    unit_text,
)
from reports.invoice_rows import (
    caption,
    detail_caption,
    included_word,
    rounding_working,
    titled_lines,
    use_verb,
)
from reports.posted import Party, PostedInvoice

WIDTH = 92
AMOUNT_WIDTH = 18


def invoice_text(posted: PostedInvoice, seller: Party, buyer: Party) -> str:
    """A posted invoice as text: head, each line with its working and rule, totals, usage.

    returns: lines of at most WIDTH characters, longer only where a name is; ends with a
             line break. rule: CNV-5, INV-3, INV-9.
    """
    blocks = (_head(posted, seller, buyer), _lines(posted), _totals(posted), _usage(posted))
    printable = ([_printable(text) for text in block] for block in blocks)
    return "\n\n".join("\n".join(block) for block in printable if block) + "\n"


def draft_text(invoice: Invoice, numbers: Mapping[str, str]) -> str:
    """An invoice that is not posted as text: lines with their working, totals, usage.

    takes: numbers, of the posted invoices that it corrects, by id.
    """
    day = invoice.billing_day
    page = PostedInvoice(invoice, "", day, day, numbers)
    blocks = (_lines(page), _totals(page), _usage(page))
    return "\n".join(_printable(text) for block in blocks for text in block)


def working(line: InvoiceLine) -> str:
    """How a line's amount comes about, as a sum a reader can do.

    >>> from datetime import date
    >>> from billing_core.money import Currency
    >>> eur = Currency("EUR", 2)
    >>> seats = InvoiceLine(
    ...     type=LineType.FEATURE_SEATS, name="Editors", amount=Money(2700, eur),
    ...     quantity=Fraction(3), unit="seat", unit_price=Decimal("18.00"), days=(15, 30),
    ...     service=Period(date(2026, 4, 16), date(2026, 5, 1)), rule="SEAT-2",
    ... )
    >>> working(seats)
    '3 seats x 18.00 x 15/30 = 27.00 EUR'
    """
    if line.unit_price is None:
        return ""
    days = f" x {line.days[0]}/{line.days[1]}" if line.days else ""
    count = f"{_quantity(line.quantity)} {unit_text(line.quantity, line.unit)}"
    product = f"{count} x {_price(line.unit_price)}{days}"
    return f"{product}{_before_rounding(_exact(line), line.amount)} {line.amount}"


def _head(posted: PostedInvoice, seller: Party, buyer: Party) -> Iterator[str]:
    invoice = posted.invoice
    yield f"Invoice {posted.number}  ({invoice.type}, {invoice.id})"
    yield f"  from        {_party(seller)}"
    yield f"  to          {_party(buyer)}"
    yield f"  plan        {invoice.plan_name} ({invoice.plan})"
    if invoice.period is not None:
        yield f"  period      {_period(invoice.period)}"
    if invoice.window is not None:
        yield f"  usage of    {_period(invoice.window.period)}, as landed by {invoice.cutoff_on}"
    yield (f"  billed on   {invoice.billing_day}, issued {posted.issued_on}, due {posted.due_on}")


def _lines(posted: PostedInvoice) -> Iterator[str]:
    for title, lines in titled_lines(posted.invoice):
        yield title
        for line in lines:
            yield _with_amount(f"  {caption(line)}", line.amount)
            yield from (f"      {text}" for text in _explanation(line, posted))
            yield from _details(line)


def _explanation(line: InvoiceLine, posted: PostedInvoice) -> Iterator[str]:
    if sum_text := working(line):
        yield sum_text
    if line.used is not None:
        limit = _quantity(line.included or Fraction(0))
        included = "unlimited" if line.unlimited else f"{limit} {included_word(line)}"
        used = f"{_quantity(line.used)} {unit_text(line.used, counted_unit(line.unit))}"
        yield f"{used} {use_verb(line)}, {included}"
    if rounding := rounding_working(line):
        yield rounding
    if line.corrects is not None:
        yield f"corrects {posted.corrected_numbers.get(line.corrects, '')} {line.corrects}"
    yield f"{_period(line.service)} · rule {line.rule}"


def _details(line: InvoiceLine) -> Iterator[str]:
    model = ""
    for detail in line.details:
        if detail.kind == "tokens" and detail.label != model:
            model = detail.label
            yield f"      {model}"
        name = detail_caption(detail, line.unit, ENGLISH)
        yield _with_amount(f"        {name}: {_detail_working(detail)}".rstrip(": "), detail.amount)


def _detail_working(detail: LineDetail) -> str:
    if detail.quantity is None or detail.unit_price is None:
        return ""
    per = " / 1,000,000" if detail.kind == "tokens" else ""
    return f"{_quantity(detail.quantity)} x {_price(detail.unit_price)}{per}"


def _totals(posted: PostedInvoice) -> Iterator[str]:
    invoice = posted.invoice
    taxes = [line for line in invoice.lines if line.type is LineType.TAX]
    if taxes:
        yield _with_amount("Subtotal", invoice.subtotal)
    for line in taxes:
        rate = "" if line.tax_rate_bp is None else f" {percent_text(line.tax_rate_bp, ENGLISH)}"
        base = Money.rounded(line.quantity, line.amount.currency)
        yield _with_amount(f"{line.name}{rate} on {base.major} ({line.tax_category})", line.amount)
    yield _with_amount("Total", invoice.total)
    if invoice.note:
        yield invoice.note


def _usage(posted: PostedInvoice) -> Iterator[str]:
    """Where each feature's usage went: used = included + billed + blocked + waived. USE-6."""
    features = posted.invoice.usage
    if features:
        yield "Usage"
    yield from (f"  {_usage_text(feature)}" for feature in features)


def _usage_text(feature: UsedFeature) -> str:
    parts = [
        f"{_quantity(quantity)} {name}"
        for name, quantity in (
            ("within what is included", feature.from_included),
            ("billed", feature.billed),
            ("blocked", feature.blocked),
            ("waived", feature.waived),
        )
        if quantity
    ]
    limit = "unlimited" if feature.unlimited else f"{_quantity(feature.included)} included"
    went = f" = {' + '.join(parts)}" if parts else ""
    used = f"{_quantity(feature.used)} {unit_text(feature.used, feature.unit)}"
    return f"{feature.name}: {used} used{went}; {limit}"


def _exact(line: InvoiceLine) -> Fraction:
    share = Fraction(*line.days) if line.days else Fraction(1)
    return line.quantity * Fraction(line.unit_price or 0) * share


def _before_rounding(exact: Fraction, amount: Money) -> str:
    """An equals sign; or the exact product and an arrow, where it was rounded. Rule CNV-4."""
    if exact == Fraction(amount.major):
        return " ="
    if has_end(exact):
        return f" = {quantity_text(exact, ENGLISH)} →"
    return f" = {quantity_text(exact, ENGLISH, digits=6)}… →"


def _printable(text: str) -> str:
    """Text that cannot steer a terminal: what is not printable is replaced."""
    return "".join(
        character
        if character.isprintable()
        else " "
        if character.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _with_amount(text: str, amount: Money) -> str:
    return f"{text:<{WIDTH - AMOUNT_WIDTH}}{amount!s:>{AMOUNT_WIDTH}}"


def _party(party: Party) -> str:
    country = (country_text(party.country, ENGLISH),) if party.country else ()
    tax_id = (f"tax id {party.tax_id}",) if party.tax_id else ()
    return ", ".join((party.name, *party.address, *country, *tax_id))


def _period(period: Period) -> str:
    return f"{period_text(period, ENGLISH)} ({period.days} days)"


def _quantity(quantity: Fraction) -> str:
    return (
        quantity_text(quantity, ENGLISH) if has_end(quantity) else fraction_text(quantity, ENGLISH)
    )


def _price(price: Decimal) -> str:
    return f"{price:f}"
