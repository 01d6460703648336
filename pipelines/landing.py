"""Which usage files have landed, and on which landing day each of them counts.

The register, `landing/register.jsonl`, is append-only and an input: a landing day is the
UTC date on which a run first saw a file, and can be found nowhere else. A registered file
that changes or vanishes is a problem that names it, never a new truth.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from billing_core.errors import BillingError, Problem
from pipelines.datasets import sha256_of, sync_folder
from pipelines.mappings import LandedQuery, UsageMapping, landed_query, read_mapping, source_rows
from pipelines.paths import DataRoot, first_line


class DamagedRegister(BillingError):
    """A line of the register cannot be read."""

    code = "LAND-01"

    def __init__(self, *, line: int, why: str) -> None:
        super().__init__(
            what=f"line {line} of the register of landed files cannot be read: {why}",
            where="landing/register.jsonl",
            mend="take the register from a backup; lines are only ever added, never edited",
        )


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file of the register.

    path:   under `landing/usage`; source: the folder it lies in, or empty.
    rows:   all rows of the file; None where it was set aside.
    reason, what, mend: why the whole file is set aside; None where it is used.
    """

    path: str
    sha256: str
    size: int
    modified_ns: int
    rows: int | None
    landing_day: date
    source: str
    mapping_sha256: str | None = None
    reason: str | None = None
    what: str | None = None
    mend: str | None = None

    @property
    def is_used(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Register:
    """What has landed, and the last landing day that a run has gone through."""

    files: tuple[LandedFile, ...]
    seen_through: date | None

    def on(self, day: date) -> tuple[LandedFile, ...]:
        """The files of a landing day, by path."""
        return tuple(file for file in self.files if file.landing_day == day)


@dataclass(frozen=True, slots=True)
class Registered:
    """The register after a run looked at the landing folder, and what it has to report."""

    register: Register
    new: tuple[LandedFile, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    name: str
    folder_day: date
    source: str


def read_register(root: DataRoot) -> Register:
    """The register as it stands; of several lines for a path on one day the last one holds."""
    if not root.register.exists():
        return Register((), None)
    files: dict[tuple[str, date], LandedFile] = {}
    seen_through: date | None = None
    written = root.register.read_bytes()
    for number, line in enumerate(written[: written.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            entry = json.loads(line)
            if entry["kind"] == "through":
                seen_through = date.fromisoformat(entry["landing_day"])
            else:
                file = _file_of(entry)
                files[file.path, file.landing_day] = file
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedRegister(line=number, why=str(error)) from None
    ordered = sorted(files.values(), key=lambda file: (file.landing_day, file.path))
    return Register(tuple(ordered), seen_through)


def register_new_files(
    root: DataRoot, through: date, *, closed_through: date | None = None
) -> Registered:
    """Register what has landed in the folders of days up to `through`.

    takes:   closed_through, the last landing day that a posted invoice's cutoff covers.
    returns: new files with their landing day: the folder's day where no run has gone
             through it yet, else the day of this run (USE-8); problems of files that
             changed, vanished, lie in a wrong place or cannot be read, and of mappings
             that are not what files landed under.
    """
    before = read_register(root)
    found, problems = _look(root, through)
    known = {file.path: file for file in before.files}
    problems += _vanished(root, known.values())
    problems += _changed_mappings(root, known.values())
    fresh: list[LandedFile] = []
    with duckdb.connect() as connection:
        connection.execute("set global TimeZone = 'UTC'")
        for item in found:
            checked = _checked(root, item, known.get(item.name))
            if isinstance(checked, Problem):
                problems.append(checked)
            elif checked:
                day = _landing_day(item.folder_day, through, before.seen_through, closed_through)
                fresh.append(_registered(connection, root, item, day))
    seen = max(through, before.seen_through or through)
    if fresh or seen != before.seen_through:
        _append(root, fresh, seen)
    problems += [
        Problem(
            "LAND-06", f"landing/usage/{file.path}", "(whole)", file.what or "", file.mend or ""
        )
        for file in fresh
        if not file.is_used
    ]
    return Registered(read_register(root), tuple(fresh), tuple(problems))


def changed_problem(root: DataRoot, file: LandedFile) -> Problem | None:
    """Why a registered file cannot be read again: it vanished, or has other bytes."""
    path = root.usage_landing / file.path
    if not path.exists():
        return _vanished_problem(file)
    stat = path.stat()
    is_same = (stat.st_size, stat.st_mtime_ns) == (file.size, file.modified_ns)
    if is_same or sha256_of(path) == file.sha256:
        return None
    return Problem(
        "LAND-02",
        f"landing/usage/{file.path}",
        "(whole)",
        f"the file changed after it landed on {file.landing_day}; what was metered from it stands",
        "put the file back as it was, and land what is new as a file of its own",
    )


def reading_problem(root: DataRoot, file: LandedFile) -> Problem | None:
    """Why a used file cannot be read again as it landed: it, or its mapping, has changed."""
    problem = changed_problem(root, file)
    if problem is not None or _mapping_sha256(root, file.source) == file.mapping_sha256:
        return problem
    return _mapping_problem(file)


def mapping_of(root: DataRoot, source: str) -> UsageMapping | tuple[Problem, ...] | None:
    """The mapping of a source; None where it has none."""
    path = root.mappings / f"{source}.yaml"
    if not source or not path.exists():
        return None
    return read_mapping(path, file=f"landing/mappings/{source}.yaml")


def file_query(
    connection: duckdb.DuckDBPyConnection, root: DataRoot, file: LandedFile
) -> LandedQuery | Problem:
    """How to read a used file of the register again, or why it cannot be."""
    problem = reading_problem(root, file)
    if problem is not None:
        return problem
    mapping = mapping_of(root, file.source)
    if isinstance(mapping, tuple):
        return _mapping_problem(file)
    query = landed_query(
        connection, root.usage_landing / file.path, mapping, default_source=file.source
    )
    if isinstance(query, LandedQuery):
        return query
    return _problem_of(file, query.what, query.mend)


def _problem_of(file: LandedFile, what: str, mend: str) -> Problem:
    return Problem("LAND-06", f"landing/usage/{file.path}", "(whole)", what, mend)


def _look(root: DataRoot, through: date) -> tuple[list[_Found], list[Problem]]:
    """Every file in the folders of days up to `through`, by path, and what lies elsewhere."""
    found: list[_Found] = []
    problems: list[Problem] = []
    for path in sorted(root.usage_landing.rglob("*")) if root.usage_landing.is_dir() else ():
        name = path.relative_to(root.usage_landing)
        if path.is_dir() or any(part.startswith((".", "_")) for part in name.parts):
            continue
        day = _folder_day(name.parts[0])
        if day is None or len(name.parts) not in {2, 3}:
            problems.append(_misplaced(name.as_posix()))
        elif day <= through:
            source = name.parts[1] if len(name.parts) == 3 else ""
            found.append(_Found(path, name.as_posix(), day, source))
    return found, problems


def _folder_day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix("day=")) if name.startswith("day=") else None
    except ValueError:
        return None


def _misplaced(name: str) -> Problem:
    return Problem(
        "LAND-04",
        f"landing/usage/{name}",
        "(whole)",
        "the file does not lie in the folder of a day, so it is not read",
        "move it to day=YYYY-MM-DD/FILE or day=YYYY-MM-DD/SOURCE/FILE",
    )


def _vanished(root: DataRoot, files: Iterable[LandedFile]) -> list[Problem]:
    return [
        _vanished_problem(file)
        for file in files
        if file.is_used and not (root.usage_landing / file.path).exists()
    ]


def _changed_mappings(root: DataRoot, files: Iterable[LandedFile]) -> list[Problem]:
    """Mappings that are not what files landed under, each told by the first of those files."""
    first = {
        (file.source, file.mapping_sha256): file for file in reversed([*files]) if file.is_used
    }
    return [
        _mapping_problem(file)
        for (source, sha256), file in sorted(first.items(), key=lambda item: item[1].path)
        if _mapping_sha256(root, source) != sha256
    ]


def _mapping_problem(file: LandedFile) -> Problem:
    return Problem(
        "LAND-07",
        f"landing/mappings/{file.source}.yaml",
        "(whole)",
        f"the mapping changed after {file.path} landed on {file.landing_day};"
        " what was metered with the old one stands",
        "put the mapping back, and give files with other columns a source of their own",
    )


def _vanished_problem(file: LandedFile) -> Problem:
    return Problem(
        "LAND-03",
        f"landing/usage/{file.path}",
        "(whole)",
        f"the file landed on {file.landing_day} and is gone; what was metered from it stands",
        "put it back if it is in an archive; it is needed where a day has to be read again",
    )


def _checked(root: DataRoot, item: _Found, known: LandedFile | None) -> bool | Problem:
    """Whether a file has to be registered; a problem where it changed after it was used."""
    if known is None:
        return True
    problem = changed_problem(root, known)
    if known.is_used:
        return problem if problem is not None else False
    # A file that was set aside as a whole counts nothing yet: its cure comes in as new.
    return problem is not None or _mapping_sha256(root, item.source) != known.mapping_sha256


def _landing_day(
    folder_day: date, through: date, seen_through: date | None, closed_through: date | None
) -> date:
    """The landing day of a file that no run has seen before.

    >>> april = lambda day: date(2026, 4, day)
    >>> str(_landing_day(april(3), april(9), None, None)), str(
    ...     _landing_day(april(3), april(9), april(8), None))
    ('2026-04-03', '2026-04-09')
    >>> str(_landing_day(april(9), april(9), april(9), None)), str(
    ...     _landing_day(april(9), april(9), april(9), april(9)))
    ('2026-04-09', '2026-04-10')
    """
    gone_through = [day for day in (seen_through, closed_through) if day is not None]
    if not gone_through or folder_day > max(gone_through):
        return folder_day
    day = max(through, *gone_through)
    return day + timedelta(days=1) if closed_through is not None and day <= closed_through else day


def _registered(
    connection: duckdb.DuckDBPyConnection, root: DataRoot, item: _Found, day: date
) -> LandedFile:
    stat = item.path.stat()
    file = LandedFile(
        path=item.name,
        sha256=sha256_of(item.path),
        size=stat.st_size,
        modified_ns=stat.st_mtime_ns,
        rows=None,
        landing_day=day,
        source=item.source,
        mapping_sha256=_mapping_sha256(root, item.source),
    )
    mapping = mapping_of(root, item.source)
    if isinstance(mapping, tuple):
        what, mend = str(mapping[0].what), str(mapping[0].mend)
        return replace(file, reason="mapping_refused", what=f"{mapping[0].path}: {what}", mend=mend)
    query = landed_query(connection, item.path, mapping, default_source=item.source)
    if not isinstance(query, LandedQuery):
        return replace(file, reason=query.reason, what=query.what, mend=query.mend)
    try:
        return replace(file, rows=source_rows(connection, query))
    except duckdb.Error as error:
        what = f"the file cannot be read: {first_line(error, item.path)}"
        mend = "land it again, whole, under another name"
        return replace(file, reason="unreadable_file", what=what, mend=mend)


def _mapping_sha256(root: DataRoot, source: str) -> str | None:
    path = root.mappings / f"{source}.yaml"
    return sha256_of(path) if source and path.exists() else None


def _file_of(entry: dict[str, Any]) -> LandedFile:
    fields = {key: value for key, value in entry.items() if key != "kind"}
    return LandedFile(**(fields | {"landing_day": date.fromisoformat(entry["landing_day"])}))


def _lines(files: Sequence[LandedFile], seen_through: date) -> Iterator[str]:
    for file in files:
        entry = asdict(file) | {"landing_day": str(file.landing_day)}
        yield json.dumps({"kind": "file"} | entry, ensure_ascii=False, sort_keys=True)
    yield json.dumps({"kind": "through", "landing_day": str(seen_through)}, sort_keys=True)


def _append(root: DataRoot, files: Sequence[LandedFile], seen_through: date) -> None:
    """Add lines durably; one that a crash left unfinished is taken away first."""
    path = root.register
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.read_bytes() if path.exists() else b""
    whole = written.rfind(b"\n") + 1
    text = "".join(f"{line}\n" for line in _lines(files, seen_through))
    with path.open("rb+" if path.exists() else "wb") as file:
        file.truncate(whole)
        file.seek(whole)
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
