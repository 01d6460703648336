"""The warehouse that analysts open: built beside the old one and published by one rename.

`warehouse.duckdb` is a projection of the datasets and the books. What an analyst starts
from are tables; what is large are views on the exact files. It says in `_publications` and
`_manifest` of what it was made, so that an older copy is noticed, and so that files go only
when no recent publication names them. A reader keeps the version that it opened.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from billing_core.errors import BillingError
from pipelines import marts
from pipelines.books import FILES, MANIFEST, posting_folders, raise_if_damaged
from pipelines.charges import CHARGES
from pipelines.datasets import (
    clear_disk_errors,
    current_files,
    sha256_of,
    sweep_superseded,
    sync_file,
    sync_folder,
)
from pipelines.drafts import (
    BY_DAY,
    WHOLE,
    DamagedDrafts,
    DraftSummary,
    NoDrafts,
    read_previous,
    read_summary,
)
from pipelines.frames import Schema, table
from pipelines.ledger import LEDGERS
from pipelines.marts import Mart, mart
from pipelines.notices import NOTICES
from pipelines.outbox import OUTBOX, outbox_frame, outbox_path
from pipelines.paths import DataRoot, exact_pattern, sql_text
from pipelines.set_aside import ACTIONS_SET_ASIDE
from pipelines.standing import STANDING
from pipelines.usage_frames import (
    SET_ASIDE,
    USAGE_CONFLICTS,
    USAGE_DAILY,
    USAGE_SET_ASIDE,
    USAGE_SNAPSHOT_TOKENS,
    USAGE_SNAPSHOTS,
)
from pipelines.writer import writer

STORAGE_VERSION = "v1.0.0"
"""The file format, so that older clients read it."""

KEPT_PUBLICATIONS = 3
GRACE_SECONDS = 3600.0
"""A file goes when none of the last publications names it and it was superseded so long ago."""

BOOKED = {f"booked_{name}": name for name in FILES}
"""Logical table -> file of a posting."""

LANDED: Mapping[str, Schema] = {
    "usage_daily": USAGE_DAILY,
    "usage_snapshots": USAGE_SNAPSHOTS,
    "usage_snapshot_tokens": USAGE_SNAPSHOT_TOKENS,
    "usage_conflicts": USAGE_CONFLICTS,
    "set_aside": SET_ASIDE,
    "usage_set_aside": USAGE_SET_ASIDE,
    "actions_set_aside": ACTIONS_SET_ASIDE,
}
"""Datasets of what landed, by name, with the columns that they have even when nothing did."""


class BooksAreOlder(BillingError):
    """The published warehouse knows of a posting that is not in the books any more."""

    code = "WAREHOUSE-01"

    def __init__(self, *, published: int, booked: int, path: Path) -> None:
        super().__init__(
            what=f"posting {published:06} was published, but the books end with {booked:06}",
            where=str(path),
            mend="restore the newest backup of books/; numbers of the missing postings were "
            "given to customers and must not be given again",
        )


class ChecksFailed(BillingError):
    """What would be published contradicts itself; the old warehouse stays."""

    code = "WAREHOUSE-02"

    def __init__(self, failed: Sequence["CheckResult"]) -> None:
        first = failed[0]
        super().__init__(
            what=f"{first.name}: {first.offending} rows, the first is {first.first}",
            where=", ".join(f"check {result.name}" for result in failed),
            mend="nothing was published; look for the cause in what was staged and run again",
        )
        self.failed = tuple(failed)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How many rows a check found that must not be there, and the first of them."""

    name: str
    what: str
    offending: int
    first: str

    @property
    def has_passed(self) -> bool:
        return self.offending == 0


