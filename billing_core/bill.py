"""What one customer owes, given everything known: the fold, with what is already posted.

`bill` is the whole answer for a run. `bill_posted_at_cutoff` tells the same story as if
every invoice had been posted at its cutoff, which is how a scenario counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from billing_core.actions import Action
from billing_core.addons import window_terms
from billing_core.cycle import draw_window
from billing_core.drawing import Drawn
from billing_core.errors import BillingError, Fault, fault_of
from billing_core.fold import Folded, fold
from billing_core.invoice import Invoice
from billing_core.lateness import effective_at
from billing_core.setting import NEVER, Setting
from billing_core.state import WITH_ACCESS, CustomerState
from billing_core.step import ClosedWindow
from billing_core.terms import Terms
from billing_core.usage import WindowKey


class PostedNotExplained(BillingError):
    """What is known now makes a history in which a posted invoice does not occur."""

    code = "FOLD-01"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            what=f"the history known now does not make what was posted: {', '.join(names)}",
            where="the customer's actions and usage that landed since, and the books",
            mend="land a correction of what came late (an action dated today, or a retraction); "
            "nothing more is billed to this customer until his history makes them again",
        )


class NotForeseen(BillingError):
    """The program itself failed on one customer: a value that no rule foresaw."""

    code = "FOLD-02"

    def __init__(self, customer_id: str, error: Exception) -> None:
        super().__init__(
            what=f"billing stopped on {type(error).__name__}: {error}",
            where=f"customer {customer_id!r}, in {' > '.join(_calls(error))}",
            mend="report this text with the customer's actions: no rule foresaw them; "
            "nothing was charged to him and all other customers were billed",
        )


_CALLS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The running window of a customer with access, up to what is known.

    keys: what usage is asked for: the window, or its stretches (CRD-4).
    """

    key: WindowKey
    terms: Terms
    keys: tuple[WindowKey, ...]


@dataclass(frozen=True, slots=True)
class Bill:
    """One customer's answer, or the fault that sets him aside. Rule PST-4.

    windows: every closed window whose usage was asked for, also on the way to the answer.
    """

    customer_id: str
    folded: Folded | None
    fault: Fault | None = None
    windows: tuple[ClosedWindow, ...] = ()


def bill(customer_id: str, actions: Sequence[Action], setting: Setting, *, until: datetime) -> Bill:
    """The customer's history as a value; an error becomes his fault and stops nobody else.

    takes: setting, with what is posted for this customer in `booked`.
    raises: MemoryError: what the machine lacks is no customer's fault.
    rule:  PST-2, PST-4: where a posted invoice does not come out, nothing further is billed,
           since its difference could not be told.
    """
    try:
        folded = fold(customer_id, actions, setting, until=until)
        _raise_if_not_explained(folded, setting, until)
    except MemoryError:
        raise
    except BillingError as error:
        return Bill(customer_id, None, fault_of(customer_id, error))
    except Exception as error:  # PST-4: whatever it is, it stops one customer
        return Bill(customer_id, None, fault_of(customer_id, NotForeseen(customer_id, error)))
    return Bill(customer_id, folded, windows=folded.windows)


def _calls(error: Exception) -> list[str]:
    """The calls that led to an error, outermost first, as `cycle.take_boundary:71`."""
    calls, place = [], error.__traceback__
    while place is not None:
        module = place.tb_frame.f_globals["__name__"].rpartition(".")[2]
        calls.append(f"{module}.{place.tb_frame.f_code.co_name}:{place.tb_lineno}")
        place = place.tb_next
    return calls[-_CALLS_SHOWN:]


def _raise_if_not_explained(folded: Folded, setting: Setting, until: datetime) -> None:
    """raises: PostedNotExplained, where a posted invoice is not among those of the fold."""
    told = {invoice.id for invoice in folded.invoices}
    missing = [it.id for it in setting.booked.values() if it.made_at < until and it.id not in told]
    if missing:
        raise PostedNotExplained(sorted(missing))


def bill_posted_at_cutoff(
    customer_id: str,
    actions: Sequence[Action],
    setting: Setting,
    *,
    until: datetime,
    late_days: Iterable[date] = (),
) -> Bill:
    """The customer's history as if each invoice had been posted at its own cutoff.

    takes: late_days, the landing days on which usage came in late; those of late actions
           are found here. Before each of them, what had its cutoff by then is posted; on it,
           what it makes of windows that nothing was owed for.
    rule:  USE-7, USE-8, ACT-3.
    """
    windows: list[ClosedWindow] = []
    for day in sorted({*late_days, *late_action_days(actions)}):
        for known_on in (day - timedelta(days=1), day):
            setting = replace(setting, known_on=known_on)
            if known_on == day:
                setting = replace(setting, late_through=day)
            known = [action for action in actions if action.received_at.date() <= known_on]
            partial = bill(customer_id, known, setting, until=until)
            if partial.folded is None:
                return partial
            setting = with_booked(setting, _posted_by(partial.folded.invoices, known_on))
            windows.extend(partial.windows)
    whole = bill(customer_id, actions, setting, until=until)
    return replace(whole, windows=(*windows, *whole.windows))


def late_action_days(actions: Sequence[Action]) -> tuple[date, ...]:
    """Landing days of actions that arrived on a later day than they take effect."""
    return tuple(
        sorted(
            {
                action.received_at.date()
                for action in actions
                if action.received_at.date() > effective_at(action).date()
            }
        )
    )


def with_booked(setting: Setting, booked: Iterable[Invoice]) -> Setting:
    """The setting of one customer, with his posted invoices."""
    by_id = {invoice.id: invoice for invoice in booked}
    through_at = max((invoice.made_at for invoice in by_id.values()), default=NEVER)
    return replace(setting, booked=by_id, booked_through_at=through_at)


def open_window(state: CustomerState, setting: Setting) -> OpenWindow | None:
    """The running window, as known on the last known landing day; None without access."""
    subscription = state.subscription
    if subscription is None or subscription.window is None:
        return None
    if subscription.status not in WITH_ACCESS:
        return None
    window = subscription.window
    key = WindowKey(state.customer_id, window.start_at, window.end_at, setting.known_on)
    drawn = drawn_so_far(state, setting)
    return OpenWindow(key, window_terms(subscription), (key,) if drawn is None else drawn.keys)


def drawn_so_far(state: CustomerState, setting: Setting) -> Drawn | None:
    """The running window on credits or a balance, drawn as far as is known; None of any other."""
    subscription = state.subscription
    if subscription is None or subscription.window is None:
        return None
    if subscription.terms.consumption_model == "metered":
        return None
    return draw_window(state, subscription, subscription.window, setting.known_on, setting)


def _posted_by(invoices: Iterable[Invoice], day: date) -> list[Invoice]:
    return [invoice for invoice in invoices if invoice.is_postable and invoice.known_on <= day]
