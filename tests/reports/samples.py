"""Invoices to look at and to test with: each kind of line, several currencies, any length.

Amounts are worked out here from quantities and prices, apart from the code under test.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from billing_core.invoice import (
    Invoice,
    InvoiceLine,
    InvoiceType,
    LineDetail,
    LineType,
    UsedFeature,
)
from billing_core.money import Currency, Money, allocate
from billing_core.period import Period, Window
from reports.posted import Party, PostedInvoice

EUR, USD, JPY, BHD = Currency("EUR", 2), Currency("USD", 2), Currency("JPY", 0), Currency("BHD", 3)
APRIL = Period(date(2026, 4, 1), date(2026, 5, 1))
MAY = Period(date(2026, 5, 1), date(2026, 6, 1))
APRIL_WINDOW = Window(
    APRIL.start,
    APRIL.end,
    datetime(2026, 4, 1, tzinfo=UTC),
    datetime(2026, 5, 1, tzinfo=UTC),
)

SELLER = Party(
    name="Meridian Cloud GmbH",
    address=("Torstraße 164", "10115 Berlin"),
    country="DE",
    tax_id="DE318294761",
    email="billing@meridian.example",
    iban="DE89370400440532013000",
    bic="COBADEFFXXX",
)
LUMEN = Party(
    name="Lumen Analytics SAS",
    address=("24 rue du Sentier", "75002 Paris"),
    country="FR",
    tax_id="FR61842907315",
    email="accounts@lumen.example",
)
XINGHE = Party(
    name="深圳星河智能科技有限公司",
    address=("南山区科技园北区朗山路16号", "518057 深圳市"),
    country="CN",
)
REVERSE_CHARGE = (
    "Reverse charge: VAT to be accounted for by the recipient, "
    "Article 196 of Council Directive 2006/112/EC."
)


def line(
    kind: LineType,
    name: str,
    quantity: Fraction | int,
    unit: str,
    price: str | None,
    *,
    currency: Currency = EUR,
    service: Period = MAY,
    amount: Money | None = None,
    **more: object,
) -> InvoiceLine:
    """A line whose amount is quantity x price x days / total, rounded once, unless given."""
    share = Fraction(*more["days"]) if more.get("days") else Fraction(1)  # type: ignore[misc]
    exact = Fraction(quantity) * Fraction(price or 0) * share
    return InvoiceLine(
        type=kind,
        name=name,
        amount=amount if amount is not None else Money.rounded(exact, currency),
        quantity=Fraction(quantity),
        unit=unit,
        service=service,
        rule="INV-3",
        unit_price=None if price is None else Decimal(price),
        **more,  # type: ignore[arg-type]
    )


def tiered(
    name: str, used: int, included: int, tiers: list[tuple[str, int, str]], currency: Currency = EUR
) -> InvoiceLine:
    """An overage line with a part for each tier; a tier of quantity 0 is a flat fee."""
    exacts = [Fraction(price) * (quantity or 1) for _, quantity, price in tiers]
    amount = Money.rounded(sum(exacts, Fraction(0)), currency)
    shares = allocate(amount, exacts)
    details = tuple(
        LineDetail(
            "tier" if quantity else "flat",
            label,
            Fraction(quantity) if quantity else None,
            Decimal(price),
            share,
        )
        for (label, quantity, price), share in zip(tiers, shares, strict=True)
    )
    return line(
        LineType.FEATURE_OVERAGE,
        name,
        used - included,
        "event",
        None,
        currency=currency,
        service=APRIL,
        amount=amount,
        used=Fraction(used),
        included=Fraction(included),
        details=details,
    )


def tokens(
    name: str, models: dict[str, list[tuple[str, int, str]]], margin_bp: int, currency: Currency
) -> InvoiceLine:
    """An AI line: models with (token class, tokens, price per million), and one margin."""
    parts = [(model, *part) for model, classes in models.items() for part in classes]
    exacts = [Fraction(price) * count / 1_000_000 for _, _, count, price in parts]
    exacts.append(sum(exacts, Fraction(0)) * margin_bp / 10_000)
    amount = Money.rounded(sum(exacts, Fraction(0)), currency)
    shares = allocate(amount, exacts)
    details = [
        LineDetail("tokens", model, Fraction(count), Decimal(price), share, token_class)
        for (model, token_class, count, price), share in zip(parts, shares[:-1], strict=True)
    ]
    details.append(LineDetail("margin", str(margin_bp), None, None, shares[-1]))
    count = sum(part[2] for part in parts)
    return line(
        LineType.FEATURE_OVERAGE,
        name,
        count,
        "token",
        None,
        currency=currency,
        service=APRIL,
        amount=amount,
        used=Fraction(count),
        included=Fraction(0),
        details=tuple(details),
    )


def taxed(lines: list[InvoiceLine], rate_bp: int, currency: Currency = EUR) -> list[InvoiceLine]:
    """Lines with one tax line over all of them."""
    base = Money(sum(one.amount.minor for one in lines), currency)
    tax = line(
        LineType.TAX,
        "VAT",
        Fraction(base.major),
        "",
        None,
        currency=currency,
        amount=Money.rounded(Fraction(base.major) * rate_bp / 10_000, currency),
        code="standard",
        tax_rate_bp=rate_bp,
    )
    return [*lines, tax]


def used(
    name: str, unit: str, quantity: int, included: int, *, unlimited: bool = False, blocked: int = 0
) -> UsedFeature:
    """Usage of a window: what is above the included is billed, unless blocked."""
    over = 0 if unlimited else max(quantity - included, 0)
    return UsedFeature(
        feature=name.lower(),
        name=name,
        unit=unit,
        used=Fraction(quantity),
        included=Fraction(included),
        unlimited=unlimited,
        from_included=Fraction(quantity - over),
        billed=Fraction(over - blocked),
        blocked=Fraction(blocked),
        waived=Fraction(0),
    )


def posted(
    lines: list[InvoiceLine],
    *,
    currency: Currency = EUR,
    kind: InvoiceType = InvoiceType.RECURRING,
    usage: tuple[UsedFeature, ...] = (),
    note: str | None = None,
    number: str = "INV-2026-000042",
) -> PostedInvoice:
    """A posted invoice of 1 May 2026 with these lines."""
    invoice = Invoice(
        id=f"lumen/{kind}/s1/2026-05-01",
        customer_id="lumen",
        type=kind,
        billing_day=date(2026, 5, 1),
        made_at=datetime(2026, 5, 1, tzinfo=UTC),
        known_on=date(2026, 5, 1),
        currency=currency,
        plan="scale",
        plan_name="Scale",
        lines=tuple(lines),
        usage=usage,
        window=APRIL_WINDOW,
        period=MAY,
        cutoff_on=date(2026, 5, 1),
        note=note,
    )
    return PostedInvoice(
        invoice=invoice,
        number=number,
        issued_on=date(2026, 5, 3),
        due_on=date(2026, 5, 17),
        corrected_numbers={"lumen/recurring/s1/2026-04-01": "INV-2026-000007"},
    )


GPT = [
    ("input", 36_912_345, "3.00"),
    ("output", 6_641_200, "15.00"),
    ("cache_read", 88_512_911, "0.30"),
    ("cache_write", 11_069_101, "3.75"),
]
MINI = [
    ("input", 145_600_003, "0.25"),
    ("output", 26_210_007, "2.00"),
    ("cache_read", 349_400_100, "0.025"),
]
EMBED = [("input", 64_512_000, "0.02")]


def full() -> PostedInvoice:
    """One of each kind of line, reverse charge, usage of four features."""
    lines = [
        line(LineType.PLAN_BASE, "Scale", 1, "month", "499.00"),
        line(LineType.ADDON_BASE, "Audit log", 1, "month", "29.00", code="audit_log"),
        tiered(
            "Events ingested",
            38_653_146,
            10_000_000,
            [
                ("0 to 10,000,000", 0, "5.00"),
                ("0 to 10,000,000", 10_000_000, "0.000012"),
                ("above 10,000,000", 18_653_146, "0.000009"),
            ],
        ),
        line(
            LineType.FEATURE_OVERAGE,
            "Transcoding",
            Fraction(130, 60),
            "minute",
            "0.05",
            service=APRIL,
            used=Fraction(3730, 60),
            included=Fraction(60),
        ),
        line(
            LineType.FEATURE_OVERAGE,
            "Data egress",
            Fraction("2645.218334127"),
            "GB",
            "0.04",
            service=APRIL,
            used=Fraction("3645.218334127"),
            included=Fraction(1000),
        ),
        tokens(
            "Assistant",
            {
                "anthropic/claude-sonnet-4-5": GPT,
                "openai/gpt-5-mini": MINI,
                "openai/text-embedding-3-small": EMBED,
            },
            2000,
            EUR,
        ),
        line(
            LineType.FEATURE_SEATS,
            "Editors",
            47,
            "seat",
            "18.00",
            charge_type="advance",
            used=Fraction(52),
            included=Fraction(5),
        ),
        line(
            LineType.FEATURE_SEATS,
            "Editors",
            3,
            "seat",
            "18.00",
            service=Period(date(2026, 4, 16), date(2026, 5, 1)),
            charge_type="true_up",
            days=(15, 30),
            used=Fraction(52),
            included=Fraction(5),
        ),
        line(LineType.DISCOUNT, "LAUNCH10, 10% off", 1, "", None, amount=Money(-49_90, EUR)),
        line(
            LineType.CREDIT,
            "Goodwill for the outage of 2 April",
            1,
            "credit",
            None,
            amount=Money(-250_00, EUR),
            charge_type="customer_credit",
        ),
        line(
            LineType.ADJUSTMENT,
            "Events ingested",
            1,
            "",
            None,
            amount=Money(3_18, EUR),
            service=Period(date(2026, 3, 1), date(2026, 4, 1)),
            corrects="lumen/recurring/s1/2026-04-01",
        ),
    ]
    usage = (
        used("Events ingested", "events", 38_653_146, 10_000_000),
        used("Warm storage", "GB-months", 150, 250),
        used("Exports", "file", 130, 100, blocked=30),
        used("Dashboards", "boards", 88, 0, unlimited=True),
    )
    return posted(taxed(lines, 0), usage=usage, note=REVERSE_CHARGE)


def long(count: int = 200) -> PostedInvoice:
    """Many lines, some with tiers and long names, over many pages."""
    lines = [line(LineType.PLAN_BASE, "Scale", 1, "month", "499.00")]
    for index in range(count):
        name = f"Project {index + 1:03d} in region eu-central-{index % 3 + 1}"
        if index % 7 == 3:
            tiers = [("0 to 1,000", 1000, "0.01"), ("above 1,000", 37 * index + 1, "0.0075")]
            lines.append(tiered(name, 38_000 + 37 * index + 1 - 36_000, 1000, tiers))
        else:
            long_name = name + " with a name that its owner wanted to be remembered by" * (
                index % 11 == 5
            )
            quantity, price = 101 + 13 * index, f"0.0{index % 9 + 1}"
            lines.append(
                line(
                    LineType.FEATURE_OVERAGE,
                    long_name,
                    quantity,
                    "unit",
                    price,
                    service=APRIL,
                    used=Fraction(quantity + 50),
                    included=Fraction(50),
                )
            )
    return posted(taxed(lines, 1900))


def simple(currency: Currency = USD, price: str = "99.00") -> PostedInvoice:
    """A plan and one overage, no tax."""
    lines = [
        line(LineType.PLAN_BASE, "Pro", 1, "month", price, currency=currency),
        line(
            LineType.FEATURE_OVERAGE,
            "API calls",
            2000,
            "call",
            "0.5" if currency == JPY else "0.01",
            currency=currency,
            service=APRIL,
            used=Fraction(12_000),
            included=Fraction(10_000),
        ),
    ]
    usage = (used("API calls", "call", 12_000, 10_000),)
    return posted(lines, currency=currency, usage=usage)


def zero() -> PostedInvoice:
    """An invoice of nothing: a free month that always makes one (INV-7)."""
    lines = [
        line(LineType.PLAN_BASE, "Scale", 1, "month", "499.00"),
        line(LineType.DISCOUNT, "WELCOME, 100% off", 1, "", None, amount=Money(-499_00, EUR)),
    ]
    return posted(lines)


def credit_note() -> PostedInvoice:
    """A correction below zero, with its tax."""
    lines = [
        line(
            LineType.FEATURE_OVERAGE,
            "API calls",
            1,
            "",
            None,
            amount=Money(-120_05, EUR),
            service=APRIL,
            corrects="lumen/recurring/s1/2026-04-01",
        )
    ]
    made = posted(taxed(lines, 1900), kind=InvoiceType.CREDIT_NOTE, number="CN-2026-000003")
    return replace(made, invoice=replace(made.invoice, period=None, window=None))


def upgrade() -> PostedInvoice:
    """A change of plan: the unused part of the old one comes back."""
    rest = Period(date(2026, 4, 16), date(2026, 5, 1))
    lines = [
        line(LineType.PLAN_BASE, "Pro", 1, "month", "99.00", currency=USD),
        line(
            LineType.CREDIT,
            "Starter",
            1,
            "month",
            "-29.00",
            currency=USD,
            service=rest,
            days=(15, 30),
        ),
    ]
    return posted(lines, currency=USD, kind=InvoiceType.PLAN_CHANGE)
