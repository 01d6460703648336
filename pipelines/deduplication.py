"""Which of the landed events were there before: the same again, or the same id with other content.

Works on the digests of many landing days at once. Only rows whose identity repeats, among
the new rows or in the days before, are looked at one by one; all others are new by their
digest alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.digests import Digests

Whole = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

Spread = Callable[..., Iterable[Any]]
"""`map`, or the map of a pool of threads."""

BEFORE_ALL = np.iinfo(np.int64).min
_MOST_BITS = 23
_BLOCK = 1 << 16
"""So many at once stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class DayDigests:
    """The usable rows of one landing day: its day number, and for each row its digests.

    identities:  sorted; order: the row of each of them.
    contents, received (microseconds), file_numbers, row_numbers: by row.
    """

    day: int
    identities: Digests
    order: Places
    contents: Digests
    received: Whole
    file_numbers: npt.NDArray[np.int32]
    row_numbers: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CountedDay:
    """What one earlier landing day counted: its day number and digests, by identity."""

    day: int
    identities: Digests
    contents: Digests


ReadCounted = Callable[[], CountedDay]


@dataclass(frozen=True, slots=True)
class Repeats:
    """What of a day does not count again, by row.

    conflicts_first_day: for each conflict the number of the day on which its id counted.
    places: of all of them, in the order of identity.
    """

    duplicates: Places
    conflicts: Places
    conflicts_first_day: Whole
    places: Places


def repeats(
    days: Sequence[DayDigests],
    before: Sequence[ReadCounted],
    *,
    dedupe_days: int,
    spread: Spread = map,
) -> list[Repeats]:
    """What of each day was counted before, on the day itself or on one of the days before.

    takes:   days, in order; before, how to read what earlier days counted; spread, a `map`
             that may work on several at once.
    returns: for each day; of rows of one identity the first received counts, by (day,
             received, content, row); one that comes within `dedupe_days` after it is a
             duplicate if its content is the same, else a conflict.
    rule:    USE-2.
    """
    found = np.concatenate([day.identities for day in days])
    if len(days) > 1:
        found.sort(kind="stable")  # merges what is sorted already
    known = _known_again(found, before, spread)
    again = found[1:].compress(found[1:] == found[:-1])
    wanted = distinct(np.concatenate([again, *(day.identities for day in known)]))
    rows = [_own_rows(day, wanted) for day in days]
    return _settled(days, [*map(_known_rows, known), *rows], dedupe_days)


def members(digests: Digests, wanted: Digests) -> Places:
    """The places of digests that stand in a sorted array.

    >>> members(np.array([7, 3, 7, 5], np.uint64), np.array([5, 7], np.uint64)).tolist()
    [0, 2, 3]
    """
    if not len(wanted):
        return np.empty(0, np.intp)
    likely = _Sieve.of(wanted).places(digests)
    return likely.compress(_stands_in(digests.take(likely), wanted))


@dataclass(frozen=True, slots=True)
class _Sieve:
    """Two tables of bits: tell at once of most digests that they are not in a set.

    Small enough for the processor's cache. The table of leading bits is read from front to
    back, as the digests of a day are sorted; the one of trailing bits for what passed.
    """

    leading: npt.NDArray[np.bool_]
    trailing: npt.NDArray[np.bool_]
    shift: np.uint64
    mask: np.uint64

    @classmethod
    def of(cls, digests: Digests) -> "_Sieve":
        bits = min(max(len(digests), 1).bit_length() + 2, _MOST_BITS)
        leading, trailing = np.zeros(1 << bits, np.bool_), np.zeros(1 << bits, np.bool_)
        shift, mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        leading[(digests >> shift).view(np.int64)] = True
        trailing[(digests & mask).view(np.int64)] = True
        return cls(leading, trailing, shift, mask)

    def places(self, digests: Digests) -> Places:
        """Where digests are that may be in the set."""
        found = [
            first + self._places(digests[first : first + _BLOCK])
            for first in range(0, len(digests), _BLOCK)
        ]
        return np.concatenate([np.empty(0, np.intp), *found])

    def _places(self, digests: Digests) -> Places:
        leading = (digests >> self.shift).view(np.int64)
        likely = np.flatnonzero(self.leading.take(leading, mode="clip"))
        trailing = (digests.take(likely) & self.mask).view(np.int64)
        return likely.compress(self.trailing.take(trailing, mode="clip"))


