"""The same scenarios through files, Dagster, drafts, posting and books.

Scenarios with the same catalog share a data root, their customers and actions prefixed.
What they do lands as files by the day on which it arrived; the root is run and posted on
each day on which something is due, with only what had landed by then. Roots have nothing to
do with each other, so that each core runs one.
"""

import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from billing_core.actions import Action, InvoiceReference, Payment, PublishCatalog, row_of
from billing_core.catalog_checks import text_of
from billing_core.invoice import Invoice, InvoiceType
from pipelines.books import read_books
from pipelines.check import land_usage, observed_in_core, observed_of
from pipelines.drafts import NoDrafts, read_drafts
from pipelines.paths import DataRoot
from pipelines.progress import report
from pipelines.runs import DRAFTED, materialize
from pipelines.scenario_compare import Observed
from pipelines.scenario_files import Scenario
from pipelines.steps import Drafted, draft


@dataclass(frozen=True, slots=True)
class Told:
    """One scenario in a shared root: its prefix, what it makes in the core, when to look."""

    scenario: Scenario
    prefix: str
    core: Observed

    @property
    def looked_at_on(self) -> date:
        return self.scenario.bill_through

    def days(self) -> set[date]:
        """The days on which something of it is due: cutoffs, arrivals that are late, its end."""
        due = {it.cutoff_on or it.made_at.date() for it in self.core.invoices}
        before = {day - timedelta(days=1) for day in _late_landings(self.scenario)}
        end = self.looked_at_on
        return {day for day in due | before if day <= end} | {end}


_Group = dict[int, Scenario]
"""Scenarios that share a root, each by its place among all."""


def through_pipeline(scenarios: Sequence[Scenario]) -> Iterator[Observed]:
    """What came out of each scenario through a data root, in the order given."""
    groups = _groups(scenarios)
    came: dict[int, Observed] = {}
    for found in _each_on_a_core(groups):
        came |= found
        report("check", len(came), len(scenarios))
    for place in range(len(scenarios)):
        yield came[place]


def _each_on_a_core(groups: Sequence[_Group]) -> Iterator[dict[int, Observed]]:
    """What came out of each group; a single one is not worth the start of a process."""
    count = min(len(os.sched_getaffinity(0)), len(groups))
    if count <= 1:
        yield from map(_run_apart, groups)
        return
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        yield from pool.map(_run_apart, groups)


def _groups(scenarios: Sequence[Scenario]) -> list[_Group]:
    """Scenarios that can share a root: the same catalog, and nothing done to it. Longest first."""
    groups: dict[str, _Group] = defaultdict(dict)
    for place, scenario in enumerate(scenarios):
        key = json.dumps(text_of(scenario.catalogs[0].catalog), sort_keys=True)
        is_alone = any(action.customer is None for action in scenario.actions)
        groups[f"{key}{place if is_alone else ''}"][place] = scenario
    return sorted(groups.values(), key=len, reverse=True)


def _run_apart(group: _Group) -> dict[int, Observed]:
    """What came out of the scenarios of a group, in a root of their own that is gone after."""
    told = {
        place: Told(scenario, f"s{place:03}.", observed_in_core(scenario))
        for place, scenario in group.items()
    }
    with tempfile.TemporaryDirectory(prefix="fairbill-check-") as folder:
        came = _run_group(DataRoot(Path(folder)), list(told.values()))
    return {place: came[it.prefix] for place, it in told.items()}


def _run_group(root: DataRoot, group: Sequence[Told]) -> dict[str, Observed]:
    _land(root, group)
    came: dict[str, Observed] = {}
    for day in sorted({day for it in group for day in it.days()}):
        _run_and_post(root, day)
        looked_at = [it for it in group if it.looked_at_on == day]
        if looked_at:
            drafted = draft(root, day)
            came |= {it.prefix: _observed(root, it, drafted) for it in looked_at}
    return came


def _run_and_post(root: DataRoot, day: date) -> None:
    """A run through a day by Dagster's assets, and a posting of what it drafted."""
    materialize(root, DRAFTED, partition=day)
    drafts = read_drafts(root)
    if drafts.invoices:
        config = {"reviewed": drafts.summary.hash, "issued_on": day.isoformat()}
        materialize(root, ["books"], partition=None, config={"books": {"config": config}})


def _land(root: DataRoot, group: Sequence[Told]) -> None:
    """The catalog, and every file in the folder of the day on which it arrives."""
    root.catalog.mkdir(parents=True)
    first = group[0].scenario.catalogs[0]
    tree = {**text_of(first.catalog), "effective_at": first.effective_at.isoformat()}
    (root.catalog / "base.yaml").write_text(json.dumps(tree), encoding="utf-8")
    actions: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for it in group:
        for action in _with_payments(it):
            actions[action.received_at.date()].append(_row(action, it.prefix))
    for day, rows in actions.items():
        path = root.actions_landing / f"day={day}" / "actions.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for it in group:
        land_usage(root, it.scenario.usage, prefix=it.prefix)


