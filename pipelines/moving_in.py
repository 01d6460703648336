"""Customers of another billing system, from one CSV file to actions in the landing folder.

A row is a customer: who he is, what he is subscribed to, what he has and owes. Each row is read
and tried against the catalog before anything is landed; what is wrong with one keeps that
customer out, names line, column and cure, and stops nobody else.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from billing_core.actions import Action, Outcome, OutcomeStatus, ReasonCode, parse_action
from billing_core.bill import bill
from billing_core.errors import BillingError, Problem
from billing_core.period import midnight
from billing_core.schema import nearest
from billing_core.setting import Setting
from pipelines.action_log import without_personal
from pipelines.catalogs import load_catalogs
from pipelines.datasets import replaced
from pipelines.history import CatalogIsWrong, versions_of
from pipelines.paths import DataRoot
from pipelines.world import local_currencies, zones

CUSTOMER = (
    "name",
    "email",
    "country",
    "tax_id",
    "address",
    "time_zone",
    "locale",
    "external_ids",
    "collection",
    "payment_days",
)
"""Columns of who a customer is, as in `create_customer`."""

SUBSCRIPTION = ("plan", "interval", "anchor", "period_start", "period_end", "paid_through", "terms")
CREDITS = ("credits_plan", "credits_purchased")
DISCOUNT = ("discount_type", "discount_value", "discount_cycles", "discount_code")
SEATS = "seats."
"""How the columns begin that hold the seats of a feature."""

COLUMNS = (
    "customer",
    *CUSTOMER,
    *SUBSCRIPTION,
    *CREDITS,
    "balance",
    *DISCOUNT,
    "customer_credit",
    "outstanding",
    "currency",
)
"""Columns that a file may have, in any order; `customer` it must have."""

SEPARATED = frozenset({"address", "external_ids", "outstanding"})
"""Columns whose cells hold several parts, separated by `;`."""

PLACES: Mapping[str, str] = {
    "period.0": "period_start",
    "period.1": "period_end",
    "period": "period_start",
}
"""In which column a field of an action stands, where it is not the one of its name."""

REFUSED_FOR: Mapping[ReasonCode, str] = {
    ReasonCode.PLAN_NOT_AVAILABLE: "plan",
    ReasonCode.INTERVAL_NOT_AVAILABLE: "interval",
    ReasonCode.CURRENCY_NOT_AVAILABLE: "currency",
    ReasonCode.FEATURE_NOT_IN_PLAN: "seats",
    ReasonCode.SEATS_NOT_INCLUDED: "seats",
    ReasonCode.ALREADY_ACTIVE: "outstanding",
}
"""Which column a refusal is about, where it is one."""

_OWED = re.compile(r"(?P<invoice>\S+) +(?P<due>\S+) +(?P<amount>\S+)")


class CannotImport(BillingError):
    """A file of customers that cannot be read at all: nothing of it is landed."""

    code = "IMPORT-01"

    def __init__(self, *, what: str, file: Path, mend: str) -> None:
        super().__init__(what=f"nothing was imported: {what}", where=str(file), mend=mend)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of customers.

    customers: how many rows were taken; actions: how many actions they made.
    path:      the landed file; None where no row was good.
    is_new:    False where the same actions had been landed before.
    problems:  of rows that were not taken, by line.
    """

    customers: int
    actions: int
    path: Path | None
    is_new: bool
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """One customer of the file: filled cells by column, and where the row stands."""

    where: str
    cells: Mapping[str, str]

    def problem(self, column: str, what: str, mend: str) -> Problem:
        return Problem("IMPORT-02", self.where, column, what, mend)


Record = dict[str, Any]


def import_customers(root: DataRoot, file: Path, moved_on: date | datetime) -> Imported:
    """Land the actions of a file's good rows, and tell what is wrong with the others.

    takes:  moved_on, the instant of the move; of a day 00:00 in the catalog's billing time zone.
    raises: CannotImport, CatalogIsWrong. The same file at the same instant changes nothing.
    rule:   CUS-2.
    """
    read = _rows(file)
    rows = [row for row in read if isinstance(row, _Row)]
    problems = [row for row in read if isinstance(row, Problem)]
    setting = _setting(root, {row.cells.get("time_zone") for row in rows})
    at = _instant(moved_on, setting)
    records: list[Record] = []
    taken = 0
    for row in rows:
        found = _tried(row, at, setting)
        if isinstance(found, tuple):
            problems += found
        else:
            records += found
            taken += 1
    path, is_new = _land(root, records, at)
    return Imported(taken, len(records), path, is_new, tuple(problems))


