"""What is to be collected for each invoice, by which attempts, and what came of them.

A charge record is what a payment provider needs: how much, until when, and when the next
attempt is due. It follows from the invoices and the payment results that were landed;
what becomes of the subscription is decided by `paying`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from billing_core.invoice import Invoice, InvoiceType, LineType
from billing_core.money import Money
from billing_core.overdue import due_on
from billing_core.paying import DUNNED
from billing_core.period import midnight
from billing_core.records import record_named
from billing_core.setting import Setting
from billing_core.state import CustomerState, InvoiceRecord

SILENT_AFTER = timedelta(hours=24)
"""After so long an attempt without result is listed. Rule PAY-1."""

PACK_KINDS: Mapping[str, str] = {
    "CRD": "credit_pack",
    "CAP": "capacity_pack",
    "JOB": "quota_pack",
}
"""The kind of a pack's charge record, by the section of the rule that made its line."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to collect an invoice. Rule PAY-1.

    number:    from 1 on.
    due_at:    when it is due, or came where it came unasked.
    result:    `succeeded` or `failed`; None while none has landed.
    is_silent: whether it is due for 24 hours without result.
    """

    number: int
    due_at: datetime
    result: str | None = None
    result_at: datetime | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """What is to be collected for one invoice. Rules PAY-0, PAY-1, PAY-3.

    id:         of the invoice, which payments name.
    kind:       the invoice's type, for packs the pack's kind.
    amount:     the invoice's total; unpaid: what is still to be collected of it, >= 0.
    collection: `automatic` or `on_terms`.
    due_on:     the last day to pay, due_at its 00:00; None while one on terms is not issued.
    attempts:   in order; the last one without result is the next to make. None on terms.
    is_waiting: whether the invoice is made when it is paid: a checkout's, or a purchase's.
    retry_hours: hours from the first failure to each retry; none of what is tried once.
    """

    id: str
    customer_id: str
    kind: str
    amount: Money
    unpaid: Money
    collection: str
    due_on: date | None
    due_at: datetime | None
    attempts: tuple[Attempt, ...] = ()
    is_waiting: bool = False
    retry_hours: tuple[int, ...] = ()


def charge_records(
    state: CustomerState,
    setting: Setting,
    *,
    at: datetime,
    handed_out: Mapping[str, datetime],
) -> tuple[ChargeRecord, ...]:
    """The charge records of a customer's invoices with a total above 0, in the order made.

    Those of a checkout and of purchases that wait for their payment come last.

    takes: at, the instant that is looked from; handed_out, when each charge record was first
           handed out, by its id: until then the first attempt is due when the invoice is.
    rule:  PAY-1.
    """
    own = None if state.customer is None else state.customer.time_zone
    zone = setting.zone_of(own, at)
    offsets = setting.policies_at(at).dunning_offsets_hours
    found = []
    for record, invoice in _to_collect(state, setting):
        is_automatic = record.payment_days is None
        day = due_on(record, setting) or (record.billing_day if is_automatic else None)
        due_at = None if day is None else midnight(day, zone)
        first_at = handed_out.get(record.id, due_at)
        attempts: tuple[Attempt, ...] = ()
        if is_automatic and first_at is not None:
            attempts = attempts_of(record, first_at, offsets, at=at)
        found.append(
            ChargeRecord(
                id=record.id,
                customer_id=state.customer_id,
                kind=kind_of(invoice),
                amount=record.total,
                unpaid=Money(max(record.unpaid_minor, 0), record.total.currency),
                collection="automatic" if is_automatic else "on_terms",
                due_on=day,
                due_at=due_at,
                attempts=attempts,
                is_waiting=not invoice.is_postable,
                retry_hours=tuple(offsets) if is_automatic and record.type in DUNNED else (),
            )
        )
    return tuple(found)


def _to_collect(state: CustomerState, setting: Setting) -> Iterator[tuple[InvoiceRecord, Invoice]]:
    """The invoices above 0, then the drafts that are made when they are paid. Rules PAY-0, PAY-3.

    What was paid of a draft by now is known of it, and its results.
    """
    for record in state.invoices:
        invoice = setting.booked.get(record.id, record.made)
        if invoice is not None and record.total.minor > 0:
            yield record, invoice
    checkout = None if state.subscription is None else state.subscription.checkout
    drafts = [*([] if checkout is None else [checkout]), *(it.draft for it in state.purchases)]
    for draft in drafts:
        nothing = Money(0, draft.currency)
        advance = record_named(state, draft.id)
        if advance is None:
            advance = InvoiceRecord(
                draft.id, draft.type, draft.billing_day, nothing, nothing, nothing, nothing, nothing
            )
        yield replace(advance, total=draft.total), draft


def kind_of(invoice: Invoice) -> str:
    """The kind of an invoice's charge record. Rule PAY-3."""
    if invoice.type is InvoiceType.PACK_PURCHASE:
        for line in invoice.lines:
            if line.type is LineType.PACK and line.rule[:3] in PACK_KINDS:
                return PACK_KINDS[line.rule[:3]]
    return str(invoice.type)


def attempts_of(
    record: InvoiceRecord, first_at: datetime, offsets_hours: Sequence[int], *, at: datetime
) -> tuple[Attempt, ...]:
    """The attempts to collect an invoice: those with a result, and the next one if there is one.

    takes: first_at, when the first attempt is due; offsets_hours, of each retry after the
           first failure.
    rule:  PAY-1, PAY-3: only what is dunned is tried again after a failure.
    """
    made: list[Attempt] = []
    failed_at: list[datetime] = []
    for number, result in enumerate(record.payments, start=1):
        due_at = min(_next_at(failed_at, first_at, offsets_hours) or result.at, result.at)
        made.append(Attempt(number, due_at, result.result, result.at))
        if result.result == "failed":
            failed_at.append(result.at)
    next_at = _next_at(failed_at, first_at, offsets_hours)
    is_tried = not failed_at or record.type in DUNNED
    if record.unpaid.minor > 0 and next_at is not None and is_tried:
        next_at = max([next_at, *(result.at for result in record.payments)])
        is_silent = at >= next_at + SILENT_AFTER
        made.append(Attempt(len(made) + 1, next_at, is_silent=is_silent))
    return tuple(made)


def _next_at(
    failed_at: Sequence[datetime], first_at: datetime, offsets_hours: Sequence[int]
) -> datetime | None:
    """When the attempt after some failures is due, not before the last; None after the last."""
    if not failed_at:
        return first_at
    if len(failed_at) > len(offsets_hours):
        return None
    return max(failed_at[0] + timedelta(hours=offsets_hours[len(failed_at) - 1]), failed_at[-1])
