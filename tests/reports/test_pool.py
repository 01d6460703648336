"""Many invoices at once: what is there stays, what fails is a value, the rest is made."""

import hashlib
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from reports import pool
from reports.invoice_view import invoice_view
from reports.pool import Job, Rendered, RenderFault, WorkerDied, render_all
from tests.reports import samples


def jobs(folder: Path, names: list[str]) -> list[Job]:
    """One simple invoice for each name of a buyer, numbered from 1."""
    made = []
    for number, name in enumerate(names, start=1):
        posted = replace(samples.simple(), number=f"INV-2026-{number:06d}")
        buyer = replace(samples.LUMEN, name=name)
        view = invoice_view(posted, samples.SELLER, buyer, "en")
        made.append(Job(view, folder / "2026" / f"{view.number}.pdf"))
    return made


ENOUGH = pool.LEAST_PER_WORKER * 2
"""Invoices for which two processes are started."""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_invoice_is_a_value_and_the_others_are_made(tmp_path: Path, workers: int) -> None:
    wanted = jobs(tmp_path, ["One", "Two 🚀", *["More"] * (ENOUGH - 1)])
    results = list(render_all(wanted, workers))
    assert [result.number for result in results] == [job.view.number for job in wanted]
    fault = results[1]
    assert isinstance(fault, RenderFault)
    assert (fault.code, fault.invoice_id) == ("PDF-02", wanted[1].view.id)
    assert "U+1F680" in fault.what
    for job, result in zip(wanted, results, strict=True):
        if isinstance(result, Rendered):
            assert result.is_new
            assert result.sha256 == hashlib.sha256(job.path.read_bytes()).hexdigest()
    written = sorted(path.name for path in (tmp_path / "2026").iterdir())
    assert written == [job.path.name for job in wanted if job != wanted[1]]


def test_one_worker_and_two_make_the_same_bytes(tmp_path: Path) -> None:
    names = ["One", "深圳星河", *["More"] * ENOUGH]
    one = list(render_all(jobs(tmp_path / "one", names), 1))
    two = list(render_all(jobs(tmp_path / "two", names), 2))
    assert [result.sha256 for result in one if isinstance(result, Rendered)] == [
        result.sha256 for result in two if isinstance(result, Rendered)
    ]


def test_a_pdf_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    wanted = jobs(tmp_path, ["One", "Two"])
    list(render_all(wanted[:1], 1))
    wanted[0].path.write_bytes(b"as it was posted")
    first, second = render_all(wanted, 2)
    assert isinstance(first, Rendered)
    assert not first.is_new
    assert first.sha256 == hashlib.sha256(b"as it was posted").hexdigest()
    assert isinstance(second, Rendered)
    assert second.is_new


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    assert list(render_all([], None)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, ["One"])
    job.path.mkdir(parents=True)
    with pytest.raises(OSError, match="2026"):
        pool.write_file(job.path, b"content")
    assert list(job.path.parent.iterdir()) == [job.path]


def test_a_worker_that_is_killed_is_said_and_what_was_made_is_kept(tmp_path: Path) -> None:
    wanted = jobs(tmp_path, [f"Number {at}" for at in range(2 * ENOUGH)])
    results = render_all(wanted, 2)
    first = next(results)
    assert isinstance(first, Rendered)
    _kill_children()
    with pytest.raises(WorkerDied, match="fewer workers"):
        list(results)
    assert first.path.exists()


def _kill_children() -> None:
    """Kill the rendering processes of this process, as the kernel does when memory ends."""
    listed = Path("/proc/self/task").glob("*/children")
    for child in {int(text) for path in listed for text in path.read_text().split()}:
        command = Path(f"/proc/{child}/cmdline").read_text()
        if "spawn_main" in command:
            os.kill(child, signal.SIGKILL)
