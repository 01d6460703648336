"""Making an invoice: assembled from charges, or taken from the books as it was posted.

One place where charges become an invoice, a record for payments and a change of the
customer's credits. For a posted invoice the difference between what its charges would be
now and what was booked is kept, and the next invoice books it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import partial

from billing_core.assembly import assembled, cut_credits, in_page_order, invoice_id, tax_lines
from billing_core.invoice import (
    PURCHASES,
    Invoice,
    InvoiceLine,
    InvoiceType,
    LineType,
    UsedFeature,
)
from billing_core.late_usage import is_more_waived, is_within_reach
from billing_core.money import Money, total
from billing_core.period import Period, Window, billing_date, boundary
from billing_core.records import (
    at_paid_rates,
    corrected_rate,
    record_named,
    records_with,
    with_credited,
    with_record,
    with_unused,
)
from billing_core.setting import Setting
from billing_core.state import (
    AdjustmentDue,
    Customer,
    CustomerCredit,
    CustomerState,
    InvoiceRecord,
    Subscription,
)
from billing_core.values import replace

NOT_CORRECTED = frozenset({LineType.TAX, LineType.ADJUSTMENT})
"""Lines that are no charge or credit of the invoice's own cause."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an invoice is made, and when.

    name:   with type and day it makes the id: a subscription or an action.
    at:     the instant; day: the billing day in the customer's zone.
    id_day: the day in the id where it is not the billing day (a checkout's, PAY-0).
    known_on: the landing day that it waits for, where it is no window's cutoff.
    """

    type: InvoiceType
    name: str
    at: datetime
    day: date
    window: Window | None = None
    period: Period | None = None
    usage: tuple[UsedFeature, ...] = ()
    id_day: date | None = None
    known_on: date | None = None


def invoice_id_of(state: CustomerState, cause: Cause) -> str:
    """The id of the invoice of a cause. Rule PAY-0."""
    return invoice_id(state.customer_id, cause.type, cause.name, cause.id_day or cause.day)


def issue(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    charges: Sequence[InvoiceLine],
    setting: Setting,
) -> tuple[CustomerState, Invoice]:
    """The invoice of a cause, and the state that knows of it.

    rule: INV-3, INV-9, PAY-0, CUS-1; ACT-3 and USE-7 for what was posted before.
    """
    customer = known(state)
    if cause.type is InvoiceType.PLAN_CHANGE:
        state = with_unused(state, charges)
    name = invoice_id_of(state, cause)
    if name in setting.booked:
        return _rebooked(state, subscription, cause, charges, setting)
    is_alone = cause.type in PURCHASES
    corrections = () if is_alone else adjustment_lines(state, subscription, cause, setting)
    catalog = setting.version_at(cause.at).catalog
    result = assembled(
        [*at_paid_rates(state, charges, catalog=catalog, day=cause.day), *corrections],
        customer=customer,
        credits=() if is_alone else state.credits,
        catalog=catalog,
        currency=subscription.terms.currency,
        day=cause.day,
        at=cause.at,
    )
    invoice = _invoice(
        cause, subscription, result.lines, state=state, setting=setting, note=result.note
    )
    records = records_with(state, subscription, invoice, setting)
    if is_alone:
        return replace(state, invoices=records), invoice
    credits_left = result.credits
    if result.surplus.minor:
        credits_left = (*credits_left, surplus_credit(cause, result.surplus))
    return replace(state, credits=credits_left, adjustments=(), invoices=records), invoice


def issue_credit_note(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    lines: Sequence[InvoiceLine],
    setting: Setting,
) -> tuple[CustomerState, Invoice]:
    """A credit note: lines of invoices, negative, with the tax that they carried.

    takes:   lines, each naming the invoice in `corrects`, and its tax rate.
    returns: a posted note as it is; what it does not book of the adjustments stays due.
    rule:    SUB-9, INV-13, PST-2.
    """
    name = invoice_id_of(state, cause)
    catalog = setting.version_at(cause.at).catalog
    currency = subscription.terms.currency
    tax = tax_lines(lines, customer=known(state), catalog=catalog, currency=currency, day=cause.day)
    page = (*in_page_order(lines), *tax)
    note = _invoice(cause, subscription, page, state=state, setting=setting)
    note = setting.booked.get(name, note)
    state = with_credited(state, note)
    left = _less_adjusted(state.adjustments, note, setting)
    return with_due(replace(state, adjustments=()), left), note


def at_most(
    lines: Sequence[InvoiceLine],
    most: Money,
    *,
    state: CustomerState,
    cause: Cause,
    setting: Setting,
) -> tuple[InvoiceLine, ...]:
    """Credit lines cut, from the last on the page, to an amount that they reach with their tax.

    takes: lines, negative; most, > 0.
    rule:  SUB-9.
    """
    taxed = partial(
        tax_lines,
        customer=known(state),
        catalog=setting.version_at(cause.at).catalog,
        currency=most.currency,
        day=cause.day,
    )
    least = -most
    kept, _ = cut_credits(lines, least)
    while (over := -net((*kept, *taxed(kept)), most).minor - most.minor) > 0:
        least += Money((over + 1) // 2, most.currency)
        kept, _ = cut_credits(lines, least)
    return kept


def unpaid_with_due(
    record: InvoiceRecord, state: CustomerState, cause: Cause, setting: Setting
) -> Money:
    """What is unpaid of an invoice, with the differences from it that are due and their tax."""
    on_it = [item for item in state.adjustments if item.invoice_id == record.id]
    if not on_it:
        return record.unpaid
    due = [_adjustment_line(item, state, cause, setting) for item in on_it]
    tax = tax_lines(
        due,
        customer=known(state),
        catalog=setting.version_at(cause.at).catalog,
        currency=record.total.currency,
        day=cause.day,
    )
    return record.unpaid + net((*due, *tax), record.total)


def surplus_credit(cause: Cause, amount: Money) -> CustomerCredit:
    """The customer credit for what a credit exceeds the charges by. Rule CHG-6."""
    reason = {InvoiceType.FINAL: "cancellation", InvoiceType.PLAN_CHANGE: "plan_change"}.get(
        cause.type, "adjustment"
    )
    name = f"{reason}/{cause.name}/{cause.day}"
    return CustomerCredit(name, cause.at, reason, granted=amount, left=amount)


def known(state: CustomerState) -> Customer:
    """The customer of a state that has one: whoever has a subscription was created."""
    if state.customer is None:
        raise ValueError(f"{state.customer_id} has a subscription but was never created")
    return state.customer


def _invoice(
    cause: Cause,
    subscription: Subscription,
    lines: tuple[InvoiceLine, ...],
    *,
    state: CustomerState,
    setting: Setting,
    note: str | None = None,
) -> Invoice:
    cutoff = None if cause.window is None else setting.cutoff_on(cause.window.end_at)
    return Invoice(
        id=invoice_id_of(state, cause),
        customer_id=state.customer_id,
        type=cause.type,
        billing_day=cause.day,
        made_at=cause.at,
        known_on=cause.known_on or cutoff or setting.known_at(cause.at),
        currency=subscription.terms.currency,
        plan=subscription.terms.plan,
        plan_name=subscription.terms.plan_name,
        lines=lines,
        note=note,
        usage=cause.usage,
        window=cause.window,
        period=cause.period,
        cutoff_on=cutoff,
    )


def _rebooked(
    state: CustomerState,
    subscription: Subscription,
    cause: Cause,
    charges: Sequence[InvoiceLine],
    setting: Setting,
) -> tuple[CustomerState, Invoice]:
    """A posted invoice as it is, with the differences from its charges kept for the next one.

    What it cut off its credits and negative adjustments is a customer credit again.
    """
    booked = setting.booked[invoice_id_of(state, cause)]
    surplus, due = _cut_then(booked, charges, _less_adjusted(state.adjustments, booked, setting))
    credits_left, overdrawn = _less_drawn(state.credits, booked)
    if surplus.minor:
        credits_left = (*credits_left, surplus_credit(cause, surplus))
    state = replace(state, credits=credits_left, adjustments=())
    state = with_due(state, (*due, *overdrawn))
    return with_record(state, subscription, booked, setting), booked


def _cut_then(
    booked: Invoice, charges: Sequence[InvoiceLine], due: Sequence[AdjustmentDue]
) -> tuple[Money, Sequence[AdjustmentDue]]:
    """What a posted invoice cut off, and what is due beside it. Rules CHG-6, INV-10.

    Of one that was cut, what its credits would be now beyond what it shows is a customer
    credit. Of any other the difference is due, as of its charges.
    """
    lines = [line for line in booked.lines if line.charge_type != "customer_credit"]
    shown = [line for line in lines if line.type is LineType.CREDIT]
    unused = [line for line in charges if line.type is LineType.CREDIT]
    cut = net(shown, booked.total).minor - net(unused, booked.total).minor
    if not _was_cut(booked) or cut < 0:
        changed = differences(lines, charges, name=booked.id, day=booked.billing_day)
        return Money(0, booked.currency), [*due, *changed]
    cut += sum(-item.amount.minor for item in due if item.amount.minor < 0)
    changed = differences(
        [line for line in lines if line.type is not LineType.CREDIT],
        [line for line in charges if line.type is not LineType.CREDIT],
        name=booked.id,
        day=booked.billing_day,
    )
    return Money(cut, booked.currency), [*(it for it in due if it.amount.minor > 0), *changed]


def _was_cut(booked: Invoice) -> bool:
    """Whether an invoice has no room for more credit: its charges or its total are used up.

    Where a credit takes back tax at a higher rate than the charges carry, the total is what
    limits it, to the last unit but one; it then draws no customer credit (`assembled`).
    """
    own = [it for it in booked.lines if it.type is not LineType.TAX]
    plain = [it.amount.minor for it in own if it.charge_type != "customer_credit"]
    if min(plain, default=0) >= 0:
        return False
    return not sum(plain) or (booked.total.minor <= 1 and len(plain) == len(own))


def _less_drawn(
    credits_held: Iterable[CustomerCredit], booked: Invoice
) -> tuple[tuple[CustomerCredit, ...], list[AdjustmentDue]]:
    """The customer credits that a posted invoice left, and what it drew beyond them: due."""
    drawn = {it.code: it for it in booked.lines if it.charge_type == "customer_credit"}
    left = []
    for credit in credits_held:
        line = drawn.pop(credit.id, None)
        rest = credit.left if line is None else credit.left + line.amount
        if line is not None and rest.minor < 0:
            drawn[credit.id] = replace(line, amount=rest)
            rest = rest - rest
        left.append(replace(credit, left=rest))
    overdrawn = [
        _due(booked.id, booked.billing_day, replace(line, code=None), -line.amount)
        for line in drawn.values()
    ]
    return tuple(left), overdrawn


def _less_adjusted(
    due: Iterable[AdjustmentDue], booked: Invoice, setting: Setting
) -> list[AdjustmentDue]:
    """The differences that are due after a posted document has booked some. Rule USE-7.

    What it booked and is due no more is taken back, but of usage that is not looked at again.
    """
    taken = {
        (line.corrects, line.code): line
        for line in booked.lines
        if line.type is LineType.ADJUSTMENT
    }
    left = []
    for item in due:
        line = taken.pop((item.invoice_id, item.code), None)
        left.append(item if line is None else replace(item, amount=item.amount - line.amount))
    for line in taken.values():
        corrected = setting.booked.get(line.corrects or "")
        day = line.service.end if corrected is None else corrected.billing_day
        if _is_looked_at(line, day, booked, setting):
            left.append(_due(line.corrects or "", day, line, -line.amount))
    return left


def _is_looked_at(line: InvoiceLine, day: date, booked: Invoice, setting: Setting) -> bool:
    """Whether what an adjustment booked is known to be due no more: always but of usage."""
    feature = setting.version_at(booked.made_at).catalog.features.get(line.code or "")
    if feature is None or feature.type != "metered":
        return True
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if line.amount.minor < 0 and is_more_waived(at, setting):
        return False
    return is_within_reach(day, at, setting)


def is_booked(state: CustomerState, cause: Cause, setting: Setting) -> bool:
    """Whether the invoice of a cause has been posted."""
    return invoice_id_of(state, cause) in setting.booked


def late(
    state: CustomerState, cause: Cause, charges: Sequence[InvoiceLine]
) -> tuple[AdjustmentDue, ...]:
    """Charges of a day that is already behind a posted invoice, due on the next one. USE-7."""
    name = invoice_id_of(state, cause)
    return tuple(_due(name, cause.day, line, line.amount) for line in charges)


def _due(name: str, day: date, line: InvoiceLine, amount: Money) -> AdjustmentDue:
    return AdjustmentDue(
        invoice_id=name,
        invoice_day=day,
        code=line.code,
        name=line.name,
        unit=line.unit,
        amount=amount,
        service=line.service,
        tax_category=line.tax_category,
    )


def differences(
    shown: Iterable[InvoiceLine], wanted: Iterable[InvoiceLine], *, name: str, day: date
) -> list[AdjustmentDue]:
    """By code, what lines would be now less what a posted document shows. ACT-3, USE-7, TAX-2.

    takes: name, day: of the invoice that is corrected.
    """
    sums: dict[str | None, int] = defaultdict(int)
    first: dict[str | None, InvoiceLine] = {}
    last: dict[str | None, InvoiceLine] = {}
    for sign, lines in ((-1, shown), (1, wanted)):
        for line in lines:
            if line.type not in NOT_CORRECTED:
                sums[line.code] += sign * line.amount.minor
                first.setdefault(line.code, line)
                last[line.code] = replace(line, tax_category=first[line.code].tax_category)
    return [
        _due(name, day, last[code], Money(sums[code], last[code].amount.currency))
        for code in sorted(sums, key=lambda code: code or "")
        if sums[code]
    ]


def with_due(state: CustomerState, due: Iterable[AdjustmentDue]) -> CustomerState:
    """The state in which more is due: one difference for each invoice and code. Rule ACT-3."""
    merged: dict[tuple[str, str | None], AdjustmentDue] = {}
    for item in (*state.adjustments, *due):
        key = (item.invoice_id, item.code)
        before = merged.get(key)
        merged[key] = item if before is None else replace(item, amount=before.amount + item.amount)
    return replace(state, adjustments=tuple(it for it in merged.values() if it.amount.minor))


def adjustment_lines(
    state: CustomerState, subscription: Subscription, cause: Cause, setting: Setting
) -> tuple[InvoiceLine, ...]:
    """What is due: an `adjustment` line for each invoice corrected and code, in the lookback.

    rule: ACT-3, USE-7: the windows that ended at most `late_usage_windows` windows ago; what
          is taken back has no limit.
    """
    if not state.adjustments:
        return ()
    windows = setting.policies_at(cause.at).late_usage_windows
    earliest = _lookback_from(subscription, cause.day, windows)
    return tuple(
        _adjustment_line(item, state, cause, setting)
        for item in state.adjustments
        if item.invoice_day >= earliest or item.amount.minor < 0
    )


def _lookback_from(subscription: Subscription, day: date, windows: int) -> date:
    """The first day on which a window ended that is still looked back at. Rule USE-7.

    After the end windows are counted on. The last window of the subscription before is the
    one before a subscription's first.
    """
    months = subscription.months + 1
    while boundary(subscription.anchor, months) < day:
        months += 1
    first = months - windows
    return boundary(subscription.anchor, first if first > 0 else first - 1)


def _adjustment_line(
    due: AdjustmentDue, state: CustomerState, cause: Cause, setting: Setting
) -> InvoiceLine:
    """A difference as a line, at the tax rate of the invoice that it corrects. Rule TAX-2."""
    rate = corrected_rate(
        record_named(state, due.invoice_id),
        due.tax_category,
        customer=known(state),
        day=due.invoice_day,
        catalog=setting.version_at(cause.at).catalog,
    )
    return InvoiceLine(
        type=LineType.ADJUSTMENT,
        code=due.code,
        name=due.name,
        amount=due.amount,
        quantity=Fraction(1),
        unit="",
        service=due.service,
        rule="ACT-3",
        tax_category=due.tax_category,
        tax_rate_bp=rate,
        corrects=due.invoice_id,
    )


def net(lines: Sequence[InvoiceLine], like: Money) -> Money:
    """The sum of some lines' amounts, in a currency."""
    return total([line.amount for line in lines], like.currency)


def day_of(setting: Setting, state: CustomerState, at: datetime) -> date:
    """The customer's billing date of an instant. Rules CNV-1, CNV-3.

    Within a window it is counted by the zone in which the window began, and it is one of
    the window's days also in the hours between the midnights of an old zone and a new one.
    """
    subscription = state.subscription
    if subscription is None or subscription.window is None:
        own = None if state.customer is None else state.customer.time_zone
        return billing_date(at, setting.zone_of(own, at))
    window = subscription.window
    on = billing_date(at, setting.zone_of(subscription.time_zone, at))
    return min(max(on, window.start), window.end - timedelta(days=1))
