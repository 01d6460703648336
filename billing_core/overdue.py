"""Who pays on terms, until when, and who is told that the day has passed.

An invoice on terms is due some days after its issue; when it is still unpaid on the day
after, the customer is told once. Nobody is cancelled for it: that is the dunning of what is
collected automatically (`paying`).
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from billing_core.catalog import Policies
from billing_core.period import midnight
from billing_core.setting import Setting
from billing_core.state import Customer, CustomerState, InvoiceRecord
from billing_core.step import Notice, Step


def payment_days(customer: Customer, policies: Policies) -> int | None:
    """Days to pay after the issue date of who pays on terms; None: collected automatically.

    rule: PAY-1: the customer's own, or the policies'.
    """
    if (customer.collection or policies.collection) == "automatic":
        return None
    own = customer.payment_days
    return policies.payment_days if own is None else own


def due_on(record: InvoiceRecord, setting: Setting) -> date | None:
    """The last day to pay an invoice; None while it is not issued. Rules PAY-1, PST-6.

    Where invoices count as posted at their cutoff (a scenario), they are issued on it.
    """
    known = setting.due_on.get(record.id)
    if known is not None or record.payment_days is None or setting.takes_later_usage:
        return known
    invoice = setting.booked.get(record.id, record.made)
    if invoice is None:
        return None
    return invoice.known_on + timedelta(days=record.payment_days)


def tell_overdue(
    state: CustomerState, setting: Setting, at: datetime, *, is_included: bool
) -> Step | None:
    """The notices of invoices on terms that are unpaid on the day after they were due.

    takes:   at, with `is_included` the days that begin at it too.
    returns: None where nobody is to be told.
    rule:    PAY-1: once for each invoice, at 00:00 of that day in the customer's zone.
    """
    waiting = [
        record
        for record in state.invoices
        if record.payment_days is not None and not record.is_overdue and record.unpaid.minor > 0
    ]
    if not waiting:
        return None
    own = None if state.customer is None else state.customer.time_zone
    zone, notices, names = setting.zone_of(own, at), [], set()
    for record in waiting:
        due = due_on(record, setting)
        on = None if due is None else due + timedelta(days=1)
        if on is None:
            continue
        begins_at = midnight(on, zone)
        if begins_at < at or (is_included and begins_at == at):
            told = Notice(state.customer_id, "overdue", on, begins_at, invoice_id=record.id)
            notices.append(told)
            names.add(record.id)
    if not names:
        return None
    records = tuple(
        replace(record, is_overdue=True) if record.id in names else record
        for record in state.invoices
    )
    notices.sort(key=lambda notice: notice.at)
    return Step(replace(state, invoices=records), notices=tuple(notices))
