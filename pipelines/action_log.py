"""What actors did: the action files of the landing folder, registered, read and put in order.

Files are known from the day on which a run first saw them, and never change after. What
cannot be read is set aside with file, row, reason and cure. Names and addresses are taken
out into `customers/`; what is handed on carries the customer's id and what billing needs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from babel import Locale
from stdnum import get_cc_module
from stdnum.eu import vat

from billing_core.actions import Action, CreateCustomer, UpdateCustomer, parse_action
from billing_core.errors import BillingError, Problem
from billing_core.schema import PERSONAL, calendar_day, utc_instant
from billing_core.tax import EU
from pipelines.datasets import replaced, sha256_of
from pipelines.paths import DataRoot
from pipelines.world import zone

SUFFIXES = (".jsonl", ".parquet")
"""How the name of an action file may end."""

NESTED = frozenset(
    {"patch", "catalog", "terms", "seats", "credits", "discount", "outstanding", "lines", "audit"}
    | {"external_ids", "address", "invoice"}
)
"""Fields that a Parquet file may hold as JSON text."""

CUSTOMERS = pl.Schema(
    {
        "customer_id": pl.String(),
        "valid_from": pl.Datetime("us", "UTC"),
        "action_id": pl.String(),
        "name": pl.String(),
        "email": pl.String(),
        "address": pl.List(pl.String()),
        "tax_id": pl.String(),
        "country": pl.String(),
        "locale": pl.String(),
    }
)
"""Personal data: one row for each change of a customer, whole as from `valid_from`."""


class ActionFileChanged(BillingError):
    """A landed action file is not what it was when it was registered."""

    code = "ACTION-40"

    def __init__(self, *, path: str, was: str, now: str) -> None:
        super().__init__(
            what=f"a landed action file changed: sha256 {was[:12]} became {now[:12]}",
            where=path,
            mend="put the file back as it was, and land what is new as another file",
        )


class ActionFileGone(BillingError):
    """A landed action file is no longer there."""

    code = "ACTION-41"

    def __init__(self, *, path: str, landing_day: date) -> None:
        super().__init__(
            what=f"an action file that landed on {landing_day} is no longer there",
            where=path,
            mend="put it back from a backup: what was billed rests on it",
        )


class ActionRegisterDamaged(BillingError):
    """A line of the register of action files cannot be read."""

    code = "ACTION-42"

    def __init__(self, *, line: int, why: str) -> None:
        super().__init__(
            what=f"line {line} of the register of action files cannot be read: {why}",
            where="landing/actions_register.jsonl",
            mend="take the register from a backup; it is written by runs alone",
        )


@dataclass(frozen=True, slots=True)
class LandedFile:
    """A registered file: its path below the data root, and the day a run first saw it."""

    path: str
    sha256: str
    landing_day: date


@dataclass(frozen=True, slots=True)
class LandedAction:
    """An action without personal data, and where it came from. row: from 1."""

    action: Action
    file: str
    row: int
    landing_day: date


@dataclass(frozen=True, slots=True)
class SetAsideAction:
    """A row, or a whole file (row None), that is not taken: why, and how to mend it."""

    file: str
    row: int | None
    landing_day: date
    problem: Problem


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """What is known of a customer as a person or firm, from an instant on."""

    customer_id: str
    valid_from: datetime
    action_id: str
    name: str | None = None
    email: str | None = None
    address: tuple[str, ...] = ()
    tax_id: str | None = None
    country: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class ActionLog:
    """All actions that landed through a day.

    actions:    in the order taken: (at, received_at, landing day, file, row). Rule ACT-1.
    duplicates: rows whose id had come before with the same content.
    customers:  in order of (customer, valid_from), for `write_customers`.
    """

    actions: tuple[LandedAction, ...] = ()
    set_aside: tuple[SetAsideAction, ...] = ()
    duplicates: int = 0
    customers: tuple[CustomerRecord, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What has been read so far, by action id."""

    taken: dict[str, LandedAction] = field(default_factory=dict)
    set_aside: list[SetAsideAction] = field(default_factory=list)
    duplicates: int = 0


