"""Who writes: one process at a time, held by a lock that dies with it.

The lock is `flock` on `warehouse/.writer.lock`; the kernel frees it when its holder is
killed. Whoever holds it knows that every half-written file is an orphan, and sweeps them.
Readers take no lock.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from billing_core.errors import BillingError
from pipelines.paths import DataRoot


class WriterIsBusy(BillingError):
    """Another process writes this data root at the moment."""

    code = "WRITE-01"

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            what=f"another run is writing here (process {holder})",
            where=str(path),
            mend="wait until it has ended and try again; the lock goes with its process, "
            "so there is nothing to remove",
        )


@dataclass(slots=True)
class _Lock:
    """The lock of one data root in this process: a thread that has it may take it again."""

    thread: threading.RLock = field(default_factory=threading.RLock)
    descriptor: int | None = None


# flock belongs to an open file: taken twice by one process it would wait for itself.
_locks: dict[Path, _Lock] = {}
_locks_guard = threading.Lock()


def _forget_in_child() -> None:
    # A worker that outlives its killed parent would keep the lock for ever.
    for lock in _locks.values():
        if lock.descriptor is not None:
            os.close(lock.descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextmanager
def writer(root: DataRoot, *, wait_seconds: float = 0) -> Iterator[None]:
    """Be the one writer of a data root while the block runs; orphans are swept first.

    The same thread may nest blocks; other threads of the process wait.
    raises: WriterIsBusy, when another process is still writing after `wait_seconds`.
    """
    path = root.writer_lock.absolute()
    with _locks_guard:
        lock = _locks.setdefault(path, _Lock())
    with lock.thread:
        if lock.descriptor is not None:
            yield
            return
        lock.descriptor = _taken(path, wait_seconds)
        try:
            sweep_orphans(root)
            yield
        finally:
            os.close(lock.descriptor)
            lock.descriptor = None


def sweep_orphans(root: DataRoot) -> list[Path]:
    """Take away what dead writers left half-written. The lock is held.

    Complete files are never touched; of the books only a posting that was not renamed,
    which is none.
    """
    folders = (root.register.parent, root.catalog, root.customers, root.outbox)
    orphans = [
        *root.warehouse.glob("**/.*.tmp"),
        *root.warehouse.glob(".warehouse.*.duckdb*"),
        *(path for folder in folders for path in folder.glob(".*.tmp")),
        *root.books.glob(".tmp-*"),
    ]
    for orphan in orphans:
        if orphan.is_dir():
            shutil.rmtree(orphan)
        else:
            orphan.unlink(missing_ok=True)
    return sorted(orphans)


def _taken(path: Path, wait_seconds: float) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    give_up_at = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= give_up_at:
                os.close(descriptor)
                raise WriterIsBusy(path, holder_of(path)) from error
            time.sleep(0.05)
        else:
            return descriptor


def holder_of(path: Path) -> str:
    """The process that holds the lock on a file, as the kernel lists it; else `unknown`.

    Nothing is written into the lock file: a run with nothing to do changes no file.
    """
    inode, locks = path.stat().st_ino, Path("/proc/locks")
    if not locks.is_file():
        return "unknown"
    for line in locks.read_text(encoding="ascii").splitlines():
        _, kind, *_, process, place, _, _ = line.split()
        if kind == "FLOCK" and place.rpartition(":")[2] == str(inode):
            return process
    return "unknown"
