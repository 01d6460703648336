"""What is known of the invoices that were made: what is paid, credited, and at which tax.

A record is kept for each invoice. What was paid too much on one is drawn by the next ones
as a payment; who is dunned for what is unpaid is decided by `paying`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import floor

from billing_core.actions import InvoiceReference
from billing_core.catalog import Catalog
from billing_core.invoice import Invoice, InvoiceLine, LineType
from billing_core.money import Money
from billing_core.overdue import payment_days
from billing_core.setting import Setting
from billing_core.state import (
    Customer,
    CustomerState,
    GivenBack,
    InvoiceRecord,
    PaymentResult,
    Subscription,
)
from billing_core.tax import rate_bp, treatment
from billing_core.values import replace

_UNUSED = frozenset({"unused", "unused_addon"})
"""Charge types of credits for unused days."""


def with_record(
    state: CustomerState, subscription: Subscription, invoice: Invoice, setting: Setting
) -> CustomerState:
    """The state that knows of a new invoice of a subscription. Rule PAY-0."""
    return replace(state, invoices=records_with(state, subscription, invoice, setting))


def records_with(
    state: CustomerState, subscription: Subscription, invoice: Invoice, setting: Setting
) -> tuple[InvoiceRecord, ...]:
    """The records with that of a new invoice, paid by what was paid too much before.

    What was paid on its checkout is its own; where payment is assumed the rest is paid too.
    rule: PAY-0, PAY-2, TAX-2.
    """
    whole, nothing = invoice.total, Money(0, invoice.currency)
    owed, paid, records = whole.minor, 0, []
    payments: tuple[PaymentResult, ...] = ()
    refunds: tuple[PaymentResult, ...] = ()
    for item in state.invoices:
        over = -item.unpaid_minor
        if item.id == invoice.id:
            paid += item.paid.minor - item.refunded.minor
            payments, refunds = item.payments, item.refunds
            continue
        if over > 0 and owed > paid and item.total.currency == invoice.currency:
            drawn = min(over, owed - paid)
            paid += drawn
            item = replace(item, paid=item.paid - Money(drawn, invoice.currency))  # noqa: PLW2901
        records.append(item)
    if setting.assumes_payment:
        paid = max(paid, owed)
    record = InvoiceRecord(
        id=invoice.id,
        type=invoice.type,
        billing_day=invoice.billing_day,
        total=whole,
        paid=Money(paid, invoice.currency),
        credited=nothing,
        refunded=nothing,
        written_off=nothing,
        made=invoice,
        payments=payments,
        refunds=refunds,
        payment_days=_days(state, invoice, setting),
        rates=_rates(invoice),
        subscription_id=subscription.id,
    )
    return (*_with_adjusted(records, invoice), record)


def _days(state: CustomerState, invoice: Invoice, setting: Setting) -> int | None:
    """Days to pay a new invoice on terms; None where it is collected automatically. PAY-1."""
    if state.customer is None:
        return None
    return payment_days(state.customer, setting.policies_at(invoice.made_at))


def _with_adjusted(records: Sequence[InvoiceRecord], invoice: Invoice) -> Sequence[InvoiceRecord]:
    """The records that know what the adjustments of a new invoice give back of theirs. PST-2."""
    taken = [it for it in invoice.lines if it.type is LineType.ADJUSTMENT and it.amount.minor < 0]
    if not taken:
        return records
    back: dict[str | None, list[GivenBack]] = defaultdict(list)
    for line in taken:
        back[line.corrects] += _given_back(line.type, line.code, line.tax_rate_bp, -line.amount)
    return [replace(it, given_back=(*it.given_back, *back[it.id])) for it in records]


def with_unused(state: CustomerState, charges: Iterable[InvoiceLine]) -> CustomerState:
    """The state that knows what unused days give back of the invoices that charged them.

    takes: charges of what ends the period, before its credits are cut.
    rule:  PST-2.
    """
    unused = [line for line in charges if line.charge_type == "unused"]
    subscription = state.subscription
    if not unused or subscription is None:
        return state
    addons = {held.terms.code: held.invoice_id for held in subscription.addons}
    for line in unused:
        kind = LineType.PLAN_BASE if line.code is None else LineType.FEATURE_SEATS
        kind = LineType.ADDON_BASE if line.code in addons else kind
        name = addons.get(line.code or "") or subscription.invoice_id
        record = record_named(state, name)
        if record is not None:
            rate = dict(record.rates).get(line.tax_category)
            back = (*record.given_back, *_given_back(kind, line.code, rate, -line.amount))
            state = _with(state, replace(record, given_back=back))
    return state


def at_paid_rates(
    state: CustomerState, charges: Iterable[InvoiceLine], *, catalog: Catalog, day: date
) -> list[InvoiceLine]:
    """Charges, with credits of unused days at the tax rate that was paid for those days.

    takes:   day, the billing day of the invoice that credits them.
    returns: where the customer's rate is another by now, the credit names the invoice.
    rule:    TAX-2, CHG-3.
    """
    return [
        _at_paid_rate(state, line, catalog, day) if line.charge_type in _UNUSED else line
        for line in charges
    ]


def _at_paid_rate(
    state: CustomerState, line: InvoiceLine, catalog: Catalog, day: date
) -> InvoiceLine:
    subscription, customer = state.subscription, state.customer
    if subscription is None or customer is None:
        return line
    addons = {held.terms.code: held.invoice_id for held in subscription.addons}
    record = record_named(state, addons.get(line.code or "") or subscription.invoice_id)
    rates = {} if record is None else dict(record.rates)
    how = treatment(customer, catalog.seller, catalog.tax, day)
    now = rate_bp(how, line.tax_category, catalog.tax, day)
    if record is None or rates.get(line.tax_category, now) == now:
        return line
    return replace(line, tax_rate_bp=rates[line.tax_category], corrects=record.id)


def _given_back(
    kind: LineType, code: str | None, rate: int | None, amount: Money
) -> Iterator[GivenBack]:
    """An amount given back, and its tax."""
    yield GivenBack(kind, code, rate, amount)
    if rate:
        tax = Money.rounded(amount.exact * Fraction(rate, 10_000), amount.currency)
        yield GivenBack(LineType.TAX, None, rate, tax)


def _with(state: CustomerState, record: InvoiceRecord) -> CustomerState:
    """The state with a record in the place of that of the same invoice."""
    records = tuple(record if it.id == record.id else it for it in state.invoices)
    return replace(state, invoices=records)


def _rates(invoice: Invoice) -> tuple[tuple[str, int | None], ...]:
    """The tax rate of each category of an invoice's own lines. Rule TAX-2."""
    taxes = [line for line in invoice.lines if line.type is LineType.TAX]
    charges = [line for line in invoice.lines if line.type is not LineType.TAX]
    own = sorted({line.tax_category for line in charges if line.corrects is None})
    shown = [(category, it.tax_rate_bp) for it in taxes for category in it.tax_category.split("+")]
    if len(shown) == len(dict(shown)):
        found = dict(shown)
        return tuple((category, found.get(category)) for category in own)
    corrected = {(it.tax_category, it.tax_rate_bp) for it in charges if it.corrects}
    return tuple((category, _own(category, shown, corrected)) for category in own)


