"""Which actions are late, and what becomes of them.

An action is late when it takes effect before an invoice that was posted without knowing
of it. Some are never late, some are folded again from their instant (the difference is an
adjustment), and those that would move a posted boundary are refused.
"""

from datetime import datetime

from billing_core.actions import (
    Action,
    ActivateAddon,
    AddSeats,
    Cancel,
    CreateCustomer,
    DeactivateAddon,
    DecideConflict,
    GrantCredit,
    IssueCreditNote,
    OpeningBalance,
    Payment,
    ReasonCode,
    Refund,
    ReleaseHold,
    RemoveSeats,
    RevokeCredit,
    SetSeats,
    UndoCancel,
    UpdateCustomer,
    WriteOff,
)
from billing_core.invoice import Invoice
from billing_core.setting import Setting
from billing_core.state import CustomerState, Status
from billing_core.step import Refused

NEVER_LATE = frozenset(
    {
        CreateCustomer,
        UpdateCustomer,
        Payment,
        Refund,
        DecideConflict,
        IssueCreditNote,
        WriteOff,
        GrantCredit,
        RevokeCredit,
        OpeningBalance,
        ReleaseHold,
    }
)
"""Actions taken at the instant at which they arrived. Rule ACT-2."""

FOLDED_AGAIN = frozenset(
    {AddSeats, RemoveSeats, SetSeats, ActivateAddon, DeactivateAddon, Cancel, UndoCancel}
)
"""Late ones are folded again from their instant; of Cancel only at period end. Rule ACT-3."""


def effective_at(action: Action) -> datetime:
    """The instant at which an action is taken: its own, or its arrival. Rules ACT-1, ACT-2.

    A customer is known from the instant that creates him, whenever the file arrived.
    """
    if type(action) in NEVER_LATE and not isinstance(action, CreateCustomer):
        return max(action.at, action.received_at)
    return action.at


def passed_over(action: Action, setting: Setting) -> Invoice | None:
    """The last posted invoice after the action's instant that was made without it, or None.

    rule: ACT-1.
    """
    landed_on = action.received_at.date()
    over = [
        invoice
        for invoice in setting.booked.values()
        if invoice.made_at > action.at and invoice.known_on < landed_on
    ]
    return max(over, key=lambda invoice: (invoice.made_at, invoice.id), default=None)


def late_reason(action: Action, state: CustomerState, setting: Setting) -> Refused | None:
    """The refusal of a late action; None when it is in time or is folded again. ACT-3, ACT-4."""
    if not setting.booked or type(action) in NEVER_LATE:
        return None
    posted = passed_over(action, setting)
    if posted is None:
        return None
    is_adjusted = setting.policies_at(action.received_at).late_actions == "adjust"
    moves_nothing = type(action) in FOLDED_AGAIN and not _moves(action, state, posted)
    if is_adjusted and moves_nothing:
        return None
    return Refused(
        ReasonCode.LATE_ACTION,
        f"{action.do} at {action.at:%Y-%m-%d} arrived on {action.received_at:%Y-%m-%d}, after "
        f"invoice {posted.id} was posted; send it with today's date, with a credit note on "
        "that invoice",
    )


def _moves(action: Action, state: CustomerState, posted: Invoice) -> bool:
    """Whether a late action would move a posted boundary: an end of the subscription. ACT-4.

    A cancellation at period end takes effect at once while past due (SUB-6).
    """
    subscription = state.subscription
    if subscription is None or subscription.period is None:
        return isinstance(action, Cancel)
    if isinstance(action, UndoCancel):
        on = subscription.cancel_on
        return on is not None and on <= posted.billing_day
    is_now = subscription.status is Status.PAST_DUE or getattr(action, "when", None) == "now"
    ends = is_now or subscription.period.end <= posted.billing_day
    return isinstance(action, Cancel) and ends
