"""The books: what was posted, for ever, in a chain that shows any later change.

A posting is a folder `books/000001/` of Parquet files and a manifest. It is written under
a temporary name and appears by one rename, which is the commit of posting. The manifest
holds the hash of each file, of the inputs, of itself and of the manifest before it, so
that a changed byte, a missing file and a gap are all found and named.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from billing_core.actions import Outcome
from billing_core.errors import BillingError, Problem
from billing_core.invoice import Invoice
from pipelines.datasets import (
    clear_disk_errors,
    parquet_bytes,
    sha256_of,
    sync_file,
    sync_folder,
)
from pipelines.drafts import totals_of
from pipelines.frames import (
    INSTANT,
    INVOICES,
    LINE_DETAILS,
    LINES,
    OUTCOMES,
    USED_FEATURES,
    InvoiceFrames,
    Schema,
    invoice_frames,
    invoices_from,
    outcome_frame,
    outcomes_from,
    table,
)
from pipelines.paths import PACKAGE_ROOT, DataRoot

BOOKED_INVOICES: Schema = {
    "posting": pl.Int64,
    "number": pl.String,
    "sequence": pl.Int64,
    "seller": pl.String,
    "issued_on": pl.Date,
    "due_on": pl.Date,
    **INVOICES,
}
"""One row a posted invoice, in the order of its number."""

STATES: Schema = {
    "customer_id": pl.String,
    "boundary_at": INSTANT,
    "state_version": pl.String,
    "state": pl.String,
}
"""One row a customer of the posting, by customer_id; `state` is text that only its maker reads."""

FILES: Mapping[str, Schema] = {
    "invoices": BOOKED_INVOICES,
    "invoice_lines": LINES,
    "invoice_line_details": LINE_DETAILS,
    "invoice_usage": USED_FEATURES,
    "outcomes": OUTCOMES,
    "states": STATES,
}
"""The Parquet files of a posting, by name without the suffix."""

MANIFEST = "manifest.json"
_FOLDER = re.compile(r"\d{6,}")
_RESTORE = "restore it from a backup of books/; nothing is posted or published until then"


class DamagedBooks(BillingError):
    """What is in the books is not what was posted."""

    code = "BOOKS-01"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            what=f"the books are damaged: {first.what}{more}",
            where=f"{first.file}: {first.path}",
            mend=first.mend,
        )
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class BookedState:
    """A customer's state at his last posted boundary: a cache, made again where it is missing."""

    customer_id: str
    boundary_at: datetime
    state_version: str
    state: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the posted invoices are a function of. Rule PST-3.

    files:  path under the data root -> sha256; of a folder, of the names and hashes in it.
    engine: version of the package; sources: sha256 of the billing core and the usage SQL.
    """

    files: Mapping[str, str]
    engine: str
    sources: str
    tzdata: str


@dataclass(frozen=True, slots=True)
class PostedInvoice:
    """An invoice with what posting gave it. Rules PAY-0, PST-6.

    sequence: the number's own number, gapless for each seller and year of issue.
    """

    invoice: Invoice
    posting: int
    number: str
    sequence: int
    seller: str
    issued_on: date
    due_on: date


@dataclass(frozen=True, slots=True)
class Posting:
    """What one posting puts into the books; `posting` of each invoice is its number."""

    posted_on: date
    through: date
    draft_hash: str
    inputs: Inputs
    invoices: Sequence[PostedInvoice]
    outcomes: Sequence[Outcome] = ()
    states: Sequence[BookedState] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a posting's manifest says, and the hash of the manifest's own bytes."""

    posting: int
    posted_on: date
    through: date
    draft_hash: str
    previous: str | None
    first_number: str
    last_number: str
    invoices: int
    totals: Mapping[str, Decimal]
    inputs: Inputs
    files: Mapping[str, str]
    sha256: str


