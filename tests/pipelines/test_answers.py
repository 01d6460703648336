"""What people read in a terminal of eighty columns: every amount, and no line that is longer."""

from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pipelines import answers, drafts
from pipelines.paths import DataRoot
from pipelines.status import Metered, status_of
from tests.pipelines import roots, samples
from tests.pipelines.roots import THROUGH, calls, customer


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def read(shown: answers.Shown) -> str:
    """The answer as a terminal of eighty columns shows it, each run of blanks as one."""
    console = Console(width=80, highlight=False)
    with console.capture() as captured:
        for each in shown:
            console.print(each)
    text = captured.get()
    assert max(len(line) for line in text.splitlines()) <= 80
    return " ".join(text.replace("│", " ").split())


def test_a_changed_line_shows_its_amounts_before_and_after(root: DataRoot) -> None:
    name = "a-customer-with-a-long-id"
    for used in (102_000, 102_100):
        drafts.write_drafts(root, [samples.recurring(name, used=used)], through=THROUGH)
    text = read(answers.status(status_of(root), is_full=True))
    assert "2 lines differ from the drafts before" in text
    assert "20.00 USD" in text
    assert "21.00 USD" in text
    assert "24.99 USD 25.20 USD" in text


def test_a_new_line_has_no_amount_before(root: DataRoot) -> None:
    drafts.write_drafts(root, [samples.initial("a")], through=THROUGH)
    text = read(answers.status(status_of(root), is_full=True))
    assert "new tax standard: INV-13 20.79 USD" in text


def test_metered_through_is_the_day_that_was_run_through(tmp_path: Path) -> None:
    root = billed(tmp_path)
    assert status_of(root).metered == Metered(days=1, through=THROUGH)
    assert f"metered through {THROUGH}" in read(answers.status(status_of(root), is_full=False))


def test_a_run_before_the_last_posting_says_so_and_undoes_nothing(tmp_path: Path) -> None:
    root = billed(tmp_path)
    assert status_of(root).notes == ()
    books, register = roots.contents(root.books), root.register.read_bytes()
    early = THROUGH - timedelta(days=20)
    roots.run(root, early)
    now = status_of(root)
    assert (roots.contents(root.books), root.register.read_bytes()) == (books, register)
    assert (now.to_post, now.posted.invoices, now.metered.through) == (0, 2, THROUGH)
    for shown in (answers.run({}, now), answers.status(now, is_full=False)):
        text = " ".join(map(str, shown))
        assert f"The last run went up to {early}" in text
        assert f"--through {THROUGH} or a later day" in text
    roots.run(root)
    assert status_of(root).notes == ()


def billed(folder: Path) -> DataRoot:
    """Acme's April, run and posted."""
    root = roots.begun(folder / "root")
    roots.land_actions(root, customer("acme"))
    roots.land_usage(root, [calls("acme", 150)])
    roots.run(root)
    roots.post_all(root)
    return root
