"""Whether scenarios make the money that they must: `fairbill check`.

In the core, a story's usage is metered by the project's own SQL in an in-memory DuckDB, from
files in a folder that is gone afterwards, and every invoice counts as posted at its cutoff.
Through the pipeline is `scenario_pipeline`.
"""

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl

from billing_core.actions import (
    Action,
    CreateCustomer,
    DeletePlan,
    Outcome,
    PublishCatalog,
    ReasonCode,
    may_do,
)
from billing_core.archiving import Archiving, first_archiving
from billing_core.bill import Bill, bill_posted_at_cutoff
from billing_core.period import midnight
from billing_core.setting import Setting
from billing_core.standing import standing
from pipelines.action_log import without_personal
from pipelines.ai_prices import prices_of_versions
from pipelines.billing import History, Rated, rate
from pipelines.catalogs import DatedCatalog, file_of, without_archives
from pipelines.deletions import Deleted, with_deletions
from pipelines.drafts import Hold
from pipelines.history import general_outcome, unless_refused, versions_of
from pipelines.holds import held_since, with_conflicts
from pipelines.landing import register_new_files
from pipelines.metering import meter_days
from pipelines.paths import DataRoot
from pipelines.progress import report
from pipelines.scenario_compare import Observed, differences
from pipelines.scenario_files import LoadedScenarios, Scenario, UsageStep, load_scenarios
from pipelines.snapshots import Snapshots, take_snapshots
from pipelines.steps import ai_versions, metering_spec
from pipelines.usage_frames import KnownCustomer, Schema
from pipelines.world import local_currencies, zones

EVENTS: Schema = {
    "event_id": pl.String,
    "source": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "received_at": pl.Datetime("us", "UTC"),
    "value": pl.Decimal(38, 9),
    "amount": pl.Decimal(38, 9),
    "model": pl.String,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "properties": pl.String,
    "retracts": pl.String,
}
"""The canonical columns of usage files."""

Observe = Callable[[Sequence[Scenario]], Iterator[Observed]]
"""How scenarios are run: what came out of each, in the order given."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One scenario, and what differs from what it says; nothing when it passes."""

    scenario: Scenario
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedAll:
    """All scenarios of a file or folder, and documents that are none."""

    loaded: LoadedScenarios
    checked: tuple[Checked, ...]

    @property
    def has_passed(self) -> bool:
        is_read = not self.loaded.problems and bool(self.checked)
        return is_read and not any(it.differences for it in self.checked)


def check(path: Path, observe: Observe | None = None) -> CheckedAll:
    """Run the scenarios of a file or folder and compare each with what it expects.

    takes: observe, how they are run; in the core where it is not given.
    """
    loaded = load_scenarios(path)
    runnable = [it for it in loaded.scenarios if not it.problems]
    came = dict(zip(map(id, runnable), (observe or in_core)(runnable), strict=True))
    checked = tuple(_checked(it, came.get(id(it))) for it in loaded.scenarios)
    return CheckedAll(loaded, checked)


def in_core(scenarios: Sequence[Scenario]) -> Iterator[Observed]:
    """Each scenario in the billing core, one after the other."""
    for place, scenario in enumerate(scenarios, start=1):
        yield observed_in_core(scenario)
        report("check", place, len(scenarios))


