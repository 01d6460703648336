"""What is carried of credits and balance from window to window, with an entry for each change.

Whatever closed or opened a window (a boundary, a change, a pause, an end), the step passes
here once: what its windows drew is taken over, and the next window begins with a reset.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction

from billing_core.drawing import LedgerEntry, in_store, unit_of
from billing_core.period import Window
from billing_core.state import WITH_ACCESS, CustomerState, Funds, Status, Subscription
from billing_core.step import ClosedWindow, Step

_ZERO = Fraction(0)


def carried(before: CustomerState, step: Step) -> Step:
    """A step with the funds that its windows left, and the ledger entries of its changes.

    rule: LED-1, LED-2, INV-8, CRD-2, BAL-3, SUB-6; whatever closed or opened the window.
    """
    after = step.state
    if step.brought is not None:
        opened = replace(after, funds=step.brought)
        return replace(step, state=opened, ledger=(*step.ledger, *_opening(opened, after.funds)))
    if after.funds is None and not _draws(after.subscription):
        return step
    entries: list[LedgerEntry] = []
    funds = after.funds
    for closed in step.windows:
        if closed.drawn is not None:
            entries += closed.drawn.entries
            funds = closed.drawn.left
    funds, resets = _reset(before, replace(after, funds=funds), step.windows)
    changed = replace(after, funds=funds)
    return replace(step, state=changed, ledger=(*step.ledger, *entries, *resets))


def _opening(state: CustomerState, before: Funds | None) -> tuple[LedgerEntry, ...]:
    """What came along from another system: of the plan, or the balance; then bought. CUS-2."""
    window, now = _running(state.subscription), state.funds
    if window is None or now is None:
        raise ValueError(f"{state.customer_id} brought credits along without a window")
    plan = replace(now, purchased=_ZERO if before is None else before.purchased)
    parts = ((now.plan, plan), (now.purchased - plan.purchased, now))
    return tuple(
        LedgerEntry(
            customer_id=state.customer_id,
            at=window.start_at,
            on=window.start,
            kind="adjustment",
            unit=now.unit,
            amount=amount,
            balance_after=in_store(now.unit, funds),
            code=None,
            description="brought along",
        )
        for amount, funds in parts
        if amount
    )


def _draws(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.terms.consumption_model != "metered"


def _reset(
    before: CustomerState, after: CustomerState, windows: Sequence[ClosedWindow]
) -> tuple[Funds | None, tuple[LedgerEntry, ...]]:
    """The funds after a window began, or after the last one ended; and the entries of that."""
    subscription, funds = after.subscription, after.funds
    window = _running(subscription)
    if subscription is None or (window is not None and not _is_new(before, window, windows)):
        return funds, ()
    if _is_granted(before, subscription):
        return funds, ()
    if window is None or not _draws(subscription):
        if funds is None or not funds.plan or not windows:
            return funds, ()
        last = windows[-1].window
        return _reset_to(after, funds, replace(funds, plan=_ZERO), last.end_at, last.end)
    unit = unit_of(subscription.terms)
    bought = _ZERO if funds is None else funds.purchased
    included = Funds(unit, subscription.terms.included_funds, bought)
    old = funds or Funds(unit, _ZERO, _ZERO)
    return _reset_to(after, old, included, window.start_at, window.start)


def _running(subscription: Subscription | None) -> Window | None:
    if subscription is None or subscription.status not in WITH_ACCESS:
        return None
    return subscription.window


def _is_granted(before: CustomerState, subscription: Subscription) -> bool:
    """Whether the window goes on with the trial whose funds were granted once. Rule SUB-3."""
    was = before.subscription
    is_trial = subscription.status is Status.TRIALING
    return is_trial and was is not None and was.status is Status.TRIALING


def _is_new(before: CustomerState, window: Window, windows: Sequence[ClosedWindow]) -> bool:
    old = _running(before.subscription)
    return bool(windows) or old is None or old.start_at != window.start_at


def _reset_to(
    state: CustomerState, old: Funds, new: Funds, at: datetime, on: date
) -> tuple[Funds, tuple[LedgerEntry, ...]]:
    """New less old; nothing where that is 0. In another unit the old is taken back first."""
    steps = [(old, new)]
    if old.unit != new.unit:
        taken = replace(old, plan=_ZERO)
        steps = [(old, taken), (replace(taken, unit=new.unit), new)]
    entries = tuple(
        LedgerEntry(
            customer_id=state.customer_id,
            at=at,
            on=on,
            kind="reset",
            unit=it.unit,
            amount=it.plan - was.plan,
            balance_after=in_store(it.unit, it),
            code=None,
            description="included of the month" if it.plan else "ended with its window",
        )
        for was, it in steps
        if it.plan != was.plan
    )
    return new, entries
