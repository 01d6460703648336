"""Dagster's definitions: what is loaded, which days there are, what a run says of itself."""

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import dagster as dg
import polars as pl
import pytest

from pipelines import new_root, runs
from pipelines.datasets import sha256_of
from pipelines.definitions import assets_of, definitions_of, defs, resources_of
from pipelines.defs.partitions import DEFAULT_START, days_of, first_day, months_of
from pipelines.defs.schedules import every_day
from pipelines.drafts import read_drafts, read_summary
from pipelines.generate import generate
from pipelines.paths import PACKAGE_ROOT, DataRoot

FIRST, LAST = date(2026, 1, 1), date(2026, 2, 4)
FRESHNESS = "freshness_check"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    root = DataRoot(tmp_path_factory.mktemp("landed"))
    new_root.begin(root)
    generate(root, customers=5, months=1, events=1_000, seed=4, start=FIRST)
    return root


@pytest.fixture
def root(landed: DataRoot, tmp_path: Path) -> DataRoot:
    shutil.copytree(landed.root, tmp_path / "root")
    return DataRoot(tmp_path / "root")


def run_range(root: DataRoot, first: date, last: date) -> dg.ExecuteInProcessResult:
    """The daily assets over several days in one run, as a backfill makes it."""
    return dg.materialize(
        assets_of(root, through=last),
        selection=dg.AssetSelection.assets(*runs.DRAFTED),
        resources=resources_of(root),
        instance=dg.DagsterInstance.ephemeral(),
        run_config=QUIET,
        tags={
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
        },
    )


def files(root: DataRoot) -> dict[str, str]:
    return {
        str(path.relative_to(root.root)): sha256_of(path)
        for path in sorted(root.root.rglob("*"))
        if path.is_file()
    }


def test_the_definitions_load_and_hold_what_a_run_needs() -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "landing_files", "actions", "usage_daily", "usage_snapshots", "drafts", "books",
        "invoice_pdfs", "outbox", "warehouse", "revenue_report",
    }  # fmt: skip
    upstream = {key.to_user_string() for key in graph.get(dg.AssetKey("warehouse")).parent_keys}
    guards = [it for it in graph.asset_check_keys if it.name != FRESHNESS]
    guarded = {check.asset_key.to_user_string() for check in guards}
    assert guarded <= upstream, "a check stops what is directly after its asset"
    assert all(graph.get(check).blocking for check in guards)
    fresh = [it for it in graph.asset_check_keys if it.name == FRESHNESS]
    assert {it.asset_key.to_user_string() for it in fresh} == set(runs.DRAFTED)
    assert not any(graph.get(check).blocking for check in fresh)


@pytest.mark.slow
def test_dagsters_own_command_finds_the_definitions() -> None:
    subprocess.run(
        [str(Path(sys.executable).parent / "dg"), "check", "defs"],
        cwd=PACKAGE_ROOT,
        check=True,
        capture_output=True,
    )


def test_days_begin_with_the_first_that_landed_and_reach_as_far_as_is_asked(
    root: DataRoot, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date()
    later = today + timedelta(days=400)
    assert first_day(root) == FIRST
    assert first_day(DataRoot(tmp_path / "empty")) == DEFAULT_START
    (root.usage_landing / "day=2015-05-17").mkdir()
    assert first_day(root) == FIRST, "an empty folder is no day"
    (root.usage_landing / "day=2015-05-17" / "access.log").write_text("", encoding="utf-8")
    (root.usage_landing / "day=1999-13-01").mkdir()
    keys = days_of(root, today).get_partition_keys()
    assert (keys[0], keys[-1]) == ("2015-05-17", today.isoformat())
    assert days_of(root, later).get_last_partition_key() == later.isoformat()
    assert days_of(root, date(2001, 1, 1)).get_first_partition_key() == "2001-01-01"
    assert months_of(root, later).get_last_partition_key() == later.replace(day=1).isoformat()


def test_the_schedule_asks_for_yesterday() -> None:
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=defs.get_repository_def()
    )
    (request,) = every_day.evaluate_tick(context).run_requests or ()
    assert request.partition_key == "2026-02-28"


def test_any_cadence_gives_the_same_files(root: DataRoot, tmp_path: Path) -> None:
    other = DataRoot(tmp_path / "other")
    shutil.copytree(root.root, other.root)
    assert run_range(root, FIRST, LAST).success
    for number in (0, 1, 15, 34):
        runs.materialize(other, runs.DRAFTED, partition=FIRST + timedelta(days=number))
    for name in ("usage_daily", "usage_receipts", "usage_ids"):
        assert files_of(root, name) == files_of(other, name)
    assert read_summary(root).hash == read_summary(other).hash


def files_of(root: DataRoot, dataset: str) -> dict[str, str]:
    folder = root.dataset(dataset)
    return {path.parent.name: sha256_of(path) for path in sorted(folder.rglob("[0-9]*"))}


