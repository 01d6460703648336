"""The rows of an invoice's table: each line with its working, grouped as a reader looks.

Rows are strings. A reader with a calculator finds each amount again: quantity x unit
price, times days / total where the row says so. Rules CNV-5, INV-3, AI-6, AI-8, SEAT-5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from babel import Locale

from billing_core.invoice import Invoice, InvoiceLine, LineDetail, LineType
from billing_core.money import Currency
from reports.formats import (
    explaining_digits,
    fraction_text,
    has_end,
    money_text,
    percent_text,
    period_text,
    price_text,
    quantity_text,
    short_day_text,
    unit_text,
)
from reports.posted import PostedInvoice

MANY = 2
"""The bounds of a tier speak of more than one unit."""

SECTION_TITLES = {
    LineType.PLAN_BASE: "Plan",
    LineType.ADDON_BASE: "Add-ons",
    LineType.FEATURE_OVERAGE: "Usage above what is included",
    LineType.FEATURE_SEATS: "Seats",
    LineType.BALANCE_OVERAGE: "Usage beyond the balance",
    LineType.DISCOUNT: "Discounts",
    LineType.CREDIT: "Credits",
    LineType.PACK: "Packs",
    LineType.STORE: "Store",
    LineType.ADJUSTMENT: "Adjustments",
}
"""What a group of lines is called; tax stands with the totals."""

TOKEN_SECTION_TITLE = "AI tokens"
TOKEN_CLASS_TITLES = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Cached input",
    "cache_write": "Cache write",
}
LONGEST_FRACTION = 86_400
"""The largest denominator that helps a reader: seconds of a day."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, as text.

    kind:    `line`; `token` for a token class of a model, `detail` for any other part of
             the line above. Empty strings where a cell has nothing.
    group:   the model, on the first of its token classes.
    is_kept: stands on the same page as the next row.
    """

    kind: str
    text: str
    amount: str
    working: str = ""
    group: str = ""
    quantity: str = ""
    unit: str = ""
    price: str = ""
    price_unit: str = ""
    is_credit: bool = False
    is_kept: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of one kind under a title, in the order of the page."""

    title: str
    rows: tuple[Row, ...]


def sections(posted: PostedInvoice, locale: Locale) -> tuple[Section, ...]:
    """The rows of all lines but tax, under their titles."""
    return tuple(
        Section(title, tuple(row for line in lines for row in _rows(line, posted, locale)))
        for title, lines in titled_lines(posted.invoice)
    )


def titled_lines(invoice: Invoice) -> tuple[tuple[str, tuple[InvoiceLine, ...]], ...]:
    """All lines but tax by the title they stand under, in page order. Rule INV-3."""
    lines = [line for line in invoice.lines if line.type is not LineType.TAX]
    ordered = sorted(lines, key=lambda line: _place(section_title(line)))
    return tuple((title, tuple(group)) for title, group in groupby(ordered, key=section_title))


def section_title(line: InvoiceLine) -> str:
    """Under which title a line stands. AI usage has its own. Rules AI-6, INV-3."""
    if is_about_tokens(line):
        return TOKEN_SECTION_TITLE
    return SECTION_TITLES[line.type]


def is_about_tokens(line: InvoiceLine) -> bool:
    """Whether a line's working is tokens of models."""
    return any(detail.kind == "tokens" for detail in line.details)


def caption(line: InvoiceLine) -> str:
    """What a line is called: its name, and what kind of charge where the name is not enough."""
    if line.type is LineType.FEATURE_SEATS and line.charge_type == "true_up":
        return f"{line.name}, added during the period"
    if line.type is LineType.CREDIT and line.charge_type != "customer_credit":
        return f"{line.name}, unused time"
    return line.name


def detail_caption(detail: LineDetail, unit: str, locale: Locale) -> str:
    """What a part of a line is called: a tier, a fee, a token class, a margin, a bound.

    unit: the line's, of what a tier's bounds count.
    """
    match detail.kind:
        case "tokens":
            known = detail.token_class or ""
            return TOKEN_CLASS_TITLES.get(known, known)
        case "margin":
            return f"Margin {percent_text(int(detail.label), locale)} on the tokens above"
        case "flat":
            return f"Flat fee, {detail.label}"
        case "bound":
            return f"The {detail.label} charge for the period"
        case _:
            bounds = (_capital(detail.label), unit_text(MANY, unit))
            return " ".join(part for part in bounds if part)


def use_verb(line: InvoiceLine) -> str:
    """Seats are held, everything else is used."""
    return "held" if line.type is LineType.FEATURE_SEATS else "used"


def included_word(line: InvoiceLine) -> str:
    """How what is not charged was paid for: by the plan, or from the balance. Rule BAL-4."""
    return "paid from the balance" if line.rule == "BAL-4" else "included"


