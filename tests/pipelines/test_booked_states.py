"""The books hold each customer's state after his last invoice; folding from it on is the same."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines.action_log import registered_actions
from pipelines.billing import Rated, rate
from pipelines.booked_states import kept_states, resuming
from pipelines.books import Books, read_books, unbooked
from pipelines.drafts import read_drafts
from pipelines.issuing import post_reviewed
from pipelines.paths import DataRoot
from pipelines.steps import Drafted
from tests.pipelines.roots import THROUGH, begun, calls, customer, land_actions, land_usage, run

JUNE_2, IN_MAY = date(2026, 6, 2), date(2026, 5, 20)
MAY_10 = datetime(2026, 5, 10, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = begun(tmp_path)
    land_actions(root, [*customer("acme"), *customer("beta"), *customer("late", date(2026, 4, 9))])
    land_usage(root, [calls("acme", 150), calls("beta", 20)])
    return root


def posted(root: DataRoot, through: date = THROUGH) -> Books:
    run(root, through)
    post_reviewed(root, draft_hash=read_drafts(root).summary.hash, issued_on=through)
    return read_books(root)


def resumed(drafted: Drafted, books: Books) -> tuple[Rated, set[str]]:
    """What the same run rates from the kept states on, and who was resumed."""
    history = drafted.known.history
    fold = resuming(kept_states(books.states.values()), history.setting)
    again = rate(history, lambda _: drafted.rated.setting.usage, fold)
    whole = {it.customer_id: it for it in drafted.rated.outcomes}
    return again, set(whole) - {it.customer_id for it in again.outcomes}


def test_a_posting_holds_the_state_of_each_of_its_customers(root: DataRoot) -> None:
    books = posted(root)
    assert {name: str(it.boundary_at.date()) for name, it in books.states.items()} == {
        "acme": "2026-05-01",
        "beta": "2026-05-01",
        "late": "2026-04-09",
    }
    kept = kept_states(books.states.values())
    states = {name: it.state.subscription for name, it in kept.items()}
    assert [it and str(it.anchor) for it in states.values()] == ["2026-04-01"] * 2 + ["2026-04-09"]
    assert len(kept["acme"].windows) == 1


def test_a_state_of_another_version_is_not_read(root: DataRoot) -> None:
    states = posted(root).states.values()
    assert kept_states(replace(it, state_version="other", state="{}") for it in states) == {}


def test_posting_registers_nothing_that_landed_since_the_run(root: DataRoot) -> None:
    run(root)
    land_actions(root, customer("new", THROUGH), THROUGH)
    post_reviewed(root, draft_hash=read_drafts(root).summary.hash, issued_on=THROUGH)
    assert len(registered_actions(root, JUNE_2)) == 2


def test_what_follows_from_kept_states_is_what_a_run_drafts(root: DataRoot) -> None:
    books = posted(root)
    land_usage(root, [calls("acme", 300, "may") | {"occurred_at": MAY_10}], IN_MAY)
    drafted = run(root, JUNE_2)
    again, who = resumed(drafted, books)
    assert who == {"acme", "beta", "late"}
    assert again.states == drafted.rated.states
    assert again.faults == drafted.rated.faults
    assert list(again.invoices) == list(unbooked(books, drafted.rated.invoices))


def test_late_usage_and_late_seats_are_folded_from_the_first_action(root: DataRoot) -> None:
    books = posted(root)
    land_usage(root, [calls("acme", 500, "late", on=12)], IN_MAY)
    drafted = run(root, JUNE_2)
    again, who = resumed(drafted, books)
    assert who == {"beta", "late"}
    assert again.states == drafted.rated.states
    assert list(unbooked(books, again.invoices)) == list(unbooked(books, drafted.rated.invoices))


def test_without_kept_states_everything_is_folded_from_the_first_action(root: DataRoot) -> None:
    books = posted(root)
    drafted = run(root, JUNE_2)
    again, who = resumed(drafted, replace(books, states={}))
    assert who == set()
    assert again == drafted.rated
