"""A partition is written whole, once, and under the hash of its bytes."""

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from pipelines import datasets
from pipelines.datasets import (
    DiskIsFull,
    clear_disk_errors,
    current_file,
    current_files,
    replaced,
    sha256_of,
    sweep_superseded,
    write_content,
    write_partition,
)
from pipelines.paths import DataRoot

DAY = f"landing_day={date(2026, 4, 1)}"


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"number": numbers}, schema={"number": pl.Int64})


def names(root: DataRoot) -> list[str]:
    return sorted(path.name[:4] for path in (root.dataset("numbers") / DAY).iterdir())


def test_a_file_is_named_by_its_place_and_its_hash(root: DataRoot) -> None:
    written = write_partition(root, "numbers", DAY, rows(1))
    assert written.is_new
    assert written.path.name == f"0001-{sha256_of(written.path)[:16]}.parquet"
    assert current_file(root, "numbers", DAY) == written.path


def test_the_same_content_is_not_written_again(root: DataRoot) -> None:
    first = write_partition(root, "numbers", DAY, rows(1))
    times = [path.stat().st_mtime_ns for path in root.root.rglob("*")]
    second = write_partition(root, "numbers", DAY, rows(1))
    assert (second.path, second.is_new) == (first.path, False)
    assert [path.stat().st_mtime_ns for path in root.root.rglob("*")] == times


def test_other_content_is_the_next_file_and_the_old_one_stays(root: DataRoot) -> None:
    write_partition(root, "numbers", DAY, rows(1))
    second = write_partition(root, "numbers", DAY, rows(2))
    again = write_partition(root, "numbers", DAY, rows(1))
    assert names(root) == ["0001", "0002", "0003"]
    assert current_file(root, "numbers", DAY) == again.path != second.path


def test_the_highest_number_is_current_beyond_four_digits(root: DataRoot) -> None:
    folder = root.dataset("numbers") / DAY
    folder.mkdir(parents=True)
    for number in (9999, 10000, 2):
        (folder / f"{number:04}-0123456789abcdef.parquet").touch()
    current = current_file(root, "numbers", DAY)
    assert current is not None
    assert current.name.startswith("10000-")


def test_what_was_never_written_is_not_there(root: DataRoot) -> None:
    assert current_file(root, "numbers", DAY) is None
    assert current_files(root, "numbers") == {}


def test_current_files_are_in_order_of_partition(root: DataRoot) -> None:
    for partition in ("landing_day=2026-04-02", DAY):
        write_partition(root, "numbers", partition, rows(1))
    (root.dataset("numbers") / "landing_day=2026-04-03").mkdir()
    assert list(current_files(root, "numbers")) == [DAY, "landing_day=2026-04-02"]


def test_a_file_that_is_mapped_keeps_its_suffix(root: DataRoot) -> None:
    first = write_content(root, "numbers", DAY, b"one", "arrow")
    again = write_content(root, "numbers", DAY, b"one", "arrow")
    other = write_content(root, "numbers", DAY, b"two", "arrow")
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert other.path.name == f"0002-{sha256_of(other.path)[:16]}.arrow"
    assert current_file(root, "numbers", DAY) == other.path


def test_a_block_that_raises_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), replaced(path) as temporary:
        temporary.write_text(f"new {1 // 0}", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_superseded_files_go_but_not_current_kept_or_recent_ones(root: DataRoot) -> None:
    paths = [write_partition(root, "numbers", DAY, rows(number)).path for number in range(4)]
    for age, path in zip((400, 300, 200, 10), paths, strict=True):
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert sweep_superseded(root, keep={paths[0]}, older_than_seconds=100) == [paths[1]]
    assert names(root) == ["0001", "0003", "0004"]
    assert sweep_superseded(root, keep=set(), older_than_seconds=0) == [paths[0], paths[2]]
    assert names(root) == ["0004"]


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_no_room_is_one_clear_error(number: str, tmp_path: Path) -> None:
    code = getattr(datasets.errno, number)
    with pytest.raises(DiskIsFull, match=r"DISK-01.*\n.*\n.*free some space"):
        raise_within(tmp_path, OSError(code, os.strerror(code)))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        raise_within(tmp_path, PermissionError(13, "Permission denied"))
    with pytest.raises(pl.exceptions.ComputeError):
        raise_within(tmp_path, pl.exceptions.ComputeError("no"))


def raise_within(path: Path, error: Exception) -> None:
    with clear_disk_errors(path):
        raise error
