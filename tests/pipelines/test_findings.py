"""What a run leaves for a person to look at, as values and as the tables of a terminal."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.table import Table

from billing_core.errors import Fault
from pipelines import answers
from pipelines.cli import main
from pipelines.datasets import current_files
from pipelines.findings import NOTHING, Checkout, Findings, SetAside, Unpaid
from pipelines.paths import DataRoot
from pipelines.status import status_of
from tests.pipelines import roots
from tests.pipelines.roots import APRIL, LANDED, THROUGH, calls, customer, run

LATE = THROUGH - timedelta(days=1)


def action(name: str, do: str, on: date, **fields: object) -> dict[str, Any]:
    """An action of a customer at 00:00 UTC."""
    told = {"id": f"{name}.{do}.{on}", "at": f"{on}T00:00:00Z", "actor": "customer", "do": do}
    return told | {"customer": name} | fields


def checkout(name: str, on: date) -> list[dict[str, Any]]:
    """A customer who subscribes to Pro and does not pay."""
    subscribed = action(name, "subscribe", on, plan="pro", interval="monthly")
    return [action(name, "create_customer", on, country="US"), subscribed]


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Acme, who is billed; one checkout that waits and one that has expired."""
    begun = roots.begun(tmp_path / "root")
    roots.land_actions(begun, customer("acme") + checkout("early", APRIL) + checkout("new", LATE))
    roots.land_usage(begun, [calls("acme", 150)])
    return begun


def found(root: DataRoot) -> Findings:
    return status_of(root).findings


def test_before_a_run_there_is_nothing_to_look_at(root: DataRoot) -> None:
    assert found(root) == NOTHING


def test_checkouts_without_payment(root: DataRoot) -> None:
    run(root)
    assert found(root).checkouts == (
        Checkout("early", "pro", APRIL, datetime(2026, 4, 8, tzinfo=UTC), "USD", None, True),
        Checkout(
            "new", "pro", LATE, datetime(2026, 5, 8, tzinfo=UTC), "USD", Decimal("29.00"), False
        ),
    )
    paid = action("new", "payment", THROUGH, invoice={"type": "initial", "on": str(LATE)})
    roots.land_actions(root, [paid | {"result": "succeeded"}], THROUGH)
    run(root)
    assert [it.customer_id for it in found(root).checkouts] == ["early"]


def test_purchases_without_payment(root: DataRoot, capsys: pytest.CaptureFixture[str]) -> None:
    """Rule PAY-3."""
    text = roots.CATALOG.replace("features:", "features:\n  fast: {type: boolean, name: Fast}", 1)
    addon = "addons: {faster: {name: Faster, feature: fast, model: boolean, price: 5.00}}\n"
    (root.catalog / "2026-01-01.yaml").write_text(text + addon, encoding="utf-8")
    on = date(2026, 4, 16)
    roots.land_actions(root, [action("acme", "activate_addon", on, addon="faster")], on)
    run(root, date(2026, 4, 16))
    name = "acme/addon_activation/acme.activate_addon.2026-04-16/2026-04-16"
    unpaid = Unpaid("acme", "Faster", on, name, "USD", Decimal("2.50"))
    assert found(root).purchases == (unpaid,)
    assert "Faster on 2026-04-16" in shown(capsys, root, "status")
    paid = action("acme", "payment", on, invoice={"type": "addon_activation", "on": str(on)})
    roots.land_actions(root, [paid | {"result": "succeeded"}], on)
    run(root, date(2026, 4, 16))
    assert found(root).purchases == ()
    rows = pl.read_parquet(current_files(root, "addons")["all"]).rows()
    assert rows == [
        ("acme", "acme.buys", "faster", "Faster", "fast", "USD", Decimal(5), True, True)
    ]


