"""An invoice as the page shows it: a value made of strings, nothing left to work out.

All adding, rounding, looking up and translating is done before a template is reached;
the template only places text. The rows of the table are made in `invoice_rows`.
"""

from dataclasses import dataclass
from fractions import Fraction

from babel import Locale

from billing_core.invoice import Invoice, InvoiceLine, InvoiceType, LineType, UsedFeature
from billing_core.money import Money
from reports.formats import (
    country_text,
    day_text,
    decimal_near,
    money_text,
    percent_text,
    period_text,
    quantity_text,
    reader_locale,
    unit_text,
)
from reports.invoice_rows import Section, sections
from reports.posted import Party, PostedInvoice

BAR_LENGTH = 300
"""Width of a usage bar, in the units of its drawing."""

REASONS = {
    InvoiceType.INITIAL: "Start of subscription",
    InvoiceType.RECURRING: "Renewal",
    InvoiceType.OVERAGE: "Usage",
    InvoiceType.PLAN_CHANGE: "Change of plan",
    InvoiceType.ADDON_ACTIVATION: "Add-on",
    InvoiceType.PACK_PURCHASE: "Pack",
    InvoiceType.BALANCE_TOPUP: "Top-up",
    InvoiceType.STORE_PURCHASE: "Store",
    InvoiceType.FINAL: "End of subscription",
    InvoiceType.ADJUSTMENT: "Adjustment",
    InvoiceType.CREDIT_NOTE: "Correction",
}
"""Why an invoice was made, for its reader. Rule INV-4."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what it says."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class PartyView:
    """A party's block: the heading, the name, and the lines below it."""

    heading: str
    name: str
    lines: tuple[str, ...]
    small: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaxRow:
    """One rate: what it is called, the sum that it is taken of, the tax. Rule TAX-1."""

    label: str
    base: str
    amount: str


@dataclass(frozen=True, slots=True)
class BarPart:
    """A stretch of a usage bar: where it starts, how wide it is, what it stands for."""

    kind: str
    start: str
    width: str


@dataclass(frozen=True, slots=True)
class UsageBar:
    """Usage of one feature against what was included, drawn and in words. Rule USE-6."""

    name: str
    text: str
    parts: tuple[BarPart, ...]


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """Everything that stands on an invoice. Strings only."""

    language: str
    id: str
    title: str
    number: str
    created_on: str
    description: str
    footer: str
    headline: Fact
    headline_note: Fact
    facts: tuple[Fact, ...]
    seller: PartyView
    buyer: PartyView
    sections: tuple[Section, ...]
    totals: tuple[Fact, ...]
    total: Fact
    taxes: tuple[TaxRow, ...]
    note: str
    usage: tuple[UsageBar, ...]
    usage_kinds: tuple[str, ...]
    usage_period: str
    payment: tuple[Fact, ...]
    contact: str


def invoice_view(
    posted: PostedInvoice, seller: Party, buyer: Party, locale: str | None
) -> InvoiceView:
    """A posted invoice for its reader.

    takes: locale, of the buyer (`de_DE`); it decides how numbers and days are written.
    rule:  INV-3, INV-9, CNV-5, TAX-1, USE-6.
    """
    invoice, reader = posted.invoice, reader_locale(locale)
    usage = usage_bars(invoice.usage, reader)
    kinds = {part.kind for bar in usage for part in bar.parts}
    return InvoiceView(
        language="en",
        id=invoice.id,
        title=_title(invoice),
        number=posted.number,
        created_on=posted.issued_on.isoformat(),
        description=f"{_title(invoice)} {posted.number} for {buyer.name}",
        footer=" · ".join(part for part in (seller.name, _tax_id(seller), seller.email) if part),
        headline=Fact(_amount_label(invoice), money_text(invoice.total, reader)),
        headline_note=_headline_note(posted, reader),
        facts=_facts(posted, reader),
        seller=_party("From", seller, reader),
        buyer=_party("Bill to", buyer, reader),
        sections=sections(posted, reader),
        totals=_totals(invoice, reader),
        total=Fact(_amount_label(invoice), money_text(invoice.total, reader)),
        taxes=tuple(_tax_row(line, reader) for line in _tax_lines(invoice)),
        note=invoice.note or "",
        usage=usage,
        usage_kinds=tuple(kind for kind in ("billed", "blocked", "waived") if kind in kinds),
        usage_period=period_text(invoice.window.period, reader) if invoice.window else "",
        payment=_payment(posted, seller),
        contact=seller.email or "",
    )


def usage_bars(usage: tuple[UsedFeature, ...], locale: Locale) -> tuple[UsageBar, ...]:
    """A bar for each feature that includes something or was blocked, in the order given.

    What is billed from the first unit on is on its line already and has no bar.
    """
    return tuple(
        UsageBar(feature.name, _usage_text(feature, locale), _bar_parts(feature))
        for feature in usage
        if feature.unlimited or feature.included or feature.blocked or feature.waived
    )


