"""A customer's history as a fold: state and event in, state and what the event made out.

Events come in order of time. At one instant a catalog version comes first (it is in force
by then), then what is due (trial end, boundary, expiry), then actions in the order received
(INV-11, ACT-1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing_core.actions import (
    Action,
    ActivateAddon,
    AddSeats,
    AssignPlan,
    BuyCreditPack,
    Cancel,
    ChangePlan,
    CreateCustomer,
    DeactivateAddon,
    DeleteCustomer,
    GrantCredit,
    ImportSubscription,
    IssueCreditNote,
    OpeningBalance,
    Outcome,
    OutcomeStatus,
    OverrideTerms,
    Pause,
    Payment,
    ReasonCode,
    Refund,
    RemoveSeats,
    Resume,
    RevokeCredit,
    SetSeats,
    Subscribe,
    TopUp,
    TrialSetup,
    UndoCancel,
    UpdateCustomer,
    WriteOff,
    may_do,
)
from billing_core.addon_changes import activate_addon, deactivate_addon
from billing_core.assigning import assign_plan
from billing_core.cancelling import cancel, delete_customer, undo_cancel
from billing_core.coming import withdrawn_at
from billing_core.correcting import credit_invoice, refund, write_off
from billing_core.crediting import grant_credit, revoke_credit
from billing_core.cycle import take_boundary
from billing_core.drawing import LedgerEntry
from billing_core.fairness import running_at
from billing_core.invoice import Invoice
from billing_core.issuing import known
from billing_core.lateness import effective_at, late_reason
from billing_core.ledger import carried
from billing_core.moving_in import import_subscription
from billing_core.negotiating import override_terms
from billing_core.opening_balances import opening_balance
from billing_core.overdue import tell_overdue
from billing_core.pausing import end_paused, pause, resume
from billing_core.paying import take_payment
from billing_core.plan_changes import change_plan
from billing_core.prepaying import buy_credit_pack, top_up
from billing_core.seat_changes import change_seats
from billing_core.setting import Setting
from billing_core.settling import correct, correction_at
from billing_core.state import ENDED, Customer, CustomerState, Status, Subscription
from billing_core.step import (
    ClosedWindow,
    Decision,
    Looked,
    Notice,
    Refused,
    Scheduled,
    Step,
    refused,
)
from billing_core.subscribing import NotBilledYet, expire_checkout, subscribe
from billing_core.trials import set_up_trial, take_trial_boundary
from billing_core.values import replace


@dataclass(frozen=True, slots=True)
class Folded:
    """A history folded: the state at its end, and all that was made, in order of time."""

    state: CustomerState
    invoices: tuple[Invoice, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    notices: tuple[Notice, ...] = ()
    windows: tuple[ClosedWindow, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    looked: tuple[Looked, ...] = ()


def fold(
    customer_id: str, actions: Sequence[Action], setting: Setting, *, until: datetime
) -> Folded:
    """The history of one customer, from his first action to an instant.

    takes:   actions of this customer, any order; until, exclusive: what is due before it
             is done, what is due at it is not.
    raises:  BillingError, when this customer cannot be billed (PST-4).
    """
    steps: list[Step] = []
    outcomes: list[Outcome] = []
    state = CustomerState(customer_id)
    for action in sorted(actions, key=lambda item: (effective_at(item), item.received_at)):
        at = effective_at(action)
        if at >= until:
            break
        state = _advance(state, setting, at, steps)
        step = take(state, action, at, setting)
        outcomes.append(_outcome(action, step.decision))
        steps.append(step)
        state = step.state
    state = _advance(state, setting, until, steps, is_included=False)
    return _folded(state, steps, outcomes)


def _folded(state: CustomerState, steps: Sequence[Step], outcomes: Sequence[Outcome]) -> Folded:
    """All that some steps made, put together; what a later step undid is refused. PAY-3."""
    undone = dict(refusal for step in steps for refusal in step.undone)
    return Folded(
        state,
        invoices=tuple(invoice for step in steps for invoice in step.invoices),
        outcomes=tuple(_after(outcome, undone.get(outcome.action_id)) for outcome in outcomes),
        notices=tuple(notice for step in steps for notice in step.notices),
        windows=tuple(window for step in steps for window in step.windows),
        ledger=tuple(entry for step in steps for entry in step.ledger),
        looked=tuple(looked for step in steps for looked in step.looked),
    )


def _after(outcome: Outcome, undone: Refused | None) -> Outcome:
    if undone is None:
        return outcome
    return replace(outcome, status=OutcomeStatus.REFUSED, what=undone.what, reason=undone.reason)


def due_at(subscription: Subscription | None) -> datetime | None:
    """The next instant at which something happens by itself; None when nothing will."""
    if subscription is None:
        return None
    if subscription.status in {Status.PENDING_PAYMENT, Status.PAUSED}:
        return subscription.expires_at
    return None if subscription.window is None else subscription.window.end_at


def take(state: CustomerState, action: Action, at: datetime, setting: Setting) -> Step:
    """One action taken at its instant. Rules ACT-1 to ACT-4, FAIR-10.

    raises: NotBilledYet, for an action whose rules are not built.
    """
    if not may_do(action):
        return refused(state, ReasonCode.WRONG_ACTOR, f"only the founder may {action.do}")
    if isinstance(action, CreateCustomer):
        return _create(state, action)
    if state.customer is None:
        return refused(
            state,
            ReasonCode.UNKNOWN_CUSTOMER,
            f"customer {state.customer_id!r} is unknown at {at:%Y-%m-%dT%H:%M:%SZ}; "
            "create him first",
        )
    is_late = late_reason(action, state, setting)
    if is_late is not None:
        return Step(state, is_late)
    return carried(state, _take_known(state, action, at, setting))


def _take_known(state: CustomerState, action: Action, at: datetime, setting: Setting) -> Step:
    if isinstance(action, UpdateCustomer):
        return _update(state, known(state), action)
    if isinstance(action, UndoCancel):
        return undo_cancel(state)
    taken = _TAKEN.get(type(action))
    if taken is None:
        raise NotBilledYet(what=f"the action {action.do}", where=f"action {action.id}")
    return taken(state, action, at, setting)


_TAKEN: Mapping[type, Callable[[CustomerState, Any, datetime, Setting], Step]] = {
    Subscribe: subscribe,
    Cancel: cancel,
    ChangePlan: change_plan,
    AssignPlan: assign_plan,
    AddSeats: change_seats,
    RemoveSeats: change_seats,
    SetSeats: change_seats,
    ActivateAddon: activate_addon,
    DeactivateAddon: deactivate_addon,
    BuyCreditPack: buy_credit_pack,
    TopUp: top_up,
    GrantCredit: grant_credit,
    RevokeCredit: revoke_credit,
    Payment: take_payment,
    IssueCreditNote: credit_invoice,
    WriteOff: write_off,
    Refund: refund,
    Pause: pause,
    Resume: resume,
    DeleteCustomer: delete_customer,
    OverrideTerms: override_terms,
    ImportSubscription: import_subscription,
    OpeningBalance: opening_balance,
    TrialSetup: set_up_trial,
}
"""What takes each action that is billed."""


def _advance(
    state: CustomerState,
    setting: Setting,
    at: datetime,
    steps: list[Step],
    *,
    is_included: bool = True,
) -> CustomerState:
    """The state after all that is due up to an instant; what it makes goes to `steps`.

    A history has a bounded number of boundaries, since each lies after the one before. A
    running period takes in what catalog versions made better by then (FAIR-4).
    """
    while True:
        subscription = state.subscription
        if subscription is None:
            return state
        due = _due(state, subscription, setting)
        is_over = due is None or due > at or (due == at and not is_included)
        told = tell_overdue(
            state, setting, at if is_over or due is None else due, is_included=is_included
        )
        if told is not None:
            steps.append(told)
            state = told.state
        if is_over or due is None:
            return running_at(state, subscription, setting, at, is_included=is_included)
        if subscription.status in ENDED:
            step = correct(state, subscription, setting)
        elif subscription.status is Status.PENDING_PAYMENT:
            step = expire_checkout(state, subscription)
        elif subscription.status is Status.PAUSED:
            step = _rest(state, subscription, due, setting)
        else:
            state = running_at(state, subscription, setting, due, is_included=False)
            is_trial = subscription.status is Status.TRIALING
            take_end = take_trial_boundary if is_trial else take_boundary
            step = take_end(state, state.subscription or subscription, setting)
        step = carried(state, step)
        steps.append(step)
        state = step.state


def _due(state: CustomerState, subscription: Subscription, setting: Setting) -> datetime | None:
    """The next instant at which something is due, corrections and withdrawn plans included."""
    if subscription.status in ENDED:
        return correction_at(state, subscription, setting)
    due = due_at(subscription)
    if subscription.status is not Status.PAUSED:
        return due
    ends_at = withdrawn_at(subscription, setting) if due is None else due
    corrected_at = correction_at(state, subscription, setting)
    return min((it for it in (corrected_at, ends_at) if it is not None), default=None)


def _rest(state: CustomerState, subscription: Subscription, at: datetime, setting: Setting) -> Step:
    """What is due in a pause: a correction on a monthly boundary, then its end. INV-11, INV-12."""
    if correction_at(state, subscription, setting) == at:
        return correct(state, subscription, setting)
    return end_paused(state, subscription, at)


def _create(state: CustomerState, action: CreateCustomer) -> Step:
    customer = Customer(
        id=state.customer_id,
        country=action.country,
        time_zone=action.time_zone,
        is_tax_id_valid=action.tax_id_checked_on is not None,
        is_taxed=action.is_taxed,
        collection=action.collection,
        payment_days=action.payment_days,
    )
    if state.customer is not None:
        return Step(state)
    return Step(replace(state, customer=customer))


def _update(state: CustomerState, customer: Customer, action: UpdateCustomer) -> Step:
    """Customer data from the instant it is taken; the time zone from the next boundary."""
    written = action.model_fields_set
    changes: dict[str, object] = {
        name: getattr(action, name)
        for name in ("country", "time_zone", "collection", "payment_days")
        if name in written
    }
    if "tax_id" in written or "tax_id_checked_on" in written:
        changes["is_tax_id_valid"] = action.tax_id_checked_on is not None
    return Step(replace(state, customer=replace(customer, **changes)))  # type: ignore[arg-type]


def _outcome(action: Action, decision: Decision) -> Outcome:
    status, what, on, reason = OutcomeStatus.APPLIED, f"{action.do} was applied", None, None
    match decision:
        case Scheduled(day):
            status, what, on = OutcomeStatus.SCHEDULED, f"{action.do} takes effect on {day}", day
        case Refused(why, sentence):
            status, what, reason = OutcomeStatus.REFUSED, sentence, why
    return Outcome(
        action_id=action.id,
        customer_id=action.customer,
        status=status,
        what=what,
        at=action.at,
        received_at=action.received_at,
        scheduled_on=on,
        reason=reason,
    )
