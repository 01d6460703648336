"""The command `fairbill`: reads what was asked, calls one function, shows the answer.

Everything that takes long to import is imported by the command that needs it.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic_core import PydanticCustomError

from billing_core.errors import BillingError
from billing_core.schema import day_or_instant
from pipelines import answers, console, new_root
from pipelines.console import EXIT_CODES, ExitCode, Screen
from pipelines.paths import DataRoot

if TYPE_CHECKING:
    from pipelines.drafts import Drafts

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
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--json" or argument.startswith("--root="):
            first.append(argument)
        elif argument == "--root":
            first += [argument, *(value for value in [next(left, None)] if value is not None)]
        else:
            rest.append(argument)
    return [*first, *rest]


def _day(text: str | date) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is not a date; write it as YYYY-MM-DD, for example 2026-04-30"
        raise typer.BadParameter(message) from error


def _day_or_instant(text: str | date) -> date:
    """A day, or an instant, which is a day too."""
    if isinstance(text, date):
        return text
    try:
        return day_or_instant(text)
    except PydanticCustomError as error:
        raise typer.BadParameter(str(error)) from error


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        message = f"{text!r} is not a month; write it as YYYY-MM, for example 2026-04"
        raise typer.BadParameter(message) from error


class NotConfirmed(BillingError):
    """Posting was asked for without saying which drafts were looked at. Rule PST-2."""

    code = "POST-10"

    def __init__(self, draft_hash: str) -> None:
        super().__init__(
            what="nothing was posted: posting needs the hash of the drafts that were looked at",
            where=f"the drafts of the last run have the hash {draft_hash}",
            mend=f"look at them with `fairbill status`, then: fairbill post --hash "
            f"{draft_hash[:SHORT_HASH]}",
        )


SHORT_HASH = 12
"""How much of a draft's hash is enough to name it."""

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
    console.answer(asked.screen, begun, answers.begun(begun))


@app.command()
def demo(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="The data root; begun if needed.")] = None,
) -> None:
    """Bill three months of sample data end to end, and show what was made and where it lies.

    Land it, meter it, draft, post, render every invoice, report, fill the outbox, publish.
    """
    from pipelines.demo import run_demo

    asked: Asked = context.obj
    root = asked.root if path is None else DataRoot(path.absolute())
    with console.progress(asked.screen):
        made = run_demo(root)
    console.answer(asked.screen, made, answers.demo(made))


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
    console.answer(asked.screen, made, answers.sample(root, made))


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file with a line a customer.")],
    moved_on: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            parser=_day_or_instant,
            metavar="YYYY-MM-DD",
            help="When they move in: a day, or an instant as 2026-04-10T08:00:00Z.",
        ),
    ] = None,
) -> None:
    """Land customers who come from another billing system, with what they have and owe.

    Rows that are wrong are named with line, column and cure; the others are landed. The same
    file at the same instant changes nothing.
    """
    from pipelines.moving_in import import_customers

    asked: Asked = context.obj
    if moved_on is None:
        raise typer.BadParameter("say when they move in, as --at 2026-04-10", param_hint="--at")
    made = import_customers(new_root.existing(asked.root), file, moved_on)
    console.answer(asked.screen, made, answers.imported(asked.root, made))
    if made.problems:
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def validate(context: typer.Context) -> None:
    """Check the catalog and the landed actions; name every fault, its place and its cure."""
    from pipelines.catalogs import validate as validation_of

    asked: Asked = context.obj
    found = validation_of(new_root.existing(asked.root))
    console.answer(asked.screen, found, answers.validation(found))
    if found.problems:
        raise typer.Exit(ExitCode.FINDINGS)


catalog_app = typer.Typer(help="Look at catalog versions.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")


@catalog_app.command("diff")
def catalog_diff(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The file of the version before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The file of the version after.")],
) -> None:
    """Show what a catalog version changes: for whom, by which rule, when, and how many feel it.

    Customers are those of the data root's last run. Writes nothing.
    """
    from pipelines.catalog_diffs import compare

    asked: Asked = context.obj
    found = compare(asked.root, old, new)
    console.answer(asked.screen, answers.comparison_value(found), answers.comparison(found))
    if found.problems:
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def run(
    context: typer.Context,
    through: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Default: yesterday, UTC."),
    ] = None,
) -> None:
    """Register, meter and draft everything up to a day, check it, and publish.

    Never posts. Running again with nothing new changes not one file.
    """
    from pipelines.runs import run as run_assets
    from pipelines.status import status_of

    asked: Asked = context.obj
    root = new_root.existing(asked.root)
    with console.progress(asked.screen):
        facts = run_assets(root, through or _today() - timedelta(days=1))
    status = status_of(root)
    console.answer(asked.screen, {"assets": facts, "status": status}, answers.run(facts, status))
    if any(each.get("faults") for each in facts.values()):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def status(
    context: typer.Context,
    changes: Annotated[bool, typer.Option(help="List every changed line of the drafts.")] = False,
) -> None:
    """Show what is landed, metered, drafted, posted and published, and what drafts changed."""
    from pipelines.status import status_of

    asked: Asked = context.obj
    found = status_of(new_root.existing(asked.root))
    console.answer(asked.screen, found, answers.status(found, is_full=changes))