def _stands_in(digests: Digests, wanted: Digests) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(wanted, digests)
    places[places == len(wanted)] = 0
    found: npt.NDArray[np.bool_] = wanted.take(places) == digests
    return found


def distinct(digests: Digests) -> Digests:
    """The different digests of an array, sorted. (`np.unique` loads half of numpy first.)"""
    ordered = np.sort(digests)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _known_again(found: Digests, before: Sequence[ReadCounted], spread: Spread) -> list[CountedDay]:
    """What earlier days counted of sorted identities."""
    if not before or not len(found):
        return []
    return list(spread(partial(_counted_again, found, _Sieve.of(found)), before))


def _counted_again(found: Digests, sieve: _Sieve, read: ReadCounted) -> CountedDay:
    before = read()
    likely = sieve.places(before.identities)
    if len(likely):
        likely = likely.compress(_stands_in(before.identities.take(likely), found))
    return CountedDay(before.day, before.identities.take(likely), before.contents.take(likely))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that have to be compared, of one day. row, place: -1 where they counted before."""

    identity: Digests
    content: Digests
    number: Whole
    received: Whole
    row: Whole
    place: Whole


def _own_rows(day: DayDigests, wanted: Digests) -> _Rows:
    """The rows of a day that have wanted identities."""
    first = np.searchsorted(day.identities, wanted)
    counts = np.searchsorted(day.identities, wanted, side="right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.repeat(first, counts) + within
    row = day.order[place]
    return _Rows(
        identity=day.identities[place],
        content=day.contents[row],
        number=np.full(len(place), day.day),
        received=day.received[row],
        row=row,
        place=place,
    )


def _known_rows(day: CountedDay) -> _Rows:
    """What an earlier day counted: it stands before everything of a later one."""
    rows = len(day.identities)
    nowhere = np.full(rows, -1)
    return _Rows(
        identity=day.identities,
        content=day.contents,
        number=np.full(rows, day.day),
        received=np.full(rows, BEFORE_ALL),
        row=nowhere,
        place=nowhere,
    )


def _settled(days: Sequence[DayDigests], rows: Sequence[_Rows], dedupe_days: int) -> list[Repeats]:
    """What counts of rows: of each identity the earliest."""
    joined = _Rows(*(np.concatenate([getattr(one, f.name) for one in rows]) for f in fields(_Rows)))
    order = np.lexsort(
        (joined.row, joined.content, joined.received, joined.number, joined.identity)
    )
    ordered = _Rows(*(getattr(joined, f.name)[order] for f in fields(_Rows)))
    first = _first_of_each(ordered.identity, ordered.number, dedupe_days)
    return [_of_day(day.day, ordered, first) for day in days]


def _first_of_each(identity: Digests, number: Whole, dedupe_days: int) -> Places:
    """For each row, in order of identity and time, the row that counts in its place.

    A row that comes more than `dedupe_days` after the one that counts, counts again.
    """
    first = np.arange(len(identity))
    left = np.arange(len(identity))
    while len(left):
        starts = np.append(True, identity[left][1:] != identity[left][:-1])
        head = left[np.flatnonzero(starts)][np.cumsum(starts) - 1]
        is_near = number[left] - number[head] <= dedupe_days
        first[left[is_near]] = head[is_near]
        left = left[~is_near]
    return first


def _of_day(day: int, rows: _Rows, first: Places) -> Repeats:
    is_again = (rows.number == day) & (rows.row >= 0) & (first != np.arange(len(first)))
    again = np.flatnonzero(is_again)
    is_same = rows.content[again] == rows.content[first[again]]
    conflicts = again[~is_same]
    conflicts = conflicts[np.argsort(rows.row[conflicts], kind="stable")]
    return Repeats(
        duplicates=np.sort(rows.row[again[is_same]]),
        conflicts=rows.row[conflicts],
        conflicts_first_day=rows.number[first[conflicts]],
        places=rows.place[again],
    )
