"""How the command line speaks: tables for people, JSON for programs, one message for an error.

Nothing here knows about billing; commands hand over an answer and the tables that show it.
"""

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from billing_core.errors import BillingError
from pipelines.progress import Listener, Step, listening


class ExitCode(IntEnum):
    """What a command's exit code tells. Stable: programs may rely on it."""

    OK = 0
    FINDINGS = 1
    BAD_INPUT = 2
    LOCKED = 3
    SYSTEM = 4
    DEFECT = 5


EXIT_CODES = (
    "Exit codes: 0 done. 1 done, with findings or failed checks. 2 wrong usage or input. "
    "3 another writer is at work on this data root. 4 the machine failed (disk full, no "
    "permission). 5 a defect of fairbill."
)


@dataclass(frozen=True, slots=True)
class Screen:
    """Where answers and messages go.

    as_json: answers are one JSON document on standard output, and nothing else is.
    """

    as_json: bool = False

    @property
    def out(self) -> Console:
        return Console(highlight=False)

    @property
    def errors(self) -> Console:
        return Console(stderr=True, highlight=False)


def answer(screen: Screen, value: object, shown: Sequence[Table | str] = ()) -> None:
    """Show what a command found: the value as JSON, or the tables and lines."""
    if screen.as_json:
        text = json.dumps(value, indent=2, default=plain, ensure_ascii=False)
        sys.stdout.write(f"{text}\n")
        return
    for each in shown:
        if isinstance(each, Table):
            screen.out.print(each)
        else:
            screen.out.print(Text(each), soft_wrap=True)


def complain(screen: Screen, error: Exception) -> None:
    """Show an error as what, where, mend; never as a traceback."""
    told = _told(error)
    if screen.as_json:
        answer(screen, {"error": told})
        return
    text = Text.assemble((f"[{told['code']}] ", "bold red"), told["what"])
    for name in ("where", "mend"):
        text.append(f"\n  {name + ':':6} {told[name]}")
    screen.errors.print(text, soft_wrap=True)


def exit_code_of(error: Exception) -> ExitCode:
    """What the exit code tells of an error."""
    match error:
        case BillingError(code="WRITE-01"):
            return ExitCode.LOCKED
        case BillingError(code="RUN-01" | "USAGE-02" | "WAREHOUSE-02"):
            return ExitCode.FINDINGS
        case BillingError(code="DISK-01"):
            return ExitCode.SYSTEM
        case BillingError():
            return ExitCode.BAD_INPUT
        case OSError() | MemoryError():
            return ExitCode.SYSTEM
        case _:
            return ExitCode.DEFECT


def _told(error: Exception) -> dict[str, str]:
    match error:
        case BillingError():
            return {
                "code": error.code,
                "what": error.what,
                "where": error.where,
                "mend": error.mend,
            }
        case OSError() | MemoryError():
            return {
                "code": "SYSTEM-01",
                "what": (error.strerror if isinstance(error, OSError) else None) or str(error),
                "where": str(error.filename) if isinstance(error, OSError) else "memory",
                "mend": "mend what the machine says (free disk, permission) and run again; "
                "a run that was broken off goes on where it stopped",
            }
        case _:
            return {
                "code": "DEFECT-01",
                "what": f"{type(error).__name__}: {error}",
                "where": _place(error),
                "mend": "this is a defect of fairbill; set FAIRBILL_TRACEBACK=1 for the whole way "
                "to it, and report it with that",
            }


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; a column named with a leading `>` is aligned to the right."""
    shown = Table(title=title or None, title_justify="left", header_style="bold")
    shown.min_width = len(title)
    for column in columns:
        name = column.removeprefix(">")
        shown.add_column(name, justify="right" if name != column else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return shown


def grouped(value: object) -> str:
    """A value as text, the digits of a number in groups.

    >>> grouped(1234567), grouped(None), grouped("a")
    ('1,234,567', '', 'a')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | Decimal():
            return f"{value:,}"
        case _:
            return str(value)


def plain(value: object) -> object:
    """A value as JSON knows it: dates and exact numbers as text, dataclasses as objects.

    >>> plain(Decimal("0.10")), plain(date(2026, 4, 1))
    ('0.10', '2026-04-01')
    """
    match value:
        case date() | datetime():
            return value.isoformat()
        case Decimal() | Fraction() | Path():
            return str(value)
        case set() | frozenset():
            return sorted(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: getattr(value, each.name) for each in fields(value)}
        case _ if hasattr(value, "to_dicts"):
            return value.to_dicts()
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")


@contextmanager
def progress(screen: Screen) -> Iterator[None]:
    """Bars for the steps that long work reports; nothing where no person is looking."""
    if screen.as_json or not screen.errors.is_terminal:
        yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with Progress(*columns, console=screen.errors, transient=True) as bars, listening(_bar(bars)):
        yield


def _bar(bars: Progress) -> Listener:
    tasks = {}

    def show(step: Step) -> None:
        if step.name not in tasks:
            tasks[step.name] = bars.add_task(step.name, total=step.of)
        bars.update(tasks[step.name], completed=step.done, total=step.of)
        if step.done == step.of:
            bars.remove_task(tasks.pop(step.name))

    return show