def test_each_day_of_a_run_over_many_has_facts_of_its_own(root: DataRoot) -> None:
    result = run_range(root, FIRST, FIRST + timedelta(days=2))
    observed = [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION
    ]
    usage = {it.partition: it.metadata for it in observed if it.asset_key.path == ["usage_daily"]}
    assert sorted(usage) == ["2026-01-01", "2026-01-02", "2026-01-03"]
    (whole, *_) = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("usage_daily")
    ]
    assert sum(int(str(it["rows"].value)) for it in usage.values()) == whole["rows_in"].value


def test_a_posted_day_writes_nothing_and_says_so(root: DataRoot) -> None:
    runs.run(root, LAST)
    runs.post(root, draft_hash=read_summary(root).hash, issued_on=LAST)
    runs.materialize(root, runs.DRAFTED, partition=LAST)
    before = files(root)
    facts = runs.run(root, LAST.replace(day=1))
    assert "posted; nothing was written" in str(facts["drafts"]["posted_days"])
    changed = {name for name, hash_ in files(root).items() if before.get(name) != hash_}
    assert not [name for name in changed if name.startswith(("books", "documents", "outbox"))]
    assert facts["drafts"]["rows_out"] == 0


def test_a_control_sheet_has_counts_totals_and_a_preview(root: DataRoot) -> None:
    facts = runs.run(root, LAST)
    drafts: Mapping[str, object] = facts["drafts"]
    assert int(str(drafts["rows_out"])) > 0
    assert "USD" in str(drafts["totals"])
    assert str(drafts["preview"]).startswith("| billing_day | customer_id |")
    assert facts["usage_daily"]["rows_in"] == facts["landing_files"]["rows_in"]


def drawings(text: str) -> list[ElementTree.Element]:
    """The images of a plot, as Dagster's page finds them in the markdown."""
    found = re.findall(r"!\[[^]]*\]\(data:image/svg\+xml;base64,([^)]*)\)", text)
    return [ElementTree.fromstring(base64.b64decode(it)) for it in found]


def bars(drawing: ElementTree.Element) -> int:
    rectangles = drawing.findall("{http://www.w3.org/2000/svg}rect")
    return sum(it.get("height") != "0.00" for it in rectangles)


def test_a_control_sheet_has_a_plot_by_day(root: DataRoot, tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        dg.materialize(
            assets_of(root, through=LAST),
            selection=dg.AssetSelection.assets(*runs.DRAFTED),
            partition_key=LAST.isoformat(),
            resources=resources_of(root),
            instance=instance,
            run_config=QUIET,
        )
        shown = {
            asset: instance.get_latest_materialization_event(dg.AssetKey(asset))
            for asset in ("usage_daily", "drafts")
        }
    plots = {name: it.asset_materialization.metadata["plot"] for name, it in shown.items()}
    assert all(isinstance(it, dg.MarkdownMetadataValue) for it in plots.values())
    days = {it.billing_day for it in read_drafts(root).invoices}
    (money,) = drawings(str(plots["drafts"].value))
    assert money.findtext("{http://www.w3.org/2000/svg}title") == "money by day in USD"
    assert bars(money) == len(days)
    (usage,) = drawings(str(plots["usage_daily"].value))
    assert bars(usage) > len(days)


def test_a_plot_is_for_the_page_and_not_for_the_command_line(root: DataRoot) -> None:
    assert "plot" not in runs.run(root, LAST)["drafts"]


def test_a_partition_that_is_not_there_in_time_is_told(root: DataRoot, tmp_path: Path) -> None:
    yesterday = (datetime.now(UTC) - timedelta(hours=13, minutes=30)).date() - timedelta(days=1)
    found = []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for materialized in ([], ["landing_files"]):
            for asset in materialized:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(asset, partition=yesterday.isoformat())
                )
            job = definitions_of(root).resolve_job_def("freshness")
            result = job.execute_in_process(instance=instance, run_config=QUIET)
            found.append(
                {
                    it.asset_key.to_user_string(): it.passed
                    for it in result.get_asset_check_evaluations()
                }
            )
    assert result.success, "a late day warns and stops nothing"
    assert found == [
        dict.fromkeys(runs.DRAFTED, False),
        dict.fromkeys(runs.DRAFTED, False) | {"landing_files": True},
    ]


def test_a_failed_check_stops_publication(root: DataRoot) -> None:
    runs.run(root, LAST)
    published = sha256_of(root.database)
    summary = read_summary(root)
    lines = next(it for it in summary.files if it.dataset == "draft_invoice_lines" and it.rows)
    path = root.warehouse / lines.path
    wrong = pl.read_parquet(path).with_columns(pl.col("amount_minor") + 1)
    wrong.write_parquet(path)
    with pytest.raises(runs.ChecksFailed) as failed:
        runs.publish(root)
    assert [check.check for check in failed.value.failed] == ["invoice_totals"]
    assert sha256_of(root.database) == published


def test_a_run_in_this_process_leaves_nothing_of_dagsters_behind(root: DataRoot) -> None:
    runs.run(root, LAST)
    assert [path.name for path in root.dagster.iterdir()] == ["dagster.yaml"]
