"""The published warehouse: whole, described, noticed when older, never torn."""

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from billing_core.money import Money
from billing_core.state import Customer, CustomerState, InvoiceRecord
from pipelines import marts, usage_frames, warehouse
from pipelines.books import DamagedBooks
from pipelines.datasets import write_partition
from pipelines.drafts import DamagedDrafts, write_drafts
from pipelines.frames import table
from pipelines.paths import DataRoot
from pipelines.standing import write_standing
from pipelines.warehouse import ChecksFailed, publish, published, reading
from tests.billing_core.builders import instant, setting_of
from tests.pipelines import samples

RELATIONS = (*marts.TABLES, *marts.VIEWS, "_publications", "_manifest")


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


@pytest.fixture
def filled(root: DataRoot) -> DataRoot:
    """Ten posted invoices, two drafts, usage, a customer."""
    samples.draft_and_post(root, samples.many(5))
    made = [samples.recurring("a"), samples.checkout("b")]
    write_drafts(root, made, through=date(2026, 5, 2), faults=[samples.a_fault("c")])
    state = CustomerState(
        "customer_000",
        customer=Customer("customer_000", "NL"),
        invoices=(balance("customer_000"),),
    )
    write_standing(root, [state], setting_of(), instant("2026-05-03"))
    for day in (1, 2):
        write_usage(root, date(2026, 4, day), events=day)
    return root


def balance(customer: str) -> InvoiceRecord:
    paid = Money(5000, samples.USD)
    invoice = samples.initial(customer)
    return InvoiceRecord(
        invoice.id,
        invoice.type,
        invoice.billing_day,
        total=invoice.total,
        paid=paid,
        credited=Money(0, samples.USD),
        refunded=Money(0, samples.USD),
        written_off=Money(0, samples.USD),
    )


def write_usage(root: DataRoot, day: date, *, events: int) -> None:
    keys = {"landing_day": day, "counts_from": day, "event_day": day, "customer_id": "customer_000"}
    row = dict.fromkeys(usage_frames.USAGE_DAILY) | keys | {"feature": "calls", "events": events}
    frame = table([list(row.values())], usage_frames.USAGE_DAILY)
    write_partition(root, "usage_daily", f"landing_day={day}", frame)


def query(root: DataRoot, sql: str) -> list[tuple[object, ...]]:
    with reading(root) as connection:
        return connection.execute(sql).fetchall()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_first_run_has_every_relation_without_rows(root: DataRoot) -> None:
    publish(root)
    for name in (*marts.TABLES, *marts.VIEWS):
        assert query(root, f"select count(*) from {name}") == [(0,)]


