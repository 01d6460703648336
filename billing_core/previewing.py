"""What an action would make of a customer: his history folded with it, and without it.

The fold that bills him answers, so that a preview is what the next run would draft. Nothing
is kept, and the usage is what the setting knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from billing_core.actions import Action, Outcome, Payment
from billing_core.bill import Bill, bill
from billing_core.errors import Fault
from billing_core.fold import Folded
from billing_core.invoice import Invoice
from billing_core.period import Period, midnight
from billing_core.setting import Setting
from billing_core.state import CustomerState
from billing_core.step import Notice

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscription stands: what an action may change of it. Rules SUB-1, CHG-8.

    next_plan, next_interval: of the next period, where a change is scheduled.
    """

    status: str | None = None
    plan: str | None = None
    interval: str | None = None
    currency: str | None = None
    period: Period | None = None
    seats: Mapping[str, int] = field(default_factory=dict)
    cancel_on: date | None = None
    next_plan: str | None = None
    next_interval: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do to a customer.

    outcome:  applied, scheduled or refused, with its sentence.
    invoices: that it would make at once; a checkout's as if it was paid on the spot.
    upcoming: what would follow, up to the next paid period or the end, as far as usage is known.
    notices:  from the action on. before, after: where the customer stands around it.
    """

    outcome: Outcome
    invoices: tuple[Invoice, ...]
    upcoming: tuple[Invoice, ...]
    notices: tuple[Notice, ...]
    before: Place
    after: Place


def preview(
    customer_id: str, actions: Sequence[Action], action: Action, setting: Setting
) -> Preview | Fault:
    """What an action would do, or why the customer could not be billed.

    takes: actions, the customer's others; action, at its instant the last one; setting, with
           what is posted for him and the usage of the windows that `previewed` closes.
    """
    without = _folded(bill(customer_id, actions, setting, until=action.at + INSTANT))
    if isinstance(without, Fault):
        return without
    tried = with_action(customer_id, actions, action, setting)
    taken = _folded(bill(customer_id, tried, setting, until=action.at + INSTANT))
    if isinstance(taken, Fault):
        return taken
    whole = _folded(previewed(customer_id, actions, action, setting))
    if isinstance(whole, Fault):
        return whole
    known = {invoice.id for invoice in without.invoices}
    made = {invoice.id for invoice in taken.invoices}
    return Preview(
        outcome=next(it for it in whole.outcomes if it.action_id == action.id),
        invoices=tuple(it for it in taken.invoices if it.id not in known),
        upcoming=tuple(it for it in whole.invoices if it.id not in made),
        notices=tuple(it for it in whole.notices if it not in without.notices),
        before=place_of(without.state),
        after=place_of(taken.state),
    )


def place_of(state: CustomerState) -> Place:
    """Where the customer's subscription stands; an empty place without one."""
    subscription = state.subscription
    if subscription is None:
        return Place()
    terms = subscription.terms
    return Place(
        status=subscription.status,
        plan=terms.plan,
        interval=terms.interval,
        currency=terms.currency.code,
        period=subscription.period,
        seats={holding.feature: holding.held for holding in subscription.seats},
        cancel_on=subscription.cancel_on,
        next_plan=subscription.next_plan,
        next_interval=subscription.next_interval,
    )


def previewed(
    customer_id: str, actions: Sequence[Action], action: Action, setting: Setting
) -> Bill:
    """The customer billed with the action, past the end of the period that then runs."""
    tried = with_action(customer_id, actions, action, setting)
    taken = bill(customer_id, tried, setting, until=action.at + INSTANT)
    if taken.folded is None:
        return taken
    until = horizon(taken.folded.state, action.at, setting)
    return bill(customer_id, tried, setting, until=until)


def with_action(
    customer_id: str, actions: Sequence[Action], action: Action, setting: Setting
) -> tuple[Action, ...]:
    """The actions with the one previewed, and the payment of the checkout that it opens."""
    tried = (*actions, action)
    taken = bill(customer_id, tried, setting, until=action.at + INSTANT).folded
    subscription = None if taken is None else taken.state.subscription
    if subscription is None or subscription.checkout is None or subscription.id != action.id:
        return tried
    payment = Payment(
        id=f"{action.id}/payment",
        at=action.at,
        received_at=action.received_at,
        customer=customer_id,
        actor="system",
        invoice=subscription.checkout.id,
        result="succeeded",
    )
    return (*tried, payment)


def horizon(state: CustomerState, at: datetime, setting: Setting) -> datetime:
    """The instant, exclusive, up to which a preview looks: past the end of the running period."""
    subscription = state.subscription
    if subscription is None or subscription.window is None or subscription.period is None:
        return at + INSTANT
    end, window = subscription.period.end, subscription.window
    if end <= window.end:
        return window.end_at + INSTANT
    return midnight(end, setting.zone_of(subscription.time_zone, window.end_at)) + INSTANT


def _folded(answer: Bill) -> Folded | Fault:
    if answer.folded is not None:
        return answer.folded
    if answer.fault is None:
        raise ValueError(f"{answer.customer_id} has neither a history nor a fault")
    return answer.fault
