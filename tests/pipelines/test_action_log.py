"""Landed actions are registered, counted once, put in order, and stripped of personal data."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_core.actions import AddSeats, CreateCustomer, Payment, Subscribe, UpdateCustomer
from pipelines.action_log import (
    ActionFileChanged,
    ActionFileGone,
    ActionLog,
    ActionRegisterDamaged,
    is_tax_id_valid,
    read_actions,
    register_actions,
    write_customers,
)
from pipelines.paths import DataRoot

APRIL = [date(2026, 4, day) for day in range(1, 31)]
ADA = {
    "id": "c1",
    "at": "2026-04-01T10:00:00Z",
    "do": "create_customer",
    "customer": "ada",
    "name": "Ada",
    "email": "ada@example.org",
    "address": ["Weg 1", "10115 Berlin"],
    "country": "DE",
    "tax_id": "DE136695976",
    "time_zone": "Europe/Berlin",
}
TOP_UP = {
    "id": "t1",
    "at": "2026-04-01T12:00:00Z",
    "do": "top_up",
    "customer": "ada",
    "amount": "5.00",
}
SEATS = {
    "id": "s1",
    "at": "2026-04-01T12:00:00Z",
    "do": "add_seats",
    "customer": "ada",
    "feature": "editors",
    "quantity": 2,
}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def land(root: DataRoot, day: date, name: str, rows: Sequence[Any]) -> Path:
    path = root.actions_landing / f"day={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(root: DataRoot, through: date = APRIL[-1]) -> ActionLog:
    return read_actions(root, register_actions(root, through=through))


def test_actions_are_in_order_of_instant_then_arrival(root: DataRoot) -> None:
    at = "2026-04-02T10:00:00Z"
    land(root, APRIL[1], "b.jsonl", [SEATS | {"id": "third", "at": at}])
    land(
        root,
        APRIL[1],
        "a.jsonl",
        [
            SEATS | {"id": "second", "at": at, "received_at": "2026-04-02T10:00:00Z"},
            SEATS | {"id": "fourth", "at": at, "received_at": "2026-04-02T11:00:00Z"},
        ],
    )
    land(root, APRIL[2], "a.jsonl", [SEATS | {"id": "first"}])
    log = read(root)
    assert [one.action.id for one in log.actions] == ["first", "second", "third", "fourth"]
    assert [(one.row, one.landing_day) for one in log.actions][:2] == [(1, APRIL[2]), (1, APRIL[1])]


def test_without_received_at_an_action_arrives_on_its_landing_day(root: DataRoot) -> None:
    day = APRIL[4]
    times = {"before": "2026-04-01T12:00:00Z", "within": "2026-04-05T12:00:00Z"}
    times["after"] = "2026-05-01T00:00:00Z"
    land(root, day, "a.jsonl", [SEATS | {"id": name, "at": at} for name, at in times.items()])
    log = read(root)
    assert {one.action.id: one.action.received_at for one in log.actions} == {
        "before": datetime(2026, 4, 5, tzinfo=UTC),
        "within": datetime(2026, 4, 5, 12, tzinfo=UTC),
        "after": datetime(2026, 4, 5, 23, 59, 59, 999999, tzinfo=UTC),
    }


def test_the_same_id_counts_once(root: DataRoot) -> None:
    land(root, APRIL[0], "a.jsonl", [SEATS, SEATS | {"quantity": "2"}])
    land(root, APRIL[1], "a.jsonl", [SEATS, SEATS | {"quantity": 9}])
    log = read(root)
    (kept,) = log.actions
    assert isinstance(kept.action, AddSeats)
    assert kept.action.quantity == 2
    assert log.duplicates == 2
    (wrong,) = log.set_aside
    assert (wrong.problem.code, wrong.row, wrong.landing_day) == ("ACTION-32", 2, APRIL[1])
    assert "landing/actions/day=2026-04-01/a.jsonl row 1" in wrong.problem.what


def test_rows_that_cannot_be_read_are_set_aside_with_their_place(root: DataRoot) -> None:
    path = land(
        root,
        APRIL[0],
        "a.jsonl",
        [
            "not json",
            "[1]",
            '{"id": "x", "id": "y"}',
            "",
            SEATS | {"quantity": "two"},
            json.dumps(TOP_UP).replace('"5.00"', "NaN"),
            SEATS | {"at": "noon"},
            SEATS | {"do": "add_seat"},
            ADA | {"id": "c2", "country": "XX"},
            ADA | {"id": "c3", "time_zone": "Mars/Olympus"},
            "[" * 200_000,
            SEATS,
        ],
    )
    with path.open("ab") as file:
        file.write(b'{"id": "\xff"}\n')
    log = read(root)
    assert [one.action.id for one in log.actions] == ["s1"]
    assert [(one.row, one.problem.code, one.problem.path) for one in log.set_aside] == [
        (1, "ACTION-31", "(whole)"),
        (2, "ACTION-31", "(whole)"),
        (3, "ACTION-31", "(whole)"),
        (5, "ACTION-04", "quantity"),
        (6, "ACTION-04", "amount"),
        (7, "ACTION-06", "at"),
        (8, "ACTION-07", "do"),
        (9, "ACTION-33", "country"),
        (10, "ACTION-33", "time_zone"),
        (11, "ACTION-31", "(whole)"),
        (13, "ACTION-31", "(whole)"),
    ]
    assert all(one.file == "landing/actions/day=2026-04-01/a.jsonl" for one in log.set_aside)
    assert all(one.problem.mend for one in log.set_aside)


def test_numbers_of_json_stay_exact(root: DataRoot) -> None:
    land(root, APRIL[0], "a.jsonl", [json.dumps(TOP_UP).replace('"5.00"', "0.1000000000000000055")])
    (one,) = read(root).actions
    assert str(one.action.amount) == "0.1000000000000000055"  # type: ignore[union-attr]


def test_parquet_is_read_like_json_lines(root: DataRoot) -> None:
    path = root.actions_landing / f"day={APRIL[0]}" / "a.parquet"
    path.parent.mkdir(parents=True)
    at = datetime(2026, 4, 1, 12, tzinfo=UTC)
    common = {"at": at, "customer": "ada"}
    rows: list[dict[str, Any]] = [
        common
        | {"id": "a", "do": "subscribe", "plan": "pro", "interval": "monthly"}
        | {"seats": [("editors", 3)]},
        common
        | {"id": "b", "do": "payment", "result": "failed"}
        | {"invoice": '{"type": "initial", "on": "2026-04-01"}'},
        common | {"id": "c", "do": "top_up", "amount": Decimal("5.00")},
        common | {"id": "d", "do": "payment", "result": "failed", "invoice": "{broken"},
    ]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("at", pa.timestamp("us", "UTC")),
            ("do", pa.string()),
            ("customer", pa.string()),
            ("plan", pa.string()),
            ("interval", pa.string()),
            ("seats", pa.map_(pa.string(), pa.int64())),
            ("invoice", pa.string()),
            ("result", pa.string()),
            ("amount", pa.decimal128(18, 2)),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    log = read(root)
    subscribed, paid, topped = (one.action for one in log.actions)
    assert isinstance(subscribed, Subscribe)
    assert subscribed.seats == {"editors": 3}
    assert isinstance(paid, Payment)
    assert str(getattr(paid.invoice, "on", None)) == "2026-04-01"
    assert topped.amount == Decimal(5)  # type: ignore[union-attr]
    assert [(one.row, one.problem.code) for one in log.set_aside] == [(4, "ACTION-31")]


def test_money_as_inexact_column_is_set_aside(root: DataRoot) -> None:
    path = root.actions_landing / f"day={APRIL[0]}" / "a.parquet"
    path.parent.mkdir(parents=True)
    at = datetime(2026, 4, 1, 12, tzinfo=UTC)
    row = {"id": "t", "at": at, "do": "top_up", "customer": "ada", "amount": 5.0}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (one,) = read(root).set_aside
    assert (one.problem.code, one.problem.path) == ("ACTION-04", "amount")


def test_a_truncated_file_is_set_aside_whole_and_others_are_used(root: DataRoot) -> None:
    path = land(root, APRIL[0], "a.parquet", [])
    pq.write_table(pa.Table.from_pylist([SEATS]), path)
    path.write_bytes(path.read_bytes()[:-20])
    land(root, APRIL[0], "b.jsonl", [SEATS])
    log = read(root)
    assert [one.file.rpartition("/")[2] for one in log.actions] == ["b.jsonl"]
    assert [(one.row, one.problem.code) for one in log.set_aside] == [(None, "ACTION-30")]


def test_personal_data_leaves_the_actions(root: DataRoot, tmp_path: Path) -> None:
    land(root, APRIL[0], "a.jsonl", [ADA | {"locale": "de-DE"}])
    moved = {"id": "u1", "at": "2026-04-09T00:00:00Z", "do": "update_customer", "customer": "ada"}
    land(root, APRIL[8], "a.jsonl", [moved | {"address": None, "email": "a@example.org"}])
    land(root, APRIL[9], "a.jsonl", [moved | {"id": "u2", "country": "FR", "payment_days": 14}])
    log = read(root)
    created, changed, abroad = (one.action for one in log.actions)
    assert isinstance(created, CreateCustomer)
    assert (created.name, created.email, created.address, created.tax_id) == (None, None, (), None)
    assert created.country == "DE"
    assert created.tax_id_checked_on == APRIL[0]
    assert isinstance(changed, UpdateCustomer)
    assert changed.model_fields_set == {"id", "at", "received_at", "do", "customer"}
    assert isinstance(abroad, UpdateCustomer)
    assert (abroad.country, abroad.payment_days) == ("FR", 14)
    assert abroad.tax_id_checked_on is None
    assert "tax_id_checked_on" in abroad.model_fields_set
    assert "ada@" not in repr(log.actions)
    path = write_customers(root, log.customers)
    rows = pl.read_parquet(path).to_dicts()
    assert [(row["action_id"], row["email"], row["address"], row["country"]) for row in rows] == [
        ("c1", "ada@example.org", ["Weg 1", "10115 Berlin"], "DE"),
        ("u1", "a@example.org", [], "DE"),
        ("u2", "a@example.org", [], "FR"),
    ]
    assert [row["valid_from"].date() for row in rows] == [APRIL[0], APRIL[8], APRIL[9]]
    before = path.stat()
    write_customers(root, log.customers)
    assert path.stat().st_ino == before.st_ino
    write_customers(root, log.customers[:1])
    assert pl.read_parquet(path).height == 1


@pytest.mark.parametrize(
    ("tax_id", "country", "is_valid"),
    [
        ("NL123456782B90", "NL", True),
        ("123456782B90", "NL", True),
        ("DE136695976", "DE", True),
        ("DE136695977", "DE", False),
        ("NL123456782B90", "DE", False),
        ("EL094259216", "GR", True),
        ("CHE-107.787.577 IVA", "CH", True),
        ("nonsense", "US", False),
        ("DE136695976", None, False),
    ],
)
def test_tax_ids_are_checked_by_format_and_digits(
    tax_id: str, country: str | None, is_valid: bool
) -> None:
    assert is_tax_id_valid(tax_id, country) is is_valid


def test_a_file_lands_on_its_folders_day_until_a_run_has_gone_through_it(root: DataRoot) -> None:
    land(root, APRIL[0], "a.jsonl", [SEATS])
    land(root, APRIL[4], "later.jsonl", [SEATS | {"id": "s5"}])
    (first,) = register_actions(root, through=APRIL[1])
    assert (first.path, first.landing_day) == ("landing/actions/day=2026-04-01/a.jsonl", APRIL[0])
    land(root, APRIL[0], "late.jsonl", [SEATS | {"id": "s2"}])
    found = register_actions(root, through=APRIL[7])
    assert [(file.path.rpartition("/")[2], file.landing_day) for file in found] == [
        ("a.jsonl", APRIL[0]),
        ("later.jsonl", APRIL[4]),
        ("late.jsonl", APRIL[7]),
    ]
    land(root, APRIL[7], "after.jsonl", [SEATS | {"id": "s8"}])
    again = register_actions(root, through=APRIL[7], closed_through=APRIL[7])
    assert again == found
    assert register_actions(root, through=APRIL[8])[-1].landing_day == APRIL[8]
    assert register_actions(root, through=APRIL[1]) == found[:1]


def test_registering_nothing_new_changes_no_file(root: DataRoot) -> None:
    land(root, APRIL[0], "a.jsonl", [SEATS])
    register_actions(root, through=APRIL[1])
    register = root.root / "landing" / "actions_register.jsonl"
    before = register.stat()
    register_actions(root, through=APRIL[1])
    assert register.stat().st_ino == before.st_ino


def test_a_registered_file_may_neither_change_nor_vanish(root: DataRoot) -> None:
    path = land(root, APRIL[0], "a.jsonl", [SEATS])
    register_actions(root, through=APRIL[1])
    path.write_text(json.dumps(SEATS | {"quantity": 9}) + "\n", encoding="utf-8")
    with pytest.raises(ActionFileChanged, match=r"ACTION-40.*(?s:.*)day=2026-04-01/a\.jsonl"):
        register_actions(root, through=APRIL[1])
    path.unlink()
    with pytest.raises(ActionFileGone, match="ACTION-41"):
        register_actions(root, through=APRIL[1])


def test_a_damaged_register_is_named(root: DataRoot) -> None:
    land(root, APRIL[0], "a.jsonl", [SEATS])
    register_actions(root, through=APRIL[1])
    with (root.root / "landing" / "actions_register.jsonl").open("a") as file:
        file.write('{"path": 3\n')
    with pytest.raises(ActionRegisterDamaged, match="line 3"):
        register_actions(root, through=APRIL[1])


def test_an_empty_root_has_no_actions(root: DataRoot) -> None:
    assert read(root) == ActionLog()
