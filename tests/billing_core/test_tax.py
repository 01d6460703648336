"""Rules TAX-1, TAX-2, TAX-3: whose rate, and on what."""

from typing import Any

import pytest

from billing_core.assembly import tax_lines
from billing_core.catalog import Seller, TaxRate
from billing_core.invoice import LineType
from billing_core.tax import REVERSE_CHARGE_NOTE, TaxTreatment, rate_bp, treatment
from tests.billing_core.builders import (
    BHD,
    JPY,
    USD,
    created,
    customer,
    day,
    folded,
    invoices,
    ladder,
    line,
    setting_of,
    subscribed,
)

ROWS: list[dict[str, Any]] = [
    {"country": "NL", "rate_bp": "1900", "from": "2001-01-01"},
    {"country": "NL", "rate_bp": "2100", "from": "2012-10-01"},
    {"country": "NL", "category": "reduced", "rate_bp": "900", "from": "2019-01-01"},
    {"country": "NL", "category": "exempt", "rate_bp": "0", "from": "2001-01-01"},
    {"country": "DE", "rate_bp": "1900", "from": "2021-01-01"},
    {"country": "US", "rate_bp": "800", "from": "2020-01-01"},
]
RATES = tuple(TaxRate.model_validate(row) for row in ROWS)
DUTCH: dict[str, Any] = {"name": "Example Labs B.V.", "country": "NL"}
BASE, CREDIT = LineType.PLAN_BASE, LineType.CREDIT

# fmt: off
TREATED = {
    # case                                   seller  buyer   valid id  taxed   whose, reversed
    "domestic":                             ("NL",   "NL",   False,    True,   ("NL", False)),
    "domestic with a tax id":               ("NL",   "NL",   True,     True,   ("NL", False)),
    "domestic outside the EU":              ("US",   "US",   False,    True,   ("US", False)),
    "a firm in another member state":       ("NL",   "DE",   True,     True,   ("DE", True)),
    "a consumer whose country has a row":   ("NL",   "DE",   False,    True,   ("DE", False)),
    "a consumer whose country has none":    ("NL",   "FR",   False,    True,   ("NL", False)),
    "the buyer is outside the EU":          ("NL",   "US",   False,    True,   (None, False)),
    "outside the EU with a tax id":         ("NL",   "GB",   True,     True,   (None, False)),
    "the seller is outside the EU":         ("US",   "DE",   True,     True,   (None, False)),
    "nobody knows where the buyer is":      ("NL",   None,   False,    True,   (None, False)),
    "never taxed":                          ("NL",   "NL",   False,    False,  (None, False)),
}
RATED = {
    # case                                   category     day           rate
    "the day before a rate begins":         ("standard",  "2012-09-30", 1900),
    "the day on which it begins":           ("standard",  "2012-10-01", 2100),
    "the day after":                        ("standard",  "2012-10-02", 2100),
    "before the first row":                 ("standard",  "2000-12-31", None),
    "another category":                     ("reduced",   "2026-04-01", 900),
    "a category of rate 0":                 ("exempt",    "2026-04-01", 0),
    "a category without rows":              ("luxury",    "2026-04-01", None),
}
# fmt: on


@pytest.mark.parametrize(
    ("seller", "buyer", "has_id", "is_taxed", "expected"), TREATED.values(), ids=TREATED
)
def test_treatment(
    seller: str, buyer: str | None, has_id: bool, is_taxed: bool, expected: tuple[str | None, bool]
) -> None:
    how = treatment(
        customer(country=buyer, is_tax_id_valid=has_id, is_taxed=is_taxed),
        Seller(name="Example", country=seller),
        RATES,
        day("2026-04-01"),
    )
    assert (how.country, how.is_reverse_charge) == expected
    assert how.note == (REVERSE_CHARGE_NOTE if expected[1] else None)


@pytest.mark.parametrize(("on", "country"), [("2020-12-31", "NL"), ("2021-01-01", "DE")])
def test_a_consumers_own_rate_counts_from_its_first_day(on: str, country: str) -> None:
    how = treatment(customer(country="DE"), Seller(name="E", country="NL"), RATES, day(on))
    assert how == TaxTreatment(country)


@pytest.mark.parametrize(("category", "on", "expected"), RATED.values(), ids=RATED)
def test_rate(category: str, on: str, expected: int | None) -> None:
    assert rate_bp(TaxTreatment("NL"), category, RATES, day(on)) == expected


def test_out_of_scope_has_no_rate_and_reverse_charge_rate_0() -> None:
    assert rate_bp(TaxTreatment(), "standard", RATES, day("2026-04-01")) is None
    assert rate_bp(TaxTreatment("DE", is_reverse_charge=True), "any", RATES, day("2026-04-01")) == 0