@dataclass(frozen=True, slots=True)
class Books:
    """All that was posted, in order of posting. `states` holds each customer's last one."""

    postings: tuple[Manifest, ...]
    invoices: tuple[PostedInvoice, ...]
    outcomes: tuple[Outcome, ...]
    states: Mapping[str, BookedState]

    @property
    def invoice_ids(self) -> frozenset[str]:
        return frozenset(posted.invoice.id for posted in self.invoices)

    @property
    def newest_cutoff_on(self) -> date | None:
        """The last landing day that some posted invoice was rated with; None without any."""
        cutoffs = (posted.invoice.cutoff_on for posted in self.invoices)
        return max((day for day in cutoffs if day is not None), default=None)

    def of_customer(self, customer_id: str) -> tuple[PostedInvoice, ...]:
        """The customer's posted invoices, in order of posting."""
        return tuple(it for it in self.invoices if it.invoice.customer_id == customer_id)

    def last_sequence(self, seller: str, year: int) -> int | None:
        """The last number that a seller gave in a year of issue; None if there was none."""
        sequences = (
            posted.sequence
            for posted in self.invoices
            if posted.seller == seller and posted.issued_on.year == year
        )
        return max(sequences, default=None)


def unbooked(books: Books, invoices: Iterable[Invoice]) -> tuple[Invoice, ...]:
    """The invoices that were not posted yet, in the order given."""
    booked = books.invoice_ids
    return tuple(invoice for invoice in invoices if invoice.id not in booked)


def read_books(root: DataRoot) -> Books:
    """All that was posted, after every byte was checked.

    returns: empty books where nothing was posted yet.
    raises:  DamagedBooks.
    """
    raise_if_damaged(root)
    states = booked_table(root, "states").iter_rows(named=True)
    return Books(
        postings=tuple(read_manifest(folder) for folder in posting_folders(root)),
        invoices=_posted_invoices(root),
        outcomes=outcomes_from(booked_table(root, "outcomes")),
        states={
            row["customer_id"]: BookedState(
                **{**row, "boundary_at": row["boundary_at"].astimezone(UTC)}
            )
            for row in states
        },
    )


def posting_folders(root: DataRoot) -> list[Path]:
    """The folders of all postings, in their order."""
    if not root.books.is_dir():
        return []
    found = [path for path in root.books.iterdir() if _FOLDER.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name))