def _own(
    category: str,
    shown: Sequence[tuple[str, int | None]],
    corrected: set[tuple[str, int | None]],
) -> int | None:
    """The rate of a category that stands for more than corrections; the highest of several."""
    rates = [pair for pair in shown if pair[0] == category]
    own = [pair for pair in rates if pair not in corrected] or rates
    return max((rate or 0 for _, rate in own), default=None)


def corrected_rate(
    record: InvoiceRecord | None,
    category: str,
    *,
    customer: Customer,
    day: date,
    catalog: Catalog,
) -> int | None:
    """The tax rate of what is corrected of an invoice; None for no tax. Rule TAX-2.

    takes: record, None of an invoice that was never made; day, the invoice's: where it has no
           line of the category the customer's rate of that day counts.
    """
    rates = {} if record is None else dict(record.rates)
    if category in rates:
        return rates[category]
    how = treatment(customer, catalog.seller, catalog.tax, day)
    return rate_bp(how, category, catalog.tax, day)


def with_credited(state: CustomerState, note: Invoice) -> CustomerState:
    """The state in which a credit note has credited the invoices that its lines correct.

    Each gets its lines and their part of the tax, by largest remainder; what corrects an
    invoice that was never made counts for the last one that was.
    rule: SUB-9, PAY-2, CNV-4.
    """
    known = [record.id for record in state.invoices]
    parts: dict[str | None, list[GivenBack]] = defaultdict(list)
    for name, part in _parts(note):
        parts[name if name in known else known[-1]].append(part)
    return replace(state, invoices=tuple(_credited(it, parts[it.id]) for it in state.invoices))


def _credited(record: InvoiceRecord, parts: Sequence[GivenBack]) -> InvoiceRecord:
    if not parts:
        return record
    minor = record.credited.minor + sum(part.amount.minor for part in parts)
    credited, back = Money(minor, record.total.currency), (*record.given_back, *parts)
    return _reckoned(replace(record, credited=credited, given_back=back))