@pytest.mark.parametrize("state", ["empty", "filled"])
def test_every_relation_and_column_is_described(state: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue("root" if state == "empty" else "filled")
    publish(root)
    described = query(
        root,
        "select table_name, comment from duckdb_tables()"
        " union all select view_name, comment from duckdb_views() where not internal",
    )
    assert sorted(str(name) for name, _ in described) == sorted(RELATIONS)
    assert all("Grain: one row per (" in str(comment) for _, comment in described)
    columns = query(
        root,
        "select table_name, column_name, comment from duckdb_columns() where not internal",
    )
    assert [column for column in columns if not column[2]] == []


@pytest.mark.parametrize("name", [*marts.TABLES, *marts.VIEWS])
def test_a_header_names_exactly_the_columns(name: str, filled: DataRoot) -> None:
    publish(filled)
    found = [row[0] for row in query(filled, f"describe {name}")]
    model = marts.mart(name)
    assert set(model.columns) == set(found)
    assert set(model.grain) <= set(found)
    known = {source.name for source in warehouse.sources_of(filled)}
    assert set(model.sources) <= known


def test_posted_and_draft_invoices_stand_side_by_side(filled: DataRoot) -> None:
    publish(filled)
    drafted = [samples.recurring("a"), samples.checkout("b")]
    sums = [sum(it.total.minor for it in made) for made in (drafted, samples.many(5))]
    assert query(
        filled,
        "select status, count(*), count(number), sum(total) from invoices group by all order by 1",
    ) == [
        ("draft", 2, 0, Money(sums[0], samples.USD).major),
        ("posted", 10, 10, Money(sums[1], samples.USD).major),
    ]


def test_a_posted_invoice_is_no_draft_any_more(filled: DataRoot) -> None:
    write_drafts(filled, samples.many(6), through=date(2026, 5, 2))
    publish(filled)
    assert query(filled, "select status, count(*) from invoices group by all order by 1") == [
        ("draft", 2),
        ("posted", 10),
    ]
    lines = query(filled, "select count(*), count(distinct (invoice_id, line)) from invoice_lines")
    assert lines[0][0] == lines[0][1]


def test_what_was_paid_stands_on_the_invoice(filled: DataRoot) -> None:
    publish(filled)
    assert query(
        filled,
        "select customer_id, paid_minor, unpaid_minor from invoices where paid_minor is not null",
    ) == [("customer_000", 5000, 9900 + 2079 - 5000)]


def test_usage_is_read_from_the_exact_files(filled: DataRoot) -> None:
    publish(filled)
    write_usage(filled, date(2026, 4, 2), events=100)
    assert query(filled, "select sum(events) from usage_daily") == [(3,)]
    publish(filled)
    assert query(filled, "select sum(events) from usage_daily") == [(101,)]


def test_publishing_again_changes_not_one_file(filled: DataRoot) -> None:
    first = publish(filled)
    before = {path: path.stat().st_mtime_ns for path in filled.root.rglob("*")}
    second = publish(filled)
    assert (first.is_new, second.is_new) == (True, False)
    assert {path: path.stat().st_mtime_ns for path in filled.root.rglob("*")} == before


def test_publishing_may_be_forced(filled: DataRoot) -> None:
    first = publish(filled)
    second = publish(filled, is_forced=True)
    assert second.is_new
    assert second.publication.publication == first.publication.publication + 1


def test_a_warehouse_that_was_deleted_comes_back_with_the_same_bytes(filled: DataRoot) -> None:
    """DuckDB leaves some unused bytes of its file as they were in memory: rows are compared."""

    def compute() -> tuple[dict[str, bytes], list[list[tuple[object, ...]]]]:
        made = [*samples.many(5), samples.recurring("a")]
        write_drafts(filled, made, through=date(2026, 5, 2))
        write_usage(filled, date(2026, 4, 1), events=7)
        publish(filled)
        found = files(filled.warehouse)
        del found["warehouse.duckdb"]
        return found, [query(filled, f"select * from {name}") for name in RELATIONS]

    shutil.rmtree(filled.warehouse)
    first = compute()
    shutil.rmtree(filled.warehouse)
    assert compute() == first
    assert query(filled, "select max(number) from invoices") == [("INV-2026-000010",)]


def test_an_older_warehouse_is_noticed_and_published_anew(filled: DataRoot) -> None:
    publish(filled)
    older = filled.database.read_bytes()
    samples.draft_and_post(filled, [samples.initial("z")])
    publish(filled)
    filled.database.write_bytes(older)
    again = publish(filled)
    assert again.is_new
    assert query(filled, "select count(*) from invoices where customer_id = 'z'") == [(1,)]


@pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 5000], ids=repr)
def test_a_damaged_warehouse_is_published_anew(content: bytes, filled: DataRoot) -> None:
    filled.database.write_bytes(content)
    assert publish(filled).is_new
    assert query(filled, "select count(*) from invoices") == [(12,)]


def test_a_moved_root_is_published_anew(filled: DataRoot) -> None:
    publish(filled)
    moved = DataRoot(filled.root.with_name(f"{filled.root.name} it's moved"))
    shutil.move(filled.root, moved.root)
    assert publish(moved).is_new
    assert query(moved, "select sum(events) from usage_daily") == [(3,)]


def test_books_that_are_older_than_the_warehouse_are_noticed(filled: DataRoot) -> None:
    samples.draft_and_post(filled, [samples.initial("z")])
    publish(filled)
    shutil.rmtree(filled.books / "000002")
    with pytest.raises(warehouse.BooksAreOlder, match=r"WAREHOUSE-01.*posting 000002"):
        publish(filled)


def test_damaged_books_are_not_published(filled: DataRoot) -> None:
    path = filled.books / "000001" / "invoice_lines.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedBooks):
        publish(filled)
    assert published(filled) is None


def test_drafts_without_their_files_are_not_published(filled: DataRoot) -> None:
    shutil.rmtree(filled.dataset("draft_invoices"))
    with pytest.raises(DamagedDrafts, match="draft_invoices"):
        publish(filled)


# fmt: off
BROKEN = {
    # case                   check that finds it    change to what was published
    "a line was lost":       ("invoice_totals",      "delete from invoice_lines where line = 1"),
    "an amount is other":    ("invoice_totals",      "update invoice_lines set amount_minor = 1"),
    "a total is other":      ("invoice_totals",      "update invoices set total = total + 1"),
    "a total below zero":    ("invoice_totals",      "update invoices set total_minor = -1"),
    "a gap in the numbers":  ("invoice_numbers",     "delete from invoices where sequence = 3"),
    "a number twice":        ("invoice_numbers",     "update invoices set number = 'X'"),
    "a sequence twice":      ("invoice_numbers",     "update invoices set sequence = 3"),
    "lines without invoice": ("line_invoices",       "delete from invoices where sequence = 1"),
    "an invoice twice":      ("invoices_grain",      "insert into invoices from invoices"),
    "an invoice by hand":    ("invoices_grain",      "insert into invoices from invoices limit 1"),
    "a fault twice":         ("faults_grain",        "insert into faults from faults"),
}
# fmt: on


