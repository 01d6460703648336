"""What a run knows: catalog versions, actions and posted invoices, read for the billing core.

Reads and puts in order; decides nothing about billing. A catalog file that is wrong stops
the run, since nobody could be billed right by what is left; an action that is wrong is set
aside and the customer's other business goes on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from billing_core.actions import (
    Action,
    AuditItem,
    CreateCustomer,
    DecideConflict,
    Outcome,
    OutcomeStatus,
    PublishCatalog,
    ReasonCode,
    ReleaseHold,
    may_do,
)
from billing_core.archiving import Archiving, first_archiving
from billing_core.errors import BillingError, Problem
from billing_core.invoice import Invoice
from billing_core.period import midnight
from billing_core.setting import CatalogVersion, Setting, catalog_version
from pipelines.action_log import (
    ActionLog,
    LandedAction,
    LandedFile,
    SetAsideAction,
    landed_action_files,
    read_actions,
    register_actions,
    registered_actions,
)
from pipelines.billing import History
from pipelines.books import Books
from pipelines.catalogs import (
    DatedCatalog,
    file_of,
    is_of_file,
    load_catalogs,
    with_published,
    without_archives,
)
from pipelines.deletions import Deleted, with_deletions
from pipelines.paths import DataRoot
from pipelines.publications import (
    archiving_versions,
    late_versions,
    publish_files,
    raise_if_changed,
    replaced_texts,
)
from pipelines.reasons import HOLD_REASONS
from pipelines.usage_frames import KnownCustomer
from pipelines.world import currencies, local_currencies, zones


class CatalogIsWrong(BillingError):
    """A catalog file has errors; no run bills by what is left of it. Rule CAT-1."""

    code = "CATALOG-60"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f" ({len(problems)} problems in all)" if len(problems) > 1 else ""
        super().__init__(
            what=f"the catalog is wrong: {first.what}{more}",
            where=f"{first.file}: {first.path}",
            mend=f"{first.mend}; `fairbill validate` lists them all",
        )
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that a run knows when it bills.

    outcomes:  of actions that concern no single customer.
    set_aside: actions that are not taken, with those that this version does not carry out.
    customers: under each id that may stand on events, with the landing day they are known from.
    notes:     what should be known of catalog files: late ones, and texts that were replaced.
    """

    history: History
    catalogs: tuple[DatedCatalog, ...]
    log: ActionLog
    outcomes: tuple[Outcome, ...]
    set_aside: tuple[SetAsideAction, ...]
    customers: tuple[KnownCustomer, ...]
    notes: tuple[Problem, ...] = ()


def read_known(
    root: DataRoot, *, through: date, files: Iterable[LandedFile], books: Books
) -> Known:
    """What is known of everybody when a day is billed; new catalog files are published.

    takes:  files, the registered action files up to that landing day. The writer's lock is
            held.
    raises: CatalogIsWrong, CatalogChanged.
    """
    versions = _versions(root, books)
    if publish_files(root, versions, through=through):
        files = register_actions(root, through=through, closed_through=books.newest_cutoff_on)
    return _known(versions, read_actions(root, files), through, books)


def look_at_known(root: DataRoot, *, through: date, books: Books) -> Known:
    """What is known now, with what has landed and waits for a run; nothing is written.

    raises: CatalogIsWrong, CatalogChanged.
    """
    registered = registered_actions(root, date.max)
    paths = {file.path for file in registered}
    waiting = [file for file in landed_action_files(root) if file.path not in paths]
    files = sorted((*registered, *waiting), key=lambda file: (file.landing_day, file.path))
    return _known(_versions(root, books), read_actions(root, files), through, books)


