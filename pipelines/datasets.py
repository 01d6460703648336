"""How a partition of a dataset is written: whole, once, and under the hash of its bytes.

A partition is a folder `warehouse/DATASET/PARTITION/` of immutable files named
`NNNN-HASH.parquet`; the highest number is current. The same content is never written
again, a new content gets the next number, and a reader keeps the file that it opened
until `sweep` takes the old ones away. Every file appears by one rename.
"""

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.paths import DataRoot

_NAME = re.compile(r"(\d{4,})-([0-9a-f]{16})\.parquet")


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
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
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
    """Write a table, already sorted by its full key, as the current file of a partition."""
    folder = root.dataset(dataset) / partition
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    table.write_parquet(temporary, compression="zstd", statistics=True)
    return adopt_file(root, dataset, partition, temporary)


def adopt_file(root: DataRoot, dataset: str, partition: str, written: Path) -> PartitionFile:
    """Make a file that was written elsewhere on the same disk the current one of a partition.

    The file is moved; where the partition already has the same content it is removed.
    """
    folder = root.dataset(dataset) / partition
    folder.mkdir(parents=True, exist_ok=True)
    digest, newest = sha256_of(written)[:16], _newest(folder)
    if newest is not None and newest.name.endswith(f"-{digest}.parquet"):
        written.unlink()
        return PartitionFile(dataset, partition, newest, is_new=False)
    number = 1 if newest is None else int(newest.name.partition("-")[0]) + 1
    path = folder / f"{number:04}-{digest}.parquet"
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)
    sync_folder(folder)
    return PartitionFile(dataset, partition, path, is_new=True)


def _newest(folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    numbered = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return max(numbered, key=lambda path: int(path.name.partition("-")[0]), default=None)