@app.command()
def post(
    context: typer.Context,
    reviewed: Annotated[
        str | None, typer.Option("--hash", help="The hash of the drafts that you looked at.")
    ] = None,
    issued_on: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Date of issue. Default: today, UTC."),
    ] = None,
    is_sure: Annotated[
        bool, typer.Option("--yes", help="Post the drafts of now without asking, for schedules.")
    ] = False,
) -> None:
    """Post exactly the drafts that were looked at: numbers, books, PDFs, outbox, warehouse.

    Without --hash it shows the drafts and asks. Posting twice changes nothing.
    """
    from pipelines.drafts import read_drafts
    from pipelines.runs import post as post_assets

    asked: Asked = context.obj
    root = new_root.existing(asked.root)
    drafts = read_drafts(root)
    if reviewed is None and not is_sure:
        _confirm(asked, drafts)
    with console.progress(asked.screen):
        facts = post_assets(
            root,
            draft_hash=drafts.summary.hash if reviewed is None else _whole(reviewed, drafts),
            issued_on=issued_on or _today(),
        )
    console.answer(asked.screen, {"assets": facts}, answers.posting(facts))
    if any(each.get("faults") for each in facts.values()):
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def invoice(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="As on the page: INV-2026-000001.")],
) -> None:
    """Show a posted invoice as text, with the working of every line."""
    from pipelines.documents import invoice_as_text

    asked: Asked = context.obj
    text = invoice_as_text(new_root.existing(asked.root), number)
    console.answer(asked.screen, {"number": number, "text": text}, [text])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def preview(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="His id, or another id of his.")],
    do: Annotated[str, typer.Argument(metavar="ACTION", help="As it lands: change_plan.")],
    at: Annotated[
        date | None,
        typer.Option(
            parser=_day, metavar="YYYY-MM-DD", help="When, in his time zone. Default: today."
        ),
    ] = None,
) -> None:
    """Show what an action would do to a customer: outcome, invoice, next renewal. Writes nothing.

    Fields of the action are options: --plan pro --interval yearly, --when now, --feature editors
    --quantity 2, --seats editors=3.
    """
    from pipelines.previews import preview_action

    asked: Asked = context.obj
    fields = action_fields(context.args)
    found = preview_action(new_root.existing(asked.root), customer, do, fields, at=at or _today())
    console.answer(asked.screen, answers.preview_value(found), answers.preview(found))


def action_fields(arguments: Sequence[str]) -> dict[str, object]:
    """Fields of an action from options; what is written name=number is a mapping.

    >>> action_fields(["--promo-code", "SAVE", "--seats", "editors=3", "--seats=viewers=1"])
    {'promo_code': 'SAVE', 'seats': {'editors': '3', 'viewers': '1'}}
    """
    fields: dict[str, object] = {}
    left = iter(arguments)
    for argument in left:
        option, has_value, value = argument.partition("=")
        if not option.startswith("--") or option == "--":
            raise typer.BadParameter(f"{argument!r} is no option; write --name value")
        if not has_value:
            value = next(left, "")
        name = option.removeprefix("--").replace("-", "_")
        key, is_pair, amount = value.partition("=")
        before = fields.get(name)
        if is_pair:
            fields[name] = {**(before if isinstance(before, dict) else {}), key: amount}
        else:
            fields[name] = value
    return fields


@app.command()
def report(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="As YYYY-MM.", metavar="MONTH")],
) -> None:
    """Make the revenue report of a month as PDF, from the published warehouse."""
    from pipelines.runs import report_revenue

    asked: Asked = context.obj
    root = new_root.existing(asked.root)
    with console.progress(asked.screen):
        facts = report_revenue(root, _month(month))
    made = facts["revenue_report"]
    console.answer(asked.screen, made, [str(made["files"])])


@app.command()
def check(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A scenario file, or a folder of them.")],
    is_through_pipeline: Annotated[
        bool,
        typer.Option("--through-pipeline", help="Through files, Dagster, drafts and books too."),
    ] = False,
) -> None:
    """Run scenarios and compare what they bill with what they expect, to the cent."""
    from pipelines.check import check as check_scenarios
    from pipelines.scenario_pipeline import through_pipeline

    asked: Asked = context.obj
    if not path.exists():
        raise typer.BadParameter(f"there is no file or folder {path}", param_hint="PATH")
    with console.progress(asked.screen):
        checked = check_scenarios(path, through_pipeline if is_through_pipeline else None)
    console.answer(asked.screen, answers.check_value(checked), answers.check(checked))
    if not checked.has_passed:
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def publish(context: typer.Context) -> None:
    """Publish the warehouse anew if what it is made of has changed, or its folder moved."""
    from pipelines.runs import publish as publish_assets

    asked: Asked = context.obj
    root = new_root.existing(asked.root)
    with console.progress(asked.screen):
        facts = publish_assets(root)
    console.answer(asked.screen, facts["warehouse"], answers.publication(facts["warehouse"]))


def _today() -> date:
    return datetime.now(UTC).date()


def _whole(reviewed: str, drafts: "Drafts") -> str:
    """The hash that a beginning of at least twelve characters stands for."""
    whole = drafts.summary.hash
    return whole if len(reviewed) >= SHORT_HASH and whole.startswith(reviewed) else reviewed


def _confirm(asked: Asked, drafts: "Drafts") -> None:
    """Show what would be posted and ask; where nobody can answer, say how to go on."""
    if asked.screen.as_json or not sys.stdin.isatty():
        raise NotConfirmed(drafts.summary.hash)
    for shown in answers.drafts(drafts.summary):
        asked.screen.errors.print(shown)
    typer.confirm("Post these drafts?", abort=True, err=True)