def _known(versions: Sequence[DatedCatalog], log: ActionLog, through: date, books: Books) -> Known:
    late = late_versions(books, versions)
    in_time = [it for it in versions if it.file not in {one.file for one in late}]
    general = [one for one in log.actions if _is_general(one.action)]
    customers = known_customers(log.actions)
    by_customer: dict[str, list[Action]] = defaultdict(list)
    for one in log.actions:
        if one.action.customer is not None and not _is_general(one.action):
            by_customer[one.action.customer].append(one.action)

    def told(some: Sequence[DatedCatalog]) -> Deleted:
        setting = setting_of(some, by_customer, through, books)
        posted = [it.invoice for it in books.invoices]
        return with_deletions(setting, [one.action for one in general], posted)

    def first(some: Sequence[DatedCatalog]) -> Archiving | None:
        until = midnight(through + timedelta(days=1), UTC)
        return first_archiving(by_customer, told(some).setting, until=until)

    decisions = [it for it in general if not _is_file(it)]
    outcomes, published, wrong = _decided(decisions, in_time, {it.customer_id for it in customers})
    loaded, refused = without_archives(in_time, published, first)
    deleted = told(loaded.versions)
    of_files = _of_files([it for it in general if _is_file(it)], versions, in_time)
    history = History(
        setting=deleted.setting,
        through=through,
        actions=by_customer,
        booked=_booked(books),
    )
    return Known(
        history=history,
        catalogs=loaded.versions,
        log=log,
        outcomes=(
            *(unless_refused(it, refused, versions) for it in (*of_files, *outcomes)),
            *deleted.outcomes,
        ),
        set_aside=(*log.set_aside, *wrong, *_unbilled(deleted, general)),
        customers=customers,
        notes=(*late, *replaced_texts(log.actions, versions), *archiving_versions(refused)),
    )


def setting_of(
    catalogs: Sequence[DatedCatalog],
    actions: Mapping[str, Sequence[Action]],
    through: date,
    books: Books,
) -> Setting:
    """The setting of a run: drafts take in all that is known until they are posted (USE-8)."""
    return Setting(
        versions=versions_of(catalogs),
        zones=zones(_zone_names(catalogs, actions.values())),
        local_currencies=local_currencies(),
        numbers={posted.number: posted.invoice.id for posted in books.invoices},
        due_on={posted.invoice.id: posted.due_on for posted in books.invoices},
        known_on=through,
        takes_later_usage=True,
    )


def versions_of(catalogs: Iterable[DatedCatalog]) -> tuple[CatalogVersion, ...]:
    """Catalog versions as the core takes them, their terms worked out."""
    return tuple(catalog_version(it.effective_at, it.catalog, currencies()) for it in catalogs)


def known_customers(actions: Iterable[LandedAction]) -> tuple[KnownCustomer, ...]:
    """Customers by each id that may stand on events: their own, and external ones."""
    known: dict[str, KnownCustomer] = {}
    for one in actions:
        if isinstance(one.action, CreateCustomer):
            for name in (one.action.customer, *one.action.external_ids):
                known.setdefault(name, KnownCustomer(name, one.action.customer, one.landing_day))
    return tuple(known[name] for name in sorted(known))


def _versions(root: DataRoot, books: Books) -> tuple[DatedCatalog, ...]:
    """The versions of the catalog's files, all of them right, and none changed that was used."""
    loaded = load_catalogs(root)
    if loaded.problems:
        raise CatalogIsWrong(loaded.problems)
    raise_if_changed(root, books, loaded.versions)
    return loaded.versions


def _zone_names(catalogs: Iterable[DatedCatalog], actions: Iterable[Sequence[Action]]) -> set[str]:
    names = {it.catalog.policies.billing_time_zone for it in catalogs}
    given = (getattr(action, "time_zone", None) for some in actions for action in some)
    return names | {name for name in given if name}


def _booked(books: Books) -> dict[str, list[Invoice]]:
    booked: dict[str, list[Invoice]] = defaultdict(list)
    for posted in books.invoices:
        booked[posted.invoice.customer_id].append(posted.invoice)
    return booked


def _is_general(action: Action) -> bool:
    """Whether an action goes into no customer's history: a decision is about an event, and
    what holds an invoice back lies outside of it."""
    return action.customer is None or isinstance(action, DecideConflict | ReleaseHold)


def _is_file(one: LandedAction) -> bool:
    return isinstance(one.action, PublishCatalog) and is_of_file(one.action)


def _of_files(
    published: Iterable[LandedAction],
    versions: Sequence[DatedCatalog],
    in_time: Sequence[DatedCatalog],
) -> Iterator[Outcome]:
    """What became of each catalog file that was published. Rule CAT-1."""
    there, taken = {it.sha256 for it in versions}, {it.sha256 for it in in_time}
    for one in published:
        if one.action.id in taken:
            yield general_outcome(one.action)
        elif one.action.id in there:
            yield general_outcome(one.action, ReasonCode.LATE_ACTION)
        else:
            yield general_outcome(one.action, ReasonCode.CATALOG_CHANGED)