@pytest.mark.parametrize(("check", "change"), BROKEN.values(), ids=BROKEN)
def test_a_check_finds(check: str, change: str, filled: DataRoot) -> None:
    publish(filled)
    copy = filled.warehouse / "copy.duckdb"
    shutil.copy(filled.database, copy)
    with duckdb.connect(str(copy)) as connection:
        assert all(result.has_passed for result in warehouse.run_checks(connection))
        connection.execute(change)
        failed = {it.name: it for it in warehouse.run_checks(connection) if not it.has_passed}
    assert check in failed
    assert failed[check].first


def test_what_contradicts_itself_is_not_published(filled: DataRoot) -> None:
    publish(filled)
    before = filled.database.read_bytes()
    snapshots = table(
        [["a", "calls", None, None, None, 1, None, None]] * 2, usage_frames.USAGE_SNAPSHOTS
    )
    write_partition(filled, "usage_snapshots", "all", snapshots)
    with pytest.raises(ChecksFailed, match=r"WAREHOUSE-02.*usage_snapshots_grain"):
        publish(filled)
    assert filled.database.read_bytes() == before
    assert not list(filled.warehouse.glob(".warehouse*"))


def test_files_go_when_nothing_names_them_any_more(filled: DataRoot) -> None:
    folder = filled.dataset("usage_daily") / "landing_day=2026-04-01"
    left = []
    for events in range(10, 16):
        write_usage(filled, date(2026, 4, 1), events=events)
        publish(filled, grace_seconds=0)
        left.append(sorted(path.name[:4] for path in folder.iterdir()))
    assert left == [
        ["0002"],
        ["0002", "0003"],
        ["0002", "0003", "0004"],
        ["0003", "0004", "0005"],
        ["0004", "0005", "0006"],
        ["0005", "0006", "0007"],
    ]


def test_files_stay_while_they_were_superseded_a_moment_ago(filled: DataRoot) -> None:
    folder = filled.dataset("usage_daily") / "landing_day=2026-04-01"
    for events in range(10, 16):
        write_usage(filled, date(2026, 4, 1), events=events)
        publish(filled)
    assert len(list(folder.iterdir())) == 7


def test_files_of_the_drafts_before_stay_for_the_difference(filled: DataRoot) -> None:
    for used in range(102_001, 102_006):
        write_drafts(filled, [samples.recurring("a", used=used)], through=date(2026, 5, 2))
    publish(filled, grace_seconds=0)
    folder = filled.dataset("draft_invoices") / "billing_day=2026-05-01"
    assert len(list(folder.iterdir())) == 2
    assert warehouse.read_previous(filled) is not None


READ = """
import sys, time, duckdb
from pathlib import Path
database, relations, how = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
publications, give_up_at = set(), time.monotonic() + 90
while len(publications) < 4 and time.monotonic() < give_up_at:
    if how == "connect":
        connection = duckdb.connect(database, read_only=True)
        prefix = ""
    else:
        connection = duckdb.connect()
        connection.execute(f"attach '{database}' as published (read_only)")
        prefix = "published."
    with connection:
        for name in relations:
            connection.execute(f"select * from {prefix}{name}").fetchall()
        read = f"select max(publication) from {prefix}_publications"
        publications.add(connection.execute(read).fetchone())
        events = connection.execute(f"select sum(events) from {prefix}usage_daily").fetchone()
        faults = connection.execute(f"select count(*) from {prefix}faults").fetchone()
        assert events[0] == faults[0] + 2, (events, faults)
print(len(publications))
"""


@pytest.mark.parametrize("how", ["connect", "attach"])
def test_readers_read_every_relation_while_a_run_publishes(
    how: str, filled: DataRoot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Usage and faults change together; a reader that saw one without the other is torn."""

    def change(number: int) -> None:
        write_usage(filled, date(2026, 4, 1), events=number)
        faults = [samples.a_fault(f"c{count}") for count in range(number)]
        write_drafts(filled, [], through=date(2026, 5, 2), faults=faults)
        publish(filled)

    change(1)
    command = [sys.executable, "-c", READ, str(filled.database), ",".join(RELATIONS), how]
    empty = tmp_path_factory.mktemp("empty")
    with subprocess.Popen(
        command, cwd=empty, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        number = 1
        while reader.poll() is None:
            number += 1
            change(number)
        assert reader.stdout is not None
        assert reader.stderr is not None
        assert (reader.stdout.read(), reader.stderr.read()) == ("4\n", "")


def test_a_reader_keeps_the_version_that_it_opened(filled: DataRoot) -> None:
    publish(filled)
    with reading(filled) as connection:
        for events in (50, 60):
            write_usage(filled, date(2026, 4, 1), events=events)
            samples.draft_and_post(filled, [samples.initial(f"new_{events}")])
            publish(filled)
        assert connection.execute("select sum(events) from usage_daily").fetchall() == [(3,)]
        assert connection.execute("select count(*) from invoices").fetchall() == [(12,)]
    assert query(filled, "select sum(events) from usage_daily") == [(62,)]