@dataclass(frozen=True, slots=True)
class Source:
    """One logical table: the files that hold it now, or the rows themselves."""

    name: str
    schema: Schema
    files: tuple[tuple[str, str, Path], ...] = ()
    rows: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What a warehouse was made of. `posting` is the last one in it, 0 without any."""

    publication: int
    inputs_hash: str
    draft_hash: str | None
    posting: int
    root: str


@dataclass(frozen=True, slots=True)
class Published:
    """What a call of `publish` did; `is_new` is false when not one file was changed."""

    publication: Publication
    path: Path
    is_new: bool
    rows: Mapping[str, int]
    swept: tuple[Path, ...] = ()


def publish(
    root: DataRoot, *, is_forced: bool = False, grace_seconds: float = GRACE_SECONDS
) -> Published:
    """Publish what there is now, if it differs from what was published.

    An older, a damaged or a missing `warehouse.duckdb` differs, and so does a root that was
    moved. `is_forced` publishes in any case.
    raises: BooksAreOlder, DamagedBooks, ChecksFailed, WriterIsBusy, DiskIsFull; the old
            warehouse is as it was then.
    """
    with writer(root):
        raise_if_damaged(root)
        before, sources = published(root), sources_of(root)
        now = _publication(root, sources, before)
        if before is not None and before.posting > now.posting:
            raise BooksAreOlder(
                published=before.posting, booked=now.posting, path=root.books.absolute()
            )
        if before is not None and before.inputs_hash == now.inputs_hash and not is_forced:
            return Published(before, root.database, is_new=False, rows={})
        rows = _build(root, sources, now)
        swept = sweep_superseded(root, keep=_kept(root), older_than_seconds=grace_seconds)
        return Published(now, root.database, is_new=True, rows=rows, swept=tuple(swept))


def published(root: DataRoot) -> Publication | None:
    """What the published warehouse was made of; None where there is none that can be read."""
    try:
        with reading(root) as connection:
            row = connection.execute(
                "select publication, inputs_hash, draft_hash, posting, root from _publications"
                " order by publication desc limit 1"
            ).fetchone()
    except (duckdb.Error, FileNotFoundError):
        return None
    return None if row is None else Publication(*row)


@contextmanager
def reading(root: DataRoot) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse, for reading. raises: FileNotFoundError where there is none."""
    if not root.database.is_file():
        raise FileNotFoundError(root.database)
    connection = duckdb.connect(str(root.database), read_only=True)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def sources_of(root: DataRoot) -> tuple[Source, ...]:
    """Every logical table that marts read, with the files that hold it now, by name."""
    folders = posting_folders(root)
    booked = (
        Source(
            name,
            FILES[file],
            tuple((f"books.{file}", it.name, it / f"{file}.parquet") for it in folders),
        )
        for name, file in BOOKED.items()
    )
    summary = _summary(root)
    drafted = (
        Source(name, schema, _draft_files(root, summary, name))
        for name, schema in {**BY_DAY, **WHOLE}.items()
    )
    others = (
        Source(
            name,
            schema,
            tuple((name, part, path) for part, path in current_files(root, name).items()),
        )
        for name, schema in {**STANDING, **CHARGES, **LEDGERS, **NOTICES, **LANDED}.items()
    )
    letters = Source("outbox", OUTBOX, rows=outbox_frame(root))
    return tuple(sorted((*booked, *drafted, *others, letters), key=lambda source: source.name))


