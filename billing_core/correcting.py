"""What the founder does to an invoice that was made: credit it, write it off, pay it back.

A posted invoice never changes. A credit note gives back a part of what was invoiced; on a
paid invoice that is the customer's money, which the next invoices draw on or a refund pays
out. What no one will pay is written off.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime

from billing_core.actions import Correction, IssueCreditNote, ReasonCode, Refund, WriteOff
from billing_core.assembly import invoice_id
from billing_core.credit_notes import Left, left_of, note_of_amount, note_of_lines
from billing_core.invoice import Invoice, InvoiceLine, InvoiceType, LineType
from billing_core.issuing import day_of
from billing_core.money import Money, total
from billing_core.paying import name_text, restored
from billing_core.records import record_called, refunded, with_credited, written_off
from billing_core.setting import Setting
from billing_core.state import CustomerState, InvoiceRecord, PaymentResult
from billing_core.step import Refused, Step, refused


def credit_invoice(
    state: CustomerState, action: IssueCreditNote, at: datetime, setting: Setting
) -> Step:
    """A credit note on an invoice: at most what was invoiced. Rules PST-2, PAY-2, TAX-2, INV-13.

    A posted note is told as it is.
    """
    found = _invoice_called(state, action, setting)
    if isinstance(found, Refused):
        return Step(state, found)
    record, invoice = found
    day = day_of(setting, state, at)
    name = invoice_id(state.customer_id, InvoiceType.CREDIT_NOTE, action.id, day)
    note = setting.booked.get(name)
    if note is None:
        lines = _asked(action, left_of(invoice, record), day)
        if isinstance(lines, Refused):
            return Step(state, lines)
        note = Invoice(
            id=name,
            customer_id=state.customer_id,
            type=InvoiceType.CREDIT_NOTE,
            billing_day=day,
            made_at=at,
            known_on=setting.cutoff_on(at),
            currency=invoice.currency,
            plan=invoice.plan,
            plan_name=invoice.plan_name,
            lines=lines,
            note=invoice.note,
        )
    state = with_credited(_less_charged(state, invoice, note), note)
    return Step(restored(state), invoices=(note,))


def write_off(state: CustomerState, action: WriteOff, at: datetime, setting: Setting) -> Step:
    """What is unpaid of an invoice, or a part of it, is asked for no more. Rule PAY-2."""
    found = _amount_of(state, action, at, setting)
    if isinstance(found, Refused):
        return Step(state, found)
    record, amount = found
    if amount.minor > record.unpaid.minor:
        what = f"{record.unpaid} of {record.id} is unpaid; no more can be written off"
        return refused(state, ReasonCode.NOT_FOUND, what)
    return Step(restored(written_off(state, record.id, amount)))


def refund(state: CustomerState, action: Refund, at: datetime, setting: Setting) -> Step:
    """Money paid for an invoice goes back to the customer. Rule PAY-2.

    What it takes back of an invoice that was not paid too much is unpaid again.
    """
    found = _amount_of(state, action, at, setting)
    if isinstance(found, Refused):
        return Step(state, found)
    record, amount = found
    held = record.paid - record.refunded
    if amount.minor > held.minor:
        what = f"{held} is held of what was paid for {record.id}; no more can be paid back"
        return refused(state, ReasonCode.NOT_FOUND, what)
    result = PaymentResult(action.id, at, "refunded", amount)
    return Step(refunded(state, record.id, result))


def _invoice_called(
    state: CustomerState, action: Correction, setting: Setting
) -> tuple[InvoiceRecord, Invoice] | Refused:
    """The invoice that a correction names, as it was made. Rule PAY-0."""
    record = record_called(state, action.invoice, setting)
    invoice = None if record is None else setting.booked.get(record.id, record.made)
    if record is None or invoice is None:
        what = f"no invoice is {name_text(action.invoice)}"
        return Refused(ReasonCode.UNKNOWN_INVOICE, what)
    return record, invoice


def _asked(action: Correction, left: Left, day: date) -> tuple[InvoiceLine, ...] | Refused:
    """The lines of a note on what is left of an invoice, or why it cannot be."""
    if action.amount is None:
        lines = note_of_lines(left, action.lines, day)
        if isinstance(lines, str):
            return Refused(ReasonCode.NOT_FOUND, lines)
        whole = -total([line.amount for line in lines], left.most.currency)
        return lines if whole.minor <= left.most.minor else _too_much(left, whole)
    whole = Money.rounded(action.amount, left.most.currency)
    if whole.exact != action.amount:
        return _too_fine(action, whole)
    if whole.minor > left.most.minor:
        return _too_much(left, whole)
    return note_of_amount(left, whole, day)


def _too_much(left: Left, whole: Money) -> Refused:
    what = f"{left.most} of the invoice can still be given back, not {whole}"
    return Refused(ReasonCode.NOT_FOUND, what)


def _amount_of(
    state: CustomerState, action: WriteOff | Refund, at: datetime, setting: Setting
) -> tuple[InvoiceRecord, Money] | Refused:
    """The invoice and how much of it: an amount, or the sum of some lines with their tax."""
    record = record_called(state, action.invoice, setting)
    if record is None:
        what = f"no invoice is {name_text(action.invoice)}"
        return Refused(ReasonCode.UNKNOWN_INVOICE, what)
    if action.amount is not None:
        amount = Money.rounded(action.amount, record.total.currency)
        return (record, amount) if amount.exact == action.amount else _too_fine(action, amount)
    found = _invoice_called(state, action, setting)
    if isinstance(found, Refused):
        return found
    untouched = replace(record, given_back=(), written_off=Money(0, record.total.currency))
    lines = _asked(action, left_of(found[1], untouched), day_of(setting, state, at))
    if isinstance(lines, Refused):
        return lines
    return record, -total([line.amount for line in lines], record.total.currency)


def _too_fine(action: Correction, amount: Money) -> Refused:
    currency = amount.currency
    what = f"{action.amount} is no amount: {currency.code} has {currency.minor_digits} decimals"
    return Refused(ReasonCode.NOT_FOUND, what)


def _less_charged(state: CustomerState, invoice: Invoice, note: Invoice) -> CustomerState:
    """What a note gives back of a running period was not really billed. Rules CNV-7, PST-2.

    Unused days are credited of the rest; of seats, true-ups of before are given back first.
    """
    subscription = state.subscription
    if subscription is None or subscription.invoice_id != invoice.id:
        return state
    back = _sums(note.lines, LineType.PLAN_BASE, LineType.FEATURE_SEATS)
    charged = _sums(invoice.lines, LineType.FEATURE_SEATS)
    seats = tuple(
        replace(it, advance=_less(it.advance, charged.get(it.feature, 0) + back[it.feature]))
        if it.feature in back
        else it
        for it in subscription.seats
    )
    plan = subscription.plan_charge
    if plan is not None:
        plan = _less(plan, plan.minor + back.get(None, 0))
    return replace(state, subscription=replace(subscription, seats=seats, plan_charge=plan))


def _sums(lines: Iterable[InvoiceLine], *kinds: LineType) -> dict[str | None, int]:
    sums: dict[str | None, int] = {}
    for line in lines:
        if line.type in kinds:
            sums[line.code] = sums.get(line.code, 0) + line.amount.minor
    return sums


def _less(amount: Money, minor: int) -> Money:
    """An amount cut to so many minor units, not below 0."""
    return Money(max(min(amount.minor, minor), 0), amount.currency)
