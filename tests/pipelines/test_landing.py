"""What has landed, on which landing day, and what is wrong with a file: USE-8 and the register."""

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.landing import DamagedRegister, read_register, register_new_files
from pipelines.paths import DataRoot
from tests.pipelines.usage_roots import day, event, land, run, snapshots, table


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def days(root: DataRoot) -> dict[str, str]:
    """The landing day of each file."""
    files = read_register(root).files
    return {file.path.removeprefix("day=2026-"): f"{file.landing_day:%m-%d}" for file in files}


def see(root: DataRoot, through: str, closed: str | None = None) -> list[str]:
    """Register up to a day; the codes of what is reported."""
    found = register_new_files(
        root, day(through), closed_through=None if closed is None else day(closed)
    )
    return [problem.code for problem in found.problems]


def test_files_get_the_day_of_their_folder_where_no_run_has_been(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    land(root, "04-03", [event("2", "04-03")])
    land(root, "04-09", [event("3", "04-09")])
    assert see(root, "04-05") == []
    assert days(root) == {"04-01/a.parquet": "04-01", "04-03/a.parquet": "04-03"}
    assert read_register(root).seen_through == day("04-05")


def test_a_file_in_an_old_folder_gets_the_day_of_the_run_that_sees_it(root: DataRoot) -> None:
    see(root, "04-05")
    land(root, "04-03", [event("1", "04-03")])
    land(root, "04-06", [event("2", "04-06")])
    see(root, "04-07")
    assert days(root) == {"04-03/a.parquet": "04-07", "04-06/a.parquet": "04-06"}


NEWEST = {
    "the newest day takes more files": (None, "04-05"),
    "until a posted invoice covers it": ("04-05", "04-06"),
    "an older posting does not": ("04-04", "04-05"),
}


@pytest.mark.parametrize(("closed", "expected"), NEWEST.values(), ids=NEWEST)
def test_the_newest_day_is_open_until_posted(
    root: DataRoot, closed: str | None, expected: str
) -> None:
    see(root, "04-05")
    land(root, "04-05", [event("1", "04-05")])
    see(root, "04-05", closed)
    assert days(root) == {"04-05/a.parquet": expected}


def test_the_newest_day_is_metered_again_with_more_files(root: DataRoot) -> None:
    land(root, "04-05", [event("1", "04-05")])
    run(root, "04-05")
    land(root, "04-05", [event("2", "04-05")], name="b.parquet")
    assert run(root, "04-05").days == (day("04-05"),)
    assert snapshots(root).snapshots["events"].to_list() == [2]


def test_a_file_that_changes_is_named_and_what_was_metered_stands(root: DataRoot) -> None:
    path = land(root, "04-01", [event("1", "04-01")])
    run(root, "04-01")
    land(root, "04-01", [event("1", "04-01"), event("2", "04-01")])
    found = register_new_files(root, day("04-02"))
    (problem,) = found.problems
    assert problem.code == "LAND-02"
    assert problem.file == "landing/usage/day=2026-04-01/a.parquet"
    assert run(root, "04-02").days == ()
    assert snapshots(root).snapshots["events"].to_list() == [1]
    path.unlink()
    assert see(root, "04-03") == ["LAND-03"]


def test_a_file_that_is_touched_and_not_changed_is_no_problem(root: DataRoot) -> None:
    path = land(root, "04-01", [event("1", "04-01")])
    see(root, "04-01")
    os.utime(path, (1, 1))
    assert see(root, "04-01") == []


def test_an_open_day_with_a_changed_file_is_left_as_it_is(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    run(root, "04-01")
    land(root, "04-01", [event("1", "04-01"), event("2", "04-01")])
    land(root, "04-01", [event("3", "04-01")], name="b.parquet")
    metered = run(root, "04-01")
    assert metered.days == ()
    assert [problem.code for problem in metered.problems] == ["LAND-02"]
    assert snapshots(root).snapshots["events"].to_list() == [1]


def write_table(root: DataRoot, changed: pa.Table) -> None:
    path = root.usage_landing / "day=2026-04-01" / "bad.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(changed, path)


GOOD = [event("1", "04-01"), event("2", "04-01")]
WHOLE_FILES: dict[str, tuple[pa.Table | bytes, str, str]] = {
    "value as float": (
        table(GOOD).set_column(6, "value", pa.array([1.5, 2.5])),
        "float_column",
        "decimal",
    ),
    "no instant": (table(GOOD).drop_columns(["occurred_at"]), "missing_column", "occurred_at"),
    "two columns missing": (
        table(GOOD).drop_columns(["event_id", "customer_id"]),
        "missing_column",
        "event_id and no column customer_id",
    ),
    "instant as number": (
        table(GOOD).set_column(4, "occurred_at", pa.array([1, 2])),
        "wrong_type",
        "occurred_at",
    ),
    "not Parquet": (b"hello", "unreadable_file", "cannot be read"),
    "empty file": (b"", "empty_file", "nothing"),
}


@pytest.mark.parametrize(("content", "reason", "text"), WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_a_file_that_cannot_be_read_is_set_aside_whole_and_the_others_count(
    root: DataRoot, content: pa.Table | bytes, reason: str, text: str
) -> None:
    if isinstance(content, bytes):
        path = root.usage_landing / "day=2026-04-01" / "bad.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    else:
        write_table(root, content)
    land(root, "04-01", [event("3", "04-01")])
    assert see(root, "04-01") == ["LAND-06"]
    run(root, "04-01")
    folder = root.dataset("set_aside") / "landing_day=2026-04-01"
    (row,) = pl.read_parquet(next(folder.iterdir())).iter_rows(named=True)
    assert (row["path"], row["row_number"]) == ("day=2026-04-01/bad.parquet", None)
    assert row["reason"] == reason
    assert text in f"{row['what']} {row['mend']}"
    assert snapshots(root).snapshots["events"].to_list() == [1]


def test_a_truncated_file_is_set_aside_and_counts_once_it_is_whole(root: DataRoot) -> None:
    path = land(root, "04-01", [event("1", "04-01")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert see(root, "04-01") == ["LAND-06"]
    run(root, "04-01")
    assert see(root, "04-02") == []
    path.write_bytes(whole)
    metered = run(root, "04-03")
    assert metered.days == (day("04-03"),)
    assert snapshots(root).snapshots["events"].to_list() == [1]


TYPES: dict[str, tuple[str, pa.Array]] = {
    "decimal(18, 2)": ("value", pa.array([Decimal("1.50")] * 2, pa.decimal128(18, 2))),
    "whole numbers": ("value", pa.array([1, 2], pa.int32())),
    "text": ("value", pa.array(["1.5", "2"])),
    "instants without zone": ("occurred_at", pa.array([day("04-01")] * 2).cast(pa.timestamp("ms"))),
    "dates": ("occurred_at", pa.array([day("04-01")] * 2)),
    "large text": ("event_id", pa.array(["1", "2"], pa.large_string())),
    "dictionary": ("feature", pa.array(["calls"] * 2).dictionary_encode()),
}


@pytest.mark.parametrize(("name", "column"), TYPES.values(), ids=TYPES)
def test_exact_types_are_read(root: DataRoot, name: str, column: pa.Array) -> None:
    rows = table(GOOD)
    write_table(root, rows.set_column(rows.column_names.index(name), name, column))
    assert see(root, "04-01") == []
    run(root, "04-01")
    assert snapshots(root).snapshots["events"].to_list() == [2]


TEXTS = {
    "not a number": "abc",
    "NaN": "NaN",
    "infinite": "inf",
    "ten decimals": "1.0000000001",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_no_exact_number_is_set_aside_alone(root: DataRoot, text: str) -> None:
    rows = table(GOOD)
    column = pa.array(["2.000000000", text])
    write_table(root, rows.set_column(rows.column_names.index("value"), "value", column))
    run(root, "04-01")
    taken = snapshots(root)
    assert taken.rows_set_aside["reason"].to_list() == ["unreadable_value"]
    assert taken.snapshots["quantity"].to_list() == [Decimal(2)]


MISPLACED = ["a.parquet", "day=soon/a.parquet", "day=2026-04-01/x/y/a.parquet"]


@pytest.mark.parametrize("name", MISPLACED)
def test_a_file_in_a_wrong_place_is_named_and_not_read(root: DataRoot, name: str) -> None:
    path = root.usage_landing / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert see(root, "04-01") == ["LAND-04"]
    assert days(root) == {}


def test_hidden_files_and_empty_folders_are_nothing(root: DataRoot) -> None:
    folder = root.usage_landing / "day=2026-04-01"
    folder.mkdir(parents=True)
    (folder / ".a.parquet.part").write_bytes(b"")
    (folder / "_SUCCESS").write_bytes(b"")
    assert see(root, "04-02") == []
    assert read_register(root).files == ()


def test_a_line_that_a_crash_cut_is_taken_away(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    see(root, "04-01")
    whole = root.register.read_bytes()
    root.register.write_bytes(whole + b'{"kind": "file", "pa')
    land(root, "04-02", [event("2", "04-02")])
    see(root, "04-02")
    assert root.register.read_bytes().startswith(whole)
    assert days(root) == {"04-01/a.parquet": "04-01", "04-02/a.parquet": "04-02"}


def test_a_register_that_cannot_be_read_stops_the_run(root: DataRoot) -> None:
    root.register.parent.mkdir(parents=True)
    root.register.write_text('{"kind": "through", "landing_day": "soon"}\n')
    with pytest.raises(DamagedRegister, match="line 1"):
        read_register(root)


def test_a_line_of_the_register_tells_everything(root: DataRoot) -> None:
    land(root, "04-01", [event("1", "04-01")])
    see(root, "04-01")
    entries: list[dict[str, Any]] = [
        json.loads(line) for line in root.register.read_text().splitlines()
    ]
    assert [entry["kind"] for entry in entries] == ["file", "through"]
    assert entries[0]["rows"] == 1
    assert date.fromisoformat(entries[0]["landing_day"]) == day("04-01")
    assert {"path", "sha256", "size", "source", "mapping_sha256", "reason"} <= entries[0].keys()


def test_what_is_said_of_a_broken_file_does_not_name_the_root(tmp_path: Path) -> None:
    said = set()
    for name in ("one", "another [root]"):
        root = DataRoot(tmp_path / name)
        path = root.usage_landing / "day=2026-04-01" / "cut.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"PAR1 and no more")
        register_new_files(root, day("04-01"))
        (file,) = read_register(root).files
        assert file.reason == "unreadable_file"
        said.add(file.what)
    assert len(said) == 1
    assert "cut.parquet" in str(said)
