"""Dagster's assets run in this process, for the command line and for tests.

The assets are the ones that Dagster's daemon runs; only the instance differs: it lives
in memory, so that a run leaves nothing behind but what its assets wrote.
"""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from billing_core.errors import BillingError
from pipelines.paths import DataRoot
from pipelines.progress import report

if TYPE_CHECKING:
    import dagster as dg

Facts = Mapping[str, Mapping[str, object]]
"""What each asset said of itself: asset -> name -> value, in the order in which they ran."""

DRAFTED = ("landing_files", "actions", "usage_daily", "usage_snapshots", "drafts")
DOCUMENTS = ("invoice_pdfs", "outbox")


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that did not hold, and what it found."""

    asset: str
    check: str
    what: str


class ChecksFailed(BillingError):
    """What was staged did not pass its checks; nothing after it was made."""

    code = "RUN-01"

    def __init__(self, failed: Sequence[FailedCheck]) -> None:
        found = "; ".join(f"{check.check}: {check.what}" for check in failed)
        super().__init__(
            what=f"{len(failed)} of the checks that guard publication failed: {found}",
            where=", ".join(sorted({check.asset for check in failed})),
            mend="what was published before is untouched; mend the cause that the check "
            "names and run again",
        )
        self.failed = tuple(failed)


class StepReporter(logging.Handler):
    """Hears from Dagster which asset has begun, and reports it as a step."""

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is not None and event.event_type_value == "STEP_START":
            report(event.step_key, 0, None)
        elif event is not None and event.event_type_value == "STEP_SUCCESS":
            report(event.step_key, 1, 1)


def run(root: DataRoot, through: date) -> Facts:
    """Register, meter and draft up to a day, make what posted invoices still lack, publish.

    raises: what the steps raise; ChecksFailed. What was published before stays then.
    """
    return materialize(root, (*DRAFTED, *DOCUMENTS, "warehouse"), partition=through)


def post(root: DataRoot, *, draft_hash: str, issued_on: date) -> Facts:
    """Post the drafts with this hash, make their documents, publish.

    raises: what posting raises; nothing was posted then.
    """
    config = {"reviewed": draft_hash, "issued_on": issued_on.isoformat()}
    assets = ("books", *DOCUMENTS, "warehouse")
    return materialize(root, assets, partition=None, config={"books": {"config": config}})


def publish(root: DataRoot) -> Facts:
    """Publish what there is, if it differs from what is published."""
    return materialize(root, ("warehouse",), partition=None)


def report_revenue(root: DataRoot, month: date) -> Facts:
    """Make the revenue report of a month, given by its first day."""
    return materialize(root, ("revenue_report",), partition=month)


def materialize(
    root: DataRoot,
    assets: Sequence[str],
    *,
    partition: date | None,
    config: Mapping[str, object] | None = None,
) -> Facts:
    """Run the named assets and their checks on one partition, and say what each made.

    takes:  the day (or the first day of the month) of partitioned assets, None where no
            asset has partitions.
    raises: what an asset raised; ChecksFailed.
    """
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with warnings.catch_warnings():
        # Dagster warns of its own API; none of it is for the person at the command line.
        warnings.simplefilter("ignore")
        return _materialize(root, assets, partition, config or {})


def _materialize(
    root: DataRoot,
    assets: Sequence[str],
    partition: date | None,
    config: Mapping[str, object],
) -> Facts:
    import dagster as dg  # noqa: PLC0415 # takes a second, which --help should not

    from pipelines.definitions import assets_of, checks, resources_of  # noqa: PLC0415

    guards = checks() if "warehouse" in assets else []
    selected = dg.AssetSelection.assets(*assets) | dg.AssetSelection.checks(*guards)
    with dg.DagsterInstance.ephemeral(settings=_LOGGING) as instance:
        try:
            result = dg.materialize(
                [*assets_of(root, through=partition), *checks()],
                selection=selected,
                partition_key=None if partition is None else partition.isoformat(),
                resources=resources_of(root),
                instance=instance,
                run_config={"loggers": _SILENT, "ops": dict(config)},
            )
        except dg.DagsterError as error:
            if failed := _failed_checks(instance):
                raise ChecksFailed(failed) from error
            raise
        events = result.get_asset_materialization_events()
    return {made.asset_key.to_user_string(): _facts(made) for made in map(_materialized, events)}


_SILENT = {"console": {"config": {"log_level": "CRITICAL"}}}
_LOGGING = {
    "python_logs": {
        "dagster_handler_config": {
            "handlers": {"steps": {"class": "pipelines.runs.StepReporter", "level": "DEBUG"}}
        }
    }
}


def _materialized(event: "dg.DagsterEvent") -> "dg.AssetMaterialization":
    return event.step_materialization_data.materialization


def _facts(made: "dg.AssetMaterialization") -> dict[str, object]:
    """What an asset says of itself, without its plot, which is for Dagster's pages."""
    return {
        name: getattr(value, "value", value)
        for name, value in made.metadata.items()
        if name != "plot"
    }


def _failed_checks(instance: "dg.DagsterInstance") -> list[FailedCheck]:
    import dagster as dg  # noqa: PLC0415

    logs = [
        entry.dagster_event.asset_check_evaluation_data
        for run in instance.get_runs()
        for entry in instance.all_logs(
            run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if entry.dagster_event is not None
    ]
    return [
        FailedCheck(found.asset_key.to_user_string(), found.check_name, found.description or "")
        for found in logs
        if not found.passed
    ]
