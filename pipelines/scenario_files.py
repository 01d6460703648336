"""Scenarios as they are written: a story in steps, and the money that it must make.

Reads YAML documents into typed steps and expectations, with everything that may be left
out filled in. Running a scenario and comparing is not done here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError

from billing_core.actions import Action, CreateCustomer, PublishCatalog, ReasonCode, parse_action
from billing_core.catalog import Interval
from billing_core.errors import Problem
from billing_core.invoice import InvoiceType
from billing_core.period import midnight
from billing_core.schema import (
    Code,
    Count,
    CurrencyCode,
    Day,
    Exact,
    Instant,
    PlainTree,
    Record,
    Text,
    Tree,
    YesNo,
    calendar_day,
    nearest,
    problems_of,
    refusal,
)
from pipelines.catalogs import DatedCatalog, catalog_of_tree, with_published
from pipelines.world import zone
from pipelines.yaml_text import Document, read_documents, read_tree

PREFIX: Final = "SCENARIO"

STATUSES = Literal[
    "draft",
    "pending_payment",
    "trialing",
    "active",
    "paused",
    "past_due",
    "canceled",
    "expired",
]
NOTICES = Literal[
    "quota_80",
    "quota_exceeded",
    "confirmation_needed",
    "pack_expiring",
    "pack_expired",
    "downgrade_warning",
    "past_due",
    "overdue",
]

_OUTCOME: Final = re.compile(r"applied|scheduled \d{4}-\d{2}-\d{2}|refused (?P<reason>\w+)")
_DAY_ALONE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def _named(*names: str, optional: str | None = None) -> BeforeValidator:
    """A list read as a mapping: its elements have these names; one of them may be left out."""

    def mapping(value: object) -> object:
        if not isinstance(value, list):
            return value
        shorter = tuple(name for name in names if name != optional)
        for keys in (names, shorter):
            if len(value) == len(keys):
                return dict(zip(keys, value, strict=True))
        shown = ", ".join(f"{name}?" if name == optional else name for name in names)
        what = f"a list of {len(value)} elements"
        raise refusal("mapping", what, f"write [{shown}]")

    return BeforeValidator(mapping)


def _outcome(value: object) -> object:
    match = _OUTCOME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        what = f"{value!r} is no outcome"
        raise refusal("one_of", what, "write applied, scheduled 2026-05-01, or refused CODE")
    reason = match["reason"]
    if reason is not None and reason not in set(ReasonCode):
        raise refusal("one_of", f"{reason!r} is no reason code", nearest(reason, list(ReasonCode)))
    return value


class ExpectedLine(Record):
    """A line of an invoice: `[type, amount]` or `[type, code, amount]`."""

    type: Text
    code: Text | None = None
    amount: Exact


def _text_or_lines(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<lines>"


_Line = Annotated[ExpectedLine, _named("type", "code", "amount", optional="code")]
ExpectedLines = Annotated[
    Annotated[Literal["any"], Tag("<text>")] | Annotated[tuple[_Line, ...], Tag("<lines>")],
    Discriminator(_text_or_lines),
]


class ExpectedInvoice(Record):
    """An invoice; each key that is given (`model_fields_set`) is compared."""

    customer: Code
    on: Day
    type: InvoiceType | None = None
    lines: ExpectedLines = "any"
    currency: CurrencyCode | None = None
    subtotal: Exact | None = None
    tax: Exact | None = None
    total: Exact | None = None


class ExpectedSchedule(Record):
    """A change or a cancellation that waits for its day."""

    plan: Code | None = None
    interval: Interval | None = None
    cancel: YesNo = False
    on: Day


class ExpectedCredits(Record):
    """Credits left: of the plan, and bought ones."""

    plan: Exact | None = None
    purchased: Exact | None = None


class ExpectedState(Record):
    """A customer at the end; each key that is given (`model_fields_set`) is compared."""

    status: STATUSES | None = None
    plan: Code | None = None
    interval: Interval | None = None
    period: tuple[Day, Day] | None = None
    scheduled: ExpectedSchedule | None = None
    credits: ExpectedCredits | None = None
    balance: Exact | None = None
    customer_credit: Exact | None = None
    outstanding: Exact | None = None
    access: YesNo | None = None
    seats: dict[Code, Count] | None = None
    used: dict[Code, Exact] | None = None
    blocked: dict[Code, Exact] | None = None
    limit: dict[Code, Exact] | None = None
    features: dict[Code, Literal["on", "off"]] | None = None


class ExpectedNotice(Record):
    on: Day
    customer: Code
    kind: NOTICES
    feature: Code | None = None


class ExpectedEntry(Record):
    """A ledger entry."""

    on: Day
    customer: Code
    type: Literal["consumption", "purchase", "topup", "reset", "adjustment"]
    amount: Exact
    balance_after: Exact


class ExpectedCount(Record):
    """How many events are set aside for a reason."""

    reason: Code
    count: Count


class ExpectedHold(Record):
    customer: Code
    reason: Code


class ExpectedStatement(Record):
    """A creator's month; month: as 2026-04."""

    creator: Code
    month: Text
    net_sales: Exact | None = None
    earned: Exact | None = None
    capped: Exact | None = None
    clawback: Exact | None = None
    carried: Exact | None = None
    payable: Exact | None = None


