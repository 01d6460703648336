"""From histories and usage to what everybody owes: fold, meter the windows that the fold asks
for, fold again.

Which windows exist follows from actions, mostly; what was used in them is metered by SQL.
So customers are folded until no window lacks its usage: twice as a rule, once more where
usage itself moved a window. Reading inputs and writing drafts is left to others.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from billing_core.actions import Action, Outcome
from billing_core.bill import Bill, bill, drawn_so_far, open_window, with_booked
from billing_core.drawing import LedgerEntry
from billing_core.errors import BillingError, Fault, fault_of
from billing_core.fold import Folded
from billing_core.invoice import Invoice, in_time
from billing_core.period import midnight
from billing_core.redemptions import Person, has_code, without_place
from billing_core.setting import Setting
from billing_core.state import CustomerState
from billing_core.step import ClosedWindow, Notice
from billing_core.terms import Terms
from billing_core.usage import Usage, UsageSnapshot, WindowKey
from pipelines.usage_frames import PlanFeature, WindowRequest


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of some customers when they are billed.

    actions: by customer, in the order taken. booked: by customer, what is posted.
    through: the last day that is billed, in each customer's own zone.
    """

    setting: Setting
    through: date
    actions: Mapping[str, Sequence[Action]]
    booked: Mapping[str, Sequence[Invoice]] = field(default_factory=dict)


Meter = Callable[[Sequence[WindowRequest]], Usage]
"""What gives the usage of windows; every window asked for is in the answer."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What everybody owes, by customer. A faulted customer has no state and no invoices.

    requests: all windows whose usage was used, running ones included; they do not overlap.
    setting:  with the usage, to ask for somebody's standing.
    """

    through: date
    states: Mapping[str, CustomerState]
    invoices: tuple[Invoice, ...]
    outcomes: tuple[Outcome, ...]
    notices: tuple[Notice, ...]
    windows: tuple[ClosedWindow, ...]
    faults: tuple[Fault, ...]
    ledger: tuple[LedgerEntry, ...]
    requests: tuple[WindowRequest, ...]
    setting: Setting


class WindowsDoNotSettle(BillingError):
    """Folding again and again asks for ever more windows."""

    code = "RATE-01"

    def __init__(self, requests: Sequence[WindowRequest]) -> None:
        super().__init__(
            what=f"after {ROUNDS} folds {len(requests)} windows still lack their usage",
            where=f"customer {requests[0].key.customer_id}, window {requests[0].key.start_at}",
            mend="set this customer's latest actions aside and report them",
        )


ROUNDS = 50

Fold = Callable[[str, Sequence[Action], Setting, datetime], Bill]


def fold_as_posted(
    customer_id: str, actions: Sequence[Action], setting: Setting, until: datetime
) -> Bill:
    """How a run folds a customer: with what is posted for him as it is."""
    return bill(customer_id, actions, setting, until=until)


def rate(
    history: History,
    meter: Meter,
    fold: Fold = fold_as_posted,
    *,
    only: Collection[str] | None = None,
) -> Rated:
    """Every customer billed through a day, with the usage that his windows ask for.

    takes:   only, whom to bill; the others count for places of promo codes alone.
    returns: invoices in order of (billing day, customer, made); customers by id.
    rule:    PST-4: one customer's fault stops nobody else.
    """
    history = _with_places(history)
    billed = sorted(history.actions if only is None else only)
    usage: dict[WindowKey, Mapping[str, UsageSnapshot]] = {}
    metered: dict[WindowKey, WindowRequest] = {}
    for _ in range(ROUNDS):
        bills = [_bill(history, customer, usage, fold) for customer in billed]
        setting = replace(history.setting, usage=usage)
        wanted = {
            request.key: request for it in bills for request in _requests(it, history, setting)
        }
        asked = {request.key: request for it in bills for request in _looked_at(it)} | wanted
        missing = [asked[key] for key in sorted(asked) if metered.get(key) != asked[key]]
        if not missing:
            requests = tuple(wanted[key] for key in sorted(wanted))
            return _rated(history, bills, requests, setting)
        usage |= meter(missing)
        metered |= {request.key: request for request in missing}
    raise WindowsDoNotSettle(missing)