def _with_payments(it: Told) -> Iterator[Action]:
    """The actions, and where every invoice is paid at once, its payment when it is made."""
    paid = it.scenario.is_paid_at_once
    due = [made for made in it.core.invoices if paid and made.total.minor > 0]
    initial = {made.id.split("/")[2]: made for made in due if made.type is InvoiceType.INITIAL}
    for action in it.scenario.actions:
        yield action
        if action.id in initial:
            yield _payment(initial[action.id])
    for made in due:
        if made.type is not InvoiceType.INITIAL:
            yield _payment(made)


def _payment(invoice: Invoice) -> Payment:
    return Payment(
        id=f"pay.{invoice.type}.{invoice.id.split('/')[2]}.{invoice.billing_day}",
        at=invoice.made_at,
        received_at=invoice.made_at,
        actor="system",
        customer=invoice.customer_id,
        invoice=InvoiceReference.model_validate({"type": invoice.type, "on": invoice.billing_day}),
        result="succeeded",
    )


def _row(action: Action, prefix: str) -> dict[str, Any]:
    row = row_of(action)
    row["id"] = prefix + action.id
    if action.customer is not None:
        row["customer"] = prefix + action.customer
    if isinstance(action, PublishCatalog):
        row.pop("customer", None)
    return row


def _late_landings(scenario: Scenario) -> set[date]:
    arrivals: Iterable[tuple[date, date]] = [
        *((it.at.date(), it.received_at.date()) for it in scenario.actions),
        *(
            (it.occurred_at.date(), (it.received_at or it.occurred_at).date())
            for it in scenario.usage
        ),
    ]
    return {landed for happened, landed in arrivals if landed > happened}


def _observed(root: DataRoot, it: Told, drafted: Drafted) -> Observed:
    """What a scenario made by the end of its last day, its prefix taken off again."""
    prefix = it.prefix
    rated = drafted.rated
    drafts, held = _drafts(root)
    invoices = [posted.invoice for posted in read_books(root).invoices] + drafts
    mine = replace(
        rated,
        invoices=tuple(
            replace(made, customer_id=made.customer_id.removeprefix(prefix))
            for made in invoices
            if made.customer_id.startswith(prefix)
        ),
        outcomes=tuple(
            replace(outcome, action_id=outcome.action_id.removeprefix(prefix))
            for outcome in rated.outcomes
            if outcome.action_id.startswith(prefix)
        ),
        notices=tuple(
            replace(notice, customer_id=notice.customer_id.removeprefix(prefix))
            for notice in rated.notices
            if notice.customer_id.startswith(prefix)
        ),
        ledger=tuple(
            replace(entry, customer_id=entry.customer_id.removeprefix(prefix))
            for entry in rated.ledger
            if entry.customer_id.startswith(prefix)
        ),
        states={key: state for key, state in rated.states.items() if key.startswith(prefix)},
        faults=tuple(fault for fault in rated.faults if fault.customer_id.startswith(prefix)),
    )
    general = (
        replace(outcome, action_id=outcome.action_id.removeprefix(prefix))
        for outcome in drafted.known.outcomes
        if outcome.action_id.startswith(prefix)
    )
    observed = observed_of(it.scenario, mine, _set_aside(drafted, prefix), general)
    standings = {key.removeprefix(prefix): value for key, value in observed.standings.items()}
    holds = [(name.removeprefix(prefix), why) for name, why in held if name.startswith(prefix)]
    return replace(observed, standings=standings, holds=holds)


def _drafts(root: DataRoot) -> tuple[list[Invoice], list[tuple[str, str]]]:
    """The drafts that can be posted, and whose wait and why."""
    try:
        drafts = read_drafts(root)
    except NoDrafts:
        return [], []
    held = {hold.customer_id: hold.reason for hold in drafts.holds}
    return [it for it in drafts.invoices if it.customer_id not in held], list(held.items())


def _set_aside(drafted: Drafted, prefix: str) -> Counter[str]:
    """Events by the reason for which they are not counted: unusable ones, and unrated ones."""
    counts: Counter[str] = Counter()
    for table in (drafted.snapshots.set_aside, drafted.snapshots.rows_set_aside):
        mine = table.filter(pl.col("customer_id").str.starts_with(prefix))
        for row in mine.iter_rows(named=True):
            counts[row["reason"]] += row["events"]
    return counts