class Expectations(Record):
    """What must come out; None is not compared, what is given is compared in full."""

    invoices: tuple[ExpectedInvoice, ...] | None = None
    invoices_of: tuple[Code, ...] | None = None
    state: dict[Code, ExpectedState] | None = None
    outcomes: dict[Text, Annotated[Text, BeforeValidator(_outcome)]] | None = None
    notices: (
        tuple[Annotated[ExpectedNotice, _named("on", "customer", "kind", "feature")], ...] | None
    ) = None
    ledger: (
        tuple[
            Annotated[ExpectedEntry, _named("on", "customer", "type", "amount", "balance_after")],
            ...,
        ]
        | None
    ) = None
    set_aside: tuple[Annotated[ExpectedCount, _named("reason", "count")], ...] | None = None
    holds: tuple[Annotated[ExpectedHold, _named("customer", "reason")], ...] | None = None
    creators: tuple[ExpectedStatement, ...] | None = None
    error: Text | None = None


def _path_or_catalog(value: object) -> str:
    return "<path>" if isinstance(value, str) else "<catalog>"


class _Written(Record):
    """A scenario as it is written."""

    scenario: Text
    rules: tuple[Text, ...] = ()
    catalog: Annotated[
        Annotated[Text, Tag("<path>")] | Annotated[PlainTree, Tag("<catalog>")],
        Discriminator(_path_or_catalog),
    ]
    payments: Literal["automatic", "manual"] = "automatic"
    timeline: tuple[PlainTree, ...]
    bill_through: Day
    expect: Expectations
    working: str | None = None


