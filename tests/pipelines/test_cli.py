"""The command line: exit codes that tell, JSON for programs, messages without tracebacks."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import new_root
from pipelines.books import read_books
from pipelines.cli import global_options_first, main
from pipelines.console import ExitCode
from pipelines.datasets import current_files, sha256_of
from pipelines.generate import generate
from pipelines.paths import DataRoot

THROUGH = "2026-02-04"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ended(int(stopped.value.code or 0), out, err)

    return run


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """A root in which a sample has landed, and no run has been."""
    root = DataRoot(tmp_path_factory.mktemp("landed"))
    new_root.begin(root)
    generate(root, customers=5, months=1, events=2_000, seed=3, start=date(2026, 1, 1))
    return root


@pytest.fixture(scope="module")
def billed(landed: DataRoot, tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """The same sample, run and posted once. Tests only read it."""
    root = DataRoot(tmp_path_factory.mktemp("billed") / "root")
    shutil.copytree(landed.root, root.root)
    for arguments in (("run", "--through", THROUGH), ("post", "--yes", "--issued-on", THROUGH)):
        with pytest.raises(SystemExit) as stopped:
            main(["--root", str(root.root), *arguments])
        assert stopped.value.code in {0, ExitCode.FINDINGS}
    return root


@pytest.fixture
def root(landed: DataRoot, tmp_path: Path) -> DataRoot:
    """A root of the test's own, in which a sample has landed."""
    shutil.copytree(landed.root, tmp_path / "root")
    return DataRoot(tmp_path / "root")


def files(root: DataRoot) -> dict[str, str]:
    return {
        str(path.relative_to(root.root)): sha256_of(path)
        for path in sorted(root.root.rglob("*"))
        if path.is_file()
    }


def test_init_makes_a_root_that_is_in_order_and_replaces_nothing(
    command: Command, tmp_path: Path
) -> None:
    root = tmp_path / "new"
    assert command("init", root).code == ExitCode.OK
    (example,) = (root / "catalog").iterdir()
    example.write_text("mine", encoding="utf-8")
    again = command("init", root, "--json")
    assert again.answer["made"] == []
    assert example.read_text(encoding="utf-8") == "mine"
    shutil.rmtree(root / "catalog")
    assert command("init", root).code == ExitCode.OK
    assert command("validate", "--root", root).code == ExitCode.OK


BAD_USE = {
    "no such root": (["--root", "{tmp}/nowhere", "status"], 2, "ROOT-01"),
    "a file as root": (["init", "{root}/landing/actions_file"], 2, "ROOT-02"),
    "no such day": (["run", "--through", "2026-02-30"], 2, "not a date"),
    "a day in words": (["run", "--through", "today"], 2, "not a date"),
    "no such month": (["report", "2026-13"], 2, "not a month"),
    "no such command": (["bill"], 2, "No such command"),
    "no such option": (["run", "--until", "2026-02-01"], 2, "No such option"),
    "customers below one": (["generate", "--customers", "0"], 2, "greater than or equal to 1"),
    "another sample over this one": (["generate", "--seed", "9"], 2, "GEN-01"),
    "posting without a run": (["post", "--yes"], 2, "DRAFT-01"),
    "an unknown number": (["invoice", "INV-1"], 2, "INVOICE-01"),
    "scenarios that are not there": (["check", "{tmp}/none"], 2, "no file or folder"),
}


@pytest.mark.parametrize("case", BAD_USE)
def test_bad_use_is_one_message_and_an_exit_code(
    case: str, command: Command, root: DataRoot, tmp_path: Path
) -> None:
    arguments, code, text = BAD_USE[case]
    (root.root / "landing" / "actions_file").write_text("", encoding="utf-8")
    before = files(root)
    ended = command(
        "--root", root.root, *(it.format(tmp=tmp_path, root=root.root) for it in arguments)
    )
    assert (ended.code, ended.out) == (code, "")
    assert text in " ".join(ended.err.split())
    assert files(root) == before


def test_an_error_for_programs_is_json(command: Command, tmp_path: Path) -> None:
    ended = command("status", "--json", "--root", tmp_path / "nowhere")
    assert ended.code == ExitCode.BAD_INPUT
    assert ended.answer["error"]["code"] == "ROOT-01"
    assert set(ended.answer["error"]) == {"code", "what", "where", "mend"}


def test_a_broken_catalog_is_a_finding_to_validate_and_stops_a_run(
    command: Command, root: DataRoot
) -> None:
    (catalog,) = root.catalog.glob("*.yaml")
    text = catalog.read_text(encoding="utf-8").replace("\nplans:", "\nplanz:")
    catalog.write_text(text, encoding="utf-8")
    found = command("validate", "--root", root.root)
    assert found.code == ExitCode.FINDINGS
    assert "did you mean 'plans'" in found.out
    stopped = command("run", "--through", THROUGH, "--root", root.root)
    assert (stopped.code, stopped.out) == (ExitCode.BAD_INPUT, "")
    assert "[CATALOG-60]" in stopped.err
    assert not root.database.exists()


