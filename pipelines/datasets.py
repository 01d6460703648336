"""How a partition of a dataset is written: whole, once, and under the hash of its bytes.

A partition is a folder `warehouse/DATASET/PARTITION/` of immutable files named
`NNNN-HASH.parquet`, or `.arrow` for what is mapped into memory as it lies; the highest
number is current. The same content is never written again, a new content gets the next
number, and a reader keeps the file that it opened until `sweep_superseded` takes the old
ones away. Every file appears by one rename.
"""

import errno
import hashlib
import io
import os
import re
import time
import uuid
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl

from billing_core.errors import BillingError
from pipelines.paths import DataRoot

_NAME = re.compile(r"(\d{4,})-([0-9a-f]{16})\.(parquet|arrow)")

Content = bytes | memoryview

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskIsFull(BillingError):
    """A file could not be written whole; the one that it would replace is as it was."""

    code = "DISK-01"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            what=f"there is no room to write: {reason}",
            where=str(path),
            mend="free some space and run the same command again; nothing that was there "
            "before has changed",
        )


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """One written partition: where its current file lies, and whether this call wrote it."""

    dataset: str
    partition: str
    path: Path
    is_new: bool


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def clear_disk_errors(path: Path) -> Iterator[None]:
    """A full disk, a quota or a file size limit becomes one clear error. raises: DiskIsFull."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, duckdb.Error) as error:
        if _is_about_room(error):
            raise DiskIsFull(path, str(error).strip().splitlines()[-1]) from error
        raise


def _is_about_room(error: Exception) -> bool:
    # DuckDB and Polars hand the system's message on, but not its number.
    reasons = [os.strerror(number) for number in _NO_ROOM]
    is_system = isinstance(error, OSError) and error.errno in _NO_ROOM
    return is_system or any(reason in str(error) for reason in reasons)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename is on disk only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, durably, when the block ends well.

    When the block raises, the temporary file is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    with clear_disk_errors(path):
        try:
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def current_file(root: DataRoot, dataset: str, partition: str) -> Path | None:
    """The current file of one partition; None if it was never written."""
    return _newest(root.dataset(dataset) / partition)


def current_files(root: DataRoot, dataset: str) -> dict[str, Path]:
    """The current file of every partition of a dataset, by partition, in order of partition."""
    folder = root.dataset(dataset)
    if not folder.is_dir():
        return {}
    newest = {entry.name: _newest(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    return {partition: path for partition, path in newest.items() if path is not None}


def write_partition(
    root: DataRoot, dataset: str, partition: str, table: pl.DataFrame
) -> PartitionFile:
    """Write a table, already sorted by its full key, as the current file of a partition.

    Where the partition has the same content already, nothing is written.
    """
    return write_content(root, dataset, partition, parquet_bytes(table))


def write_content(
    root: DataRoot, dataset: str, partition: str, content: Content, suffix: str = "parquet"
) -> PartitionFile:
    """Write the bytes of a file as the current file of a partition, as `write_partition` does."""
    folder = root.dataset(dataset) / partition
    digest, newest = hashlib.sha256(content).hexdigest()[:16], _newest(folder)
    if newest is not None and newest.name.endswith(f"-{digest}.{suffix}"):
        return PartitionFile(dataset, partition, newest, is_new=False)
    number = 1 if newest is None else _number(newest) + 1
    path = folder / f"{number:04}-{digest}.{suffix}"
    with replaced(path) as temporary:
        temporary.write_bytes(content)
    return PartitionFile(dataset, partition, path, is_new=True)


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """A table as the bytes of its Parquet file: the same table gives the same bytes.

    They are made in memory because Polars, where a disk is full, does not say so.
    """
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", compression_level=1, statistics=True)
    return buffer.getvalue()


def sweep_superseded(root: DataRoot, *, keep: Set[Path], older_than_seconds: float) -> list[Path]:
    """Take away files that are not current any more. The writer's lock is held.

    takes:   keep, files that stay whatever their age; older_than_seconds, how long ago the
             file that came after must have been written, so that readers are done.
    returns: what was taken away.
    """
    before = time.time() - older_than_seconds
    gone = [
        path
        for folder in sorted(root.warehouse.glob("*/*"))
        for path in _superseded(folder, before)
        if path not in keep
    ]
    for path in gone:
        path.unlink()
    return gone


def _superseded(folder: Path, before: float) -> list[Path]:
    """The files of a partition whose successor was written before an instant."""
    files = sorted(_numbered(folder), key=_number)
    return [path for path, after in pairwise(files) if after.stat().st_mtime <= before]


def _newest(folder: Path) -> Path | None:
    return max(_numbered(folder), key=_number, default=None)


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])
