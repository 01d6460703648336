"""One explicit schema for each dataset of invoices, and the only way to it and back.

Invoices are kept in four tables (invoices, lines, line details, used features) that are
read back into the same values. Quantities stand twice: as decimal(38, 9) for reading,
rounded half away from zero, and as exact text for reading back. Amounts stand as whole
minor units, which is what is added, and in major units, which is what people read.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Rounded
from fractions import Fraction
from itertools import groupby
from typing import Any

import polars as pl

from billing_core.actions import Outcome, OutcomeStatus, ReasonCode
from billing_core.errors import BillingError, CurrencyMismatch, Fault
from billing_core.invoice import (
    Invoice,
    InvoiceLine,
    InvoiceType,
    LineDetail,
    LineType,
    UsedFeature,
    in_time,
)
from billing_core.money import Currency, Money
from billing_core.period import Period, Window

QUANTITY = pl.Decimal(38, 9)
"""Quantities, unit prices and amounts in major units."""
INSTANT = pl.Datetime("us", "UTC")

_PRECISE = Context(prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_WHOLE = Context(prec=38, traps=[InvalidOperation, Inexact, Rounded])
_LARGEST = 10**38

Schema = dict[str, pl.DataType | type[pl.DataType]]

INVOICES: Schema = {
    "invoice_id": pl.String,
    "customer_id": pl.String,
    "invoice_type": pl.String,
    "billing_day": pl.Date,
    "plan": pl.String,
    "plan_name": pl.String,
    "currency": pl.String,
    "minor_digits": pl.Int32,
    "is_postable": pl.Boolean,
    "note": pl.String,
    "lines": pl.Int32,
    "subtotal_minor": pl.Int64,
    "tax_minor": pl.Int64,
    "total_minor": pl.Int64,
    "subtotal": QUANTITY,
    "tax": QUANTITY,
    "total": QUANTITY,
    "period_start": pl.Date,
    "period_end": pl.Date,
    "window_start": pl.Date,
    "window_end": pl.Date,
    "cutoff_on": pl.Date,
    "known_on": pl.Date,
    "window_start_at": INSTANT,
    "window_end_at": INSTANT,
    "made_at": INSTANT,
}
"""One row an invoice, by (billing_day, customer_id, made_at, invoice_id)."""

LINES: Schema = {
    "invoice_id": pl.String,
    "line": pl.Int32,
    "customer_id": pl.String,
    "billing_day": pl.Date,
    "line_type": pl.String,
    "code": pl.String,
    "charge_type": pl.String,
    "name": pl.String,
    "unit": pl.String,
    "rule": pl.String,
    "corrects": pl.String,
    "tax_category": pl.String,
    "tax_rate_bp": pl.Int32,
    "unlimited": pl.Boolean,
    "days_charged": pl.Int32,
    "days_in_period": pl.Int32,
    "quantity": QUANTITY,
    "unit_price": QUANTITY,
    "used": QUANTITY,
    "included": QUANTITY,
    "currency": pl.String,
    "amount_minor": pl.Int64,
    "amount": QUANTITY,
    "service_start": pl.Date,
    "service_end": pl.Date,
    "quantity_exact": pl.String,
    "unit_price_exact": pl.String,
    "used_exact": pl.String,
    "included_exact": pl.String,
}
"""One row a line, by (invoice_id, line); `line` counts from 1 in page order."""

LINE_DETAILS: Schema = {
    "invoice_id": pl.String,
    "line": pl.Int32,
    "detail": pl.Int32,
    "kind": pl.String,
    "label": pl.String,
    "token_class": pl.String,
    "quantity": QUANTITY,
    "unit_price": QUANTITY,
    "currency": pl.String,
    "amount_minor": pl.Int64,
    "amount": QUANTITY,
    "quantity_exact": pl.String,
    "unit_price_exact": pl.String,
}
"""One row a part of a line, by (invoice_id, line, detail)."""

_SHARES = ("used", "included", "from_included", "billed", "blocked", "waived")

USED_FEATURES: Schema = {
    "invoice_id": pl.String,
    "position": pl.Int32,
    "feature": pl.String,
    "name": pl.String,
    "unit": pl.String,
    "unlimited": pl.Boolean,
    **dict.fromkeys(_SHARES, QUANTITY),
    **{f"{share}_exact": pl.String for share in _SHARES},
}
"""One row a feature that an invoice's window used, by (invoice_id, position)."""