def run_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Every check on a warehouse: the grain of each mart, and the identities of money."""
    return [
        *(_grain_check(connection, mart(name)) for name in marts.KEYED),
        *(_check(connection, name, sql_text(f"checks/{name}")) for name in marts.CHECKS),
    ]


def _summary(root: DataRoot) -> DraftSummary | None:
    try:
        return read_summary(root)
    except NoDrafts:
        return None


def _draft_files(
    root: DataRoot, summary: DraftSummary | None, dataset: str
) -> tuple[tuple[str, str, Path], ...]:
    """The files of one dataset of the drafts. raises: DamagedDrafts, if one is gone."""
    named = () if summary is None else summary.files
    files = tuple(
        (dataset, file.partition, root.warehouse / file.path)
        for file in named
        if file.dataset == dataset
    )
    for _, _, path in files:
        if not path.is_file():
            raise DamagedDrafts(path)
    return files


def _publication(
    root: DataRoot, sources: Sequence[Source], before: Publication | None
) -> Publication:
    """What would be published now, after `before`. The hash is over names: they hold hashes."""
    summary, folders = _summary(root), posting_folders(root)
    outbox = outbox_path(root)
    described = {
        "root": str(root.root.resolve()),
        "files": sorted({str(path) for source in sources for _, _, path in source.files}),
        "last posting": sha256_of(folders[-1] / MANIFEST) if folders else None,
        "outbox": sha256_of(outbox) if outbox.is_file() else None,
        "models": [mart(name).sql for name in (*marts.TABLES, *marts.VIEWS)],
        "storage": STORAGE_VERSION,
    }
    return Publication(
        publication=1 if before is None else before.publication + 1,
        inputs_hash=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        draft_hash=None if summary is None else summary.hash,
        posting=len(folders),
        root=str(root.root.resolve()),
    )


def _build(root: DataRoot, sources: Sequence[Source], now: Publication) -> dict[str, int]:
    """Build the new warehouse beside the old one, check it, and put it in its place."""
    temporary = root.warehouse / f".warehouse.{uuid.uuid4().hex}.duckdb"
    history = _history(root)
    with clear_disk_errors(root.database):
        try:
            with _staged(temporary) as connection:
                _fill(connection, sources)
                _describe(connection, root, sources, now=now, history=history)
                connection.execute("use target")
                if failed := [it for it in run_checks(connection) if not it.has_passed]:
                    raise ChecksFailed(failed)
                rows = _row_counts(connection)
                connection.execute("use memory")
            sync_file(temporary)
            temporary.replace(root.database)
            sync_folder(root.warehouse)
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    return rows


@contextmanager
def _staged(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database file, attached as `target` to one in memory that holds the sources."""
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            f"attach {_quoted(str(path))} as target (storage_version '{STORAGE_VERSION}')"
        )
        yield connection
        connection.execute("detach target")
    finally:
        connection.close()


