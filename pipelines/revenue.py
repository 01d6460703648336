"""The revenue report of a month: figures from the published warehouse, on paper.

Every figure is a query under `sql/reports/` on what analysts see; parts that do not add up
to their whole are refused where the figures are made. Names are joined here.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from billing_core.catalog import Catalog
from billing_core.currencies import worth_together
from billing_core.errors import BillingError
from billing_core.money import Currency, Money
from billing_core.period import boundary
from pipelines.datasets import replaced
from pipelines.documents import catalog_versions, customer_names
from pipelines.drafts import read_summary
from pipelines.paths import DataRoot, sql_text
from pipelines.warehouse import reading
from pipelines.world import currencies
from reports.revenue import render_revenue_report
from reports.revenue_figures import (
    AGE_TITLES,
    AgeBucket,
    Amount,
    ConvertedAmount,
    CurrencyFigures,
    CustomerAmount,
    DayUse,
    FeatureUse,
    MonthAmount,
    RevenueFigures,
)

LARGEST = 12
"""How many customers the report names."""

Row = dict[str, Any]


class NothingPosted(BillingError):
    """A report of a month without a posted invoice."""

    code = "REV-02"

    def __init__(self, month: date) -> None:
        super().__init__(
            what=f"no invoice of {month:%Y-%m} is posted, so there is nothing to report",
            where="the published warehouse, invoices",
            mend="name a month with posted invoices; `fairbill status` lists what is posted",
        )


def write_revenue_report(root: DataRoot, month: date) -> Path:
    """Write the report of a month as PDF; one with the same content is left alone.

    takes:  the first day of the month.
    raises: NothingPosted, FileNotFoundError where no warehouse is published.
    """
    content = render_revenue_report(read_figures(root, month))
    path = root.documents / "reports" / f"revenue-{month:%Y-%m}.pdf"
    if not path.is_file() or path.read_bytes() != content:
        with replaced(path) as temporary:
            temporary.write_bytes(content)
    return path


def read_figures(root: DataRoot, month: date) -> RevenueFigures:
    """The figures of a month. Open balances are those that the last run knew of.

    raises: NothingPosted, FiguresDoNotTie, FileNotFoundError.
    """
    after, as_of = boundary(month, 1), read_summary(root).through
    span = {"month": month, "next_month": after}
    with reading(root) as connection:
        wholes = _rows(connection, "revenue_currencies", span)
        parts = {
            name: _by_currency(_rows(connection, f"revenue_{name}", span))
            for name in ("plans", "features", "customers")
        }
        parts["months"] = _by_currency(_rows(connection, "revenue_months", {"next_month": after}))
        parts["outstanding"] = _by_currency(
            _rows(connection, "revenue_outstanding", {"next_month": after, "as_of": as_of})
        )
        days = _by_currency(_rows(connection, "revenue_billing_days", span))
        daily = _rows(connection, "usage_days", span)
        features = _rows(connection, "usage_features", span)
    if not wholes:
        raise NothingPosted(month)
    names = customer_names(root)
    catalogs = [version.catalog for version in catalog_versions(root)]
    return RevenueFigures(
        seller=catalogs[-1].seller.name,
        month=month,
        as_of=as_of,
        currencies=tuple(_figures(row, parts, names) for row in wholes),
        daily=tuple(DayUse(row["event_day"], row["events"]) for row in daily),
        features=tuple(FeatureUse(**row) for row in features),
        converted=_converted(days, catalogs),
    )


def _converted(
    days: Mapping[str, Sequence[Row]], catalogs: Sequence[Catalog]
) -> tuple[ConvertedAmount, ...]:
    """Each currency at the rates of its billing days; none where all is in the catalog's. CUR-2."""
    own = currencies()[catalogs[-1].currency]
    if set(days) <= {own.code}:
        return ()
    found = []
    for code, rows in sorted(days.items()):
        billed = [(row["billing_day"], row["billed"]) for row in rows]
        worth = worth_together(billed, catalogs, currency=code, in_currency=own.code)
        original = Money.rounded(sum(amount for _, amount in billed), currencies()[code])
        converted = None if worth is None else Money.rounded(worth, own)
        found.append(ConvertedAmount(original, converted))
    return tuple(found)


def _figures(
    whole: Row, parts: Mapping[str, Mapping[str, Sequence[Row]]], names: Mapping[str, str]
) -> CurrencyFigures:
    code = whole["currency"]
    own = {name: by_currency.get(code, ()) for name, by_currency in parts.items()}
    open_by_age = {row["age"]: row for row in own["outstanding"]}
    return CurrencyFigures(
        currency=Currency(code, whole["minor_digits"]),
        invoices=whole["invoices"],
        customers=whole["customers"],
        billed=whole["billed"],
        tax=whole["tax"],
        collected=whole["collected"],
        outstanding=tuple(_bucket(open_by_age.get(age)) for age in range(len(AGE_TITLES))),
        by_plan=tuple(_amount(row) for row in own["plans"]),
        by_feature=tuple(_amount(row) for row in own["features"]),
        largest=tuple(_customer(row, names) for row in own["customers"][:LARGEST]),
        history=tuple(
            MonthAmount(row["month"], row["billed"], row["collected"]) for row in own["months"]
        ),
    )


def _bucket(row: Row | None) -> AgeBucket:
    if row is None:
        return AgeBucket(0, 0, Decimal(0))
    return AgeBucket(row["customers"], row["invoices"], row["amount"])


def _amount(row: Row) -> Amount:
    return Amount(row["name"], row["invoices"], row["amount"])


def _customer(row: Row, names: Mapping[str, str]) -> CustomerAmount:
    name = names.get(row["customer_id"], row["customer_id"])
    return CustomerAmount(name, row["plan_name"], row["invoices"], row["amount"])


def _rows(
    connection: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, object]
) -> list[Row]:
    result = connection.execute(sql_text(f"reports/{name}"), values)
    columns = [column[0] for column in result.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _by_currency(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {code: list(own) for code, own in groupby(rows, key=lambda row: row["currency"])}
