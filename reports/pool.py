"""Many invoices at once: a pool of processes, one renderer each, results in order.

A PDF that is there is not made again; one that cannot be made is a value that says why,
and the others go on. A file appears whole and durable by one rename, or not at all.
"""

import hashlib
import os
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from billing_core.errors import BillingError
from reports.invoice_view import InvoiceView
from reports.pdf import render_invoice, renderer

WAITING_PER_WORKER = 4
"""Views handed out ahead of the results, so that no worker waits and memory stays small."""

LEAST_PER_WORKER = 6
"""A process takes as long to start as it takes to render about so many invoices."""


class WorkerDied(BillingError):
    """A process that renders was ended from outside."""

    code = "PDF-04"

    def __init__(self) -> None:
        super().__init__(
            what="a rendering process was ended, most likely for want of memory",
            where="the pool that renders invoices",
            mend="run again with fewer workers; the PDFs that were made are kept",
        )


@dataclass(frozen=True, slots=True)
class Job:
    """An invoice to render, and where its PDF goes."""

    view: InvoiceView
    path: Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """A PDF that is there.

    sha256: of its bytes. is_new: whether this call made it.
    """

    invoice_id: str
    number: str
    path: Path
    sha256: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class RenderFault:
    """Why the PDF of one invoice could not be made; the invoice itself is not touched."""

    invoice_id: str
    number: str
    code: str
    what: str
    mend: str


def render_all(jobs: Sequence[Job], workers: int | None = None) -> Iterator[Rendered | RenderFault]:
    """The PDFs of many invoices, one result a job, in the order of the jobs.

    takes:  workers, processes; None for one a core. Where one is enough, or there are too
            few invoices to be worth a start, the work is done here.
    yields: as soon as a result and those before it are there: the caller shows progress.
    raises: SlowFonts, WorkerDied; OSError where a file cannot be written.
    """
    renderer()
    missing = sum(not job.path.exists() for job in jobs)
    count = min(workers or len(os.sched_getaffinity(0)), missing // LEAST_PER_WORKER)
    if count <= 1:
        yield from map(render_one, jobs)
        return
    # A forked child could inherit a lock held by a thread of the caller.
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=renderer) as pool:
        try:
            yield from _in_order(jobs, pool, count * WAITING_PER_WORKER)
        except BrokenProcessPool as error:
            raise WorkerDied from error
        finally:
            pool.shutdown(cancel_futures=True)


def render_one(job: Job) -> Rendered | RenderFault:
    """The PDF of one invoice on disk, or the fault that kept it from being made."""
    view = job.view
    if job.path.exists():
        digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
        return Rendered(view.id, view.number, job.path, digest, is_new=False)
    try:
        pdf = render_invoice(view)
    except BillingError as error:
        return RenderFault(view.id, view.number, error.code, error.what, error.mend)
    write_file(job.path, pdf)
    return Rendered(view.id, view.number, job.path, hashlib.sha256(pdf).hexdigest(), is_new=True)


def _in_order(
    jobs: Sequence[Job], pool: ProcessPoolExecutor, waiting: int
) -> Iterator[Rendered | RenderFault]:
    futures: deque[Future[Rendered | RenderFault]] = deque()
    for job in jobs:
        futures.append(pool.submit(render_one, job))
        if len(futures) >= waiting:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def write_file(path: Path, content: bytes) -> None:
    """A file that is whole and durable under its name, or not there. As in the warehouse."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
