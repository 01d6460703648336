"""The revenue report: its parts tie, no total adds two currencies, and every figure is readable."""

from dataclasses import replace
from decimal import Decimal
from io import BytesIO

import pytest
from pypdf import PdfReader

from billing_core.money import Currency, Money
from reports.charts import columns, grid
from reports.revenue import render_revenue_report
from reports.revenue_figures import Amount, ConvertedAmount, CustomerAmount, FiguresDoNotTie
from reports.revenue_view import MOST_ROWS, revenue_view
from tests.reports.figures import april, eur, jpy
from tests.reports.reading import text_of


def test_the_report_shows_every_figure() -> None:
    text = text_of(render_revenue_report(april(eur(), jpy())))
    for said in (
        "Revenue, April 2026",
        "€1,249,514.61",
        "€1,148,204.61",
        "€1,101,234.05",
        "€399,999.70",
        "+11.4% on March 2026",
        "20.4% of it overdue",
        "−€51,000.00",
        "深圳星河智能科技有限公司",
        "¥20,600",
        "東京データ株式会社",
        "72,885,766,700 tokens",
        "277,400 events",
    ):
        assert said in text, said


def test_currencies_are_never_added() -> None:
    view = revenue_view(april(eur(), jpy()))
    assert [part.title for part in view.currencies] == ["EUR", "JPY"]
    assert [part.before_tax for part in view.currencies] == ["€1,148,204.61", "¥19,600"]


def test_what_is_converted_stands_beside_what_was_billed() -> None:
    usd, eur_ = Currency("USD", 2), Currency("EUR", 2)
    euros = ConvertedAmount(Money(9200, eur_), Money(10000, usd))
    dollars = ConvertedAmount(Money(5000, usd), Money(5000, usd))
    report = replace(april(eur(), jpy()), converted=(euros, dollars))
    text = text_of(render_revenue_report(report))
    for said in ("In USD", "€92.00", "$100.00", "$150.00"):
        assert said in text, said


def test_without_a_rate_there_is_no_total_of_all_currencies() -> None:
    usd = Currency("USD", 2)
    yen = ConvertedAmount(Money(500, Currency("JPY", 0)), None)
    dollars = ConvertedAmount(Money(5000, usd), Money(5000, usd))
    view = revenue_view(replace(april(), converted=(yen, dollars))).converted
    assert view is not None
    assert view.rows == (("JPY", "¥500", "no rate"), ("USD", "$50.00", "$50.00"))
    assert (view.total, "no total" in view.remark) == ("", True)


@pytest.mark.parametrize("field", ["by_plan", "by_feature"])
def test_parts_that_do_not_add_up_are_refused(field: str) -> None:
    with pytest.raises(FiguresDoNotTie, match=r"add up to 19,?599 JPY.*19,?600"):
        replace(jpy(), **{field: (Amount("Pro", 2, Decimal(19_599)),)})


def test_what_is_beyond_the_rows_is_one_row_and_the_total_stays() -> None:
    amounts = tuple(Amount(f"Feature {at}", 1, Decimal(20 - at)) for at in range(20))
    whole = sum((one.amount for one in amounts), Decimal(0))
    figures = replace(
        jpy(),
        billed=whole,
        tax=Decimal(0),
        by_plan=(Amount("Pro", 1, whole),),
        by_feature=amounts,
    )
    rows = revenue_view(april(figures)).currencies[0].by_feature
    assert len(rows) == MOST_ROWS + 1
    assert (rows[-1].name, rows[-1].cells[0]) == ("Others (8)", "¥36")


def test_a_month_without_invoices_is_a_report_too() -> None:
    empty = replace(april(), daily=(), features=())
    assert "Nothing was billed in this month." in text_of(render_revenue_report(empty))


def test_a_name_without_glyphs_does_not_keep_the_report_from_being_made() -> None:
    customer = CustomerAmount("Rocket 🚀 & <b>Co</b>", "Pro", 1, Decimal(5))
    report = render_revenue_report(april(replace(eur(), largest=(customer,))))
    assert "Rocket □ & <b>Co</b>" in text_of(report)


def test_the_same_figures_have_the_same_bytes() -> None:
    first, second = (render_revenue_report(april(eur(), jpy())) for _ in range(2))
    assert first == second
    metadata = PdfReader(BytesIO(first)).metadata
    assert metadata is not None
    assert metadata["/CreationDate"] == "D:20260501000000Z"


@pytest.mark.parametrize(
    ("largest", "top", "lines"),
    [
        ("0", "1", 2),
        ("0.07", "0.08", 5),
        ("1", "1.0", 3),
        ("4", "4", 5),
        ("5", "6", 4),
        ("137.20", "150", 4),
        ("1249514.61", "1500000", 4),
    ],
)
def test_a_grid_ends_at_a_round_value(largest: str, top: str, lines: int) -> None:
    reached, drawn = grid(Decimal(largest), 100)
    assert reached == Decimal(top)
    assert len(drawn) == lines
    assert (drawn[0].y, drawn[-1].y) == ("100.00", "0.00")


def test_a_column_below_zero_is_not_drawn() -> None:
    ((box,),) = columns([[Decimal(-5)]], width=10, height=10, top=Decimal(1))
    assert box.height == "0.00"