def taxed(*lines: Any, **who: Any) -> list[tuple[str | None, int | None, str, str]]:
    """The tax lines of some lines: category, rate, base and tax."""
    made = tax_lines(
        lines,
        customer=customer(**who),
        catalog=ladder(seller=DUTCH, tax=ROWS),
        currency=lines[0].amount.currency,
        day=day("2026-04-01"),
    )
    return [(t.code, t.tax_rate_bp, str(t.quantity), str(t.amount.major)) for t in made]


def test_one_line_for_each_rate_highest_first() -> None:
    assert taxed(
        line("10.00", tax_category="reduced"),
        line("5.00", tax_category="exempt"),
        line("99.00", BASE),
        line("-9.00", LineType.ADJUSTMENT),
    ) == [
        ("standard", 2100, "90", "18.90"),
        ("reduced", 900, "10", "0.90"),
        ("exempt", 0, "5", "0.00"),
    ]


def test_tax_is_rounded_once_for_each_rate_and_not_for_each_line() -> None:
    """Three lines of 0.02: each alone would have no tax, their sum has 0.0126."""
    assert taxed(*[line("0.02")] * 3) == [("standard", 2100, "3/50", "0.01")]


def test_reverse_charge_is_one_line_of_nothing_over_all_categories() -> None:
    lines = [line("10.00", tax_category="reduced"), line("5.00")]
    assert taxed(*lines, country="DE", is_tax_id_valid=True) == [
        ("reduced+standard", 0, "15", "0.00")
    ]


def test_out_of_scope_has_no_line() -> None:
    assert taxed(line("10.00"), country="US") == []


def test_a_category_without_a_rate_has_no_line_and_the_others_have() -> None:
    assert taxed(line("10.00", tax_category="luxury"), line("5.00")) == [
        ("standard", 2100, "5", "1.05")
    ]


def credit(amount: str) -> Any:
    return line(amount, CREDIT, charge_type="customer_credit", code="c1", name="goodwill")


def test_customer_credits_are_shared_over_the_rates_by_largest_remainder() -> None:
    """0.05 over bases of 1.00 and 2.00: 0.0167 and 0.0333, the cent left to the larger rest."""
    assert taxed(line("1.00"), line("2.00", tax_category="reduced"), credit("-0.05")) == [
        ("standard", 2100, "49/50", "0.21"),
        ("reduced", 900, "197/100", "0.18"),
    ]


def test_customer_credits_are_shared_with_lines_that_have_no_rate() -> None:
    lines = [line("10.00", tax_category="luxury"), line("10.00"), credit("-10.00")]
    assert taxed(*lines) == [("standard", 2100, "5", "1.05")]


@pytest.mark.parametrize(
    ("currency", "amount", "tax"),
    [(JPY, "3000", "630"), (JPY, "3002", "630"), (BHD, "3.025", "0.635"), (USD, "29.00", "6.09")],
    ids=["yen", "yen, a part left", "dinar of three decimals", "dollar"],
)
def test_tax_is_rounded_to_the_currency(currency: Any, amount: str, tax: str) -> None:
    ((_, _, _, made),) = taxed(line(amount, currency=currency))
    assert made == tax


def test_a_taxed_customer_sees_tax_and_the_note_of_a_reverse_charge() -> None:
    catalog = ladder(seller=DUTCH, tax=ROWS)
    firm = created(is_taxed=True, country="DE", tax_id_checked_on="2026-01-01")
    told = folded([firm, subscribed("2026-04-01")], setting_of(catalog), "2026-04-30")
    assert invoices(told) == ["2026-04-01 initial: plan_base 29.00; tax standard 0.00 = 29.00"]
    assert told.invoices[0].note == REVERSE_CHARGE_NOTE
    home = created(is_taxed=True, country="NL")
    told = folded([home, subscribed("2026-04-01")], setting_of(catalog), "2026-04-30")
    assert invoices(told) == ["2026-04-01 initial: plan_base 29.00; tax standard 6.09 = 35.09"]
    assert (told.invoices[0].note, told.invoices[0].tax.minor) == (None, 609)


def test_a_rate_that_begins_counts_on_invoices_from_that_day() -> None:
    rows = [*ROWS, {"country": "NL", "rate_bp": "2500", "from": "2026-05-01"}]
    catalog = ladder(seller=DUTCH, tax=rows)
    home = created(is_taxed=True, country="NL")
    told = folded([home, subscribed("2026-04-01")], setting_of(catalog), "2026-05-01")
    assert [invoice.tax.minor for invoice in told.invoices] == [609, 725]
