"""The command `fairbill`: reads what was asked, calls one function, shows the answer.

Everything that takes long to import is imported by the command that needs it.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pipelines import console, new_root
from pipelines.console import EXIT_CODES, Screen
from pipelines.paths import DataRoot

# ruff: noqa: PLC0415 - a command imports what only it needs, so that --help is quick

app = typer.Typer(
    name="fairbill",
    help="Bill from raw usage logs: meter, draft, post, render, publish.",
    epilog=f"{EXIT_CODES}\n\n--root and --json may stand before or after the command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that hold for every command."""

    root: DataRoot
    screen: Screen


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command `fairbill`: ends with an exit code that tells."""
    given = global_options_first(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FAIRBILL_TRACEBACK"):
            raise
        console.complain(Screen(as_json="--json" in given), error)
        sys.exit(console.exit_code_of(error))


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments with --root and --json in front, wherever they stood.

    >>> global_options_first(["run", "--through", "2026-05-01", "--root", "x", "--json"])
    ['--root', 'x', '--json', 'run', '--through', '2026-05-01']
    """
    first: list[str] = []
    rest = list(arguments)
    for name in ("--root", "--json"):
        while name in rest:
            place = rest.index(name)
            width = 2 if name == "--root" else 1
            first += rest[place : place + width]
            del rest[place : place + width]
    return [*first, *rest]


def _day(text: str | date) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is not a date; write it as YYYY-MM-DD, for example 2026-04-30"
        raise typer.BadParameter(message) from error


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        message = f"{text!r} is not a month; write it as YYYY-MM, for example 2026-04"
        raise typer.BadParameter(message) from error


SAMPLE_START = date(2026, 1, 1)
"""Where the sample begins, if nothing else is asked for: with the example catalog."""


@app.callback()
def options(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option(
            envvar="FAIRBILL_ROOT",
            help="The data root. Default: this folder if it holds catalog/, else ./data.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer with one JSON document on standard output.")
    ] = False,
) -> None:
    """Bill from raw usage logs: meter, draft, post, render, publish."""
    here = Path.cwd()
    chosen = root or (here if (here / "catalog").is_dir() else here / "data")
    context.obj = Asked(DataRoot(chosen.absolute()), Screen(as_json))


@app.command()
def init(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="The folder to begin in.")] = None,
) -> None:
    """Begin a data root: folders, the example catalog and mappings, Dagster's settings.

    Nothing that is there already is replaced.
    """
    asked: Asked = context.obj
    root = asked.root if path is None else DataRoot(path.absolute())
    begun = new_root.begin(root)
    rows = [[made.relative_to(root.root)] for made in begun.made]
    tables = [
        console.table(f"Begun in {root.root}", ["made"], rows)
        if rows
        else f"{root.root} is a data root already; nothing was changed",
        f"next: fairbill --root {root.root} demo",
    ]
    console.answer(asked.screen, {"root": root.root, "made": list(begun.made)}, tables)


@app.command()
def generate(
    context: typer.Context,
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 60,
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months of usage.")] = 3,
    events: Annotated[int, typer.Option(min=0, help="How many events in all.")] = 500_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another sample.")] = 1,
    start: Annotated[
        date, typer.Option(parser=_day, metavar="YYYY-MM-DD", help="The first day.")
    ] = SAMPLE_START,
) -> None:
    """Land a sample: usage with duplicates, late and bad rows, and the actions behind it.

    The same options give the same files; a landed file is never replaced.
    """
    from pipelines.generate import generate as land_sample

    asked: Asked = context.obj
    root = new_root.existing(asked.root)
    with console.progress(asked.screen):
        made = land_sample(
            root, customers=customers, months=months, events=events, seed=seed, start=start
        )
    value = asdict(made)
    console.answer(
        asked.screen, value, [console.facts(f"Landed in {root.root / 'landing'}", value)]
    )
