"""A reader with a calculator finds each amount again, on the page and in the text."""

import re
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.invoice import InvoiceType, LineType
from billing_core.money import Currency, Money
from billing_core.period import Period
from reports.formats import (
    ENGLISH,
    explaining_digits,
    fraction_text,
    has_end,
    money_text,
    percent_text,
    period_text,
    price_text,
    quantity_text,
    reader_locale,
)
from reports.invoice_rows import SECTION_TITLES, sections, titled_lines
from reports.invoice_view import REASONS, invoice_view, usage_bars
from reports.text import invoice_text, working
from tests.reports import samples
from tests.reports.samples import BHD, EUR, JPY, USD

currencies = st.sampled_from([EUR, JPY, BHD])
quantities = st.one_of(
    st.integers(1, 10**9).map(Fraction),
    st.integers(1, 10**9).map(lambda n: Fraction(n, 60)),
    st.integers(1, 10**12).map(lambda n: Fraction(n, 10**9)),
    st.integers(1, 10**9).map(lambda n: Fraction(n, 3600)),
)
prices = st.decimals("0.0000001", "9999", places=7, allow_nan=False, allow_infinity=False)


def number(text: str) -> Fraction:
    """What an English text of a number says."""
    return Fraction(re.sub(r"[^\d.\-]", "", text.replace("−", "-")))


def number_of_fraction(quantity: Fraction) -> Fraction:
    """What the exact text beside a line says: `2 1/6`."""
    words = fraction_text(quantity, ENGLISH).replace(",", "").split()
    return sum(map(Fraction, words), Fraction(0))


@given(quantities, prices, currencies)
def test_shown_quantity_times_shown_price_is_the_shown_amount(
    quantity: Fraction, price: object, currency: Currency
) -> None:
    amount = Money.rounded(quantity * Fraction(price), currency)  # type: ignore[arg-type]
    digits = explaining_digits(quantity, Fraction(price), amount)  # type: ignore[arg-type]
    shown = number(quantity_text(quantity, ENGLISH, digits))
    shown_price = number(price_text(price, currency, ENGLISH))  # type: ignore[arg-type]
    shown_amount = number(money_text(amount, ENGLISH))
    assert shown_price == Fraction(price)  # type: ignore[arg-type]
    product = Money.rounded(shown * shown_price, currency)
    explained = Fraction(product.major) == shown_amount
    if has_end(quantity):
        assert shown == quantity
    assert explained or number_of_fraction(quantity) == quantity


@given(st.integers(-(10**15), 10**15), st.sampled_from([EUR, JPY, BHD, USD]))
def test_an_amount_is_shown_exactly(minor: int, currency: Currency) -> None:
    amount = Money(minor, currency)
    for locale in ("en", "de_DE", "fr", "hi", "zh_CN", "de_CH", "en_IN"):
        text = money_text(amount, reader_locale(locale))
        assert int(re.sub(r"\D", "", text)) == abs(minor)
        assert ("−" in text) == (minor < 0)
        assert "-" not in text


CURRENCY_CASES = {
    "no cash rounding: RSD has two decimals": (Currency("RSD", 2), 1234, "RSD\xa012.34"),
    "no cash rounding: LAK has two decimals": (Currency("LAK", 2), 12345, "LAK\xa0123.45"),
    "four decimals": (Currency("CLF", 4), 12345, "CLF\xa01.2345"),
    "none": (Currency("JPY", 0), -1234, "−¥1,234"),
    "three": (Currency("BHD", 3), 1234567, "BHD\xa01,234.567"),
    "zero": (Currency("USD", 2), 0, "$0.00"),
}


@pytest.mark.parametrize(
    ("currency", "minor", "shown"), CURRENCY_CASES.values(), ids=list(CURRENCY_CASES)
)
def test_decimals_of_a_currency_are_iso_4217s(currency: Currency, minor: int, shown: str) -> None:
    assert money_text(Money(minor, currency), ENGLISH) == shown


LOCALES = {
    "en": ("$1,234.50", "21.5%", "1–30 Apr 2026"),
    "en_US": ("$1,234.50", "21.5%", "Apr 1 – 30, 2026"),
    "de_DE": ("1.234,50\xa0$", "21,5\xa0%", "1.–30. Apr. 2026"),
    "zh_CN": ("US$1,234.50", "21.5%", "2026年4月1日至30日"),
    "nl_NL": ("US$\xa01.234,50", "21,5%", "1–30 apr 2026"),
    "ar_EG": ("$1,234.50", "21.5%", "1–30 Apr 2026"),
    "not a locale": ("$1,234.50", "21.5%", "1–30 Apr 2026"),
}


@pytest.mark.parametrize(("locale", "shown"), LOCALES.items(), ids=LOCALES)
def test_each_locale_writes_as_it_is_used_to(locale: str, shown: tuple[str, str, str]) -> None:
    reader = reader_locale(locale)
    april = Period(date(2026, 4, 1), date(2026, 5, 1))
    assert shown == (
        money_text(Money(123_450, USD), reader),
        percent_text(2150, reader),
        period_text(april, reader),
    )


def test_sections_stand_in_the_order_of_the_page() -> None:
    titles = [title for title, _ in titled_lines(samples.full().invoice)]
    assert titles == [
        "Plan",
        "Add-ons",
        "Usage above what is included",
        "AI tokens",
        "Seats",
        "Discounts",
        "Credits",
        "Adjustments",
    ]


def test_every_kind_of_line_and_invoice_has_a_name() -> None:
    assert set(SECTION_TITLES) == set(LineType) - {LineType.TAX}
    assert set(REASONS) == set(InvoiceType)