def _fill(connection: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    by_name = {source.name: source for source in sources}
    for source in sources:
        if source.files:
            connection.execute(f"create view {source.name} as select * from {_files(source)}")
        else:
            rows = table([], source.schema) if source.rows is None else source.rows
            connection.register(source.name, rows)
    for name in marts.TABLES:
        connection.execute(f"create table target.main.{name} as {mart(name).sql}")
        _comment(connection, mart(name), kind="table")
    for name in marts.VIEWS:
        _view(connection, mart(name), by_name)


def _view(
    connection: duckdb.DuckDBPyConnection, model: Mart, sources: Mapping[str, Source]
) -> None:
    """A view on the exact files, or on no rows of the right types while there is no file."""
    imports = ", ".join(
        f"{name} as ({_import(connection, sources[name])})" for name in model.sources
    )
    connection.execute(
        f"create view target.main.{model.name} as with {imports} select * from ({model.sql})"
    )
    _comment(connection, model, kind="view")


def _import(connection: duckdb.DuckDBPyConnection, source: Source) -> str:
    if source.files:
        return f"select * from {_files(source)}"
    columns = connection.execute(f"describe {source.name}").fetchall()
    nulls = ", ".join(f'cast(null as {column[1]}) as "{column[0]}"' for column in columns)
    return f"select {nulls} where false"


def _comment(connection: duckdb.DuckDBPyConnection, model: Mart, *, kind: str) -> None:
    relation = f"target.main.{model.name}"
    connection.execute(f"comment on {kind} {relation} is {_quoted(model.comment)}")
    for column, text in model.columns.items():
        connection.execute(f'comment on column {relation}."{column}" is {_quoted(text)}')


_PUBLICATIONS: Schema = {
    "publication": pl.Int64,
    "inputs_hash": pl.String,
    "draft_hash": pl.String,
    "posting": pl.Int64,
    "root": pl.String,
}
_MANIFEST: Schema = {
    "publication": pl.Int64,
    "dataset": pl.String,
    "partition": pl.String,
    "path": pl.String,
    "sha256": pl.String,
    "rows": pl.Int64,
}
_OWN = {
    "_publications": Mart(
        name="_publications",
        sql="select * from described",
        what="What this warehouse and the ones before it were made of, this one last",
        grain=("publication",),
        units="none",
        sources=("described",),
        columns={
            "publication": "number of the publication, rising",
            "inputs_hash": "hash of everything that it was made of",
            "draft_hash": "hash of the drafts in it, as it is asked for in posting",
            "posting": "last posting in it, 0 without any",
            "root": "the data root as it was named then; views hold its files' paths",
        },
    ),
    "_manifest": Mart(
        name="_manifest",
        sql="select * from described",
        what="The files that each of the last publications was made of",
        grain=("publication", "path"),
        units="rows",
        sources=("described",),
        columns={
            "publication": "number of the publication",
            "dataset": "dataset, of the books with the prefix books.",
            "partition": "partition of the dataset, or the posting",
            "path": "the file, relative to the data root",
            "sha256": "hash of the file's bytes",
            "rows": "rows in the file",
        },
    ),
}


def _describe(
    connection: duckdb.DuckDBPyConnection,
    root: DataRoot,
    sources: Sequence[Source],
    *,
    now: Publication,
    history: Mapping[str, pl.DataFrame],
) -> None:
    """Write down what the warehouse is made of, after what the last ones were made of."""
    known = dict(history["_manifest"].select("path", "sha256").iter_rows())
    files = sorted({file for source in sources for file in source.files})
    counts = _file_rows(connection, [path for _, _, path in files])
    manifest = table(
        (
            (
                now.publication,
                dataset,
                partition,
                (name := path.relative_to(root.root).as_posix()),
                known.get(name) or sha256_of(path),
                counts[str(path)],
            )
            for dataset, partition, path in files
        ),
        _MANIFEST,
    )
    values = [getattr(now, name) for name in _PUBLICATIONS]
    new = {"_publications": table([values], _PUBLICATIONS), "_manifest": manifest}
    for name, model in _OWN.items():
        kept = history[name].filter(pl.col("publication") > now.publication - KEPT_PUBLICATIONS)
        connection.register("described", pl.concat([kept, new[name]]))
        connection.execute(f"create table target.main.{name} as {model.sql}")
        connection.unregister("described")
        _comment(connection, model, kind="table")


def _history(root: DataRoot) -> dict[str, pl.DataFrame]:
    """What the published warehouse says of itself; empty where there is none to be read."""
    try:
        with reading(root) as connection:
            return {
                name: connection.sql(f"select * from {name} order by all").pl() for name in _OWN
            }
    except (duckdb.Error, FileNotFoundError):
        return {"_publications": table([], _PUBLICATIONS), "_manifest": table([], _MANIFEST)}


def _file_rows(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[str, int]:
    if not paths:
        return {}
    query = "select file_name, num_rows from parquet_file_metadata($paths)"
    found = connection.execute(query, {"paths": [str(path) for path in paths]})
    return dict(found.fetchall())


def _kept(root: DataRoot) -> set[Path]:
    """Files that a recent publication or the drafts, or those before them, still name."""
    with reading(root) as connection:
        named = connection.execute("select path from _manifest").fetchall()
    summaries = [it for it in (_summary(root), read_previous(root)) if it is not None]
    drafted = {root.warehouse / file.path for summary in summaries for file in summary.files}
    return {root.root / path for (path,) in named} | drafted


def _row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    counts = {}
    for name in marts.KEYED:
        row = connection.execute(f"select count(*) from {name}").fetchone()
        counts[name] = 0 if row is None else int(row[0])
    return counts


def _grain_check(connection: duckdb.DuckDBPyConnection, model: Mart) -> CheckResult:
    key = ", ".join(model.grain)
    query = f"select {key} from {model.name} group by all having count(*) > 1 order by all"
    return _check(connection, f"{model.name}_grain", query)


def _check(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> CheckResult:
    what = query.splitlines()[0].removeprefix("-- what:").strip()
    found = connection.sql(query).pl()
    first = "" if found.is_empty() else str(found.row(0, named=True))
    return CheckResult(name=name, what=what, offending=found.height, first=first)


def _files(source: Source) -> str:
    """The source as DuckDB reads it, by absolute path: a view outlives this session."""
    paths = ", ".join(_quoted(exact_pattern(path.resolve())) for _, _, path in source.files)
    return f"read_parquet([{paths}])"


def _quoted(text: str) -> str:
    """A text as SQL writes it, where no parameter can be bound."""
    return "'" + text.replace("'", "''") + "'"
