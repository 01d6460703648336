"""Which of the landed events were there before: the same again, or the same id with other content.

Works on the digests of many landing days at once. Only rows whose identity repeats, among
the new rows or in the days before, are looked at one by one; all others are new by their
digest alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.digests import Digests

Whole = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

Spread = Callable[..., Iterable[Any]]
"""`map`, or the map of a pool of threads."""

BEFORE_ALL = np.iinfo(np.int64).min
_MOST_BITS = 27


@dataclass(frozen=True, slots=True)
class DayDigests:
    """The usable rows of one landing day: its day number, and for each row its digests.

    received: microseconds. Rows are in order of identity, file and row.
    """

    day: int
    identities: Digests
    contents: Digests
    received: Whole
    file_numbers: npt.NDArray[np.int32]
    row_numbers: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CountedBefore:
    """What one earlier landing day counted: its day number and digests, by identity.

    The digests are read when they are asked for; contents only where an identity repeats.
    """

    day: int
    identities: Callable[[], Digests]
    contents: Callable[[], Digests]


@dataclass(frozen=True, slots=True)
class Repeats:
    """The places, in a day's rows, of what does not count again; and when it first counted."""

    duplicates: Places
    conflicts: Places
    conflicts_first_day: Whole


def repeats(
    days: Sequence[DayDigests],
    before: Iterable[CountedBefore],
    *,
    dedupe_days: int,
    spread: Spread = map,
) -> list[Repeats]:
    """What of each day was counted before. Rule USE-2.

    takes:   days, of rising day number; before, at least the `dedupe_days` days before each
             that are not among `days`; spread, a `map` that may work on several at once.
    returns: for each day, in order. Of rows of one identity the first received counts, by
             (day, received, content, row); a later one within `dedupe_days` is a duplicate
             if its content is the same, else a conflict.
    """
    everything = np.concatenate([day.identities for day in days])
    everything.sort()
    known = _counted_again(everything, before, spread)
    again = everything[:-1][everything[1:] == everything[:-1]]
    wanted = distinct(np.concatenate([again, known[0]]))
    del everything
    if not len(wanted):
        nothing = np.empty(0, np.intp)
        return [Repeats(nothing, nothing, np.empty(0, np.int64)) for _ in days]
    return _settled(days, known, wanted, dedupe_days=dedupe_days, spread=spread)


def members(digests: Digests, wanted: Digests) -> Places:
    """The places of digests that stand in a sorted array.

    >>> members(np.array([7, 3, 7, 5], np.uint64), np.array([5, 7], np.uint64)).tolist()
    [0, 2, 3]
    """
    if not len(wanted):
        return np.empty(0, np.intp)
    likely = np.flatnonzero(_Sieve.of(wanted).passes(digests))
    return likely[_stands_in(digests[likely], wanted)]


@dataclass(frozen=True, slots=True)
class _Sieve:
    """A table of leading bits: tells at once of most digests that they are not in a set.

    Against a sorted array it is read from front to back, which is why it is a plain table
    and not a Bloom filter.
    """

    table: npt.NDArray[np.bool_]
    shift: np.uint64

    @classmethod
    def of(cls, digests: Digests) -> "_Sieve":
        bits = min(max(len(digests), 1).bit_length() + 5, _MOST_BITS)
        table, shift = np.zeros(1 << bits, np.bool_), np.uint64(64 - bits)
        table[digests >> shift] = True
        return cls(table, shift)

    def passes(self, digests: Digests) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = self.table[digests >> self.shift]
        return found


def _stands_in(digests: Digests, wanted: Digests) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(wanted, digests)
    places[places == len(wanted)] = 0
    found: npt.NDArray[np.bool_] = wanted[places] == digests
    return found


def distinct(digests: Digests) -> Digests:
    """The different digests of an array, sorted. (`np.unique` loads half of numpy first.)"""
    ordered = np.sort(digests)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _counted_again(
    everything: Digests, before: Iterable[CountedBefore], spread: Spread
) -> tuple[Digests, Digests, Whole]:
    """Of the days before: identity, content and day of what stands in a sorted array."""
    known = list(before)
    if not known:
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64)
    sieve = _Sieve.of(everything)

    def again(day: CountedBefore) -> tuple[Digests, Digests, Whole]:
        identities = day.identities()
        likely = np.flatnonzero(sieve.passes(identities))
        places = likely[_stands_in(identities[likely], everything)] if len(likely) else likely
        contents = day.contents()[places] if len(places) else np.empty(0, np.uint64)
        return identities[places], contents, np.full(len(places), day.day, np.int64)

    identities, contents, numbers_of = zip(*spread(again, known), strict=True)
    return np.concatenate(identities), np.concatenate(contents), np.concatenate(numbers_of)


def _settled(
    days: Sequence[DayDigests],
    known: tuple[Digests, Digests, Whole],
    wanted: Digests,
    *,
    dedupe_days: int,
    spread: Spread,
) -> list[Repeats]:
    places = list(spread(lambda day: members(day.identities, wanted), days))
    identity = np.concatenate(
        [known[0], *(day.identities[at] for day, at in zip(days, places, strict=True))]
    )
    content = np.concatenate(
        [known[1], *(day.contents[at] for day, at in zip(days, places, strict=True))]
    )
    number = np.concatenate(
        [known[2], *(np.full(len(at), day.day) for day, at in zip(days, places, strict=True))]
    )
    received = np.concatenate(
        [
            np.full(len(known[0]), BEFORE_ALL),
            *(day.received[at] for day, at in zip(days, places, strict=True)),
        ]
    )
    place = np.concatenate([np.full(len(known[0]), -1), *places])
    order = np.lexsort((place, content, received, number, identity))
    first = _first_of_each(identity[order], number[order], dedupe_days)
    return [_of_day(day.day, place[order], number[order], content[order], first) for day in days]


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


def _of_day(day: int, place: Places, number: Whole, content: Digests, first: Places) -> Repeats:
    rows = np.flatnonzero((number == day) & (place >= 0) & (first != np.arange(len(first))))
    is_same = content[rows] == content[first[rows]]
    duplicates, conflicts = rows[is_same], rows[~is_same]
    by_place = np.argsort(place[conflicts], kind="stable")
    return Repeats(
        duplicates=np.sort(place[duplicates]),
        conflicts=place[conflicts][by_place],
        conflicts_first_day=number[first[conflicts]][by_place],
    )
