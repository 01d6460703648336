"""Customers of another billing system: a CSV file becomes actions, its bad rows are named."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines import new_root
from pipelines.action_log import read_actions, register_actions
from pipelines.cli import main
from pipelines.moving_in import CannotImport, Imported, import_customers
from pipelines.paths import DataRoot

ON = date(2026, 4, 10)
HEADER = (
    "customer,name,country,time_zone,external_ids,plan,interval,anchor,period_start,period_end,"
    "paid_through,seats.editors,terms,discount_type,discount_value,discount_cycles,"
    "credits_plan,customer_credit,outstanding"
)
GOOD = {
    "customer": "acme",
    "name": "Acme B.V.",
    "country": "NL",
    "time_zone": "Europe/Amsterdam",
    "external_ids": "org-1; org-2",
    "plan": "pro",
    "interval": "monthly",
    "anchor": "2026-01-20",
    "period_start": "2026-03-20",
    "period_end": "2026-04-20",
    "paid_through": "",
    "seats.editors": "9",
    "terms": '{"prices": {"monthly": {"amount": 80.00}}}',
    "discount_type": "percentage",
    "discount_value": "1000",
    "discount_cycles": "2",
    "credits_plan": "",
    "customer_credit": "5.00",
    "outstanding": "1017 2026-02-01 40.00; 1042 2026-05-01 29.00",
}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    made = DataRoot(tmp_path / "root")
    new_root.begin(made)
    return made


def line(**changes: str) -> str:
    """A row of the header's columns, each cell between quotes."""
    cells = {**GOOD, **{name.replace("__", "."): value for name, value in changes.items()}}
    return ",".join('"' + cells[name].replace('"', '""') + '"' for name in HEADER.split(","))


def landed(root: DataRoot, *lines: str, header: str = HEADER) -> Imported:
    file = root.root.parent / "customers.csv"
    file.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return import_customers(root, file, ON)


def test_a_row_becomes_the_actions_of_its_customer(root: DataRoot) -> None:
    made = landed(root, line(), "", line(customer="bare", **dict.fromkeys(SUBSCRIPTION, "")))
    assert (made.customers, made.actions, made.is_new, made.problems) == (2, 5, True, ())
    assert made.path is not None
    rows = [json.loads(row) for row in made.path.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["at"]) for row in rows] == [
        ("import/acme/create_customer", "2026-04-10T00:00:00+00:00"),
        ("import/acme/import_subscription", "2026-04-10T00:00:00+00:00"),
        ("import/acme/opening_balance", "2026-04-10T00:00:00+00:00"),
        ("import/bare/create_customer", "2026-04-10T00:00:00+00:00"),
        ("import/bare/opening_balance", "2026-04-10T00:00:00+00:00"),
    ]
    assert rows[0]["external_ids"] == ["org-1", "org-2"]
    assert (rows[1]["paid_through"], rows[1]["seats"]) == ("2026-04-20", {"editors": "9"})
    assert rows[1]["terms"] == {"prices": {"monthly": {"amount": "80.00"}}}
    assert rows[2]["outstanding"][1] == {"invoice": "1042", "due": "2026-05-01", "amount": "29.00"}
    log = read_actions(root, register_actions(root, through=ON))
    assert (len(log.actions), log.set_aside) == (5, ())


SUBSCRIPTION = (
    "plan",
    "interval",
    "anchor",
    "period_start",
    "period_end",
    "seats.editors",
    "terms",
    "discount_type",
    "discount_value",
    "discount_cycles",
)

