"""The steps of a run, each of which reads, calls and writes: land, meter, draft.

Dagster's assets and the command line call these and nothing else. Each step may be taken
again at any time: with the same inputs it changes not one file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from billing_core.catalog import Addon, AiPrices, Catalog, PlanFeature
from billing_core.errors import Problem
from billing_core.period import midnight
from billing_core.usage import TOKEN_CLASSES, Usage
from pipelines.action_log import LandedFile, register_actions, write_customers
from pipelines.ai_prices import GENAI_PRICES, AiPrice, Entry, Versions, update_ai_prices
from pipelines.billing import Meter, Rated, rate
from pipelines.books import Books, read_books, unbooked
from pipelines.catalogs import DatedCatalog
from pipelines.charges import write_charges
from pipelines.drafts import DraftSummary, Hold, write_drafts
from pipelines.engine_changes import Seen, changes_of_books
from pipelines.history import Known, read_known
from pipelines.holds import held_since, with_conflicts, without_usage
from pipelines.landing import Registered, register_new_files
from pipelines.ledger import write_ledger
from pipelines.metering import Metered, meter_days
from pipelines.metering_spec import MeteringSpec
from pipelines.notices import write_notices
from pipelines.paths import DataRoot
from pipelines.set_aside import write_set_aside_actions
from pipelines.snapshots import (
    Snapshots,
    checked_snapshots,
    failed_checks,
    take_snapshots,
    write_snapshots,
)
from pipelines.standing import write_standing
from pipelines.usage_frames import FeatureDefinition, WindowRequest
from pipelines.writer import writer


@dataclass(frozen=True, slots=True)
class Landed:
    """What has landed by a day: usage files in their register, and action files."""

    usage: Registered
    actions: tuple[LandedFile, ...]


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a day's drafts are, and what they were made of."""

    summary: DraftSummary
    rated: Rated
    snapshots: Snapshots
    known: Known
    spec: MeteringSpec


def land(root: DataRoot, through: date) -> Landed:
    """Register every file that landed up to a day; a file keeps its landing day for ever."""
    with writer(root):
        closed = read_books(root).newest_cutoff_on
        usage = register_new_files(root, through, closed_through=closed)
        actions = register_actions(root, through=through, closed_through=closed)
    return Landed(usage, actions)


def meter(root: DataRoot, through: date) -> Metered:
    """Meter every landing day up to a day that is missing. Rules USE-1 to USE-6, AI-1."""
    with writer(root):
        books = read_books(root)
        catalogs = known(root, through, books).catalogs
        prices = update_ai_prices(root, ai_versions(catalogs))
        spec = metering_spec(catalogs, prices)
        return meter_days(root, through, spec, closed_through=books.newest_cutoff_on)


def draft(root: DataRoot, through: date) -> Drafted:
    """Draft everything that is due through a day and is not posted yet. Rules PST-1, PST-4.

    raises: UsageDoesNotAddUp; the drafts of the run before stand then. Rule USE-6.
    """
    with writer(root):
        books = read_books(root)
        given = known(root, through, books)
        spec = metering_spec(given.catalogs, update_ai_prices(root, ai_versions(given.catalogs)))
        metered = _meter(root, through, given, spec)
        rated = rate(given.history, metered)
        snapshots = checked_snapshots(
            root, rated.requests, customers=given.customers, spec=spec, through=through
        )
        write_snapshots(root, snapshots)
        write_customers(root, given.log.customers)
        write_set_aside_actions(root, given.set_aside)
        write_standing(root, rated.states.values(), rated.setting, end_of(through))
        write_charges(
            root,
            rated.states.values(),
            rated.setting,
            at=end_of(through),
            issued_on={it.invoice.id: it.issued_on for it in books.invoices},
        )
        write_ledger(root, rated.ledger)
        write_notices(root, rated.notices)
        summary = write_drafts(
            root,
            unbooked(books, rated.invoices),
            through=through,
            outcomes=(*given.outcomes, *rated.outcomes),
            faults=rated.faults,
            holds=tuple(
                _held(root, through, given, changes_of_books(root, given.history, books, metered))
            ),
        )
    return Drafted(summary, rated, snapshots, given, spec)


