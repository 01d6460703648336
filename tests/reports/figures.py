"""Figures of a month to make a revenue report of, with the parts adding up to the whole."""

from datetime import date
from decimal import Decimal

from billing_core.money import Currency
from reports.revenue_figures import (
    AgeBucket,
    Amount,
    CurrencyFigures,
    CustomerAmount,
    DayUse,
    FeatureUse,
    MonthAmount,
    RevenueFigures,
)


def eur() -> CurrencyFigures:
    """A month of EUR 1,148,204.61 before tax."""
    plans = (("Enterprise", "561204.11"), ("Business", "398120.50"), ("Scale", "188880.00"))
    features = (
        ("Plan", "612000.00"),
        ("Editors, seats", "240118.50"),
        ("AI tokens", "188204.11"),
        ("Events ingested", "98882.00"),
        ("Discounts", "\N{HYPHEN-MINUS}51000.00"),
        ("Audit log, add-on", "60000.00"),
    )
    net = Decimal("1148204.61")
    return CurrencyFigures(
        currency=Currency("EUR", 2),
        invoices=611,
        customers=505,
        billed=net + Decimal("101310.00"),
        tax=Decimal("101310.00"),
        collected=Decimal("1101234.05"),
        outstanding=(
            AgeBucket(412, 498, Decimal("318420.55")),
            AgeBucket(61, 74, Decimal("48210.10")),
            AgeBucket(19, 22, Decimal("17904.80")),
            AgeBucket(8, 9, Decimal("9120.00")),
            AgeBucket(5, 7, Decimal("6344.25")),
        ),
        by_plan=tuple(Amount(name, 200, Decimal(amount)) for name, amount in plans),
        by_feature=tuple(Amount(name, 200, Decimal(amount)) for name, amount in features),
        largest=(
            CustomerAmount("Lumen Analytics SAS", "Enterprise", 2, Decimal("31204.10")),
            CustomerAmount("深圳星河智能科技有限公司", "Enterprise", 1, Decimal("29880.75")),
            CustomerAmount("Nordlys & Søn AS", "Business", 1, Decimal("11870.00")),
        ),
        history=(
            MonthAmount(date(2026, 2, 1), Decimal("980200.00"), Decimal("901100.00")),
            MonthAmount(date(2026, 3, 1), Decimal("1121400.00"), Decimal("1014300.00")),
            MonthAmount(date(2026, 4, 1), net + Decimal("101310.00"), Decimal("1101234.05")),
        ),
    )


def jpy() -> CurrencyFigures:
    """A small month in a currency without minor units."""
    return CurrencyFigures(
        currency=Currency("JPY", 0),
        invoices=2,
        customers=2,
        billed=Decimal(20600),
        tax=Decimal(1000),
        collected=Decimal(0),
        outstanding=(AgeBucket(2, 2, Decimal(20600)), *[AgeBucket(0, 0, Decimal(0))] * 4),
        by_plan=(Amount("Pro", 2, Decimal(19600)),),
        by_feature=(Amount("Plan", 2, Decimal(19600)),),
        largest=(CustomerAmount("東京データ株式会社", "Pro", 1, Decimal(10800)),),
    )


def april(*currencies: CurrencyFigures) -> RevenueFigures:
    """The report's figures of April 2026 in these currencies."""
    return RevenueFigures(
        seller="Meridian Cloud GmbH",
        month=date(2026, 4, 1),
        as_of=date(2026, 5, 1),
        currencies=currencies,
        daily=tuple(
            DayUse(date(2026, 4, day), 9000 + 700 * (day % 5) if day % 7 else 2100)
            for day in range(1, 31)
        ),
        features=(
            FeatureUse("Events ingested", "events", Decimal(481204118), 488),
            FeatureUse("Assistant", "tokens", Decimal(72885766700), 210),
            FeatureUse("Data egress", "GB", Decimal("2645.218334127"), 97),
        ),
    )