class UsageStep(Record):
    """A usage event of a scenario. received_at None: it lands on the day of its instant.

    name: what `as` calls it. value None: 1.
    """

    event_id: Text
    source: Text = "scenario"
    customer_id: Code = Field(alias="customer")
    feature: Code = Field(alias="use")
    occurred_at: Instant = Field(alias="at")
    received_at: Instant | None = None
    value: Exact | None = None
    amount: Exact | None = None
    model: Text | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    properties: dict[Text, Text] = Field(default_factory=dict)
    retracts: Text | None = None
    name: Text | None = Field(default=None, alias="as")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario that can be run, or whose `problems` say why it cannot.

    catalogs: all versions in order, those published by steps included.
    actions:  in the order taken, customers created where they are first met; with their
              personal data (`action_log.without_personal` takes it out).
    usage:    in order of instant, then as written.
    names:    what `as` calls a step -> its action id.
    is_paid_at_once: every invoice is paid when it is made.
    """

    name: str
    file: str
    line: int
    rules: tuple[str, ...]
    bill_through: date
    expect: Expectations
    is_paid_at_once: bool
    catalogs: tuple[DatedCatalog, ...] = ()
    actions: tuple[Action, ...] = ()
    usage: tuple[UsageStep, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    working: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedScenarios:
    """Scenarios in order of file and line, and documents that are none."""

    scenarios: tuple[Scenario, ...]
    problems: tuple[Problem, ...]


def load_scenarios(path: Path) -> LoadedScenarios:
    """The scenarios of a file, or of all YAML files below a folder; catalogs are left out."""
    files = [path] if path.is_file() else sorted(path.rglob("*.yaml"))
    read = [item for file in files for item in _scenarios_of(file)]
    problems = [item for item in read if isinstance(item, Problem)]
    if not files or not path.exists():
        what, mend = "there is no scenario here", "name a YAML file, or a folder that holds some"
        problems.append(Problem(f"{PREFIX}-31", str(path), "(whole)", what, mend))
    return LoadedScenarios(
        tuple(item for item in read if isinstance(item, Scenario)), tuple(problems)
    )


def _scenarios_of(file: Path) -> Iterator[Scenario | Problem]:
    documents = read_documents(file, prefix=PREFIX)
    if isinstance(documents, Problem):
        yield documents
        return
    for document in documents:
        if not _is_catalog(document.tree):
            yield from _scenario(document, file)


def _is_catalog(tree: object) -> bool:
    return isinstance(tree, dict) and "scenario" not in tree and "effective_at" in tree


def _scenario(document: Document, file: Path) -> Iterator[Scenario | Problem]:
    where = f"{file}:{document.line}"
    try:
        written = _Written.model_validate(document.tree)
    except ValidationError as error:
        yield from problems_of(error.errors(), _Written, prefix=PREFIX, file=where)
        return
    scenario = Scenario(
        name=written.scenario,
        file=str(file),
        line=document.line,
        rules=written.rules,
        bill_through=written.bill_through,
        expect=written.expect,
        is_paid_at_once=written.payments == "automatic",
        working=written.working,
    )
    catalog = _catalog(written.catalog, file, where)
    if isinstance(catalog, tuple):
        yield replace(scenario, problems=catalog)
    else:
        yield _with_steps(scenario, written.timeline, catalog, where)


def _catalog(written: str | Tree, file: Path, where: str) -> DatedCatalog | tuple[Problem, ...]:
    if not isinstance(written, str):
        return catalog_of_tree(written, file=where, sha256="")
    tree = read_tree(file.parent / written, prefix="CATALOG", file=written)
    if isinstance(tree, Problem):
        return (tree,)
    return catalog_of_tree(tree, file=written, sha256="")


@dataclass(slots=True)
class _Steps:
    """What has been read of a timeline so far. zones: by customer, as far as one was given."""

    zone: tzinfo
    country: str
    where: str
    bill_through: date
    zones: dict[str, tzinfo] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    usage: list[UsageStep] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def _with_steps(
    scenario: Scenario, timeline: Iterable[Tree], catalog: DatedCatalog, where: str
) -> Scenario:
    named = catalog.catalog.policies.billing_time_zone
    steps = _Steps(
        zone=zone(named) or UTC,
        country=catalog.catalog.seller.country,
        where=where,
        bill_through=scenario.bill_through,
    )
    for place, step in enumerate(timeline):
        _read_step(steps, place, step)
    _check_names(steps, scenario.expect)
    actions = sorted(steps.actions, key=lambda one: (one.at, one.received_at))
    published = [action for action in actions if isinstance(action, PublishCatalog)]
    versions = with_published([catalog], published)
    return replace(
        scenario,
        catalogs=versions.versions,
        actions=tuple(_with_customers(actions, steps.country)),
        usage=tuple(sorted(steps.usage, key=lambda one: one.occurred_at)),
        names=steps.names,
        problems=(*steps.problems, *versions.problems),
    )


def _read_step(steps: _Steps, place: int, step: Tree) -> None:
    path, own_zone = f"timeline.{place}", _zone_of(steps, step)
    dated = {key: _instant_text(key, value, own_zone) for key, value in step.items()}
    if "use" in dated and "do" not in dated:
        found: datetime | tuple[Problem, ...] = _usage_step(steps, place, dated)
    elif "do" in dated:
        found = _action_step(steps, place, dated)
    else:
        what, mend = "the step neither uses nor does anything", "add use: FEATURE or do: ACTION"
        found = (Problem(f"{PREFIX}-02", steps.where, "do", what, mend),)
    if isinstance(found, tuple):
        steps.problems += [replace(one, path=f"{path}.{one.path}") for one in found]
    elif found >= midnight(steps.bill_through + timedelta(days=1), own_zone):
        what = f"the step at {found:%Y-%m-%dT%H:%M:%SZ} is after bill_through {steps.bill_through}"
        mend = "leave it out, or bill through a later day"
        steps.problems.append(Problem(f"{PREFIX}-10", steps.where, f"{path}.at", what, mend))


def _usage_step(steps: _Steps, place: int, step: Tree) -> datetime | tuple[Problem, ...]:
    """Reads a usage event; its instant, or what is wrong."""
    try:
        usage = UsageStep.model_validate({"event_id": f"step-{place + 1:04}", **step})
    except ValidationError as error:
        return problems_of(error.errors(), UsageStep, prefix=PREFIX, file=steps.where)
    steps.usage.append(usage)
    return usage.occurred_at


def _action_step(steps: _Steps, place: int, step: Tree) -> datetime | tuple[Problem, ...]:
    """Reads an action; its instant, or what is wrong."""
    name = step.get("as")
    record = {key: value for key, value in step.items() if key != "as"}
    given = {"id": f"step-{place + 1:04}", "received_at": step.get("at")}
    action = parse_action({**given, **record}, where=steps.where)
    if isinstance(action, tuple):
        return action
    if any(other.id == action.id for other in steps.actions):
        what = f"the id {action.id!r} stands on an earlier step"
        return (Problem(f"{PREFIX}-11", steps.where, "id", what, "give it an id of its own"),)
    if name is not None:
        if name in steps.names:
            what = f"the name {name!r} stands on an earlier step"
            return (Problem(f"{PREFIX}-11", steps.where, "as", what, "name each step once"),)
        steps.names[name] = action.id
    steps.actions.append(action)
    return action.at


def _zone_of(steps: _Steps, step: Tree) -> tzinfo:
    """The zone of a step's dates: of the customer named, else of the catalog.

    A zone that a customer is created with counts at once, an updated one from the next step.
    """
    customer, named = str(step.get("customer")), step.get("time_zone")
    known = zone(named) if isinstance(named, str) else None
    if step.get("do") == "create_customer" and known is not None:
        steps.zones[customer] = known
    own = steps.zones.get(customer, steps.zone)
    if step.get("do") == "update_customer" and known is not None:
        steps.zones[customer] = known
    return own


def _instant_text(key: str, value: Any, own_zone: tzinfo) -> Any:
    """A date alone as the instant of 00:00; anything else as it is."""
    is_alone = isinstance(value, str) and _DAY_ALONE.fullmatch(value)
    if key not in {"at", "received_at"} or not is_alone:
        return value
    try:
        return midnight(calendar_day(value), own_zone)
    except ValueError:
        # what is wrong with it is said by the schema, with its path
        return value


def _check_names(steps: _Steps, expect: Expectations) -> None:
    for name in expect.outcomes or {}:
        if name not in steps.names:
            what = f"no step is named {name!r}"
            mend = f"write as: {name} on an action; {nearest(name, list(steps.names))}"
            path = f"expect.outcomes.{name}"
            steps.problems.append(Problem(f"{PREFIX}-12", steps.where, path, what, mend))


def _with_customers(actions: Iterable[Action], country: str) -> Iterator[Action]:
    """The actions, each customer created where he is first met: untaxed, in a country."""
    met: set[str] = set()
    for action in actions:
        customer = action.customer
        if customer is not None and customer not in met:
            met.add(customer)
            if not isinstance(action, CreateCustomer):
                yield _created(customer, action.at, country)
        yield action


def _created(customer: str, at: datetime, country: str) -> Action:
    return CreateCustomer(
        id=f"create-{customer}",
        at=at,
        received_at=at,
        actor="system",
        customer=customer,
        country=country,
        is_taxed=False,
    )
