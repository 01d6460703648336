"""What payments need to know of the invoices that were made: what is paid and credited.

A record is kept for each invoice. What was paid too much on one is drawn by the next ones
as a payment; who is dunned for what is unpaid is decided by `paying`.
"""

from dataclasses import replace

from billing_core.invoice import Invoice
from billing_core.money import Money
from billing_core.setting import Setting
from billing_core.state import CustomerState, InvoiceRecord


def with_record(state: CustomerState, invoice: Invoice, setting: Setting) -> CustomerState:
    """The state that knows of a new invoice, paid by what was paid too much before.

    What was paid on its checkout is its own; where payment is assumed the rest is paid too.
    rule: PAY-0, PAY-2, TAX-2.
    """
    owed, paid = invoice.total.minor, 0
    records = []
    for item in state.invoices:
        if item.id == invoice.id:
            paid += item.paid.minor
            continue
        over = item.paid.minor + item.credited.minor - item.total.minor
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
        total=invoice.total,
        paid=Money(paid, invoice.currency),
        credited=Money(0, invoice.currency),
    )
    return replace(state, invoices=(*records, record))


def record_named(state: CustomerState, name: str | None) -> InvoiceRecord | None:
    """What is known of an invoice; None where there is none of that id."""
    return next((record for record in state.invoices if record.id == name), None)


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
        record = InvoiceRecord(draft.id, draft.type, draft.billing_day, none, none, none)
        state = replace(state, invoices=(*state.invoices, record))
    return paid(state, draft.id, amount)


def paid(state: CustomerState, name: str, amount: Money | None) -> CustomerState:
    """The state in which an invoice is paid by an amount, beyond its total too.

    takes: amount, None for all that is unpaid; of a paid invoice that is its total again.
    rule:  PAY-2, TAX-2.
    """
    records = tuple(
        replace(item, paid=item.paid + (amount or _asked(item))) if item.id == name else item
        for item in state.invoices
    )
    return replace(state, invoices=records)


def _asked(record: InvoiceRecord) -> Money:
    return record.unpaid if record.unpaid.minor > 0 else record.total