OUTCOMES: Schema = {
    "action_id": pl.String,
    "customer_id": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "scheduled_on": pl.Date,
    "what": pl.String,
    "at": INSTANT,
    "received_at": INSTANT,
}
"""One row an action and customer, by (at, action_id, customer_id)."""

FAULTS: Schema = {
    "customer_id": pl.String,
    "code": pl.String,
    "what": pl.String,
    "where": pl.String,
    "mend": pl.String,
}
"""One row a fault, by all columns."""


class TooLargeToKeep(BillingError):
    """A number does not fit into the columns of the warehouse."""

    code = "FRAME-01"

    def __init__(self, *, name: str, invoice_id: str) -> None:
        super().__init__(
            what=f"{name} has more than 29 digits before the point",
            where=f"invoice {invoice_id}",
            mend="look for a quantity or a price that was typed in the wrong unit",
        )


@dataclass(frozen=True, slots=True)
class InvoiceFrames:
    """Invoices as four tables, each sorted by its key."""

    invoices: pl.DataFrame
    lines: pl.DataFrame
    line_details: pl.DataFrame
    used_features: pl.DataFrame


def table(rows: Iterable[Sequence[Any]], schema: Schema) -> pl.DataFrame:
    """Rows, already in order, as a table of exactly this schema."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def in_order(invoices: Iterable[Invoice]) -> list[Invoice]:
    """Invoices by (billing day, customer, time): the order of posting. Rule PST-2."""
    return sorted(invoices, key=lambda it: (it.billing_day, it.customer_id, in_time(it)))


def invoice_frames(invoices: Iterable[Invoice]) -> InvoiceFrames:
    """Invoices as tables.

    raises: CurrencyMismatch, if a line or a detail is not in its invoice's currency;
            TooLargeToKeep.
    """
    ordered = in_order(invoices)
    by_id = sorted(ordered, key=lambda invoice: invoice.id)
    return InvoiceFrames(
        invoices=table((_invoice_row(invoice) for invoice in ordered), INVOICES),
        lines=table(_each(by_id, _line_rows), LINES),
        line_details=table(_each(by_id, _detail_rows), LINE_DETAILS),
        used_features=table(_each(by_id, _usage_rows), USED_FEATURES),
    )


def invoices_from(frames: InvoiceFrames) -> tuple[Invoice, ...]:
    """The invoices that these tables were made of, equal in every field, in their order."""
    details = _by_key(frames.line_details, ("invoice_id", "line"))
    usage = _by_key(frames.used_features, ("invoice_id",))
    lines = _by_key(frames.lines, ("invoice_id",))
    return tuple(
        _invoice(row, lines.get((row["invoice_id"],), []), details, usage)
        for row in frames.invoices.iter_rows(named=True)
    )


def fault_frame(faults: Iterable[Fault]) -> pl.DataFrame:
    """Faults as a table. Rule PST-4."""
    rows = {(it.customer_id, it.code, it.what, it.where, it.mend) for it in faults}
    return table(sorted(rows), FAULTS)


def faults_from(frame: pl.DataFrame) -> tuple[Fault, ...]:
    """The faults of a table, in its order."""
    return tuple(Fault(*row) for row in frame.select(list(FAULTS)).iter_rows())


def outcome_frame(outcomes: Iterable[Outcome]) -> pl.DataFrame:
    """Outcomes of actions as a table. Rule FAIR-10."""
    ordered = sorted(outcomes, key=lambda it: (it.at, it.action_id, it.customer_id or ""))
    return table((_outcome_row(outcome) for outcome in ordered), OUTCOMES)


def outcomes_from(frame: pl.DataFrame) -> tuple[Outcome, ...]:
    """The outcomes of a table, in its order."""
    return tuple(
        Outcome(
            action_id=row["action_id"],
            customer_id=row["customer_id"],
            status=OutcomeStatus(row["status"]),
            what=row["what"],
            at=_utc(row["at"]),
            received_at=_utc(row["received_at"]),
            scheduled_on=row["scheduled_on"],
            reason=None if row["reason"] is None else ReasonCode(row["reason"]),
        )
        for row in frame.iter_rows(named=True)
    )


def readable(exact: Fraction | Decimal | None) -> Decimal | None:
    """A number at nine places, a half away from zero; None stays None.

    >>> print(readable(Fraction(13, 6)), readable(Fraction(-1, 2 * 10**9)), readable(None))
    2.166666667 -1E-9 None
    """
    if exact is None:
        return None
    scaled = Fraction(exact) * 10**9
    doubled, half = 2 * abs(scaled.numerator), scaled.denominator
    nearest = (doubled + half) // (2 * half)
    if nearest >= _LARGEST:
        raise InvalidOperation
    return _PRECISE.scaleb(Decimal(nearest if scaled >= 0 else -nearest), -9)


def major(minor: int, minor_digits: int) -> Decimal:
    """Minor units in major units, exactly: the way an amount is read.

    >>> print(major(1230, 2), major(5, 0))
    12.30 5
    """
    return _WHOLE.scaleb(Decimal(minor), -minor_digits)


def _each(
    invoices: Sequence[Invoice], rows: Callable[[Invoice], Iterator[tuple[Any, ...]]]
) -> Iterator[tuple[Any, ...]]:
    return (row for invoice in invoices for row in rows(invoice))


def _invoice_row(it: Invoice) -> tuple[Any, ...]:
    subtotal, tax = it.subtotal, it.tax
    whole = subtotal + tax
    period, window = it.period, it.window
    return (
        it.id,
        it.customer_id,
        it.type.value,
        it.billing_day,
        it.plan,
        it.plan_name,
        it.currency.code,
        it.currency.minor_digits,
        it.is_postable,
        it.note,
        len(it.lines),
        *(amount.minor for amount in (subtotal, tax, whole)),
        *(_major(amount, it) for amount in (subtotal, tax, whole)),
        period and period.start,
        period and period.end,
        window and window.start,
        window and window.end,
        it.cutoff_on,
        it.known_on,
        window and window.start_at,
        window and window.end_at,
        it.made_at,
    )


def _line_rows(invoice: Invoice) -> Iterator[tuple[Any, ...]]:
    for number, it in enumerate(invoice.lines, start=1):
        charged, whole = it.days or (None, None)
        yield (
            invoice.id,
            number,
            invoice.customer_id,
            invoice.billing_day,
            it.type.value,
            it.code,
            it.charge_type,
            it.name,
            it.unit,
            it.rule,
            it.corrects,
            it.tax_category,
            it.tax_rate_bp,
            it.unlimited,
            charged,
            whole,
            *(_kept(number, invoice) for number in (it.quantity, it.unit_price)),
            *(_kept(number, invoice) for number in (it.used, it.included)),
            invoice.currency.code,
            it.amount.minor,
            _major(it.amount, invoice),
            it.service.start,
            it.service.end,
            *(_text(number) for number in (it.quantity, it.unit_price, it.used, it.included)),
        )


def _detail_rows(invoice: Invoice) -> Iterator[tuple[Any, ...]]:
    for number, line in enumerate(invoice.lines, start=1):
        for position, it in enumerate(line.details, start=1):
            yield (
                invoice.id,
                number,
                position,
                it.kind,
                it.label,
                it.token_class,
                _kept(it.quantity, invoice),
                _kept(it.unit_price, invoice),
                invoice.currency.code,
                it.amount.minor,
                _major(it.amount, invoice),
                _text(it.quantity),
                _text(it.unit_price),
            )


def _usage_rows(invoice: Invoice) -> Iterator[tuple[Any, ...]]:
    for position, it in enumerate(invoice.usage, start=1):
        shares = [getattr(it, share) for share in _SHARES]
        yield (
            invoice.id,
            position,
            it.feature,
            it.name,
            it.unit,
            it.unlimited,
            *(_kept(share, invoice) for share in shares),
            *(_text(share) for share in shares),
        )


def _kept(exact: Fraction | Decimal | None, invoice: Invoice) -> Decimal | None:
    try:
        return readable(exact)
    except InvalidOperation as error:
        raise TooLargeToKeep(name="a quantity or unit price", invoice_id=invoice.id) from error


def _major(amount: Money, invoice: Invoice) -> Decimal:
    if amount.currency != invoice.currency:
        raise CurrencyMismatch(invoice.currency.code, amount.currency.code)
    if abs(amount.minor) >= 2**63:
        raise TooLargeToKeep(name="an amount", invoice_id=invoice.id)
    return major(amount.minor, amount.currency.minor_digits)


def _outcome_row(it: Outcome) -> tuple[Any, ...]:
    return (
        it.action_id,
        it.customer_id,
        it.status.value,
        None if it.reason is None else it.reason.value,
        it.scheduled_on,
        it.what,
        it.at,
        it.received_at,
    )


def _text(exact: Fraction | Decimal | None) -> str | None:
    return None if exact is None else str(exact)


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


Row = dict[str, Any]


def _by_key(frame: pl.DataFrame, key: tuple[str, ...]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows of a table that is sorted by the key, grouped by it."""
    grouped = groupby(frame.iter_rows(named=True), key=lambda row: tuple(row[name] for name in key))
    return {group: list(rows) for group, rows in grouped}