def rounding_working(line: InvoiceLine) -> str:
    """How a token cost was rounded where its events were; empty where only the line is. AI-1."""
    if line.rule != "AI-1":
        return ""
    return "the cost of each request is rounded up to 0.0001, so is its margin"


def seat_working(line: InvoiceLine, locale: Locale) -> str:
    """How many seats from which day on. Rules SEAT-2, SEAT-5."""
    count = f"{quantity_text(line.quantity, locale)} {unit_text(line.quantity, line.unit)}"
    return f"{count} from {short_day_text(line.service.start, locale)}"


def line_digits(line: InvoiceLine) -> int:
    """The decimals with which a line's quantities explain its amount. Rule CNV-5."""
    if line.unit_price is None:
        return explaining_digits(line.quantity, Fraction(0), line.amount)
    share = Fraction(*line.days) if line.days else Fraction(1)
    return explaining_digits(line.quantity, Fraction(line.unit_price) * share, line.amount)


def _place(title: str) -> int:
    titles = list(SECTION_TITLES.values())
    if title == TOKEN_SECTION_TITLE:
        title = SECTION_TITLES[LineType.FEATURE_OVERAGE]
        return 2 * titles.index(title) + 1
    return 2 * titles.index(title)


def _rows(line: InvoiceLine, posted: PostedInvoice, locale: Locale) -> Iterator[Row]:
    currency = posted.invoice.currency
    shows_quantity = line.unit_price is not None or line.used is not None
    yield Row(
        kind="line",
        text=caption(line),
        working=" · ".join(_working(line, posted, locale)),
        quantity=quantity_text(line.quantity, locale, line_digits(line)) if shows_quantity else "",
        unit=unit_text(line.quantity, line.unit) if shows_quantity else "",
        price="" if line.unit_price is None else price_text(line.unit_price, currency, locale),
        amount=money_text(line.amount, locale),
        is_credit=line.amount.minor < 0,
        is_kept=bool(line.details),
    )
    yield from _detail_rows(line, currency, locale)


def _working(line: InvoiceLine, posted: PostedInvoice, locale: Locale) -> Iterator[str]:
    """What explains a line beside its numbers, in the order in which it is read."""
    if line.corrects is not None:
        number = posted.corrected_numbers.get(line.corrects, line.corrects)
        yield f"corrects invoice {number}"
    if line.charge_type == "true_up":
        yield seat_working(line, locale)
    elif line.charge_type != "customer_credit":
        yield period_text(line.service, locale)
    if line.charge_type == "advance":
        yield "in advance"
    if line.days is not None:
        yield f"{line.days[0]} of {line.days[1]} days"
    if line.used is not None and not is_about_tokens(line):
        yield _used_text(line, locale)
    if rounding := rounding_working(line):
        yield rounding
    if not has_end(line.quantity) and line.quantity.denominator <= LONGEST_FRACTION:
        exactly = fraction_text(line.quantity, locale)
        yield f"exactly {exactly} {unit_text(line.quantity, line.unit)}"


def _used_text(line: InvoiceLine, locale: Locale) -> str:
    digits = line_digits(line)
    used = quantity_text(line.used or Fraction(0), locale, digits)
    verb = use_verb(line)
    if line.unlimited:
        return f"{used} {verb}, unlimited"
    if line.included is None:
        return f"{used} {verb}"
    included = quantity_text(line.included, locale, digits)
    return f"{used} {verb}, {included} {included_word(line)}"


def _detail_rows(line: InvoiceLine, currency: Currency, locale: Locale) -> Iterator[Row]:
    """A row for each part; those of one model stay on one page. Rules AI-6, AI-8."""
    models = [detail.label if detail.kind == "tokens" else "" for detail in line.details]
    for place, detail in enumerate(line.details):
        model, before, after = models[place], models[:place][-1:], models[place + 1 :][:1]
        yield Row(
            kind="token" if model else "detail",
            group=model if before != [model] else "",
            text=detail_caption(detail, line.unit, locale),
            quantity=_detail_quantity(detail, locale),
            price=_detail_price(detail, currency, locale),
            price_unit="per million" if model else "",
            amount=money_text(detail.amount, locale),
            is_credit=detail.amount.minor < 0,
            is_kept=bool(model) and after == [model],
            is_last=not after,
        )


def _detail_quantity(detail: LineDetail, locale: Locale) -> str:
    if detail.quantity is None:
        return ""
    price = Fraction(detail.unit_price or 0)
    digits = explaining_digits(detail.quantity, price, detail.amount)
    return quantity_text(detail.quantity, locale, digits)


def _detail_price(detail: LineDetail, currency: Currency, locale: Locale) -> str:
    if detail.unit_price is None or detail.kind == "flat":
        return ""
    return price_text(detail.unit_price, currency, locale)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