def booked_table(root: DataRoot, name: str) -> pl.DataFrame:
    """One file of every posting, in order of posting; empty with its columns if there is none."""
    paths = [folder / f"{name}.parquet" for folder in posting_folders(root)]
    return pl.concat(
        [table([], FILES[name]), *(pl.read_parquet(path, glob=False) for path in paths)]
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of one posting. The books are not checked here."""
    text = (folder / MANIFEST).read_bytes()
    record = json.loads(text)
    return Manifest(
        posting=record["posting"],
        posted_on=date.fromisoformat(record["posted_on"]),
        through=date.fromisoformat(record["through"]),
        draft_hash=record["draft_hash"],
        previous=record["previous"],
        first_number=record["first_number"],
        last_number=record["last_number"],
        invoices=record["invoices"],
        totals={code: Decimal(amount) for code, amount in record["totals"].items()},
        inputs=Inputs(**record["inputs"]),
        files={name: file["sha256"] for name, file in record["files"].items()},
        sha256=hashlib.sha256(text).hexdigest(),
    )


def write_posting(root: DataRoot, posting: Posting) -> Path:
    """Add a posting to the books. The rename is the commit; before it nothing was posted.

    takes:   at least one invoice. The writer's lock is held and the books were checked.
    returns: the folder of the posting.
    """
    number = len(posting_folders(root)) + 1
    folder, temporary = root.books / f"{number:06}", root.books / f".tmp-{uuid.uuid4().hex}"
    with clear_disk_errors(folder):
        try:
            temporary.mkdir(parents=True)
            sync_folder(root.root)
            _fill(temporary, posting, number=number, previous=_last_manifest_hash(root))
            sync_folder(temporary)
            temporary.rename(folder)
            sync_folder(root.books)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def inputs_of(root: DataRoot) -> Inputs:
    """The hashes of all that invoices are a function of, as it lies there now. Rule PST-3."""
    registers = root.register.parent.glob("*.jsonl")
    files = {
        path.relative_to(root.root).as_posix(): sha256_of(path)
        for path in (*root.catalog.glob("**/*"), *registers)
        if path.is_file() and not path.name.startswith(".")
    }
    for folder in (root.actions_landing, root.mappings):
        files[folder.relative_to(root.root).as_posix()] = _folder_hash(folder, "**/*")
    return Inputs(
        files=dict(sorted(files.items())),
        engine=_version("fairbill"),
        sources=engine_sources(),
        tzdata=_version("tzdata"),
    )


def engine_sources() -> str:
    """The hash of what decides what is owed: the billing core and the usage SQL."""
    return _folder_hash(PACKAGE_ROOT, "billing_core/**/*.py", "sql/[su]*/**/*.sql")


def verify_books(root: DataRoot) -> list[Problem]:
    """Everything in the books that is not as it was posted, in order; empty when all is well.

    A change of any byte, a missing or additional file, a gap in the chain of postings or in
    the numbers of invoices. What posting did not finish (`.tmp-...`) is not part of them.
    """
    problems = list(_strays(root))
    previous: str | None = None
    for position, folder in enumerate(posting_folders(root), start=1):
        if int(folder.name) != position:
            what = f"posting {position:06} is missing: {folder.name} comes next"
            problems.append(_problem(root, folder, "posting", what, code="BOOKS-03"))
            break
        problems.extend(_posting_problems(root, folder, previous))
        manifest = folder / MANIFEST
        previous = sha256_of(manifest) if manifest.is_file() else None
    return problems or list(_number_problems(root))


def raise_if_damaged(root: DataRoot) -> None:
    """raises: DamagedBooks, naming the first problem and holding all of them."""
    if problems := verify_books(root):
        raise DamagedBooks(problems)


def book_frames(root: DataRoot) -> InvoiceFrames:
    """The tables of all posted invoices, each sorted by its key."""
    key = ["invoice_id"]
    return InvoiceFrames(
        invoices=booked_table(root, "invoices"),
        lines=booked_table(root, "invoice_lines").sort([*key, "line"]),
        line_details=booked_table(root, "invoice_line_details").sort([*key, "line", "detail"]),
        used_features=booked_table(root, "invoice_usage").sort([*key, "position"]),
    )


def _posted_invoices(root: DataRoot) -> tuple[PostedInvoice, ...]:
    frames = book_frames(root)
    posted = frames.invoices.select(list(BOOKED_INVOICES)[:6]).iter_rows(named=True)
    return tuple(
        PostedInvoice(invoice=invoice, **row)
        for invoice, row in zip(invoices_from(frames), posted, strict=True)
    )


def _fill(folder: Path, posting: Posting, *, number: int, previous: str | None) -> None:
    written: dict[str, dict[str, object]] = {}
    for name, frame in _posting_tables(posting).items():
        path = folder / f"{name}.parquet"
        path.write_bytes(parquet_bytes(frame))
        sync_file(path)
        written[path.name] = {"sha256": sha256_of(path), "rows": frame.height}
    inputs = posting.inputs
    record: dict[str, object] = {
        "posting": number,
        "posted_on": str(posting.posted_on),
        "through": str(posting.through),
        "draft_hash": posting.draft_hash,
        "previous": previous,
        "first_number": posting.invoices[0].number,
        "last_number": posting.invoices[-1].number,
        "invoices": len(posting.invoices),
        "totals": {
            code: str(amount)
            for code, amount in totals_of(posted.invoice for posted in posting.invoices).items()
        },
        "inputs": {field.name: getattr(inputs, field.name) for field in fields(inputs)},
        "files": written,
    }
    path = folder / MANIFEST
    path.write_text(_text({**record, "seal": _seal(record)}), encoding="utf-8")
    sync_file(path)


def _posting_tables(posting: Posting) -> dict[str, pl.DataFrame]:
    frames = invoice_frames([posted.invoice for posted in posting.invoices])
    rows = {it.invoice.id: it for it in posting.invoices}
    given = frames.invoices.with_columns(
        pl.Series(name, [getattr(rows[key], name) for key in frames.invoices["invoice_id"]], dtype)
        for name, dtype in list(BOOKED_INVOICES.items())[:6]
    )
    states = sorted(posting.states, key=lambda state: state.customer_id)
    return {
        "invoices": given.select(list(BOOKED_INVOICES)).sort("sequence"),
        "invoice_lines": frames.lines,
        "invoice_line_details": frames.line_details,
        "invoice_usage": frames.used_features,
        "outcomes": outcome_frame(posting.outcomes),
        "states": table(
            ((it.customer_id, it.boundary_at, it.state_version, it.state) for it in states), STATES
        ),
    }


def _text(record: Mapping[str, object]) -> str:
    """The one way to write a manifest: any other text of the same record is a change."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _seal(record: Mapping[str, object]) -> str:
    """The hash that a manifest holds of its own other fields: the newest has no successor."""
    return hashlib.sha256(_text(record).encode()).hexdigest()


def _last_manifest_hash(root: DataRoot) -> str | None:
    folders = posting_folders(root)
    return sha256_of(folders[-1] / MANIFEST) if folders else None


def _strays(root: DataRoot) -> Iterator[Problem]:
    if not root.books.is_dir():
        return
    for path in sorted(root.books.iterdir()):
        is_posting = path.is_dir() and _FOLDER.fullmatch(path.name)
        if not is_posting and not path.name.startswith(".tmp-"):
            what = f"{path.name} is not a posting"
            yield _problem(root, path, "-", what, code="BOOKS-02", mend="move it elsewhere")


def _posting_problems(root: DataRoot, folder: Path, previous: str | None) -> Iterator[Problem]:
    path = folder / MANIFEST
    if not path.is_file():
        yield _problem(root, path, "-", "the manifest is missing")
        return
    record = _sealed_record(path)
    if record is None or record["posting"] != int(folder.name):
        yield _problem(root, path, "seal", "the manifest has changed since it was posted")
        return
    if record["previous"] != previous:
        what = "the posting before it is not the one that this one was added to"
        yield _problem(root, path, "previous", what, code="BOOKS-03")
    for name, file in record["files"].items():
        if not (folder / name).is_file():
            yield _problem(root, folder / name, f"files.{name}", "a file is missing")
        elif sha256_of(folder / name) != file["sha256"]:
            what = "a file has changed since it was posted"
            yield _problem(root, folder / name, f"files.{name}", what)
    for extra in sorted({entry.name for entry in folder.iterdir()} - {*record["files"], MANIFEST}):
        what = f"{extra} does not belong to the posting"
        mend = "move it elsewhere"
        yield _problem(root, folder / extra, "-", what, code="BOOKS-02", mend=mend)


def _sealed_record(path: Path) -> dict[str, Any] | None:
    """The manifest's record, or None where its bytes are not those that were posted."""
    content = path.read_bytes()
    try:
        record = json.loads(content)
        seal = record.pop("seal")
        text = _text({**record, "seal": seal}).encode()
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return record if text == content and seal == _seal(record) else None


def _number_problems(root: DataRoot) -> Iterator[Problem]:
    """Gaps in the numbers of a seller and year, and numbers given twice. Rule PST-2."""
    if not posting_folders(root):
        return
    invoices = booked_table(root, "invoices").with_columns(year=pl.col("issued_on").dt.year())
    given: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in invoices.iter_rows(named=True):
        given.setdefault((row["seller"], row["year"]), []).append((row["sequence"], row["posting"]))
    for (seller, year), numbers in sorted(given.items()):
        for (before, _), (after, posting) in pairwise(numbers):
            if after != before + 1:
                what = f"number {after} of {seller} in {year} follows {before}"
                folder = root.books / f"{posting:06}"
                yield _problem(root, folder, "invoices.sequence", what, code="BOOKS-04")


def _problem(
    root: DataRoot,
    path: Path,
    place: str,
    what: str,
    *,
    code: str = "BOOKS-01",
    mend: str = _RESTORE,
) -> Problem:
    file = path.relative_to(root.root).as_posix()
    return Problem(code=code, file=file, path=place, what=what, mend=mend)


def _folder_hash(folder: Path, *patterns: str) -> str:
    """One hash over the names and hashes of the files in a folder that match."""
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    text = "".join(f"{path.relative_to(folder).as_posix()}\t{sha256_of(path)}\n" for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
