"""A run that is killed with SIGKILL at each fsync and each rename, one copy of a root each.

Run as a program: `killed.py FOLDER MODE STEP` copies `FOLDER/before` to `FOLDER/MODE-1`, ...
and kills the run in copy n `before` or `after` its n-th call, each STEP-th, until a run comes
to its end.
Nothing heavy is used before the fork, so that each run is a process of its own.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from pipelines import books, drafts, outbox, posting, standing, warehouse
from pipelines.paths import DataRoot
from pipelines.writer import writer
from tests.billing_core.builders import instant, setting_of
from tests.pipelines import samples

THROUGH, ISSUED = date(2026, 5, 2), date(2026, 5, 3)
INPUTS = books.Inputs(files={"catalog/2026.yaml": "0" * 64}, engine="1", sources="1", tzdata="1")
INVOICES = (samples.recurring("a"), samples.recurring("b"), samples.initial("c"))


def prepare(root: DataRoot) -> None:
    """One posting, published; and a document for the outbox."""
    invoices = [samples.initial("a"), samples.initial("b")]
    samples.draft_and_post(root, invoices)
    warehouse.publish(root)
    document = root.invoice_pdf("INV-2026-000001", samples.MAY.start)
    document.parent.mkdir(parents=True)
    document.write_bytes(b"%PDF")


def everything(root: DataRoot) -> None:
    """Draft, post, fill the outbox, publish: all that writes, as a run does it."""
    with writer(root):
        summary = drafts.write_drafts(root, INVOICES, through=THROUGH)
        standing.write_standing(root, [], setting_of(), instant("2026-05-03"))
        posting.post(
            root,
            draft_hash=summary.hash,
            issued_on=ISSUED,
            numbering=samples.NUMBERING,
            inputs=INPUTS,
        )
        outbox.fill_outbox(root, books.read_books(root).invoices, locales={})
        warehouse.publish(root)


class Killer:
    """Counts the calls that make something durable, and kills this process at one of them."""

    def __init__(self, *, at: int, is_after: bool) -> None:
        self.calls, self.at, self.is_after = 0, at, is_after

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.at and not self.is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **named)
            if self.calls == self.at and self.is_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return killing


def run_killed(root: DataRoot, *, at: int, is_after: bool) -> bool:
    """Whether the run was killed; false when it ended before its n-th call."""
    child = os.fork()
    if child == 0:
        killer = Killer(at=at, is_after=is_after)
        for name in ("fsync", "rename", "replace"):
            setattr(os, name, killer.wrapped(getattr(os, name)))
        everything(root)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the run in {root.root} failed")
    return os.WIFSIGNALED(status)


def main(folder: Path, mode: str, step: int) -> None:
    for at in range(1, 1000, step):
        copy = folder / f"{mode}-{at}"
        shutil.copytree(folder / "before", copy)
        if not run_killed(DataRoot(copy), at=at, is_after=mode == "after"):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
