"""A backfill from Dagster's pages gives the files that the command line gives."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import new_root, runs
from pipelines.datasets import sha256_of
from pipelines.generate import generate
from pipelines.marts import VIEWS
from pipelines.paths import PACKAGE_ROOT, DataRoot
from pipelines.warehouse import reading

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 31)
ASSETS = (*runs.DRAFTED, *runs.DOCUMENTS, "warehouse")
LAUNCH = """
mutation ($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status error { message } }
  }
}"""
RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } } } } }"
CHECKS = """
{ assetNodes { assetChecksOrError { ... on AssetChecks {
  checks { name executionForLatestMaterialization { status } } } } } }"""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path / "root")
    new_root.begin(root)
    generate(root, customers=8, months=1, events=3_000, seed=2, start=FIRST)
    return root


@pytest.mark.slow
def test_a_backfill_of_31_days_gives_the_files_of_the_command_line(
    root: DataRoot, tmp_path: Path
) -> None:
    landed, by_backfill = tmp_path / "landed", DataRoot(tmp_path / "by_backfill")
    shutil.copytree(root.root, landed)
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    with dagster_pages(root, tmp_path) as ask:
        launched = ask(
            LAUNCH,
            parameters={
                "assetSelection": [{"path": [asset]} for asset in ASSETS],
                "partitionNames": [day.isoformat() for day in days],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        assert finished(ask, launched["backfillId"]) == "COMPLETED_SUCCESS"
        made = ask(RUNS)["runsOrError"]["results"]
        nodes = ask(CHECKS)["assetNodes"]

    root.root.rename(by_backfill.root)
    shutil.copytree(landed, root.root)
    runs.run(root, LAST)
    assert {run["status"] for run in made} == {"SUCCESS"}
    assert spans(made) == {(FIRST.isoformat(), LAST.isoformat())}, "all days in one run"
    found = [it for node in nodes for it in node["assetChecksOrError"].get("checks", ())]
    # January is what was asked for, so that yesterday is rightly said to be missing
    checks = [it for it in found if it["name"] != "freshness_check"]
    assert checks
    assert {it["executionForLatestMaterialization"]["status"] for it in checks} == {"SUCCEEDED"}
    assert hashes(root) == hashes(by_backfill)
    assert rows(root) == rows(by_backfill)


def spans(made: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The first and last day of each run that has days."""
    tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in made]
    span = "dagster/asset_partition_range_{}".format
    return {(it[span("start")], it[span("end")]) for it in tags if span("start") in it}


def finished(ask: Callable[..., Any], backfill: str) -> str:
    """How a backfill ended; the daemon looks for work twice a minute."""
    give_up_at = time.monotonic() + 600
    while time.monotonic() < give_up_at:
        found = ask(STATUS, id=backfill)["partitionBackfillOrError"]
        if found["status"] not in {"REQUESTED", "IN_PROGRESS"}:
            return str(found["status"])
        time.sleep(2)
    raise TimeoutError(backfill)


@contextmanager
def dagster_pages(root: DataRoot, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Dagster's webserver and daemon on a free port, and a function that asks its GraphQL."""
    port = free_port()
    environment = {
        "DAGSTER_HOME": str(root.dagster),
        "FAIRBILL_ROOT": str(root.root),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "dagster", "dev", "--port", str(port)]
    with running(command, PACKAGE_ROOT, environment, log=tmp_path / "dagster.log"):
        yield asker(port)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, log: Path
) -> Iterator[None]:
    """A program and all that it starts, until the block ends."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(timeout=60)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)


def asker(port: int) -> Callable[..., Any]:
    """A function that asks the GraphQL on a port, once it answers and has loaded the assets."""

    def ask(query: str, **variables: object) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        try:
            if ask("{ assetNodes { id } }")["assetNodes"]:
                return ask
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError(f"Dagster did not answer on port {port}")


def hashes(root: DataRoot) -> dict[str, str]:
    """Every file of a root by its bytes, but Dagster's own and the database of views."""
    left_out = {root.database, root.writer_lock}
    return {
        str(path.relative_to(root.root)): sha256_of(path)
        for path in sorted(root.root.rglob("*"))
        if path.is_file() and path not in left_out and root.dagster not in path.parents
    }


def rows(root: DataRoot) -> dict[str, list[Any]]:
    """Every row of every table that analysts see, and what the warehouse says it is made of."""
    with reading(root) as connection:
        names = [name for (name,) in connection.execute("show tables").fetchall()]
        tables = [name for name in names if name not in VIEWS]
        return {name: connection.execute(f"from {name}").fetchall() for name in tables}