def register_actions(
    root: DataRoot, *, through: date, closed_through: date | None = None
) -> tuple[LandedFile, ...]:
    """The registered action files through a landing day; new ones are registered now.

    takes:   closed_through, the last landing day that a posted invoice's cutoff covers.
    returns: files with landing_day <= through, in order of (landing_day, path). A new file's
             landing day is its folder's where no run has gone through that day yet, else
             the day of this run (ACT-1).
    raises:  ActionFileChanged, ActionFileGone, ActionRegisterDamaged.
    """
    before, seen_through = _registered(root)
    known = {file.path: file for file in before}
    for file in before:
        _unchanged(root, file)
    gone_through = [day for day in (seen_through, closed_through) if day is not None]
    new = []
    for path, folder_day in _action_files(root):
        name = str(path.relative_to(root.root))
        if name not in known and folder_day <= through:
            day = _landing_day(folder_day, through, gone_through, closed_through)
            new.append(LandedFile(name, sha256_of(path), day))
    seen = max(through, *gone_through) if gone_through else through
    if new or seen != seen_through:
        _write_register(root, (*before, *new), seen)
    files = sorted((*before, *new), key=lambda file: (file.landing_day, file.path))
    return tuple(file for file in files if file.landing_day <= through)


def registered_actions(root: DataRoot, through: date) -> tuple[LandedFile, ...]:
    """The action files that are registered through a landing day; nothing is registered now.

    returns: in order of (landing_day, path). raises: ActionRegisterDamaged.
    """
    files = sorted(_registered(root)[0], key=lambda file: (file.landing_day, file.path))
    return tuple(file for file in files if file.landing_day <= through)


def read_actions(root: DataRoot, files: Iterable[LandedFile]) -> ActionLog:
    """The actions of registered files, in the order taken. Rules ACT-1, ACT-2.

    takes: files, in order of (landing_day, path), as `register_actions` gives them. The same
           id counts once: the first received.
    """
    reading = _Reading()
    for file in files:
        for row, record in _rows(root.root / file.path, file, reading):
            _take(reading, file, row, record)
    landed = sorted(reading.taken.values(), key=_received)
    facts, customers = without_personal(one.action for one in landed)
    taken = [replace(one, action=action) for one, action in zip(landed, facts, strict=True)]
    return ActionLog(
        actions=tuple(sorted(taken, key=_taken)),
        set_aside=tuple(reading.set_aside),
        duplicates=reading.duplicates,
        customers=tuple(sorted(customers, key=lambda one: (one.customer_id, one.valid_from))),
    )


def write_customers(root: DataRoot, customers: Iterable[CustomerRecord]) -> Path:
    """Write the personal data that actions brought; a file with the same content is left alone."""
    path = root.customers / "customers.parquet"
    rows = [{name: _cell(getattr(one, name)) for name in CUSTOMERS} for one in customers]
    content = BytesIO()
    pl.DataFrame(rows, schema=CUSTOMERS).write_parquet(content, compression="zstd")
    if not path.exists() or path.read_bytes() != content.getvalue():
        with replaced(path) as written:
            written.write_bytes(content.getvalue())
    return path


def set_aside_problems(log: ActionLog) -> tuple[Problem, ...]:
    """What is set aside as problems that name file and row, for `validate`."""
    return tuple(
        replace(one.problem, file=f"{one.file}:{one.row}" if one.row else one.file)
        for one in log.set_aside
    )


def landed_action_files(root: DataRoot) -> tuple[LandedFile, ...]:
    """All action files as they would be registered today, without registering them."""
    return tuple(
        LandedFile(str(path.relative_to(root.root)), sha256_of(path), day)
        for path, day in _action_files(root)
    )


def misplaced_files(root: DataRoot) -> tuple[Problem, ...]:
    """Files in the actions' landing folder that no run will read, by their folder or kind."""
    read = {path for path, _ in _action_files(root)}
    return tuple(
        Problem(
            "ACTION-34",
            str(path.relative_to(root.root)),
            "(whole)",
            "no run reads this file",
            "land it as landing/actions/day=2026-04-01/NAME.jsonl or .parquet",
        )
        for path in sorted(root.actions_landing.rglob("*"))
        if path.is_file() and path not in read and not path.name.startswith(".")
    )


def is_tax_id_valid(tax_id: str, country: str | None) -> bool:
    """Whether a tax id is valid by format and check digits, without asking anyone. Rule TAX-3.

    >>> is_tax_id_valid("NL 1234.56782.B90", "NL"), is_tax_id_valid("NL123456789B90", "NL")
    (True, False)
    """
    if country is None:
        return False
    if country in EU:
        prefix = "EL" if country == "GR" else country
        digits = "".join(letter for letter in tax_id.upper() if letter.isalnum())
        return bool(vat.is_valid(digits if digits.startswith(prefix) else prefix + digits))
    module = get_cc_module(country.lower(), "vat")
    return module is not None and bool(module.is_valid(tax_id))


