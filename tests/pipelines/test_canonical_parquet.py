"""Canonical Parquet counts the same, however its writer laid it out. Rules USE-1, USE-2, USE-9."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import metering
from pipelines.canonical_parquet import CHUNK_ROWS
from pipelines.paths import DataRoot
from tests.pipelines.test_metering import daily, receipts
from tests.pipelines.usage_roots import at, event, quantities, run, snapshots, table, window


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def write(root: DataRoot, rows: pa.Table, folder: str = "day=2026-04-01", **layout: Any) -> None:
    path = root.usage_landing / folder / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(rows, path, **layout)


@pytest.mark.parametrize("has_properties", [True, False])
def test_a_counted_property_is_missed_with_and_without_its_column(
    root: DataRoot, has_properties: bool
) -> None:
    rows = table([event("1", "04-01", feature="visitors"), event("2", "04-01")])
    write(root, rows if has_properties else rows.drop_columns(["properties"]))
    run(root, "04-01")
    assert receipts(root) == [(2, 1, 0, 0, 1, 0, 0)]


def test_a_source_may_be_null_in_a_part_of_a_file(root: DataRoot) -> None:
    rows = CHUNK_ROWS + 10
    columns = {
        "event_id": pa.array([str(number) for number in range(rows)]),
        "source": pa.array(["app"] * CHUNK_ROWS + [None] * 10),
        "customer_id": pa.repeat("acme", rows),
        "feature": pa.repeat("calls", rows),
        "occurred_at": pa.repeat(pa.scalar(at("04-01"), pa.timestamp("us", "UTC")), rows),
    }
    write(root, pa.table(columns))
    assert run(root, "04-01").problems == ()
    assert receipts(root) == [(rows, rows, 0, 0, 0, 0, 0)]


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_instants_of_any_unit_and_zone_are_the_same_instants(
    root: DataRoot, unit: str, zone: str
) -> None:
    kind = pa.timestamp(unit, zone)
    write(root, table([event("1", "04-01 23:59:59")], occurred_at=kind, received_at=kind))
    write(root, table([event("1", "04-01 23:59:59")]), "day=2026-04-02")
    assert run(root, "04-02").problems == ()
    assert daily(root) == [("04-01", "04-01", "calls", 1, "1")]
    assert [duplicates for _, _, duplicates, *_ in receipts(root)] == [0, 1]


@pytest.mark.parametrize("name", ["file_row_number", "row_number", "file_name", "filename"])
def test_a_column_of_the_file_may_have_the_name_of_one_of_ours(root: DataRoot, name: str) -> None:
    rows = [event("1", "04-01 13:00"), event("2", "04-01 13:00")]
    other = event("1", "04-01 13:00", value=Decimal(9), received_at=at("04-02"))
    own = pa.array([7, 7, 7])
    write(root, table([*rows, other]).append_column(name, own))
    run(root, "04-01")
    assert daily(root) == [("04-01", "04-01", "calls", 2, "2")]
    assert receipts(root) == [(3, 2, 0, 1, 0, 0, 0)]
    assert quantities(snapshots(root, window("04-01 12:00", "05-01"))) == {"calls": "2"}


PLAIN = [
    event("1", "04-01 13:00"),
    event("r", "04-01 13:00", retracts="gone", value=Decimal(100)),
    event("2", "04-01 13:00"),
]


def test_a_retraction_in_a_plain_column_is_never_counted(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "GROUP_ROWS", 1)  # so that its rows are not kept in memory
    write(root, table(PLAIN), use_dictionary=False)
    run(root, "04-01")
    assert daily(root) == [("04-01", "04-01", "calls", 2, "2")]


def test_a_retraction_in_a_plain_column_is_not_used_at_the_edge_of_a_window(root: DataRoot) -> None:
    write(root, table(PLAIN), use_dictionary=False)
    run(root, "04-01")
    taken = snapshots(root, window("04-01 12:00", "05-01"))
    assert quantities(taken) == {"calls": "2"}


@pytest.mark.parametrize("is_coded", [True, False])
@pytest.mark.parametrize("rows_a_query", [1, metering.GROUP_ROWS])
def test_an_empty_retracts_takes_nothing_back_and_is_use(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch, *, is_coded: bool, rows_a_query: int
) -> None:
    monkeypatch.setattr(metering, "GROUP_ROWS", rows_a_query)
    texts = pa.dictionary(pa.int32(), pa.string()) if is_coded else pa.string()
    rows = [
        event("1", "04-01", retracts=""),
        event("2", "04-01"),
        event("r", "04-01", retracts="2"),
    ]
    write(root, table(rows, retracts=texts))
    run(root, "04-01")
    assert receipts(root) == [(3, 1, 0, 0, 0, 1, 1)]
    assert daily(root) == [("04-01", "04-01", "calls", 1, "1")]


def test_a_filter_of_a_mapping_sees_what_is_null_in_a_plain_column(root: DataRoot) -> None:
    root.mappings.mkdir(parents=True)
    mapping = (
        "columns: {event_id: event_id, customer_id: customer_id, feature: feature,"
        " occurred_at: occurred_at}\nfilter: model is null\n"
    )
    (root.mappings / "src.yaml").write_text(mapping, encoding="utf-8")
    rows = [event("1", "04-01"), event("2", "04-01", model="a/x"), event("3", "04-01")]
    write(root, table(rows), "day=2026-04-01/src", use_dictionary=False)
    run(root, "04-01")
    assert daily(root) == [("04-01", "04-01", "calls", 2, "2")]
