"""What a customer who comes from another system has and owes in money.

His credit is drawn by the next invoices. What he owes is kept as invoices of that system: they
are paid and grow old as any other, and are never made again.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from billing_core.actions import OpeningBalance, Outstanding, ReasonCode
from billing_core.crediting import currency_for
from billing_core.money import Currency, Money
from billing_core.setting import Setting
from billing_core.state import CustomerCredit, CustomerState, InvoiceRecord
from billing_core.step import Refused, Step, refused


def opening_balance(
    state: CustomerState, action: OpeningBalance, at: datetime, setting: Setting
) -> Step:
    """A credit, and invoices of another system that are unpaid, by the names that they have.

    rule: CUS-1, PAY-2, PAY-0; CNV-4: each amount is rounded once to its currency.
    """
    currency = currency_for(state, action.currency, at, setting)
    if isinstance(currency, Refused):
        return Step(state, currency)
    names = [record.id for record in state.invoices] + [it.invoice for it in action.outstanding]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        what = f"invoice {twice[0]!r} is outstanding already; name each unpaid invoice once"
        return refused(state, ReasonCode.ALREADY_ACTIVE, what)
    records = tuple(_record(it, currency) for it in action.outstanding)
    changed = replace(state, invoices=(*records, *state.invoices))
    if action.customer_credit is None:
        return Step(changed)
    amount = Money.rounded(action.customer_credit, currency)
    credit = CustomerCredit(
        id=f"opening/{action.id}",
        granted_at=at,
        reason="opening balance",
        granted=amount,
        left=amount,
    )
    return Step(replace(changed, credits=(*state.credits, credit)))


def _record(owed: Outstanding, currency: Currency) -> InvoiceRecord:
    """An unpaid invoice of another system: nothing of it is dunned, nor corrected here."""
    none = Money(0, currency)
    return InvoiceRecord(
        id=owed.invoice,
        type=None,
        billing_day=owed.due,
        total=Money.rounded(owed.amount, currency),
        paid=none,
        credited=none,
        refunded=none,
        written_off=none,
        due_on=owed.due,
    )
