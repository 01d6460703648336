"""Invoices become tables and come back the same."""

import ast
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.errors import CurrencyMismatch
from billing_core.invoice import (
    Invoice,
    InvoiceLine,
    InvoiceType,
    LineDetail,
    LineType,
    UsedFeature,
)
from billing_core.money import Currency, Money
from billing_core.period import Period, Window
from pipelines import frames
from tests.pipelines import samples

PIPELINES = Path(frames.__file__).parent

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
instants = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001  the strategy adds the zone
    datetime(2030, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
numbers = st.fractions(min_value=-(10**15), max_value=10**15, max_denominator=10**6)
prices = st.decimals(-(10**9), 10**9, allow_nan=False, places=9) | st.just(Decimal("20.00"))
currencies = st.sampled_from([Currency("USD", 2), Currency("JPY", 0), Currency("BHD", 3)])
minor = st.integers(-(2**40), 2**40)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    start, end = sorted(draw(st.lists(days, min_size=2, max_size=2, unique=True)))
    return Period(start, end)


@st.composite
def lines(draw: st.DrawFn, currency: Currency) -> InvoiceLine:
    amounts = st.builds(Money, minor, st.just(currency))
    details = st.builds(
        LineDetail,
        kind=texts,
        label=texts,
        quantity=st.none() | numbers,
        unit_price=st.none() | prices,
        amount=amounts,
        token_class=st.none() | texts,
    )
    return draw(
        st.builds(
            InvoiceLine,
            type=st.sampled_from(LineType),
            name=texts,
            amount=amounts,
            quantity=numbers,
            unit=texts,
            service=periods(),
            rule=texts,
            code=st.none() | texts,
            charge_type=st.none() | texts,
            unit_price=st.none() | prices,
            days=st.none() | st.tuples(st.integers(0, 400), st.integers(1, 400)),
            used=st.none() | numbers,
            included=st.none() | numbers,
            unlimited=st.booleans(),
            details=st.lists(details, max_size=3).map(tuple),
            tax_category=texts,
            tax_rate_bp=st.none() | st.integers(0, 10_000),
            corrects=st.none() | texts,
        )
    )


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    currency, service = draw(currencies), draw(periods())
    window = st.builds(
        Window, st.just(service.start), st.just(service.end), start_at=instants, end_at=instants
    )
    return draw(
        st.builds(
            Invoice,
            id=st.uuids().map(str),
            customer_id=texts,
            type=st.sampled_from(InvoiceType),
            billing_day=days,
            made_at=instants,
            currency=st.just(currency),
            plan=texts,
            plan_name=texts,
            lines=st.lists(lines(currency), max_size=4).map(tuple),
            usage=st.lists(
                st.builds(
                    UsedFeature,
                    feature=texts,
                    name=texts,
                    unit=texts,
                    unlimited=st.booleans(),
                    **dict.fromkeys(
                        ("used", "included", "from_included", "billed", "blocked", "waived"),
                        numbers,
                    ),
                ),
                max_size=2,
            ).map(tuple),
            window=st.none() | window,
            period=st.none() | periods(),
            known_on=days,
            cutoff_on=st.none() | days,
            is_postable=st.booleans(),
            note=st.none() | texts,
        )
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(invoices(), max_size=3, unique_by=lambda invoice: invoice.id))
def test_invoices_come_back_the_same(made: list[Invoice]) -> None:
    assert frames.invoices_from(frames.invoice_frames(made)) == tuple(frames.in_order(made))


def test_invoices_come_back_through_parquet(tmp_path: Path) -> None:
    made = samples.many(5)
    written = frames.invoice_frames(made)
    for name in ("invoices", "lines", "line_details", "used_features"):
        getattr(written, name).write_parquet(tmp_path / name)
    read = frames.InvoiceFrames(
        **{path.name: pl.read_parquet(path) for path in sorted(tmp_path.iterdir())}
    )
    assert frames.invoices_from(read) == tuple(frames.in_order(made))


def test_unit_prices_keep_their_own_scale() -> None:
    (read,) = frames.invoices_from(frames.invoice_frames([samples.recurring("acme")]))
    assert str(read.lines[1].unit_price) == "0.010"


@pytest.mark.parametrize("made", [[], [samples.recurring("acme")]], ids=["none", "one"])
def test_schemas_are_explicit(made: list[Invoice]) -> None:
    written = frames.invoice_frames(made)
    assert dict(written.invoices.schema) == frames.INVOICES
    assert dict(written.lines.schema) == frames.LINES
    assert dict(written.line_details.schema) == frames.LINE_DETAILS
    assert dict(written.used_features.schema) == frames.USED_FEATURES


# fmt: off
READABLE = {
    # case                        exact                       nine places
    "whole":                     (Fraction(7),                "7.000000000"),
    "endless":                   (Fraction(13, 6),            "2.166666667"),
    "half goes away from zero":  (Fraction(5, 10**10),        "0.000000001"),
    "negative half":             (Fraction(-5, 10**10),       "-0.000000001"),
    "below half":                (Fraction(49, 10**11),       "0.000000000"),
    "29 digits":                 (Decimal(10**29 - 1),        "9" * 29),
}
# fmt: on


@pytest.mark.parametrize(("exact", "expected"), READABLE.values(), ids=READABLE)
def test_readable(exact: Fraction | Decimal, expected: str) -> None:
    assert frames.readable(exact) == Decimal(expected)


def test_a_number_that_does_not_fit_is_refused() -> None:
    line = samples.overage_line()
    too_large = samples.replace(line, quantity=Fraction(10**29))
    invoice = samples.replace(samples.recurring("acme"), lines=(too_large,))
    with pytest.raises(frames.TooLargeToKeep, match=r"FRAME-01.*29 digits"):
        frames.invoice_frames([invoice])


def test_a_detail_in_another_currency_is_refused() -> None:
    line = samples.overage_line(currency=Currency("EUR", 2))
    invoice = samples.replace(samples.recurring("acme"), lines=(line,))
    with pytest.raises(CurrencyMismatch):
        frames.invoice_frames([invoice])


def test_faults_come_back_once_and_sorted() -> None:
    faults = [samples.a_fault("b"), samples.a_fault("a"), samples.a_fault("b")]
    assert frames.faults_from(frames.fault_frame(faults)) == (
        samples.a_fault("a"),
        samples.a_fault("b"),
    )


def test_outcomes_come_back_sorted_by_instant() -> None:
    late = samples.outcome(None, samples.midnight(date(2026, 4, 2)))
    early = samples.refusal("acme", samples.midnight(date(2026, 4, 1)))
    planned = samples.replace(late, action_id="action_3", scheduled_on=date(2026, 5, 1))
    frame = frames.outcome_frame([planned, late, early])
    assert dict(frame.schema) == frames.OUTCOMES
    assert frames.outcomes_from(frame) == (early, late, planned)


ARITHMETIC = (ast.Mult, ast.Div, ast.FloorDiv, ast.Pow)


def column_arithmetic(source: str) -> list[int]:
    """Lines on which an expression of Polars columns is multiplied or divided.

    >>> column_arithmetic("pl.col('a') * 2\\nfolder / 'a'\\npl.col('a') + 1")
    [1]
    """
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ARITHMETIC)
        and any(isinstance(part, ast.Name) and part.id == "pl" for part in ast.walk(node))
    ]


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("**/*.py")), ids=lambda path: path.stem)
def test_polars_counts_and_sums_and_never_prices(path: Path) -> None:
    """Polars multiplies decimals with silent rounding."""
    assert column_arithmetic(path.read_text(encoding="utf-8")) == []
