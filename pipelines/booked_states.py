"""States in the books: where each customer stood just after what is posted, as text.

A cache under a version: where it is missing, of another version, or where something reaches
before it, the fold starts from the customer's first action and makes the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from billing_core.actions import Action
from billing_core.bill import Bill, with_booked
from billing_core.errors import BillingError, fault_of
from billing_core.invoice import Invoice
from billing_core.resuming import Fingerprint, KeptState, keep, resume
from billing_core.setting import Setting
from billing_core.state_text import text_of, text_version, value_of
from billing_core.usage import Usage
from pipelines.action_log import registered_actions
from pipelines.ai_prices import update_ai_prices
from pipelines.billing import Fold, History, Meter, fold_as_posted, rate
from pipelines.books import BookedState, Books, PostedInvoice, engine_sources
from pipelines.catalogs import sha256_of_text
from pipelines.drafts import Drafts
from pipelines.history import Known, read_known
from pipelines.paths import DataRoot
from pipelines.snapshots import take_snapshots
from pipelines.steps import ai_versions, metering_spec
from pipelines.usage_frames import WindowRequest
from pipelines.world import tzdata_version


def state_version() -> str:
    """What tells states of this engine from others: their shape, its sources, its time zones."""
    return f"{text_version(KeptState)}-{engine_sources()[:16]}-{tzdata_version()}"


def states_at_boundaries(
    root: DataRoot, drafts: Drafts, books: Books, posted: Sequence[PostedInvoice]
) -> list[BookedState]:
    """The states to keep with a posting, of its customers, each after his last invoice.

    takes:   books, without the posting. The writer's lock is held.
    returns: by customer; nothing for somebody whose checkout waits.
    """
    through = drafts.summary.through
    given = read_known(root, through=through, files=registered_actions(root, through), books=books)
    history = _with_posted(given.history, posted)
    setting = rate(history, _meter(root, through, given)).setting
    told, version, states = fingerprint_of(setting), state_version(), []
    for customer_id, booked in sorted(history.booked.items()):
        own, actions = with_booked(setting, booked), history.actions[customer_id]
        boundary_at = max(invoice.made_at for invoice in booked)
        kept = keep(customer_id, actions, own, boundary_at=boundary_at, fingerprint=told)
        if kept is not None:
            text = text_of(kept, KeptState)
            states.append(BookedState(customer_id, boundary_at, version, text))
    return states


def kept_states(states: Iterable[BookedState]) -> dict[str, KeptState]:
    """The states of this version, by customer; others are as if they were not there."""
    version = state_version()
    return {
        it.customer_id: value_of(it.state, KeptState)
        for it in states
        if it.state_version == version
    }


def resuming(kept: Mapping[str, KeptState], setting: Setting) -> Fold:
    """How `rate` folds from kept states on; what is not posted comes out the same.

    Of a customer who is resumed the answer holds what came after his kept state alone. A run
    keeps the snapshots, outcomes and notices of whole histories, so that it does not resume.
    rule: PST-3.
    """
    told = fingerprint_of(setting)

    def fold(customer_id: str, actions: Sequence[Action], own: Setting, until: datetime) -> Bill:
        state = kept.get(customer_id)
        try:
            since = (
                None
                if state is None
                else resume(state, actions, own, until=until, fingerprint=told)
            )
        except BillingError as error:
            return Bill(customer_id, None, fault_of(customer_id, error))
        if since is None:
            return fold_as_posted(customer_id, actions, own, until)
        return Bill(customer_id, since, windows=since.windows)

    return fold


def fingerprint_of(setting: Setting) -> Fingerprint:
    """A version's content as a hash, counted once for all customers."""
    told = {it.effective_at: sha256_of_text(it.catalog) for it in setting.versions}
    return lambda version: told[version.effective_at]


def _with_posted(history: History, posted: Iterable[PostedInvoice]) -> History:
    """The histories of the customers of a posting, as if it was in the books."""
    booked: dict[str, list[Invoice]] = defaultdict(list)
    numbers = dict(history.setting.numbers)
    for one in posted:
        booked[one.invoice.customer_id].append(one.invoice)
        numbers[one.number] = one.invoice.id
    return replace(
        history,
        setting=replace(history.setting, numbers=numbers),
        actions={customer: history.actions[customer] for customer in booked},
        booked={
            customer: [*history.booked.get(customer, ()), *invoices]
            for customer, invoices in booked.items()
        },
    )


def _meter(root: DataRoot, through: date, given: Known) -> Meter:
    prices = update_ai_prices(root, ai_versions(given.catalogs))
    spec = metering_spec(given.catalogs, prices)

    def usage_of(requests: Sequence[WindowRequest]) -> Usage:
        return take_snapshots(
            root,
            requests,
            customers=given.customers,
            spec=spec,
            through=through,
        ).usage

    return usage_of