def _invoice(
    row: Row,
    lines: list[Row],
    details: dict[tuple[Any, ...], list[Row]],
    usage: dict[tuple[Any, ...], list[Row]],
) -> Invoice:
    currency, invoice_id = Currency(row["currency"], row["minor_digits"]), row["invoice_id"]
    return Invoice(
        id=invoice_id,
        customer_id=row["customer_id"],
        type=InvoiceType(row["invoice_type"]),
        billing_day=row["billing_day"],
        made_at=_utc(row["made_at"]),
        known_on=row["known_on"],
        currency=currency,
        plan=row["plan"],
        plan_name=row["plan_name"],
        lines=tuple(
            _line(line, details.get((invoice_id, line["line"]), []), currency) for line in lines
        ),
        usage=tuple(_used_feature(used) for used in usage.get((invoice_id,), [])),
        window=_window(row),
        period=_period(row["period_start"], row["period_end"]),
        cutoff_on=row["cutoff_on"],
        is_postable=row["is_postable"],
        note=row["note"],
    )


def _line(row: Row, details: list[Row], currency: Currency) -> InvoiceLine:
    charged, whole = row["days_charged"], row["days_in_period"]
    return InvoiceLine(
        type=LineType(row["line_type"]),
        name=row["name"],
        amount=Money(row["amount_minor"], currency),
        quantity=Fraction(row["quantity_exact"]),
        unit=row["unit"],
        service=Period(row["service_start"], row["service_end"]),
        rule=row["rule"],
        code=row["code"],
        charge_type=row["charge_type"],
        unit_price=_decimal(row["unit_price_exact"]),
        days=None if charged is None else (charged, whole),
        used=_fraction(row["used_exact"]),
        included=_fraction(row["included_exact"]),
        unlimited=row["unlimited"],
        details=tuple(_detail(detail, currency) for detail in details),
        tax_category=row["tax_category"],
        tax_rate_bp=row["tax_rate_bp"],
        corrects=row["corrects"],
    )


def _detail(row: Row, currency: Currency) -> LineDetail:
    return LineDetail(
        kind=row["kind"],
        label=row["label"],
        quantity=_fraction(row["quantity_exact"]),
        unit_price=_decimal(row["unit_price_exact"]),
        amount=Money(row["amount_minor"], currency),
        token_class=row["token_class"],
    )


def _used_feature(row: Row) -> UsedFeature:
    return UsedFeature(
        feature=row["feature"],
        name=row["name"],
        unit=row["unit"],
        unlimited=row["unlimited"],
        **{share: Fraction(row[f"{share}_exact"]) for share in _SHARES},
    )


def _window(row: Row) -> Window | None:
    if row["window_start"] is None:
        return None
    return Window(
        start=row["window_start"],
        end=row["window_end"],
        start_at=_utc(row["window_start_at"]),
        end_at=_utc(row["window_end_at"]),
    )


def _period(start: date | None, end: date | None) -> Period | None:
    return None if start is None or end is None else Period(start, end)


def _utc(instant: datetime) -> datetime:
    """The instant with the standard library's own UTC, as the billing core writes it."""
    return instant.astimezone(UTC)