def arrival(at: datetime, landing_day: date) -> datetime:
    """When an action without `received_at` arrived: as early as its landing day allows.

    It is its own `at` where that lies in the landing day, the day's start where it lies
    before, and the day's last microsecond where it lies after.

    >>> str(arrival(datetime(2026, 4, 1, 10, tzinfo=UTC), date(2026, 4, 1)))
    '2026-04-01 10:00:00+00:00'
    >>> str(arrival(datetime(2026, 3, 1, tzinfo=UTC), date(2026, 4, 1)))
    '2026-04-01 00:00:00+00:00'
    """
    start = datetime.combine(landing_day, time(), UTC)
    return min(max(at, start), start + timedelta(days=1, microseconds=-1))


def _received(landed: LandedAction) -> tuple[datetime, date, str, int]:
    return landed.action.received_at, landed.landing_day, landed.file, landed.row


def _taken(landed: LandedAction) -> tuple[datetime, datetime, date, str, int]:
    return landed.action.at, *_received(landed)


def _action_files(root: DataRoot) -> Iterator[tuple[Path, date]]:
    """Action files with the day of their folder; of other folders and kinds nothing is taken."""
    for folder in sorted(root.actions_landing.glob("day=*")):
        try:
            day = calendar_day(folder.name.removeprefix("day="))
        except ValueError:
            continue
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES and not path.name.startswith("."):
                yield path, day


def _register_path(root: DataRoot) -> Path:
    return root.actions_landing.parent / "actions_register.jsonl"


def _landing_day(
    folder_day: date, through: date, gone_through: list[date], closed_through: date | None
) -> date:
    if not gone_through or folder_day > max(gone_through):
        return folder_day
    day = max(through, *gone_through)
    return day + timedelta(days=1) if closed_through is not None and day <= closed_through else day


def _registered(root: DataRoot) -> tuple[tuple[LandedFile, ...], date | None]:
    """The registered files, and the last landing day that a run has gone through."""
    path = _register_path(root)
    if not path.exists():
        return (), None
    files, seen_through = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            if "seen_through" in row:
                seen_through = date.fromisoformat(row["seen_through"])
            else:
                landed_on = date.fromisoformat(row["landing_day"])
                files.append(LandedFile(row["path"], row["sha256"], landed_on))
        except (ValueError, KeyError, TypeError) as error:
            raise ActionRegisterDamaged(line=number, why=str(error)) from None
    return tuple(files), seen_through