def _rows(file: Path) -> list[_Row | Problem]:
    """The rows of a file, or what keeps one from being read; blank lines are none.

    raises: CannotImport.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = _header(next(reader, []), file)
            numbered = _numbered(reader)
            seen: dict[str, str] = {}
            return [_row(f"{file.name}:{line}", cells, header, seen) for line, cells in numbered]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        mend = "name a CSV file in UTF-8, with commas between the cells"
        raise CannotImport(what=str(error), file=file, mend=mend) from error


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line on which it begins."""
    before = reader.line_num
    for cells in reader:
        line, before = before + 1, reader.line_num
        if any(cell.strip() for cell in cells):
            yield line, cells


def _header(cells: list[str], file: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if name not in COLUMNS and not (name.startswith(SEATS) and name != SEATS):
            what = f"the column {name!r} is not known"
            raise CannotImport(
                what=what, file=file, mend=nearest(name, [*COLUMNS, "seats.FEATURE"])
            )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        mend = "keep one of the two"
        raise CannotImport(what=f"the column {twice!r} stands twice", file=file, mend=mend)
    if "customer" not in names:
        mend = "begin the file with a line of column names, among them customer"
        raise CannotImport(what="there is no column 'customer'", file=file, mend=mend)
    return names


def _row(where: str, cells: list[str], header: list[str], seen: dict[str, str]) -> _Row | Problem:
    """A row of the header's columns; a customer stands in a file once."""
    filled = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    row = _Row(where, filled)
    if len(cells) != len(header):
        what = f"the line has {len(cells)} cells, and the header {len(header)}"
        return row.problem("(whole)", what, "put cells with commas between double quotes")
    name = filled.get("customer")
    if name is None:
        return row.problem("customer", "the cell is empty", "give the customer's id")
    if name in seen:
        what = f"customer {name!r} stands in {seen[name]} already"
        return row.problem("customer", what, "give each customer one line")
    seen[name] = where
    return row


def _tried(row: _Row, at: datetime, setting: Setting) -> list[Record] | tuple[Problem, ...]:
    """The records of a row, if each can be read and none would be refused."""
    problems: list[Problem] = []
    records: list[Record] = []
    actions: list[Action] = []
    for make in (_customer, _subscription, _opening):
        made = make(row)
        if isinstance(made, Problem):
            problems.append(made)
        elif made is not None:
            record = _common(row, made, at)
            parsed = parse_action({**record, "received_at": at}, where=row.where)
            if isinstance(parsed, tuple):
                problems += [_placed(it) for it in parsed if it.path != "id"]
            else:
                records.append(record)
                actions.append(parsed)
    found = tuple(dict.fromkeys(problems)) or tuple(_refusals(row, actions, at, setting))
    return found or records


def _common(row: _Row, made: Record, at: datetime) -> Record:
    name = row.cells["customer"]
    return {
        "id": f"import/{name}/{made['do']}",
        "at": at.isoformat(),
        "actor": "founder",
        "customer": name,
        **made,
    }


def _placed(problem: Problem) -> Problem:
    """A problem of a field, at the column in which the field stands."""
    path = problem.path
    group, _, field = path.partition(".")
    column = PLACES.get(path, group)
    if group in {"credits", "discount"} and field:
        column = f"{group}_{field}"
    if group in {"seats", "terms"}:
        column = path
    return replace(problem, path=column)


def _customer(row: _Row) -> Record:
    given = {name: _cell(row, name) for name in CUSTOMER if name in row.cells}
    return {"do": "create_customer", **given}


def _cell(row: _Row, name: str) -> str | list[str]:
    text = row.cells[name]
    return [part.strip() for part in text.split(";")] if name in SEPARATED else text


def _subscription(row: _Row) -> Record | Problem | None:
    """What a row says of a subscription; None where it says nothing."""
    cells = row.cells
    named = [name for name in cells if name.startswith(SEATS)]
    named += [name for name in (*SUBSCRIPTION, *CREDITS, "balance", *DISCOUNT) if name in cells]
    if not named:
        return None
    for name in ("plan", "anchor", "period_start", "period_end"):
        if name not in cells:
            what = f"the cell is empty, and {named[0]} is given"
            return row.problem(name, what, f"fill it; or leave {', '.join(named)} out")
    terms = _terms(row)
    if isinstance(terms, Problem):
        return terms
    record: Record = {
        "do": "import_subscription",
        "plan": cells["plan"],
        "anchor": cells["anchor"],
        "period": [cells["period_start"], cells["period_end"]],
        "paid_through": cells.get("paid_through", cells["period_end"]),
        **{name: cells[name] for name in ("interval", "currency", "balance") if name in cells},
        **terms,
        **_group(cells, "credits_", CREDITS),
        **_group(cells, "discount_", DISCOUNT),
    }
    seats = {it.removeprefix(SEATS): cells[it] for it in cells if it.startswith(SEATS)}
    return {**record, "seats": seats} if seats else record


def _group(cells: Mapping[str, str], prefix: str, names: Iterable[str]) -> Record:
    """Columns of one prefix as one field; none where all are empty."""
    given = {name.removeprefix(prefix): cells[name] for name in names if name in cells}
    return {prefix.rstrip("_"): given} if given else {}


def _terms(row: _Row) -> Record | Problem:
    if "terms" not in row.cells:
        return {}
    try:
        terms = json.loads(row.cells["terms"], parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        mend = 'write a JSON patch over the plan, as {"prices": {"monthly": {"amount": "25.00"}}}'
        return row.problem("terms", f"this is no JSON: {error}", mend)
    return {"terms": terms}


def _opening(row: _Row) -> Record | Problem | None:
    """What a row says of money; None where it says nothing."""
    cells = row.cells
    owed = [_OWED.fullmatch(part.strip()) for part in cells.get("outstanding", "").split(";")]
    found = [match.groupdict() for match in owed if match is not None]
    if "outstanding" in cells and len(found) != len(owed):
        what = f"{cells['outstanding']!r} does not name an invoice, its due day and what is unpaid"
        return row.problem(
            "outstanding", what, "write 1017 2026-02-01 40.00, several with ; between"
        )
    given: Record = {name: cells[name] for name in ("customer_credit", "currency") if name in cells}
    if found:
        given["outstanding"] = found
    return {"do": "opening_balance", **given} if given.keys() - {"currency"} else None


def _refusals(
    row: _Row, actions: Iterable[Action], at: datetime, setting: Setting
) -> Iterator[Problem]:
    """What the catalog has against a row that can be read: nobody is billed here."""
    facts, _ = without_personal(actions)
    told = bill(row.cells["customer"], facts, setting, until=at + timedelta(microseconds=1))
    if told.fault is not None:
        yield Problem(told.fault.code, row.where, "(whole)", told.fault.what, told.fault.mend)
    if told.folded is not None:
        yield from (
            _refused(row, outcome)
            for outcome in told.folded.outcomes
            if outcome.status is OutcomeStatus.REFUSED
        )


def _refused(row: _Row, outcome: Outcome) -> Problem:
    column = "(whole)" if outcome.reason is None else REFUSED_FOR.get(outcome.reason, "(whole)")
    mend = "correct the cell and import the file again"
    return Problem("IMPORT-03", row.where, column, outcome.what, mend)


def _setting(root: DataRoot, named: Iterable[str | None]) -> Setting:
    """The catalog as it stands. raises: CatalogIsWrong."""
    loaded = load_catalogs(root)
    if loaded.problems:
        raise CatalogIsWrong(loaded.problems)
    own = {it.catalog.policies.billing_time_zone for it in loaded.versions}
    return Setting(
        versions=versions_of(loaded.versions),
        zones=zones({*own, *(name for name in named if name)}),
        local_currencies=local_currencies(),
    )


def _instant(moved_on: date | datetime, setting: Setting) -> datetime:
    if isinstance(moved_on, datetime):
        return moved_on.astimezone(UTC)
    name = setting.versions[-1].catalog.policies.billing_time_zone
    return midnight(moved_on, setting.zones[name])


def _land(root: DataRoot, records: Iterable[Record], at: datetime) -> tuple[Path | None, bool]:
    """The file of some actions, named by what it holds, and whether it was not there yet."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if not text:
        return None, False
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = root.actions_landing / f"day={at.date()}" / f"import-{name}.jsonl"
    if path.exists():
        return path, False
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path, True