def observed_in_core(scenario: Scenario) -> Observed:
    """What comes of a story when each invoice counts as posted at its cutoff. Rule USE-8."""
    scenario, refused = _taken(scenario)
    history, late_days = _history(scenario), _late_days(scenario.usage)

    def fold(customer: str, actions: Sequence[Action], setting: Setting, until: datetime) -> Bill:
        days = late_days.get(customer, ())
        return bill_posted_at_cutoff(customer, actions, setting, until=until, late_days=days)

    with tempfile.TemporaryDirectory(prefix="fairbill-check-") as folder:
        root = DataRoot(Path(folder))
        usage = _metered(root, scenario, history) if scenario.usage else None

        def told(setting: Setting) -> Rated:
            known = replace(history, setting=setting)
            if usage is None:
                return rate(known, lambda asked: {it.key: {} for it in asked}, fold)
            return rate(known, lambda asked: usage(asked).usage, fold)

        deleted = _with_deletions(scenario, history.setting, told)
        rated = told(deleted.setting)
        counts = Counter[str]() if usage is None else _counts(usage(rated.requests))
        general = (unless_refused(it, refused, ()) for it in _general(scenario))
        outcomes = [*general, *deleted.outcomes]
        observed = observed_of(scenario, rated, counts, outcomes)
        return _without_held(observed, _held(root, scenario, history.setting))


def _held(root: DataRoot, scenario: Scenario, setting: Setting) -> dict[Hold, date]:
    """Whose invoices wait at the end of a story, and since when. Rule USE-2."""
    through = setting.known_on
    if setting.policies_at(midnight(through, UTC)).on_conflict != "hold":
        return {}
    actions = [(action, action.received_at.date()) for action in scenario.actions]
    return held_since(with_conflicts(root, through, _customers(scenario), actions), actions)


def _without_held(observed: Observed, held: Mapping[Hold, date]) -> Observed:
    """What is there without the invoices that wait: a hold that came later finds them posted."""
    since = {hold.customer_id: day for hold, day in held.items()}
    invoices = tuple(
        made
        for made in observed.invoices
        if (made.cutoff_on or made.made_at.date()) < since.get(made.customer_id, date.max)
    )
    return replace(observed, invoices=invoices, holds=[(it.customer_id, it.reason) for it in held])


def _with_deletions(
    scenario: Scenario, setting: Setting, told: Callable[[Setting], Rated]
) -> Deleted:
    """The story's setting with its deletions of plans, a late one by what was posted without it.

    takes: told, what comes of the story in a setting. rule: CAT-8, ACT-4.
    """
    in_time = [it for it in scenario.actions if it.received_at.date() == it.at.date()]
    deleted = with_deletions(setting, in_time, ())
    asked = [it for it in scenario.actions if isinstance(it, DeletePlan)]
    if all(it in in_time for it in asked):
        return deleted
    posted = [it for it in told(deleted.setting).invoices if it.is_postable]
    return with_deletions(setting, asked, posted)


def _general(scenario: Scenario) -> Iterator[Outcome]:
    """What became of actions of nobody alone, as far as it needs no more than who acted."""
    for action in scenario.actions:
        if action.customer is None and not may_do(action):
            yield general_outcome(action, ReasonCode.WRONG_ACTOR)
        elif isinstance(action, PublishCatalog):
            yield general_outcome(action)


def _taken(scenario: Scenario) -> tuple[Scenario, dict[str, Archiving]]:
    """The scenario with the catalog versions that are taken, and those that are not. ADD-5."""
    published = [it for it in scenario.actions if isinstance(it, PublishCatalog)]
    if not published:
        return scenario, {}
    names = {file_of(it.id) for it in published}
    files = [it for it in scenario.catalogs if it.file not in names]
    until = midnight(scenario.bill_through + timedelta(days=1), UTC)

    def first(some: tuple[DatedCatalog, ...]) -> Archiving | None:
        history = _history(replace(scenario, catalogs=some))
        deleted = with_deletions(history.setting, scenario.actions, ())
        return first_archiving(history.actions, deleted.setting, until=until)

    loaded, refused = without_archives(files, published, first)
    return replace(scenario, catalogs=loaded.versions), refused


def land_usage(root: DataRoot, steps: Iterable[UsageStep], *, prefix: str = "") -> None:
    """Write a story's events as files, each in the folder of the day on which it arrives."""
    events: dict[date, list[dict[str, object]]] = defaultdict(list)
    for step in steps:
        arrived = step.received_at or step.occurred_at
        events[arrived.date()].append(_event(step, prefix))
    for day, rows in events.items():
        folder = root.usage_landing / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, schema=EVENTS).write_parquet(folder / f"{prefix}usage.parquet")