def _held(root: DataRoot, through: date, given: Known, changed: Iterable[Seen]) -> dict[Hold, date]:
    """Whose invoices wait, and since when. changed: what the engine bills otherwise than booked."""
    policies = given.history.setting.policies_at(end_of(through))
    actions = [(it.action, it.landing_day) for it in given.log.actions]
    since = without_usage(root, through, given.customers)
    if policies.on_conflict == "hold":
        since += with_conflicts(root, through, given.customers, actions)
    if policies.engine_changes == "hold":
        since += [(Hold(it.change.customer_id, "engine_change"), it.seen_on) for it in changed]
    return held_since(since, actions)


def end_of(day: date) -> datetime:
    """The end of a day in UTC: by when all is known that a run through it knows."""
    return midnight(day + timedelta(days=1), UTC)


def unexplained_usage(root: DataRoot, drafted: Drafted) -> dict[str, pl.DataFrame]:
    """The rows by which usage would not add up, of each check that fails. Rule USE-6."""
    return failed_checks(
        root,
        drafted.rated.requests,
        customers=drafted.known.customers,
        spec=drafted.spec,
        through=drafted.summary.through,
    )


def _meter(root: DataRoot, through: date, given: Known, spec: MeteringSpec) -> Meter:
    def usage_of(requests: Sequence[WindowRequest]) -> Usage:
        taken = take_snapshots(
            root, requests, customers=given.customers, spec=spec, through=through
        )
        return taken.usage

    return usage_of


def known(root: DataRoot, through: date, books: Books) -> Known:
    """What is known by a day: of the action files, those that are registered by it."""
    files = register_actions(root, through=through, closed_through=books.newest_cutoff_on)
    return read_known(root, through=through, files=files, books=books)


def metering_spec(catalogs: Sequence[DatedCatalog], prices: tuple[AiPrice, ...]) -> MeteringSpec:
    """What metering has to know of all catalog versions together.

    Features keep their aggregation for ever, so that the versions never disagree; margins of
    any plan of any version are metered, since usage may be rated by any of them (AI-5).
    """
    contents = [it.catalog for it in catalogs]
    features = {it.code: it for content in contents for it in feature_definitions(content)}
    margins = {
        feature.margin_bp
        for content in contents
        for feature in _priced(content)
        if feature.pricing == "ai_model"
    }
    roundings = {content.policies.token_cost_rounding for content in contents}
    return MeteringSpec(
        features=tuple(features[code] for code in sorted(features)),
        prices=prices,
        is_per_event="per_event" in roundings,
        margins_bp=tuple(sorted(margins)),
    )


def _priced(catalog: Catalog) -> Iterator[PlanFeature | Addon]:
    """Every feature as some plan or add-on has it."""
    for plan in catalog.plans.values():
        yield from plan.features.values()
    yield from catalog.addons.values()


def feature_definitions(catalog: Catalog) -> list[FeatureDefinition]:
    """Features that have usage events: metered ones, and quotas, whose level runs."""
    return [
        FeatureDefinition(
            code=code,
            aggregation="level" if feature.type == "quota" else feature.aggregation,
            property=feature.property,
            dimensions=feature.dimensions,
        )
        for code, feature in sorted(catalog.features.items())
        if feature.type in {"metered", "quota"}
    ]


def ai_versions(catalogs: Sequence[DatedCatalog]) -> Versions:
    """The AI models of each catalog version: their prices, or where those come from."""
    return [(it.effective_at, _models(it.catalog)) for it in catalogs]


def _models(catalog: Catalog) -> Mapping[str, Entry]:
    return {
        model: {name: getattr(entry, name) for name in TOKEN_CLASSES}
        if isinstance(entry, AiPrices)
        else GENAI_PRICES
        for model, entry in catalog.ai_models.items()
    }


def problems_of(landed: Landed, metered: Metered) -> tuple[Problem, ...]:
    """What a run has to report of files, each once."""
    return tuple(dict.fromkeys((*landed.usage.problems, *metered.problems)))