def _with_places(history: History) -> History:
    """The history that knows who has a place of a code with a cap. Rule PRM-2."""
    people = {
        customer: Person(own, with_booked(history.setting, history.booked.get(customer, ())))
        for customer, own in history.actions.items()
        if any(has_code(action) for action in own)
    }
    until = midnight(history.through + timedelta(days=2), UTC)
    refused = without_place(people, until)
    return replace(history, setting=replace(history.setting, without_place=refused))


def _bill(history: History, customer_id: str, usage: Usage, fold: Fold) -> Bill:
    booked, actions = history.booked.get(customer_id, ()), history.actions[customer_id]
    setting = with_booked(replace(history.setting, usage=usage), booked)
    try:
        until = _until(history, actions)
    except BillingError as error:
        return Bill(customer_id, None, fault_of(customer_id, error))
    return fold(customer_id, actions, setting, until)


def _until(history: History, actions: Sequence[Action]) -> datetime:
    """The end of the day billed through, in the zone that the customer has by then."""
    after = history.through + timedelta(days=1)
    given = [getattr(action, "time_zone", None) for action in actions]
    own = next((zone for zone in reversed(given) if zone), None)
    return midnight(after, history.setting.zone_of(own, midnight(after, UTC)))


def _requests(it: Bill, history: History, setting: Setting) -> list[WindowRequest]:
    """The windows of the fold and the running one, and posted ones as they were posted."""
    asked = [(key, closed.terms) for closed in it.windows for key in closed.keys]
    posted = {
        (made.window.start_at, made.window.end_at): made.cutoff_on
        for made in history.booked.get(it.customer_id, ())
        if made.window is not None
    }
    for closed in it.windows:
        cutoff = posted.get((closed.key.start_at, closed.key.end_at))
        if cutoff is not None and cutoff != closed.key.cutoff_on:
            asked += [(replace(key, cutoff_on=cutoff), closed.terms) for key in closed.keys]
    running = None if it.folded is None else open_window(it.folded.state, setting)
    if running is not None:
        asked += [(key, running.terms) for key in running.keys]
    return [WindowRequest(key, _plan_features(terms)) for key, terms in asked]


def _looked_at(it: Bill) -> list[WindowRequest]:
    """Usage that notices tell of: it lies in windows that are asked for beside it. CHG-8."""
    looked = () if it.folded is None else it.folded.looked
    return [WindowRequest(one.key, _plan_features(one.terms)) for one in looked]


def _plan_features(terms: Terms) -> tuple[PlanFeature, ...]:
    metered = [feature for feature in terms.features if feature.type == "metered"]
    return tuple(
        PlanFeature(feature.code, feature.is_ai, span.start_at, span.end_at)
        if span is not None
        else PlanFeature(feature.code, feature.is_ai)
        for feature in metered
        for span in feature.during or (None,)
    )


def _ledger(folded: Folded, setting: Setting) -> tuple[LedgerEntry, ...]:
    """The entries of a history, and of its running window as far as usage is known. LED-1."""
    running = drawn_so_far(folded.state, setting)
    return folded.ledger if running is None else (*folded.ledger, *running.entries)


def _rated(
    history: History,
    bills: Sequence[Bill],
    requests: tuple[WindowRequest, ...],
    setting: Setting,
) -> Rated:
    folded = {it.customer_id: it.folded for it in bills if it.folded is not None}
    invoices = [invoice for one in folded.values() for invoice in one.invoices]
    return Rated(
        through=history.through,
        states={customer: one.state for customer, one in folded.items()},
        invoices=tuple(
            sorted(invoices, key=lambda it: (it.billing_day, it.customer_id, in_time(it)))
        ),
        outcomes=tuple(outcome for one in folded.values() for outcome in one.outcomes),
        notices=tuple(notice for one in folded.values() for notice in one.notices),
        windows=tuple(window for one in folded.values() for window in one.windows),
        faults=tuple(it.fault for it in bills if it.fault is not None),
        ledger=tuple(entry for one in folded.values() for entry in _ledger(one, setting)),
        requests=requests,
        setting=setting,
    )