def _event(step: UsageStep, prefix: str) -> dict[str, object]:
    """An event in the canonical columns; one without a value or a model counts 1."""
    named = {name: getattr(step, name, None) for name in EVENTS}
    is_counted = step.value is None and step.model is None
    return {
        **named,
        "customer_id": prefix + step.customer_id,
        "source": prefix + step.source,
        "properties": json.dumps(step.properties) if step.properties else None,
        "value": Decimal(1) if is_counted else step.value,
    }


def _metered(root: DataRoot, scenario: Scenario, history: History) -> Callable[..., Snapshots]:
    """The story's usage, metered by the project's own SQL; what answers for windows."""
    prices = prices_of_versions(ai_versions(scenario.catalogs))
    spec = metering_spec(scenario.catalogs, prices)
    through = history.setting.known_on
    land_usage(root, scenario.usage)
    register_new_files(root, through)
    meter_days(root, through, spec)
    return partial(take_snapshots, root, customers=_customers(scenario), spec=spec, through=through)


def _customers(scenario: Scenario) -> list[KnownCustomer]:
    return [
        KnownCustomer(action.customer, action.customer, date.min)
        for action in scenario.actions
        if isinstance(action, CreateCustomer)
    ]


def _counts(snapshots: Snapshots) -> Counter[str]:
    """Events by the reason for which they are set aside."""
    counts: Counter[str] = Counter()
    for table in (snapshots.set_aside, snapshots.rows_set_aside):
        for row in table.iter_rows(named=True):
            counts[row["reason"]] += row["events"]
    return counts


def observed_of(
    scenario: Scenario, rated: Rated, set_aside: Counter[str], general: Iterable[Outcome]
) -> Observed:
    """What a rated scenario is compared by; with it what became of actions of nobody alone."""
    at = midnight(scenario.bill_through + timedelta(days=1), UTC)
    return Observed(
        invoices=rated.invoices,
        outcomes={outcome.action_id: str(outcome) for outcome in (*general, *rated.outcomes)},
        notices=rated.notices,
        standings={
            customer: standing(state, rated.setting, at=at)
            for customer, state in rated.states.items()
        },
        set_aside=set_aside,
        faults=rated.faults,
        ledger=rated.ledger,
    )


def _checked(scenario: Scenario, observed: Observed | None) -> Checked:
    wanted = scenario.expect.error
    if observed is not None:
        if wanted is not None:
            return Checked(scenario, (f"expected an error with {wanted!r}, and it loaded",))
        return Checked(scenario, differences(scenario, observed))
    texts = [str(problem) for problem in scenario.problems]
    if wanted is not None and any(wanted in text for text in texts):
        return Checked(scenario, ())
    return Checked(scenario, tuple(texts))


def _history(scenario: Scenario) -> History:
    actions, _ = without_personal(scenario.actions)
    by_customer: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        if action.customer is not None:
            by_customer[action.customer].append(action)
    named = {getattr(action, "time_zone", None) for action in actions}
    policies = {it.catalog.policies.billing_time_zone for it in scenario.catalogs}
    setting = Setting(
        versions=versions_of(scenario.catalogs),
        zones=zones(policies | {name for name in named if name}),
        local_currencies=local_currencies(),
        known_on=scenario.bill_through + timedelta(days=1),
        assumes_payment=scenario.is_paid_at_once,
    )
    return History(setting, scenario.bill_through, by_customer)


def _late_days(usage: Sequence[UsageStep]) -> dict[str, set[date]]:
    """By customer, the landing days of events that arrived after the day of their instant."""
    days: dict[str, set[date]] = defaultdict(set)
    for step in usage:
        arrived = step.received_at
        if arrived is not None and arrived.date() > step.occurred_at.date():
            days[step.customer_id].add(arrived.date())
    return days
