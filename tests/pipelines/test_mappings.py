"""Logs of any format become usage by a mapping, exactly, or say why not: AI-4, CAT-12, USE-1."""

import gzip
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.kept_days import read_receipts
from pipelines.landing import register_new_files
from pipelines.mappings import (
    COLUMNS,
    DECIMALS,
    INSTANTS,
    REQUIRED,
    STRINGS,
    TOKENS,
    read_mapping,
)
from pipelines.metering import meter_days
from pipelines.paths import PACKAGE_ROOT, DataRoot
from tests.pipelines.usage_roots import SPEC, day, event, land, snapshots

IDENTITY = """
columns: {event_id: id, customer_id: customer, occurred_at: at, feature: feature, value: value}
"""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path)
    root.mappings.mkdir(parents=True)
    return root


def log(root: DataRoot, mapping: str, text: str | bytes, name: str) -> None:
    (root.mappings / "src.yaml").write_text(mapping, encoding="utf-8")
    path = root.usage_landing / "day=2026-04-02" / "src" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def metered(root: DataRoot) -> list[tuple[int | None, ...]]:
    """Rows, filtered, counted and set aside of each file."""
    register_new_files(root, day("04-02"))
    meter_days(root, day("04-02"), SPEC)
    rows = read_receipts(root, day("04-02"))
    return rows.select("rows", "filtered", "counted", "set_aside").rows()


def daily(root: DataRoot) -> pl.DataFrame:
    folder = root.dataset("usage_daily") / "landing_day=2026-04-02"
    return pl.read_parquet(next(folder.iterdir()))


CSV = "id,customer,at,feature,value\n1,acme,2026-04-01T10:00:00Z,calls,1.5\n"
TIMES = {
    "ISO with zone": ("iso", "2026-04-01T23:30:00-02:00", "2026-04-02"),
    "ISO without zone is UTC": ("iso", "2026-04-01 23:30:00.1234567", "2026-04-01"),
    "seconds": ("s", "1775087999", "2026-04-01"),
    "seconds with a fraction": ("s", "1775087999.999999", "2026-04-01"),
    "milliseconds": ("ms", "1775088000000", "2026-04-02"),
    "microseconds": ("us", "1775087999999999", "2026-04-01"),
}


@pytest.mark.parametrize(("unit", "text", "expected"), TIMES.values(), ids=TIMES)
def test_time_units(root: DataRoot, unit: str, text: str, expected: str) -> None:
    row = CSV.replace("2026-04-01T10:00:00Z", text)
    log(root, f"{IDENTITY}time_unit: {unit}\n", row, "a.csv")
    assert metered(root) == [(1, 0, 1, 0)]
    assert [str(on) for on in daily(root)["event_day"]] == [expected]


def test_csv_with_bad_cells_sets_single_rows_aside(root: DataRoot) -> None:
    rows = (
        "2,acme,never,calls,1\n3,acme,2026-04-01,calls,many\n"
        "4,,2026-04-01,calls,1\n5,acme,2026-04-01,calls,\n"
    )
    log(root, IDENTITY, CSV + rows, "a.csv")
    assert metered(root) == [(5, 0, 1, 4)]
    reasons = snapshots(root).rows_set_aside["reason"].to_list()
    assert sorted(reasons) == [
        "missing_customer",
        "missing_value",
        "unreadable_occurred_at",
        "unreadable_value",
    ]


RAGGED = {
    "too few columns": ("2,acme,2026-04-01,calls\n", 1),
    "too many columns": ("2,acme,2026-04-01,calls,1,1\n", 1),
    "many too many": ("2,acme,2026-04-01,calls,1,1,,1,1\n", 1),
    "a quote that is not closed": ('2,"acme,2026-04-01,calls,1\n', 1),
    "text after a quote": ('2,"acme"x,2026-04-01,calls,"1"5\n', 1),
    "a word": ("total 17\n", 1),
    "lines of two systems": ("2,acme,2026-04-01,calls,1\r\n", 0),
    "a blank line of another system": ("\r\n", None),
}


@pytest.mark.parametrize(("line", "bad"), RAGGED.values(), ids=RAGGED)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_csv_row_of_another_form_is_set_aside_alone(
    root: DataRoot, line: str, bad: int | None, name: str
) -> None:
    rest = '3,"acme",2026-04-01,"calls","2.5"\n4,"a""c,me",2026-04-01,calls,4\n,,,,\n'
    text = (CSV + line + rest).encode()
    log(root, IDENTITY, gzip.compress(text) if name.endswith(".gz") else text, name)
    rows = 4 if bad is None else 5
    counted = 4 if bad == 0 else 3
    assert metered(root) == [(rows, 0, counted, rows - counted)]
    values = Decimal(9 if bad == 0 else 8)
    assert daily(root)["value"].sum() == values
    assert set(daily(root)["customer_id"]) == {"acme", 'a"c,me'}
    if bad:
        assert set_aside(root) == [(2, "unreadable_row"), (5, "missing_event_id")]