def test_token_classes_stand_under_their_model_and_stay_together() -> None:
    (section,) = [s for s in sections(samples.full(), ENGLISH) if s.title == "AI tokens"]
    shown = [(row.kind, row.group, row.text, row.is_kept) for row in section.rows]
    assert shown[:6] == [
        ("line", "", "Assistant", True),
        ("token", "anthropic/claude-sonnet-4-5", "Input", True),
        ("token", "", "Output", True),
        ("token", "", "Cached input", True),
        ("token", "", "Cache write", False),
        ("token", "openai/gpt-5-mini", "Input", True),
    ]
    assert shown[-1] == ("detail", "", "Margin 20% on the tokens above", False)
    line, *parts = [number(row.amount) for row in section.rows]
    assert sum(parts) == line


def test_usage_bars_share_their_length_by_where_usage_went() -> None:
    bars = usage_bars(
        (
            samples.used("Over", "unit", 300, 100),
            samples.used("Within", "unit", 25, 100),
            samples.used("Blocked", "unit", 200, 100, blocked=100),
            samples.used("Unlimited", "unit", 7, 0, unlimited=True),
            samples.used("Unused", "unit", 0, 100),
            samples.used("From the first unit on", "unit", 7, 0),
        ),
        ENGLISH,
    )
    assert {bar.name: [(p.kind, p.start, p.width) for p in bar.parts] for bar in bars} == {
        "Over": [("included", "0.0", "100.0"), ("billed", "100.0", "200.0")],
        "Within": [("included", "0.0", "75.0")],
        "Blocked": [("included", "0.0", "150.0"), ("blocked", "150.0", "150.0")],
        "Unlimited": [("included", "0.0", "300.0")],
        "Unused": [],
    }


def test_nothing_to_pay_has_no_payment_block() -> None:
    for posted in (samples.zero(), samples.credit_note()):
        view = invoice_view(posted, samples.SELLER, samples.LUMEN, "en")
        assert view.payment == ()


def test_the_text_does_every_sum() -> None:
    text = invoice_text(samples.full(), samples.SELLER, samples.LUMEN)
    for said in (
        "3 seats x 18.00 x 15/30 = 27.00 EUR",
        "2 1/6 minutes x 0.05 = 0.108333… → 0.11 EUR",
        "Above 10,000,000 events: 18,653,146 x 0.000009",
        "Cached input: 88,512,911 x 0.30 / 1,000,000",
        "130 files used = 100 within what is included + 30 blocked",
        "corrects INV-2026-000007 lumen/recurring/s1/2026-04-01",
        "52 seats held, 5 included",
        "rule INV-3",
    ):
        assert said in text, said


def test_what_a_balance_paid_is_not_called_included() -> None:
    """Rule BAL-4."""
    used = samples.line(
        LineType.BALANCE_OVERAGE, "Rendering", 20, "minute", "0.50", used=Fraction(40)
    )
    posted = samples.posted([replace(used, included=Fraction(20), rule="BAL-4")])
    (section,) = sections(posted, ENGLISH)
    assert section.title == "Usage beyond the balance"
    assert section.rows[0].working.endswith("40 used, 20 paid from the balance")
    text = invoice_text(posted, samples.SELLER, samples.LUMEN)
    assert "40 minutes used, 20 paid from the balance" in text


def test_a_name_cannot_steer_the_terminal() -> None:
    buyer = replace(samples.LUMEN, name="Evil\x1b[2J\u202eGmbH\nTotal 0.00")
    text = invoice_text(samples.simple(), samples.SELLER, buyer)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Evil\ufffd[2J\ufffdGmbH Total 0.00" in text


def test_amounts_of_the_text_add_up() -> None:
    for posted in (samples.full(), samples.long(40), samples.credit_note(), samples.upgrade()):
        text = invoice_text(posted, samples.SELLER, samples.LUMEN)
        amounts = re.findall(r"^  \S.* (-?[\d.]+) [A-Z]{3}$", text, re.MULTILINE)
        together = sum((Fraction(amount) for amount in amounts), Fraction(0))
        assert together == Fraction(posted.invoice.subtotal.major)


def test_costs_rounded_up_for_each_request_say_so() -> None:
    posted = samples.full()
    lines = tuple(
        replace(it, rule="AI-1") if any(part.kind == "tokens" for part in it.details) else it
        for it in posted.invoice.lines
    )
    rounded = replace(posted, invoice=replace(posted.invoice, lines=lines))
    said = "rounded up to 0.0001"
    assert said in invoice_text(rounded, samples.SELLER, samples.LUMEN)
    assert said not in invoice_text(posted, samples.SELLER, samples.LUMEN)
    view = invoice_view(rounded, samples.SELLER, samples.LUMEN, "en")
    assert any(said in row.working for section in view.sections for row in section.rows)


@pytest.mark.parametrize(
    ("quantity", "unit", "said"),
    [
        pytest.param(1, "seat", "1 seat x 25.00", id="one"),
        pytest.param(2, "seat", "2 seats x 25.00", id="two"),
        pytest.param(Fraction(1, 2), "query", "0.5 queries x 25.00", id="a half"),
        pytest.param(3, "GB", "3 GB x 25.00", id="a symbol"),
        pytest.param(3, "package of 100 call", "3 packages of 100 calls x 25.00", id="packages"),
    ],
)
def test_a_unit_agrees_with_its_quantity(quantity: Fraction | int, unit: str, said: str) -> None:
    line = samples.line(LineType.FEATURE_OVERAGE, "Used", quantity, unit, "25.00")
    assert working(line).startswith(said)