def _write_register(root: DataRoot, files: Iterable[LandedFile], seen_through: date) -> None:
    rows = [
        {"path": file.path, "sha256": file.sha256, "landing_day": str(file.landing_day)}
        for file in files
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines.append(json.dumps({"seen_through": str(seen_through)}))
    with replaced(_register_path(root)) as written:
        written.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _unchanged(root: DataRoot, file: LandedFile) -> None:
    path = root.root / file.path
    if not path.is_file():
        raise ActionFileGone(path=file.path, landing_day=file.landing_day)
    now = sha256_of(path)
    if now != file.sha256:
        raise ActionFileChanged(path=file.path, was=file.sha256, now=now)


def _rows(
    path: Path, file: LandedFile, reading: _Reading
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = list(_parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path))
    except (OSError, pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"the file cannot be read: {reason[:200]}"
        mend = "land it again, whole, under another name"
        _set_aside(reading, file, None, Problem("ACTION-30", file.path, "(whole)", what, mend))
        return
    for row, record in rows:
        if isinstance(record, str):
            _set_aside(reading, file, row, _not_an_action(record))
        else:
            yield row, record


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Rows of JSON Lines; a text in place of a row says why it is none."""
    for row, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            yield row, _record(line)


def _record(line: bytes) -> dict[str, Any] | str:
    try:
        record = _read_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"byte {error.start} of the line is not UTF-8"
    except RecursionError:
        return "the line is nested too deeply"
    except json.JSONDecodeError as error:
        return f"the line is not JSON: {error.msg} at column {error.colno}"
    except ValueError as error:
        return str(error)
    return record if isinstance(record, dict) else "the line is not a JSON object"


def _read_json(text: str) -> Any:
    """JSON whose numbers are the text that was written."""
    return json.loads(
        text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_mapping
    )


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands twice in the line")
    return mapping


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    row = 0
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches():
            for cells in batch.to_pylist():
                row += 1
                yield row, _cells_read(cells)


def _cells_read(cells: dict[str, Any]) -> dict[str, Any] | str:
    """A row of Parquet as an action is written: absent fields left out, JSON texts read."""
    record: dict[str, Any] = {}
    for name, cell in cells.items():
        value = _nested(cell)
        if isinstance(cell, str) and name in NESTED and cell[:1] in {"{", "["}:
            try:
                value = _read_json(cell)
            except ValueError as error:
                return f"the column {name} is not JSON: {error}"
        if value is not None:
            record[name] = value
    return record


def _nested(cell: Any) -> Any:
    """A cell with the absent fields of structures left out; a map is a mapping."""
    match cell:
        case dict():
            return {name: _nested(part) for name, part in cell.items() if part is not None}
        case [(_, _), *_] if all(isinstance(pair, tuple) for pair in cell):
            return dict(cell)
        case list():
            return [_nested(part) for part in cell]
    return cell


def _not_an_action(why: str) -> Problem:
    return Problem("ACTION-31", "", "(whole)", why, "land the action again, one JSON object a line")


def _set_aside(reading: _Reading, file: LandedFile, row: int | None, problem: Problem) -> None:
    named = replace(problem, file=file.path)
    reading.set_aside.append(SetAsideAction(file.path, row, file.landing_day, named))


def _take(reading: _Reading, file: LandedFile, row: int, record: Mapping[str, Any]) -> None:
    action = parse_action(_arrived(record, file.landing_day), where=file.path)
    problems = action if isinstance(action, tuple) else tuple(_unknown_to_the_world(action))
    if isinstance(action, tuple) or problems:
        for problem in problems[:1]:
            _set_aside(reading, file, row, problem)
        return
    first = reading.taken.get(action.id)
    if first is None:
        reading.taken[action.id] = LandedAction(action, file.path, row, file.landing_day)
    elif _content(first.action) == _content(action):
        reading.duplicates += 1
    else:
        what = (
            f"the id {action.id!r} came before, in {first.file} row {first.row}, as another action"
        )
        mend = "land it again with an id of its own"
        _set_aside(reading, file, row, Problem("ACTION-32", file.path, "id", what, mend))


def _arrived(record: Mapping[str, Any], landing_day: date) -> Mapping[str, Any]:
    if record.get("received_at") is not None:
        return record
    try:
        at = utc_instant(record.get("at"))
    except ValueError:
        # what is wrong with `at` is said by the schema, in one place
        at = datetime.combine(landing_day, time(), UTC)
    return {**record, "received_at": arrival(at, landing_day)}


def _content(action: Action) -> dict[str, Any]:
    return action.model_dump(exclude={"received_at"})


def _unknown_to_the_world(action: Action) -> Iterator[Problem]:
    if not isinstance(action, CreateCustomer | UpdateCustomer):
        return
    if action.country is not None and action.country not in Locale("en").territories:
        what = f"there is no country {action.country!r}"
        yield Problem("ACTION-33", "", "country", what, "write its ISO 3166 code, as NL")
    if action.time_zone is not None and zone(action.time_zone) is None:
        what = f"there is no time zone {action.time_zone!r}"
        yield Problem("ACTION-33", "", "time_zone", what, "write an IANA name, as Europe/Berlin")


def without_personal(
    actions: Iterable[Action],
) -> tuple[tuple[Action, ...], tuple[CustomerRecord, ...]]:
    """Actions without personal data, and that data, in the order given.

    takes: actions in order of received_at: what is known of a customer counts when received.
    rule:  CUS-1, TAX-3, ACT-2.
    """
    known: dict[str, CustomerRecord] = {}
    facts: list[Action] = []
    customers: list[CustomerRecord] = []
    for action in actions:
        if isinstance(action, CreateCustomer | UpdateCustomer):
            record = _record_after(action, known.get(action.customer))
            known[action.customer] = record
            customers.append(record)
            facts.append(_billing_facts(action, record))
        else:
            facts.append(action)
    return tuple(facts), tuple(customers)


def _record_after(
    action: CreateCustomer | UpdateCustomer, before: CustomerRecord | None
) -> CustomerRecord:
    """What is known of a customer after an action; it counts when received. Rule ACT-2."""
    start = before or CustomerRecord(action.customer, action.received_at, action.id)
    changes = {
        name: getattr(action, name)
        for name in ("name", "email", "address", "tax_id", "country", "locale")
        if name in action.model_fields_set
    }
    if changes.get("address", ()) is None:
        changes["address"] = ()
    return replace(start, valid_from=action.received_at, action_id=action.id, **changes)


def _billing_facts(action: CreateCustomer | UpdateCustomer, record: CustomerRecord) -> Action:
    """The action without personal data; whether the tax id is valid stands in its place."""
    facts = {
        name: getattr(action, name) for name in action.model_fields_set if name not in PERSONAL
    }
    if action.model_fields_set & {"tax_id", "country"}:
        is_valid = record.tax_id is not None and is_tax_id_valid(record.tax_id, record.country)
        facts["tax_id_checked_on"] = action.received_at.date() if is_valid else None
    return cast("Action", type(action).model_validate(facts))


def _cell(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