def set_aside(root: DataRoot) -> list[tuple[int, str]]:
    """Row and reason of each row that is set aside."""
    (path,) = (root.dataset("set_aside") / "landing_day=2026-04-02").iterdir()
    return pl.read_parquet(path).sort("row_number").select("row_number", "reason").rows()


def test_csv_keeps_its_quoted_line_breaks(root: DataRoot) -> None:
    log(root, IDENTITY, CSV + '2,"ac\nme",2026-04-01,calls,1\n', "a.csv")
    assert metered(root) == [(2, 0, 2, 0)]
    assert set(daily(root)["customer_id"]) == {"acme", "ac\nme"}


def test_a_ragged_row_after_a_hundred_thousand_good_ones(root: DataRoot) -> None:
    good = "".join(f"{n},acme,2026-04-01,calls,1\n" for n in range(100_000))
    log(root, IDENTITY, f"id,customer,at,feature,value\n{good}x,y\n", "a.csv")
    assert metered(root) == [(100_001, 0, 100_000, 1)]
    assert set_aside(root) == [(100_001, "unreadable_row")]


def test_a_ragged_csv_with_tabs(root: DataRoot) -> None:
    text = (CSV + "2,acme\n").replace(",", "\t")
    log(root, f'{IDENTITY}delimiter: "\\t"\n', text, "a.csv")
    assert metered(root) == [(2, 0, 1, 1)]


def test_json_lines_of_two_systems_are_read_and_blank_ones_are_no_rows(root: DataRoot) -> None:
    row = '{"id": %d, "customer": "acme", "at": 1775001600, "feature": "calls", "value": 1}'
    text = f"{row % 1}\n{row % 2}\r\n\n{row % 3}\r\n{{\n"
    log(root, f"{IDENTITY}time_unit: s\n", text, "a.jsonl")
    assert metered(root) == [(4, 0, 3, 1)]
    assert set_aside(root) == [(4, "unreadable_row")]


def test_a_filter_counts_what_it_leaves_out(root: DataRoot) -> None:
    rows = CSV + "2,acme,2026-04-01,calls,0\n3,acme,2026-04-01,calls,7\n"
    log(root, f"{IDENTITY}filter: value <> '0'\n", rows, "a.csv")
    assert metered(root) == [(3, 1, 2, 0)]


def test_json_lines_keep_numbers_as_they_are_written(root: DataRoot) -> None:
    text = (
        '{"id": 1, "customer": "acme", "at": 1775001600, "feature": "calls", "value": 0.1}\n'
        '{"id": 2, "customer": "acme", "at": 1775001600, "feature": "calls", "value": 0.2}\n'
        '{"id": 3, "customer": "acme", "at": 177500\n'
        '{"id": 4, "customer": "acme", "at": 1775001600, "feature": "calls",'
        ' "value": 9007199254740993}\n'
    )
    log(root, f"{IDENTITY}time_unit: s\n", text, "a.jsonl")
    assert metered(root) == [(4, 0, 3, 1)]
    assert daily(root)["value"].to_list() == [Decimal("9007199254740993.3")]


LINE = (
    '{client} - - [17/May/2015:10:05:03 +0200] "GET / HTTP/1.1" 200 {size} "-" "Mozilla \\"x\\""\n'
)
ACCESS = """
format: access_log
columns:
  event_id: file_name || ':' || row_number
  customer_id: client
  occurred_at: time
  value: bytes
constants: {feature: calls}
"""


def test_access_logs_count_bytes_by_client(root: DataRoot) -> None:
    text = (
        LINE.format(client="10.0.0.1", size="200")
        + LINE.format(client="10.0.0.1", size="-")
        + "garbage\n"
        + LINE.format(client="2001:db8::1", size="5")
    )
    log(root, ACCESS, text, "access.log")
    assert metered(root) == [(4, 0, 2, 2)]
    rows = daily(root).select("customer_id", "value").rows()
    assert rows == [("10.0.0.1", Decimal(200)), ("2001:db8::1", Decimal(5))]
    reasons = snapshots(root, customers=()).rows_set_aside["reason"].to_list()
    assert sorted(reasons) == ["unreadable_row", "unreadable_value"]


def test_an_access_log_of_two_systems_is_read(root: DataRoot) -> None:
    line = LINE.format(client="10.0.0.1", size="2")
    log(root, ACCESS, line + line.replace("\n", "\r\n") + line, "access.log")
    assert metered(root) == [(3, 0, 3, 0)]


def test_a_line_of_a_web_server_without_a_byte_count_has_no_value(root: DataRoot) -> None:
    shipped = (PACKAGE_ROOT / "data" / "mappings" / "web_server.yaml").read_text(encoding="utf-8")
    text = LINE.format(client="10.0.0.1", size="-") + LINE.format(client="10.0.0.1", size="3")
    log(root, shipped.replace("bandwidth", "calls"), text, "access.log")
    assert metered(root) == [(2, 0, 1, 1)]
    assert set_aside(root) == [(1, "missing_value")]


AI = """
columns:
  event_id: row_number
  customer_id: customer
  occurred_at: at
  input_tokens: in
  output_tokens: out
  cache_read_tokens: cached
constants: {feature: chat, model: a/x}
tokens_include_cached: true
"""