BAD: dict[str, tuple[dict[str, str], str, str, str]] = {
    "no id": ({"customer": ""}, "IMPORT-02", "customer", "the cell is empty"),
    "an id with a blank": ({"customer": "ac me"}, "ACTION-03", "customer", "right form"),
    "an inexact amount": ({"customer_credit": "5,00"}, "ACTION-04", "customer_credit", "'5,00'"),
    "seats in part": ({"seats__editors": "2.5"}, "ACTION-04", "seats.editors", "whole number"),
    "a day that is none": ({"anchor": "20.1.2026"}, "ACTION-06", "anchor", "not a date"),
    "no anchor": ({"anchor": ""}, "IMPORT-02", "anchor", "the cell is empty, and"),
    "no plan": ({"plan": ""}, "IMPORT-02", "plan", "the cell is empty, and"),
    "a period off the anchor": (
        {"period_start": "2026-03-21"},
        "ACTION-08",
        "period_start",
        "is no monthly period",
    ),
    "paid too far": ({"paid_through": "2026-05-20"}, "ACTION-08", "paid_through", "outside of"),
    "terms that are no JSON": ({"terms": "{prices}"}, "IMPORT-02", "terms", "this is no JSON"),
    "terms with a wrong key": (
        {"terms": '{"prices": {"monthly": {"amuont": "1"}}}'},
        "ACTION-01",
        "terms.prices.monthly.amuont",
        "not known",
    ),
    "half a discount": ({"discount_type": ""}, "ACTION-02", "discount_type", "missing"),
    "a debt without a day": (
        {"outstanding": "1017 40.00"},
        "IMPORT-02",
        "outstanding",
        "does not name an invoice, its due day",
    ),
    "a debt twice": (
        {"outstanding": "7 2026-02-01 1.00; 7 2026-02-01 1.00"},
        "IMPORT-03",
        "outstanding",
        "name each unpaid invoice once",
    ),
    "an unknown plan": ({"plan": "por"}, "IMPORT-03", "plan", "is not on offer"),
    "an interval that is not sold": (
        {"interval": "", "terms": ""},
        "IMPORT-03",
        "interval",
        "has no price for interval None",
    ),
    "credits on a metered plan": ({"credits_plan": "5"}, "IMPORT-03", "(whole)", "credits come to"),
    "a period that is over": (
        {"period_start": "2026-02-20", "period_end": "2026-03-20"},
        "IMPORT-03",
        "interval",
        "does not run on 2026-04-10",
    ),
    "a zone that does not exist": ({"time_zone": "Mars/Base"}, "ZONE-01", "(whole)", "'Mars/Base'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_and_the_others_are_taken(name: str, root: DataRoot) -> None:
    changes, code, column, what = BAD[name]
    made = landed(root, line(customer="first"), line(**changes), line(customer="last"))
    (problem, *more) = made.problems
    assert (problem.code, problem.file, problem.path) == (code, "customers.csv:3", column)
    assert what in problem.what
    assert problem.mend
    assert not more
    assert made.path is not None
    taken = [json.loads(row) for row in made.path.read_text(encoding="utf-8").splitlines()]
    assert {row["customer"] for row in taken} == {"first", "last"}


def test_lines_are_counted_as_an_editor_shows_them(root: DataRoot) -> None:
    made = landed(root, "", line(name="Two\nlines"), line(), line(customer="short") + ",x")
    assert [(it.file, it.path) for it in made.problems] == [
        ("customers.csv:5", "customer"),
        ("customers.csv:6", "(whole)"),
    ]
    assert made.problems[0].what == "customer 'acme' stands in customers.csv:3 already"


@pytest.mark.parametrize(
    ("header", "mend"),
    [
        ("customer,pln", "did you mean 'plan'?"),
        ("customer,plan,plan", "keep one of the two"),
        ("plan", "among them customer"),
    ],
)
def test_a_header_that_is_wrong_lands_nothing(header: str, mend: str, root: DataRoot) -> None:
    with pytest.raises(CannotImport, match="nothing was imported") as error:
        landed(root, line(), header=header)
    assert mend in error.value.mend
    assert not list(root.actions_landing.rglob("import-*"))


def test_a_file_that_is_no_text_lands_nothing(root: DataRoot) -> None:
    file = root.root.parent / "customers.csv"
    file.write_bytes(b"customer\n\xff\xfe\n")
    with pytest.raises(CannotImport):
        import_customers(root, file, ON)


def test_the_same_file_changes_nothing_and_a_longer_one_counts_each_row_once(
    root: DataRoot,
) -> None:
    first = landed(root, line())
    assert landed(root, line()) == Imported(1, 3, first.path, is_new=False, problems=())
    more = landed(root, line(), line(customer="last"))
    assert more.is_new
    log = read_actions(root, register_actions(root, through=ON))
    assert (len(log.actions), log.set_aside) == (6, ())


def test_an_instant_is_taken_as_it_is(root: DataRoot) -> None:
    file = root.root.parent / "customers.csv"
    file.write_text(f"{HEADER}\n{line()}\n", encoding="utf-8")
    made = import_customers(root, file, datetime(2026, 4, 11, 8, 30, tzinfo=UTC))
    assert made.path is not None
    assert made.path.parent.name == "day=2026-04-11"


@pytest.mark.parametrize(
    ("plan", "arguments", "code"),
    [
        ("pro", ["--at", "2026-04-10T08:00:00Z"], 0),
        ("por", ["--at", "2026-04-10"], 1),
        ("pro", ["--at", "10.4.2026"], 2),
        ("pro", [], 2),
    ],
)
def test_the_command_ends_with_a_code_that_tells(
    plan: str,
    arguments: list[str],
    code: int,
    root: DataRoot,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = root.root.parent / "customers.csv"
    file.write_text(f"{HEADER}\n{line(plan=plan)}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        main(["--root", str(root.root), "import", str(file), *arguments])
    assert int(stopped.value.code or 0) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    if code == 1:
        assert "customers.csv:2: plan" in out