def unless_refused(
    outcome: Outcome, refused: Mapping[str, Archiving], versions: Iterable[DatedCatalog]
) -> Outcome:
    """An outcome; of the publication of a version that is not taken for ADD-5 its refusal."""
    names = {it.sha256: it.file for it in versions}
    found = refused.get(names.get(outcome.action_id, file_of(outcome.action_id)))
    if found is None or outcome.customer_id is not None:
        return outcome
    return replace(
        outcome,
        status=OutcomeStatus.REFUSED,
        what=f"{found}; publish one that keeps it, or deactivate it for all who have it first",
        reason=ReasonCode.ALREADY_ACTIVE,
    )


def _decided(
    general: Sequence[LandedAction], files: Sequence[DatedCatalog], customers: Collection[str]
) -> tuple[tuple[Outcome, ...], list[PublishCatalog], list[SetAsideAction]]:
    """What became of the founder's decisions that stand in no customer's history.

    With them the catalog versions that he published, one after the other: one that would be
    wrong is set aside, and the version before it stays in force.
    """
    outcomes, wrong = [], []
    published: list[PublishCatalog] = []
    for one in general:
        if not may_do(one.action):
            outcomes.append(general_outcome(one.action, ReasonCode.WRONG_ACTOR))
        elif isinstance(one.action, PublishCatalog):
            tried = with_published(files, [*published, one.action])
            if tried.problems:
                wrong += [_set_aside(one, problem) for problem in tried.problems[:1]]
            else:
                published.append(one.action)
                outcomes.append(general_outcome(one.action))
        elif isinstance(one.action, DecideConflict) and one.action.keep == "first":
            outcomes.append(general_outcome(one.action))
        elif isinstance(one.action, ReleaseHold):
            outcomes.append(_released(one.action, customers))
        elif isinstance(one.action, AuditItem | DecideConflict):
            wrong.append(_set_aside(one, _not_carried_out(one)))
    return tuple(outcomes), published, wrong


def _released(action: ReleaseHold, customers: Collection[str]) -> Outcome:
    """What became of a release: which invoices it lets go is decided where they are held."""
    if action.customer not in customers:
        return general_outcome(action, ReasonCode.UNKNOWN_CUSTOMER)
    is_known = action.reason in HOLD_REASONS
    return general_outcome(action) if is_known else general_outcome(action, ReasonCode.NOT_FOUND)


def _not_carried_out(one: LandedAction) -> Problem:
    what, mend = f"{one.action.do}", "make the change with a catalog version"
    if isinstance(one.action, DecideConflict):
        what = f"{what} with keep: {one.action.keep}"
        mend = "keep the first, then retract it and land the right event under a new id"
    return Problem(
        code="SCOPE-02",
        file=one.file,
        path="do",
        what=f"{what} is not carried out by this version",
        mend=f"{mend}, or wait for a version that does it",
    )


def _unbilled(deleted: Deleted, general: Sequence[LandedAction]) -> Iterator[SetAsideAction]:
    """Deletions whose plan to go on with has something that is not billed. Rule PST-4."""
    landed = {one.action.id: one for one in general}
    for action, error in deleted.unbilled:
        one = landed[action.id]
        problem = Problem(error.code, one.file, "to", error.what, error.mend)
        yield _set_aside(one, problem)


def _set_aside(one: LandedAction, problem: Problem) -> SetAsideAction:
    return SetAsideAction(one.file, one.row, one.landing_day, problem)


_REFUSED = {
    ReasonCode.WRONG_ACTOR: "only the founder may {do}",
    ReasonCode.LATE_ACTION: "what was posted was posted without this version; date it later",
    ReasonCode.CATALOG_CHANGED: "its file was edited or removed before a posted invoice used it; "
    "what is in catalog/ now is taken",
    ReasonCode.UNKNOWN_CUSTOMER: "its customer is unknown; create him first",
    ReasonCode.NOT_FOUND: "no invoice waits for such a reason; it is one of "
    + ", ".join(HOLD_REASONS),
}
"""Why an action that concerns nobody alone was not done."""


def general_outcome(action: Action, reason: ReasonCode | None = None) -> Outcome:
    """What became of an action that concerns nobody alone. Rule FAIR-10."""
    done = f"{action.do} was applied"
    return Outcome(
        action_id=action.id,
        customer_id=None,
        status=OutcomeStatus.APPLIED if reason is None else OutcomeStatus.REFUSED,
        what=done if reason is None else _REFUSED[reason].format(do=action.do),
        at=action.at,
        received_at=action.received_at,
        reason=reason,
    )
