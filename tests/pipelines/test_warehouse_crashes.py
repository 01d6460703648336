"""A run that dies at any point leaves something whole, and the next run makes it complete."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.books import read_books, verify_books
from pipelines.datasets import DiskIsFull
from pipelines.drafts import read_drafts, write_drafts
from pipelines.outbox import read_letters
from pipelines.paths import DataRoot
from pipelines.posting import post
from pipelines.warehouse import publish, published, reading
from tests.pipelines import killed, samples

PACKAGES = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def result(root: DataRoot) -> object:
    """All that a run leaves: books and outbox byte for byte, drafts, and the warehouse's rows."""
    with reading(root) as connection:
        invoices = connection.execute("select * from invoices").fetchall()
    files = contents(root.books), contents(root.outbox)
    return files, read_drafts(root).invoices, invoices


def hidden(root: DataRoot) -> list[Path]:
    names = (path for path in root.root.rglob(".*") if path != root.writer_lock)
    return sorted(names)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["before", "after"])
def test_killed_at_each_fsync_and_rename(mode: str, tmp_path: Path) -> None:
    assert is_made_whole(tmp_path, mode, step=1) > 30


def test_killed_at_some_fsyncs_and_renames(tmp_path: Path) -> None:
    assert is_made_whole(tmp_path, "before", step=11) > 3


def is_made_whole(tmp_path: Path, mode: str, *, step: int) -> int:
    """How many killed runs were looked at; each was sound, and made whole by the next run."""
    whole, before = DataRoot(tmp_path / "whole"), DataRoot(tmp_path / "before")
    killed.prepare(before)
    shutil.copytree(before.root, whole.root)
    killed.everything(whole)
    command = [sys.executable, killed.__file__, str(tmp_path), mode, str(step)]
    subprocess.run(command, env=PACKAGES, check=True)
    copies = [DataRoot(path) for path in tmp_path.glob(f"{mode}-*")]
    for root in copies:
        assert verify_books(root) == []
        assert len(read_books(root).postings) in (1, 2)
        assert published(root) is not None
        read_drafts(root)
        read_letters(root)
        killed.everything(root)
        assert result(root) == result(whole)
        assert hidden(root) == []
        files = contents(root.root)
        killed.everything(root)
        assert contents(root.root) == files
    return len(copies)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1.5 MB; skipped where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_files(tmp_path: Path) -> Iterator[Path]:
    """A place where no file may become larger than 700 bytes while it is asked for."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
        while True:
            file.write(b"1" * 4096)


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_stops_publishing_and_leaves_the_old_warehouse(small_disk: Path) -> None:
    root = DataRoot(small_disk)
    samples.draft_and_post(root, [samples.initial("a")])
    (small_disk / "ballast").write_bytes(b"1" * 100_000)
    write_drafts(root, [samples.recurring("a")], through=killed.THROUGH)
    before = contents(root.root)
    with pytest.raises(DiskIsFull, match=r"DISK-01.*\n.*warehouse.duckdb\n.*free some space"):
        publish(root)
    assert contents(root.root) == before
    assert hidden(root) == []
    assert verify_books(root) == []


def test_a_full_disk_stops_drafts_and_posting(small_disk: Path) -> None:
    root = DataRoot(small_disk)
    samples.draft_and_post(root, [samples.initial("a")])
    summary = write_drafts(root, samples.many(30), through=killed.THROUGH)
    ballast = small_disk / "ballast"
    fill(ballast)
    before = contents(root.root)
    with pytest.raises(DiskIsFull, match="DISK-01"):
        write_drafts(root, samples.many(50), through=killed.THROUGH)
    with pytest.raises(DiskIsFull, match=r"DISK-01.*\n.*books/000002"):
        post(
            root,
            draft_hash=summary.hash,
            issued_on=killed.ISSUED,
            numbering=samples.NUMBERING,
        )
    assert contents(root.root) == before
    assert hidden(root) == []
    ballast.unlink()
    assert post(
        root, draft_hash=summary.hash, issued_on=killed.ISSUED, numbering=samples.NUMBERING
    ).invoices
    assert verify_books(root) == []


def test_a_limit_on_files_is_told_the_same_way(small_files: Path) -> None:
    root = DataRoot(small_files)
    killed.prepare(root)
    drafted = read_drafts(root).invoices
    limit_files(700)
    with pytest.raises(DiskIsFull, match="DISK-01"):
        write_drafts(root, samples.many(50), through=killed.THROUGH)
    assert read_drafts(root).invoices == drafted
    limit_files(200_000)
    summary = write_drafts(root, samples.many(50), through=killed.THROUGH)
    with pytest.raises(DiskIsFull, match=r"warehouse.duckdb"):
        publish(root)
    assert published(root) is not None
    assert summary.is_new
    assert hidden(root) == []