def test_cached_tokens_are_taken_out_of_a_total_that_includes_them(root: DataRoot) -> None:
    text = "customer,at,in,out,cached\nacme,2026-04-01,100,7,30\nacme,2026-04-01,10,1,11\n"
    log(root, AI, text, "a.csv")
    assert metered(root) == [(2, 0, 1, 1)]
    columns = ("input_tokens", "output_tokens", "cache_read_tokens")
    assert daily(root).select(columns).rows() == [(70, 7, 30)]
    assert snapshots(root).rows_set_aside["reason"].to_list() == ["cached_above_total"]


def test_parquet_with_other_columns(root: DataRoot, tmp_path: Path) -> None:
    rows = {
        "id": [1, 2],
        "customer": ["acme", "acme"],
        "at": pa.array([1775001600, 1775001600]),
        "feature": ["calls", "calls"],
        "value": pa.array([Decimal("0.5"), Decimal("0.25")]),
    }
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    log(root, f"{IDENTITY}time_unit: s\n", content, "a.parquet")
    assert metered(root) == [(2, 0, 2, 0)]
    assert daily(root)["value"].to_list() == [Decimal("0.75")]


REFUSED = {
    "a float expression": (
        IDENTITY.replace("value: value", 'value: "value::double / 60"'),
        "float_column",
    ),
    "an expression that is no SQL": (
        IDENTITY.replace("value: value", "value: value +"),
        "mapping_refused",
    ),
    "a column that is not there": (
        IDENTITY.replace("value: value", "value: amount_used"),
        "mapping_refused",
    ),
    "an unknown key": (IDENTITY + "filtre: value > 0\n", "mapping_refused"),
    "not YAML": ("columns: {", "mapping_refused"),
    "a required column left out": (
        "columns: {event_id: id, customer_id: customer, occurred_at: at}\n",
        "mapping_refused",
    ),
}


@pytest.mark.parametrize(("mapping", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_mapping_that_cannot_be_used_sets_the_file_aside(
    root: DataRoot, mapping: str, reason: str
) -> None:
    log(root, mapping, CSV, "a.csv")
    found = register_new_files(root, day("04-02"))
    assert [file.reason for file in found.new] == [reason]
    assert found.problems[0].mend


def test_a_file_comes_in_when_its_mapping_is_mended(root: DataRoot) -> None:
    log(root, "columns: {", CSV, "a.csv")
    metered(root)
    (root.mappings / "src.yaml").write_text(IDENTITY)
    register_new_files(root, day("04-03"))
    meter_days(root, day("04-03"), SPEC)
    counted = read_receipts(root, day("04-03")).select("landing_day", "rows", "counted").rows()
    assert counted == [(day("04-02"), None, 0), (day("04-03"), 1, 1)]


def test_a_mapping_that_changes_is_no_new_truth(root: DataRoot) -> None:
    log(root, IDENTITY, CSV, "a.csv")
    register_new_files(root, day("04-02"))
    (root.mappings / "src.yaml").write_text(IDENTITY + "filter: value = '0'\n")
    found = meter_days(root, day("04-02"), SPEC).problems
    assert [problem.code for problem in found] == ["LAND-07"]


def test_csv_without_a_mapping_says_what_to_write(root: DataRoot) -> None:
    path = root.usage_landing / "day=2026-04-02" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text(CSV)
    found = register_new_files(root, day("04-02"))
    assert [file.reason for file in found.new] == ["no_mapping"]


def test_the_nearest_known_key_is_named(root: DataRoot) -> None:
    path = root.mappings / "src.yaml"
    path.write_text("column: {}\n")
    found = read_mapping(path, file="src.yaml")
    assert isinstance(found, tuple)
    assert re.search("did you mean 'columns'", found[0].mend)


def test_a_compressed_csv_is_read(root: DataRoot) -> None:
    log(root, IDENTITY, gzip.compress(CSV.encode()), "a.csv.gz")
    assert metered(root) == [(1, 0, 1, 0)]
    assert daily(root)["event_day"].to_list() == [date(2026, 4, 1)]


def test_the_readme_says_of_every_canonical_column_what_it_is() -> None:
    text = (PACKAGE_ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ *\| (`[a-z_`, ]+) \| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE)
    told = {
        name: (kind.strip(), default.strip())
        for names, kind, default in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert set(told) >= set(COLUMNS)
    assert {name for name in COLUMNS if told[name][1] == "required"} == set(REQUIRED)
    kinds = dict.fromkeys(STRINGS, "string") | dict.fromkeys(TOKENS, "int64")
    kinds |= dict.fromkeys(DECIMALS, "decimal(38, 9)")
    kinds |= dict.fromkeys(INSTANTS, "timestamp[us, UTC]")
    assert {name: told[name][0].removesuffix(", JSON") for name in COLUMNS} == kinds


def test_a_null_in_canonical_parquet_is_the_default(root: DataRoot) -> None:
    rows = [event("1", "04-01", value=None), event("2", "04-01", source=None, received_at=None)]
    land(root, "04-02", rows)
    assert metered(root) == [(2, 0, 2, 0)]
    assert daily(root)["value"].sum() == 2
