"""A landing day while it is metered: its files, its rows, and which of them do not count."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.deduplication import DayDigests, Places, Repeats
from pipelines.digests import Digests, stable_order
from pipelines.landed_rows import ScannedFile, joined
from pipelines.landing import LandedFile
from pipelines.mappings import LandedQuery
from pipelines.usage_frames import USAGE_REVERSALS, empty


@dataclass(frozen=True, slots=True)
class DayFile:
    """A file of a day; `query` and `scanned` are None where it is set aside as a whole."""

    landed: LandedFile
    number: int
    query: LandedQuery | None = None
    scanned: ScannedFile | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """A landing day and its files, in order of path."""

    day: date
    files: tuple[DayFile, ...]

    @property
    def read(self) -> list[tuple[DayFile, ScannedFile]]:
        """The files that could be read, and what their rows gave."""
        return [(file, file.scanned) for file in self.files if file.scanned is not None]


@dataclass(frozen=True, slots=True)
class SettledDay:
    """A day of which is known what counts.

    identities, contents: digests of the rows that count, by identity.
    excluded:    file_number, row_number, kind (duplicate, conflict, set_aside, retracted,
                 retracted_event_unreadable); row null: the whole file.
    conflicts:   file_number, row_number, first_day (a day number).
    retractions: rows that take an event back; where it counted, if on an earlier day.
    reversals:   the events of earlier days that they take back.
    """

    day: Day
    identities: Digests
    contents: Digests
    excluded: pl.DataFrame
    conflicts: pl.DataFrame
    retractions: pl.DataFrame
    reversals: pl.DataFrame


def day_digests(day: Day) -> DayDigests:
    """The usable rows of all files of a day, by file and row."""
    parts = [scanned for _, scanned in day.read]
    files = [np.full(len(s.row_numbers), f.number, np.int32) for f, s in day.read]
    order, identities = stable_order(joined([part.identities for part in parts], np.uint64))
    return DayDigests(
        day=day.day.toordinal(),
        identities=identities,
        order=order,
        contents=joined([part.contents for part in parts], np.uint64),
        received=joined([part.received for part in parts], np.int64),
        file_numbers=joined(files, np.int32),
        row_numbers=joined([part.row_numbers for part in parts], np.int32),
    )


def settled_day(day: Day, digests: DayDigests, repeated: Repeats) -> SettledDay:
    """A day with its duplicates, conflicts and unusable rows told apart. Rules USE-1, USE-2."""
    duplicates, conflicts = _rows(digests, repeated.duplicates), _rows(digests, repeated.conflicts)
    is_counted = np.ones(len(digests.identities), np.bool_)
    is_counted[repeated.places] = False
    first = pl.Series("first_day", repeated.conflicts_first_day, dtype=pl.Int64)
    excluded = [
        of_kind(duplicates, "duplicate"),
        of_kind(conflicts, "conflict"),
        *(of_kind(_placed(scanned.unusable, file), "set_aside") for file, scanned in day.read),
        *(_whole(file) for file in day.files if file.scanned is None),
    ]
    return SettledDay(
        day=day,
        identities=digests.identities.compress(is_counted),
        contents=digests.contents.take(digests.order.compress(is_counted)),
        excluded=pl.concat(excluded),
        conflicts=conflicts.with_columns(first),
        retractions=_retractions(day, pl.concat([duplicates, conflicts])),
        reversals=empty(USAGE_REVERSALS),
    )


def of_kind(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Rows by file and row number, as excluded for one kind of reason."""
    return rows.select("file_number", "row_number", pl.lit(kind).alias("kind"))


def _whole(file: DayFile) -> pl.DataFrame:
    places = {"file_number": pl.Int32, "row_number": pl.Int32}
    return of_kind(pl.DataFrame([[file.number, None]], schema=places, orient="row"), "set_aside")


def _rows(digests: DayDigests, places: Places) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "file_number": digests.file_numbers[places],
            "row_number": digests.row_numbers[places],
        }
    )


def _placed(rows: pl.DataFrame, file: DayFile) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(file.number, pl.Int32).alias("file_number"), pl.col("row_number").cast(pl.Int32)
    )


def _retractions(day: Day, not_counted: pl.DataFrame) -> pl.DataFrame:
    """The rows of a day that take an event back, without those that are there twice."""
    own = [_placed(s.retracting, f) for f, s in day.read if len(s.retracting)]
    if not own:
        return pl.DataFrame()
    places = ["file_number", "row_number"]
    rows = pl.concat(own).join(not_counted, on=places, how="anti")
    return rows.sort("identity", *places)
