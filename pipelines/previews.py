"""What an action would make of a customer, by the fold that bills him; writes nothing.

Reads what the last run metered, and actions and catalog files as they lie there now. The
action is one that was never landed; the core says what it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from billing_core.actions import FOUNDER_ONLY, Action, parse_action
from billing_core.bill import Bill, with_booked
from billing_core.errors import BillingError, Fault, Problem
from billing_core.invoice import Invoice
from billing_core.period import billing_date, midnight
from billing_core.previewing import Preview, preview, previewed
from billing_core.schema import nearest
from billing_core.setting import Setting
from pipelines.ai_prices import new_prices, read_ai_prices
from pipelines.billing import History, Meter, rate
from pipelines.books import Books, read_books
from pipelines.drafts import read_summary
from pipelines.history import Known, look_at_known
from pipelines.paths import DataRoot
from pipelines.snapshots import usage_only
from pipelines.steps import ai_versions, metering_spec

ACTION_ID = "preview"


class UnknownToPreview(BillingError):
    """A preview of somebody who is not a customer."""

    code = "PREVIEW-01"

    def __init__(self, customer: str, known: Sequence[str]) -> None:
        super().__init__(
            what=f"there is no customer {customer!r}",
            where="the actions that have landed",
            mend=f"{nearest(customer, list(known))}; a new one is landed with create_customer",
        )


class BehindWhatIsPosted(BillingError):
    """A preview of a day before the customer's last posted invoice. Rule ACT-4."""

    code = "PREVIEW-02"

    def __init__(self, at: datetime, *, number: str, since: date) -> None:
        super().__init__(
            what=f"{at:%Y-%m-%dT%H:%M:%SZ} lies before what {number} has settled",
            where="the books of this customer",
            mend=f"name a date from {since} on, as in --at {since}",
        )


class WrongAction(BillingError):
    """The action to preview is not one that could land."""

    code = "PREVIEW-03"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            what="; ".join(problem.what for problem in problems),
            where=", ".join(problem.path for problem in problems),
            mend="; ".join(problem.mend for problem in problems),
        )


class CannotBeBilled(BillingError):
    """The customer, or the action, is not billed: there is nothing to show. Rule PST-4."""

    code = "PREVIEW-04"

    def __init__(self, fault: Fault) -> None:
        super().__init__(what=f"{fault.code}: {fault.what}", where=fault.where, mend=fault.mend)


@dataclass(frozen=True, slots=True)
class Previewed:
    """A preview, and up to which day usage is known.

    numbers: of posted invoices, by id.
    """

    action: Action
    through: date
    found: Preview
    numbers: Mapping[str, str]


def preview_action(
    root: DataRoot, customer: str, do: str, fields: Mapping[str, Any], *, at: date | datetime
) -> Previewed:
    """What an action at an instant would do; a date is 00:00 in the customer's time zone.

    takes:  customer, by his id or another id that may stand on events; fields of the action.
    raises: UnknownToPreview, BehindWhatIsPosted, WrongAction, CannotBeBilled, NoDrafts,
            CatalogIsWrong.
    """
    through, books = read_summary(root).through, read_books(root)
    known = look_at_known(root, through=through, books=books)
    customer_id = _id_of(customer, known)
    zone = _zone(customer_id, known.history, at)
    instant = at if isinstance(at, datetime) else midnight(at, zone)
    _raise_if_behind(instant, zone, known.history.booked.get(customer_id, ()), books)
    action = _action(customer_id, do, fields, instant)
    return _previewed(root, known, action, books)


def _previewed(root: DataRoot, known: Known, action: Action, books: Books) -> Previewed:
    history, customer_id = known.history, action.customer or ""
    actions = history.actions[customer_id]
    tried = replace(
        history,
        through=max(history.through, action.at.date()),
        actions={**history.actions, customer_id: (*actions, action)},
    )

    def fold(name: str, _: Sequence[Action], setting: Setting, __: datetime) -> Bill:
        return previewed(name, actions, action, setting)

    rated = rate(tried, _meter(root, known), fold, only=(customer_id,))
    setting = with_booked(rated.setting, history.booked.get(customer_id, ()))
    found = preview(customer_id, actions, action, setting)
    if isinstance(found, Fault):
        raise CannotBeBilled(found)
    return Previewed(
        action=action,
        through=history.through,
        found=found,
        numbers={posted.invoice.id: posted.number for posted in books.invoices},
    )


def _meter(root: DataRoot, known: Known) -> Meter:
    """Usage as the last run metered it; prices that wait for a run are counted with."""
    versions, prices = ai_versions(known.catalogs), read_ai_prices(root)
    spec = metering_spec(known.catalogs, (*prices, *new_prices(prices, versions)))

    return lambda requests: usage_only(
        root, requests, customers=known.customers, spec=spec, through=known.history.through
    )


def _id_of(customer: str, known: Known) -> str:
    names = {it.external_id: it.customer_id for it in known.customers}
    if customer not in names:
        raise UnknownToPreview(customer, sorted(names))
    return names[customer]


def _zone(customer_id: str, history: History, at: date | datetime) -> tzinfo:
    """The customer's time zone, as he was last told to be in."""
    given = [getattr(action, "time_zone", None) for action in history.actions[customer_id]]
    own = next((zone for zone in reversed(given) if zone), None)
    on = at if isinstance(at, datetime) else midnight(at, UTC)
    return history.setting.zone_of(own, on)


def _action(customer_id: str, do: str, fields: Mapping[str, Any], at: datetime) -> Action:
    """The action as if it landed on its day; what only the founder may do is his."""
    given = {
        "actor": "founder" if do in FOUNDER_ONLY else "customer",
        **fields,
        "id": ACTION_ID,
        "do": do,
        "customer": customer_id,
        "at": at,
        "received_at": at,
    }
    action = parse_action(given, where="the command line")
    if isinstance(action, tuple):
        raise WrongAction(action)
    return action


def _raise_if_behind(at: datetime, zone: tzinfo, booked: Sequence[Invoice], books: Books) -> None:
    """raises: BehindWhatIsPosted: what is posted of a customer has closed the time before it."""
    last = max(booked, key=lambda invoice: invoice.made_at, default=None)
    if last is None or at >= last.made_at:
        return
    number = next(it.number for it in books.invoices if it.invoice.id == last.id)
    since = billing_date(last.made_at, zone)
    if midnight(since, zone) < last.made_at:
        since += timedelta(days=1)
    raise BehindWhatIsPosted(at, number=number, since=since)
