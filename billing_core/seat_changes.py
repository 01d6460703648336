"""Seats added, removed or set by an action, on the customer's day of the instant."""

from datetime import datetime

from billing_core.actions import AddSeats, ReasonCode, RemoveSeats, SetSeats
from billing_core.issuing import day_of
from billing_core.seats import change_held, is_above_without_price
from billing_core.setting import Setting
from billing_core.state import CustomerState, SeatHolding, Status, Subscription
from billing_core.step import Refused, Step, refused
from billing_core.values import replace

WITH_SEATS = frozenset({Status.TRIALING, Status.ACTIVE, Status.PAST_DUE})


def change_seats(
    state: CustomerState,
    action: AddSeats | RemoveSeats | SetSeats,
    at: datetime,
    setting: Setting,
) -> Step:
    """The holding after the action; in a trial nothing is to be settled. SEAT-2 to SEAT-5."""
    subscription = state.subscription
    if subscription is None or subscription.status not in WITH_SEATS:
        return refused(
            state,
            ReasonCode.NOT_SUBSCRIBED,
            "seats belong to an active subscription; there is none",
        )
    holding = next((item for item in subscription.seats if item.feature == action.feature), None)
    if holding is None:
        return refused(
            state,
            ReasonCode.FEATURE_NOT_IN_PLAN,
            f"plan {subscription.terms.plan!r} has no seats feature {action.feature!r}",
        )
    held = _held_after(holding, action)
    no = _why_not(subscription, holding, held)
    if no is not None:
        return Step(state, no)
    is_free_of_charge = subscription.status is Status.TRIALING
    if is_free_of_charge or subscription.terms.by_code[holding.feature].unlimited:
        changed = replace(holding, held=held)
    else:
        changed = change_held(holding, held, day_of(setting, state, at))
    seats = tuple(changed if item is holding else item for item in subscription.seats)
    return Step(replace(state, subscription=replace(subscription, seats=seats)))


def _held_after(holding: SeatHolding, action: AddSeats | RemoveSeats | SetSeats) -> int:
    match action:
        case AddSeats():
            return holding.held + action.quantity
        case RemoveSeats():
            return holding.held - action.quantity
        case SetSeats():  # pragma: no branch  the last of the three
            return action.quantity


def _why_not(subscription: Subscription, holding: SeatHolding, held: int) -> Refused | None:
    feature = subscription.terms.by_code[holding.feature]
    if held < 0:
        return Refused(
            ReasonCode.NEGATIVE_SEATS,
            f"{holding.held} seats of {holding.feature!r} are held; {held} cannot be",
        )
    if held > holding.held and is_above_without_price(feature, held):
        return Refused(
            ReasonCode.SEATS_NOT_INCLUDED,
            f"plan {subscription.terms.plan!r} includes {feature.included} of "
            f"{holding.feature!r} and sells no more",
        )
    return None