def test_a_second_writer_is_told_to_wait(command: Command, root: DataRoot) -> None:
    root.warehouse.mkdir()
    with root.writer_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = command("run", "--through", THROUGH, "--root", root.root)
    assert ended.code == ExitCode.LOCKED
    assert "[WRITE-01]" in ended.err


def test_a_machine_that_refuses_is_not_the_users_fault(command: Command, root: DataRoot) -> None:
    root.warehouse.write_text("in the way", encoding="utf-8")
    ended = command("run", "--through", THROUGH, "--root", root.root)
    assert ended.code == ExitCode.SYSTEM
    assert "[SYSTEM-01]" in ended.err


ANSWERS = {
    "init": ["init"],
    "validate": ["validate"],
    "status": ["status"],
    "run": ["run", "--through", THROUGH],
    "post": ["post", "--yes", "--issued-on", THROUGH],
    "invoice": ["invoice", "INV-2026-000001"],
    "report": ["report", "2026-01"],
    "publish": ["publish"],
}


@pytest.mark.parametrize("case", ANSWERS)
def test_every_command_answers_in_json_and_changes_nothing_when_repeated(
    case: str, command: Command, billed: DataRoot
) -> None:
    command("--root", billed.root, *ANSWERS[case])
    before = files(billed)
    ended = command("--root", billed.root, *ANSWERS[case], "--json")
    assert ended.code in {ExitCode.OK, ExitCode.FINDINGS}, ended.out
    assert ended.err == ""
    assert ended.answer
    assert files(billed) == before


def test_the_tables_name_what_there_is(command: Command, billed: DataRoot) -> None:
    status = command("status", "--root", billed.root)
    assert status.code == ExitCode.OK
    assert "INV-2026-0000" in status.out
    assert "current" in status.out
    text = command("invoice", "INV-2026-000001", "--root", billed.root).out
    assert "INV-2026-000001" in text
    assert "INV-1" in text, "the rule of a line"


def test_posting_needs_the_hash_of_what_was_looked_at(command: Command, root: DataRoot) -> None:
    command("run", "--through", THROUGH, "--root", root.root)
    unasked = command("post", "--root", root.root)
    assert unasked.code == ExitCode.BAD_INPUT
    assert "[POST-10]" in unasked.err
    other = command("post", "--hash", "0" * 64, "--root", root.root)
    assert other.code == ExitCode.BAD_INPUT
    assert "[POST-01]" in other.err
    assert not root.books.exists() or not list(root.books.iterdir())
    drafts = command("status", "--json", "--root", root.root).answer["drafts"]
    posted = command(
        "post", "--hash", drafts["hash"][:12], "--issued-on", THROUGH, "--json", "--root", root.root
    )
    assert posted.answer["assets"]["books"]["invoices"] == drafts["invoices"]
    assert posted.answer["assets"]["invoice_pdfs"]["made"] == drafts["invoices"]


def test_usage_that_does_not_add_up_leaves_nothing_that_could_be_posted(
    command: Command, root: DataRoot
) -> None:
    command("run", "--through", "2026-01-20", "--root", root.root)
    reviewed = command("status", "--json", "--root", root.root).answer["drafts"]
    day = current_files(root, "usage_daily")["landing_day=2026-01-15"]
    pl.read_parquet(day).with_columns(pl.col("events") + 1).write_parquet(day)
    refused = command("run", "--through", THROUGH, "--root", root.root)
    assert refused.code == ExitCode.FINDINGS
    assert "[USAGE-02]" in refused.err
    assert "usage_receipts" in refused.err
    assert "2026-01-15" in refused.err
    assert command("status", "--json", "--root", root.root).answer["drafts"] == reviewed
    posted = command("post", "--yes", "--issued-on", THROUGH, "--json", "--root", root.root)
    assert posted.answer["assets"]["books"]["invoices"] <= reviewed["invoices"]
    assert read_books(root).postings[-1].through == date(2026, 1, 20)


def test_global_options_may_stand_anywhere() -> None:
    wanted = ["--root", "x", "--json", "run", "--through", "d"]
    assert global_options_first(["run", "--root", "x", "--through", "d", "--json"]) == wanted
    assert global_options_first(["run", "--root=x"]) == ["--root=x", "run"]
    assert global_options_first(["run", "--root"]) == ["--root", "run"]


def test_help_is_quick_and_names_the_exit_codes() -> None:
    heavy = "{'dagster', 'polars', 'duckdb', 'weasyprint', 'pyarrow'} & set(sys.modules)"
    code = f"import sys, pipelines.cli; sys.exit(str({heavy}) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    helped = subprocess.run(
        [sys.executable, "-c", "from pipelines.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert "Exit codes: 0 done" in helped.stdout


def test_a_program_run_from_its_root_finds_it(billed: DataRoot) -> None:
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "status", "--json"]
    environment = {name: text for name, text in os.environ.items() if name != "FAIRBILL_ROOT"}
    ended = subprocess.run(
        command, cwd=billed.root, capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(ended.stdout)["root"] == str(billed.root)
    assert ended.stderr == ""
