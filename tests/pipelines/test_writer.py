"""One process writes at a time, and what dead writers left is swept."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.paths import DataRoot
from pipelines.writer import WriterIsBusy, sweep_orphans, writer

HOLD = """
import sys, time
from pathlib import Path
from pipelines.paths import DataRoot
from pipelines.writer import writer
with writer(DataRoot(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""

PACKAGES = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


@pytest.fixture
def holder(root: DataRoot) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed."""
    command = [sys.executable, "-c", HOLD, str(root.root)]
    with subprocess.Popen(command, env=PACKAGES, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_writes(root: DataRoot, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(WriterIsBusy, match=rf"WRITE-01.*process {holder.pid}"), writer(root):
        pass


def test_the_lock_dies_with_its_holder(root: DataRoot, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with writer(root):
        pass


def test_a_writer_may_wait(root: DataRoot, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.2, holder.kill).start()
    with writer(root, wait_seconds=10):
        pass


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(root: DataRoot) -> None:
    orphan = """
import os, sys, time
from pathlib import Path
from pipelines.paths import DataRoot
from pipelines.writer import writer
with writer(DataRoot(Path(sys.argv[1]))):
    child = os.fork()
    if child == 0:
        os.close(1)
        time.sleep(20)
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", orphan, str(root.root)]
    ended = subprocess.run(command, env=PACKAGES, stdout=subprocess.PIPE, text=True, check=False)
    try:
        with writer(root):
            pass
    finally:
        os.kill(int(ended.stdout), signal.SIGKILL)


def test_the_same_thread_may_nest(root: DataRoot) -> None:
    with writer(root), writer(root):
        pass
    with writer(root):
        pass


def test_another_thread_waits(root: DataRoot) -> None:
    order: list[str] = []

    def write() -> None:
        with writer(root):
            order.append("second")

    with writer(root):
        thread = threading.Thread(target=write)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_taking_the_lock_changes_no_file(root: DataRoot) -> None:
    with writer(root):
        pass
    before = root.writer_lock.stat().st_mtime_ns
    with writer(root):
        pass
    assert root.writer_lock.stat().st_mtime_ns == before


def test_orphans_are_swept_and_nothing_else(root: DataRoot) -> None:
    orphans = [
        root.dataset("usage_daily") / "landing_day=2026-04-01" / ".0a.tmp",
        root.warehouse / ".1b.tmp",
        root.warehouse / ".warehouse.run.duckdb",
        root.warehouse / ".warehouse.run.duckdb.wal",
        root.books / ".tmp-1" / "invoices.parquet",
        root.outbox / ".2c.tmp",
        root.register.parent / ".3d.tmp",
        root.catalog / ".4e.tmp",
        root.customers / ".5f.tmp",
    ]
    kept = [
        root.dataset("usage_daily") / "landing_day=2026-04-01" / "0001-0123456789abcdef.parquet",
        root.books / "000001" / "manifest.json",
        root.database,
        root.register,
    ]
    for path in orphans + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with writer(root):
        assert [path for path in orphans if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []
        assert sweep_orphans(root) == []
