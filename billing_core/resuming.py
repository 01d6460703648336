"""The fold from a kept state on: what was folded once needs no folding again.

A kept state is a cache. It knows what it was folded from: where that is not the same any
more (a late action, late usage, another catalog), nothing is resumed and the fold starts
from the customer's first action.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta

from billing_core.actions import Action
from billing_core.fold import Folded, _advance, _folded, _outcome, fold, take
from billing_core.late_usage import booked_cutoff
from billing_core.lateness import effective_at
from billing_core.period import Window
from billing_core.setting import NEVER, CatalogVersion, Setting
from billing_core.state import CustomerState
from billing_core.step import Step
from billing_core.usage import WindowKey

READ_IN_PARTS = frozenset(
    {
        "versions",
        "zones",
        "usage",
        "booked",
        "numbers",
        "due_on",
        "known_on",
        "without_place",
        "deletions",
    }
)
"""Fields of a setting that grow from day to day; of others a fold reads all."""

Fingerprint = Callable[[CatalogVersion], str]
"""A text that tells a catalog version from any other."""


@dataclass(frozen=True, slots=True)
class KeptState:
    """A customer's state just after a boundary, and what it was folded from.

    until:   the instant up to which everything is in it, exclusive.
    windows: those that were closed before it.
    basis:   hash of actions, posted invoices, catalog versions and usage before it.
    """

    until: datetime
    state: CustomerState
    windows: tuple[Window, ...]
    basis: str


def keep(
    customer_id: str,
    actions: Sequence[Action],
    setting: Setting,
    *,
    boundary_at: datetime,
    fingerprint: Fingerprint,
) -> KeptState | None:
    """The state just after a boundary, with all that happened at its instant.

    takes:   setting, with everything posted up to the boundary in `booked`.
    returns: None while a checkout or a purchase waits: its draft changes from day to day; and
             of who has had credits or a balance, whose usage is read by stretches.
    raises:  BillingError, as `fold`.
    """
    until = boundary_at + timedelta(microseconds=1)
    folded = fold(customer_id, actions, setting, until=until)
    subscription = folded.state.subscription
    has_checkout = subscription is not None and subscription.checkout is not None
    if has_checkout or folded.state.purchases or folded.state.funds is not None:
        return None
    windows = tuple(closed.window for closed in folded.windows)
    basis = _basis(customer_id, _before(actions, until), setting, windows, fingerprint)
    return KeptState(until, folded.state, windows, basis)


def resume(
    kept: KeptState,
    actions: Sequence[Action],
    setting: Setting,
    *,
    until: datetime,
    fingerprint: Fingerprint,
) -> Folded | None:
    """What a customer's history is after a kept state, up to an instant.

    returns: the state at the end, and what was made since the kept state alone; None where
             the kept state is not what the fold from the first action makes now.
    raises:  BillingError, as `fold`.
    """
    before = _before(actions, kept.until)
    customer_id = kept.state.customer_id
    now = _basis(customer_id, before, setting, kept.windows, fingerprint)
    if until < kept.until or now != kept.basis:
        return None
    steps: list[Step] = []
    outcomes = []
    state = kept.state
    for action in _in_order(actions)[len(before) :]:
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


def _in_order(actions: Sequence[Action]) -> list[Action]:
    return sorted(actions, key=lambda item: (effective_at(item), item.received_at))


def _before(actions: Sequence[Action], until: datetime) -> list[Action]:
    return [action for action in _in_order(actions) if effective_at(action) < until]


def _basis(
    customer_id: str,
    actions: Sequence[Action],
    setting: Setting,
    windows: Iterable[Window],
    fingerprint: Fingerprint,
) -> str:
    """One hash over all that the fold of some actions, and no later one, reads.

    Numbers are given when invoices are posted, so that `booked` stands for them too; a
    version counts from the last instant at which one of the actions was heard of.
    """
    heard_at = max((action.received_at for action in actions), default=NEVER)
    last_at = max((effective_at(action) for action in actions), default=NEVER)
    ends_at = max((window.end_at for window in windows), default=NEVER)
    known_at = max(heard_at, last_at, ends_at)
    names = sorted({it.name for it in fields(setting)} - READ_IN_PARTS)
    read = [
        *(f"{action.id} {action.received_at}" for action in actions),
        *sorted(setting.booked),
        *(action.id for action in actions if action.id in setting.without_place),
        *(f"{name} {getattr(setting, name)}" for name in names),
        *(f"{it}" for it in setting.deletions if it.at <= known_at),
        *(fingerprint(it) for it in setting.versions if it.effective_at <= known_at),
        *(_usage(customer_id, window, setting) for window in windows),
    ]
    return hashlib.sha256("\n".join(read).encode()).hexdigest()


def _usage(customer_id: str, window: Window, setting: Setting) -> str:
    """What was used in a window, as far as it is known now. Rule USE-7."""
    cutoff_on = booked_cutoff(window, setting)
    found = setting.usage.get(WindowKey(customer_id, window.start_at, window.end_at, cutoff_on))
    if found is None:
        return "not metered"
    return repr([replace(found[name], cutoff_on=date.min) for name in sorted(found)])