def test_invoices_that_no_retry_could_collect_until_they_are_paid(
    root: DataRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules PAY-1, PAY-2."""
    named = {"invoice": {"type": "recurring", "on": "2026-05-01"}}
    failed = [
        action("acme", "payment", date(2026, 5, 1), result="failed", **named)
        | {"id": f"acme.failed.{n}"}
        for n in range(3)
    ]
    roots.land_actions(root, failed, THROUGH)
    run(root)
    lost = found(root).uncollectible
    assert [(it.customer_id, it.currency) for it in lost] == [("acme", "USD")]
    assert "Invoices that no retry could collect: 1" in shown(capsys, root, "status")
    paid = action("acme", "payment", THROUGH, result="succeeded", **named)
    roots.land_actions(root, [paid], THROUGH)
    run(root)
    assert found(root).uncollectible == ()


def test_refused_actions_newest_first_also_once_they_are_posted(root: DataRoot) -> None:
    refused = [
        action("acme", "undo_cancel", date(2026, 4, 5)),
        action("acme", "subscribe", date(2026, 4, 9), plan="pro", interval="monthly"),
    ]
    roots.land_actions(root, refused)
    run(root)
    expected = [("subscribe", "already_subscribed"), ("undo_cancel", "not_cancelling")]
    for _ in range(2):
        listed = found(root).refused
        assert [(it.action_id.split(".")[1], it.reason) for it in listed] == expected
        assert all(it.customer_id == "acme" and it.what for it in listed)
        roots.post_all(root)


def test_what_is_set_aside_is_counted_by_reason(root: DataRoot) -> None:
    roots.land_usage(root, [
        calls("acme", 1, "a") | {"occurred_at": None},
        calls("acme", 1, "b") | {"occurred_at": None},
        calls("stranger", 7, "c"),
        calls("nobody", 7, "d"),
    ], name="bad.parquet")  # fmt: skip
    roots.land_actions(root, ["{"], LANDED)
    run(root)
    assert [(it.kind, it.reason, it.count, it.place) for it in found(root).set_aside] == [
        ("row", "missing_occurred_at", 2, f"landing/usage/day={LANDED}/bad.parquet, row 1"),
        (
            "usage",
            "unknown_customer",
            2,
            f"customer nobody, events of 2026-04-10, landing/usage/day={LANDED}/bad.parquet"
            " and 1 more",
        ),
        ("action", "ACTION-31", 1, f"landing/actions/day={LANDED}/actions-0.jsonl, row 1"),
    ]
    assert all(it.what and it.mend for it in found(root).set_aside)


def test_a_reason_that_is_mended_is_not_listed_any_more(root: DataRoot) -> None:
    roots.land_usage(root, [calls("late", 7)], name="bad.parquet")
    run(root)
    assert [it.reason for it in found(root).set_aside] == ["unknown_customer"]
    roots.land_actions(root, [action("late", "create_customer", LANDED, country="US")], LANDED)
    run(root)
    assert [it.reason for it in found(root).set_aside] == ["no_access"]


def test_the_commands_show_it_at_eighty_columns_and_as_json(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    roots.land_usage(root, [calls("stranger", 7)], name="bad.parquet")
    roots.land_actions(root, [action("acme", "undo_cancel", date(2026, 4, 9))])
    for command in (["run", "--through", str(THROUGH)], ["status"]):
        text = shown(capsys, root, *command)
        assert max(len(line) for line in text.splitlines()) <= 80
        for expected in ("unknown_customer", "mend: create the customer", "not_cancelling"):
            assert expected in text
        assert "expired on 2026-04-08" in text
        assert "land its payment by 2026-05-08" in text
    status = json.loads(shown(capsys, root, "status", "--json"))
    assert {name: len(each) for name, each in status["findings"].items()} == {
        "faults": 0,
        "holds": 0,
        "set_aside": 1,
        "refused": 1,
        "checkouts": 2,
        "uncollectible": 0,
        "engine_changes": 0,
        "silent": 0,
        "purchases": 0,
    }


def shown(capsys: pytest.CaptureFixture[str], root: DataRoot, *command: str) -> str:
    with pytest.raises(SystemExit):
        main(["--root", str(root.root), *command])
    return capsys.readouterr().out


def test_a_long_list_is_cut_for_people() -> None:
    count = answers.MOST_LISTED + 5
    many = tuple(SetAside("row", f"reason_{n}", 1, "w", "p", "m") for n in range(count))
    table, rest = answers.findings(Findings((), (), many, (), ()))
    assert not isinstance(table, str)
    assert table.row_count == answers.MOST_LISTED
    assert rest == "and 5 more: fairbill status --json"


def test_faults_say_how_to_mend_them() -> None:
    fault = Fault("acme", "PRICE-01", "no price", "the plan", "add one")
    (table,) = answers.findings(Findings((fault,), (), (), (), ()))
    assert not isinstance(table, str)
    assert table.row_count == 1


def test_a_trial_waits_for_its_setup() -> None:
    """Rule SUB-3: it has no invoice to pay."""
    at = datetime(2026, 5, 8, tzinfo=UTC)
    trial = Checkout("new", "pro", LATE, at, "USD", None, has_expired=False)
    (listed,) = answers.findings(replace(NOTHING, checkouts=(trial,)))
    assert isinstance(listed, Table)
    (state,) = listed.columns[-1].cells
    assert str(state) == "land its trial_setup by 2026-05-08"