def _title(invoice: Invoice) -> str:
    return "Credit note" if invoice.type is InvoiceType.CREDIT_NOTE else "Invoice"


def _amount_label(invoice: Invoice) -> str:
    return "Amount credited" if invoice.total.minor < 0 else "Amount due"


def _headline_note(posted: PostedInvoice, locale: Locale) -> Fact:
    if posted.invoice.total.minor < 0:
        return Fact("Credited on", day_text(posted.issued_on, locale))
    if posted.invoice.total.minor == 0:
        return Fact("Nothing to pay", "")
    return Fact("Payable by", day_text(posted.due_on, locale))


def _facts(posted: PostedInvoice, locale: Locale) -> tuple[Fact, ...]:
    invoice = posted.invoice
    facts = []
    if invoice.period is not None:
        facts.append(Fact("Billing period", period_text(invoice.period, locale)))
    if invoice.window is not None and invoice.window.period != invoice.period:
        facts.append(Fact("Usage of", period_text(invoice.window.period, locale)))
    facts.append(Fact("Plan", invoice.plan_name))
    facts.append(Fact("Reason", REASONS[invoice.type]))
    if invoice.billing_day != posted.issued_on:
        facts.append(Fact("Billing day", day_text(invoice.billing_day, locale)))
    facts.append(Fact("Date of issue", day_text(posted.issued_on, locale)))
    return tuple(facts)


def _party(heading: str, party: Party, locale: Locale) -> PartyView:
    country = (country_text(party.country, locale),) if party.country else ()
    small = tuple(part for part in (_tax_id(party), party.email) if part)
    return PartyView(heading, party.name, (*party.address, *country), small)


def _tax_id(party: Party) -> str:
    return f"Tax ID {party.tax_id}" if party.tax_id else ""


def _tax_lines(invoice: Invoice) -> list[InvoiceLine]:
    return [line for line in invoice.lines if line.type is LineType.TAX]


def tax_label(line: InvoiceLine, locale: Locale) -> str:
    """The name and the rate of a tax, and its category where it is not the standard one."""
    rate = "" if line.tax_rate_bp is None else f" {percent_text(line.tax_rate_bp, locale)}"
    category = "" if line.tax_category == "standard" else f", {line.tax_category}"
    return f"{line.name}{rate}{category}"


def _tax_row(line: InvoiceLine, locale: Locale) -> TaxRow:
    base = Money.rounded(line.quantity, line.amount.currency)
    return TaxRow(
        tax_label(line, locale), money_text(base, locale), money_text(line.amount, locale)
    )


def _totals(invoice: Invoice, locale: Locale) -> tuple[Fact, ...]:
    """The steps from the lines to the total; none where the lines are the total. Rule INV-9."""
    taxes = _tax_lines(invoice)
    if not taxes:
        return ()
    subtotal = Fact("Subtotal", money_text(invoice.subtotal, locale))
    steps = [Fact(tax_label(line, locale), money_text(line.amount, locale)) for line in taxes]
    return (subtotal, *steps)


def _usage_text(feature: UsedFeature, locale: Locale) -> str:
    used = quantity_text(feature.used, locale)
    if feature.unlimited:
        return f"{used} {unit_text(feature.used, feature.unit)}, unlimited"
    included = quantity_text(feature.included, locale)
    parts = [f"{used} of {included} {unit_text(feature.included, feature.unit)}"]
    for name, quantity in (("blocked", feature.blocked), ("waived", feature.waived)):
        if quantity:
            parts.append(f"{quantity_text(quantity, locale)} {name}")
    return ", ".join(parts)


def _bar_parts(feature: UsedFeature) -> tuple[BarPart, ...]:
    whole = feature.used if feature.unlimited else max(feature.used, feature.included)
    quantities = (
        ("included", feature.from_included),
        ("billed", feature.billed),
        ("blocked", feature.blocked),
        ("waived", feature.waived),
    )
    parts, start = [], Fraction(0)
    for kind, quantity in quantities:
        if quantity > 0 and whole:
            width = quantity / whole * BAR_LENGTH
            parts.append(BarPart(kind, _coordinate(start), _coordinate(width)))
            start += width
    return tuple(parts)


def _coordinate(value: Fraction) -> str:
    return str(decimal_near(value, 1))


def _payment(posted: PostedInvoice, seller: Party) -> tuple[Fact, ...]:
    """Where to pay; nothing where there is no account or nothing to pay."""
    if not seller.iban or posted.invoice.total.minor <= 0:
        return ()
    compact = seller.iban.replace(" ", "")
    blocks = " ".join(compact[at : at + 4] for at in range(0, len(compact), 4))
    facts = [Fact("Beneficiary", seller.name), Fact("IBAN", blocks)]
    if seller.bic:
        facts.append(Fact("BIC", seller.bic))
    return (*facts, Fact("Reference", posted.number))