def _parts(note: Invoice) -> Iterator[tuple[str | None, GivenBack]]:
    """Whose each part of a note is: its lines, and its tax shared by them."""
    bases: dict[int | None, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    for line in note.lines:
        if line.type is not LineType.TAX:
            bases[line.tax_rate_bp][line.corrects] += line.amount.minor
            yield line.corrects, GivenBack(line.type, line.code, line.tax_rate_bp, -line.amount)
    for line in note.lines:
        if line.type is LineType.TAX:
            for name, minor in _shared(line.amount.minor, bases[line.tax_rate_bp]):
                amount = Money(-minor, note.currency)
                yield name, GivenBack(LineType.TAX, None, line.tax_rate_bp, amount)


def _shared(minor: int, bases: Mapping[str | None, int]) -> Iterator[tuple[str | None, int]]:
    """A tax shared by what it is on, whatever the signs; the parts add up to it."""
    names, whole = sorted(bases, key=str), sum(bases.values())
    exact = [Fraction(minor * bases[name], whole) if whole else Fraction(0) for name in names]
    floors = [floor(part) for part in exact]
    by_remainder = sorted(range(len(names)), key=lambda i: (floors[i] - exact[i], i))
    raised = set(by_remainder[: minor - sum(floors)])
    for place, name in enumerate(names):
        yield name, floors[place] + (place in raised)


def record_called(
    state: CustomerState, named: str | InvoiceReference, setting: Setting
) -> InvoiceRecord | None:
    """The invoice that an action names: by id or number, or the last of a type and date.

    A checkout that was paid on a later day is still found by its own date, which its id
    keeps; a draft that was never made, but paid in part or tried, where no invoice is.
    rule: PAY-0.
    """
    if not isinstance(named, InvoiceReference):
        names = {named, setting.numbers.get(named)}
        return next((it for it in reversed(state.invoices) if it.id in names), None)
    found = [
        record
        for record in state.invoices
        if record.type == named.type
        and str(named.on) in {str(record.billing_day), record.id.rpartition("/")[2]}
    ]
    made = [it for it in found if it.made is not None or it.id in setting.booked]
    return next(reversed(made or found), None)


def record_named(state: CustomerState, name: str | None) -> InvoiceRecord | None:
    """What is known of an invoice; None where there is none of that id."""
    return next((record for record in state.invoices if record.id == name), None)


def _known(state: CustomerState, name: str) -> InvoiceRecord:
    record = record_named(state, name)
    if record is None:
        raise ValueError(f"{state.customer_id} has no invoice {name}")
    return record


def without_record(state: CustomerState, invoice: Invoice) -> CustomerState:
    """The state that does not know of an invoice: one without lines is not made. Rule INV-7."""
    return replace(state, invoices=tuple(item for item in state.invoices if item.id != invoice.id))


def paid_in_advance(state: CustomerState, draft: Invoice, amount: Money) -> CustomerState:
    """The state with a payment of a draft: money of the customer until the draft is made.

    The record owes nothing, so what is paid stays the customer's where the checkout ends.
    rule: PAY-0, PAY-2.
    """
    if record_named(state, draft.id) is None:
        none = Money(0, draft.currency)
        record = InvoiceRecord(
            draft.id, draft.type, draft.billing_day, none, none, none, none, none
        )
        state = replace(state, invoices=(*state.invoices, record))
    return paid(state, draft.id, amount)


def paid(state: CustomerState, name: str, amount: Money | None) -> CustomerState:
    """The state in which an invoice is paid by an amount, beyond its total too.

    takes: amount, None for all that is unpaid; of a paid invoice that is its total again.
    rule:  PAY-2, TAX-2.
    """
    item = _known(state, name)
    return _with(state, _reckoned(replace(item, paid=item.paid + (amount or asked(item)))))


def failed(state: CustomerState, name: str) -> CustomerState:
    """The state in which one more attempt to collect an invoice has failed. Rule PAY-1."""
    item = _known(state, name)
    return _with(state, replace(item, failures=item.failures + 1))


def refunded(state: CustomerState, name: str, result: PaymentResult) -> CustomerState:
    """The state in which money paid for an invoice has gone back. Rule PAY-2."""
    item = _known(state, name)
    amount = item.refunded + result.amount
    return _with(state, replace(item, refunded=amount, refunds=(*item.refunds, result)))


def written_off(state: CustomerState, name: str, amount: Money) -> CustomerState:
    """The state in which an amount of an invoice is asked for no more. Rule PAY-2."""
    item = _known(state, name)
    return _with(state, _reckoned(replace(item, written_off=item.written_off + amount)))


def with_result(state: CustomerState, name: str, result: PaymentResult) -> CustomerState:
    """The state that keeps the result of an attempt to collect an invoice. Rules PAY-1, CUR-1."""
    item = _known(state, name)
    return _with(state, replace(item, payments=(*item.payments, result)))


def given_up(state: CustomerState, *names: str) -> CustomerState:
    """The state in which some invoices are uncollectible. Rule PAY-1."""
    records = tuple(
        replace(item, is_uncollectible=True) if item.id in names else item
        for item in state.invoices
    )
    return replace(state, invoices=records)


def failing(state: CustomerState, subscription: Subscription) -> tuple[str, ...]:
    """The invoices of a subscription that are unpaid and have failed. Rules PAY-1, PAY-3."""
    return tuple(item.id for item in state.invoices if is_failing(item, subscription))


def is_failing(record: InvoiceRecord, subscription: Subscription) -> bool:
    """Whether an attempt to collect an unpaid invoice of a subscription has failed. PAY-1."""
    return record.failures > 0 and record.subscription_id == subscription.id


def _reckoned(record: InvoiceRecord) -> InvoiceRecord:
    """A record of which no failure counts any more, once nothing is unpaid."""
    if record.unpaid.minor > 0 or not record.failures:
        return record
    return replace(record, failures=0, is_uncollectible=False)


def asked(record: InvoiceRecord) -> Money:
    return record.unpaid if record.unpaid.minor > 0 else record.total
