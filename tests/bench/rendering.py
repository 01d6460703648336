"""What our rendering costs over WeasyPrint alone, and what a second worker brings.

Run as `python -m tests.bench.rendering`. Ratios of medians taken in turns in one run, so
that a busy machine slows both sides. Exits 1 when a figure that could be measured is missed.
"""

import gc
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reports.invoice_view import InvoiceView, invoice_view
from reports.pdf import TEMPLATES, render_invoice, renderer
from reports.pool import Job, Rendered, render_all
from tests.reports import samples

# After reports.pdf, which says where the fonts are.
from weasyprint import CSS, HTML  # isort: skip
from weasyprint.text.fonts import FontConfiguration  # isort: skip

ROUNDS = 15
MOST_OVER_BARE = 1.15
LEAST_OF_TWO_WORKERS = 1.5
INVOICES = 60


def main() -> int:
    """Print the figures; 0 when they hold."""
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")
    simple = _view(samples.simple(), "INV-2026-000001")
    full = _view(samples.full(), "INV-2026-000002")
    ratios = [_over_bare("one page", simple), _over_bare("two pages, every kind of line", full)]
    gain, free = _two_workers([simple, full])
    print(f"two workers: {gain:.2f}x of one (at least {LEAST_OF_TWO_WORKERS} where two are free)")
    print(f"free cores while measuring: {free:.1f} of {cores}")
    holds = max(ratios) <= MOST_OVER_BARE and (gain >= LEAST_OF_TWO_WORKERS or free < 1.8)
    return 0 if holds else 1


def _over_bare(name: str, view: InvoiceView) -> float:
    """Our median over the median of a bare `write_pdf` of the same page."""
    page, fonts = renderer().html("invoice", view), FontConfiguration()
    text = "".join((TEMPLATES / f"{css}.css").read_text() for css in ("document", "invoice"))
    style = CSS(string=text, font_config=fonts)

    def bare() -> object:
        return HTML(string=page).write_pdf(stylesheets=[style], font_config=fonts)

    ours = _seconds_in_turns(bare, lambda: render_invoice(view))
    ratio = ours[1] / ours[0]
    milliseconds = [round(1000 * seconds) for seconds in ours]
    print(
        f"{name}: bare {milliseconds[0]} ms, ours {milliseconds[1]} ms, "
        f"{ratio:.2f}x (at most {MOST_OVER_BARE})"
    )
    return ratio


def _seconds_in_turns(*works: Callable[[], object]) -> list[float]:
    """The median CPU time of each work, all measured in each round, after one for warmth."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(ROUNDS + 1):
        for index, work in enumerate(works):
            gc.collect()
            start = time.process_time()
            work()
            if turn:
                taken[index].append(time.process_time() - start)
    return [statistics.median(seconds) for seconds in taken]


def _two_workers(views: list[InvoiceView]) -> tuple[float, float]:
    """How much faster two workers are than one, start of processes included.

    returns: also the cores that nobody else used in the while, so the figure can be judged.
    """
    jobs = [replace(views[at % len(views)], number=f"INV-2026-{at:06d}") for at in range(INVOICES)]
    with tempfile.TemporaryDirectory() as folder:
        start, busy, own = time.perf_counter(), _busy_seconds(), _own_seconds()
        one = _seconds(jobs, Path(folder) / "one", 1)
        two = _seconds(jobs, Path(folder) / "two", 2)
        others = (_busy_seconds() - busy) - (_own_seconds() - own)
        taken = time.perf_counter() - start
    return one / two, len(os.sched_getaffinity(0)) - others / taken


def _seconds(views: list[InvoiceView], folder: Path, workers: int) -> float:
    jobs = [Job(view, folder / f"{view.number}.pdf") for view in views]
    start = time.perf_counter()
    results = list(render_all(jobs, workers))
    assert all(isinstance(result, Rendered) and result.is_new for result in results)
    return time.perf_counter() - start


def _busy_seconds() -> float:
    """Seconds that the machine's cores have worked, for anyone."""
    fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, *_ = fields
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Seconds that this process and its ended children have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _view(posted: samples.PostedInvoice, number: str) -> InvoiceView:
    made = replace(posted, number=number)
    return invoice_view(made, samples.SELLER, samples.LUMEN, "en")


if __name__ == "__main__":
    sys.exit(main())
