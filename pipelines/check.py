"""Whether scenarios make the money that they must: `fairbill check`.

In the core, a story's usage is metered by the project's own SQL in an in-memory DuckDB and
every invoice counts as posted at its cutoff. Through the pipeline is `scenario_pipeline`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from billing_core.actions import Action
from billing_core.bill import Bill, bill_posted_at_cutoff
from billing_core.period import midnight
from billing_core.setting import Setting
from billing_core.standing import standing
from pipelines.action_log import without_personal
from pipelines.ai_prices import prices_of_versions
from pipelines.billing import History, Rated, rate
from pipelines.history import versions_of
from pipelines.progress import report
from pipelines.scenario_compare import Observed, differences
from pipelines.scenario_files import LoadedScenarios, Scenario, UsageStep, load_scenarios
from pipelines.snapshots import InMemoryUsage, metered_in_memory
from pipelines.steps import ai_versions, metering_spec
from pipelines.usage_frames import KnownCustomer, WindowRequest
from pipelines.world import zones

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
    usage = _usage_of(scenario)
    history = _history(scenario)
    late_days = _late_days(scenario.usage)
    aside: Counter[str] = Counter()

    def fold(customer: str, actions: Sequence[Action], setting: Setting, until: datetime) -> Bill:
        days = late_days.get(customer, ())
        return bill_posted_at_cutoff(customer, actions, setting, until=until, late_days=days)

    rated = rate(history, lambda requests: usage.of(requests), fold)
    aside.update(usage.set_aside(rated.requests, through=history.setting.known_on))
    return observed_of(scenario, rated, aside)


def observed_of(scenario: Scenario, rated: Rated, set_aside: Counter[str]) -> Observed:
    """What a rated scenario is compared by."""
    at = midnight(scenario.bill_through + timedelta(days=1), UTC)
    return Observed(
        invoices=rated.invoices,
        outcomes={outcome.action_id: str(outcome) for outcome in rated.outcomes},
        notices=rated.notices,
        standings={
            customer: standing(state, rated.setting, at=at)
            for customer, state in rated.states.items()
        },
        set_aside=set_aside,
        faults=rated.faults,
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
        known_on=scenario.bill_through + timedelta(days=1),
        assumes_payment=scenario.is_paid_at_once,
    )
    return History(setting, scenario.bill_through, by_customer)


@dataclass(frozen=True, slots=True)
class _Usage:
    """The usage of a story in an in-memory DuckDB."""

    metered: InMemoryUsage

    def of(self, requests: Sequence[WindowRequest]):  # type: ignore[no-untyped-def]
        return self.metered.usage(requests)


def _usage_of(scenario: Scenario) -> InMemoryUsage:
    prices = prices_of_versions(ai_versions(scenario.catalogs))
    known = [
        KnownCustomer(action.customer, action.customer, date.min)
        for action in scenario.actions
        if action.do == "create_customer" and action.customer is not None
    ]
    return metered_in_memory(scenario.usage, metering_spec(scenario.catalogs, prices), known)


def _late_days(usage: Sequence[UsageStep]) -> dict[str, set[date]]:
    """By customer, the landing days of events that arrived after the day of their instant."""
    days: dict[str, set[date]] = defaultdict(set)
    for step in usage:
        arrived = step.received_at
        if arrived is not None and arrived.date() > step.occurred_at.date():
            days[step.customer_id].add(arrived.date())
    return days
