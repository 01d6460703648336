"""What is kept of an event to know it again: a digest of its identity, one of its content.

Both are 64 bits, made of whole columns at a time by fixed arithmetic that is ours, so that
what was kept years ago still compares (an engine's own `hash()` may change with its version;
md5 in SQL takes six times as long as the whole of this). The digest of the content contains
the identity too: two events are one only if 128 bits agree, and a clash of identities alone
shows as a conflict, which is listed and decided by a person, never as a lost event.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Digests = npt.NDArray[np.uint64]

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
_EIGHT = np.uint64(8)

CONTENT_COLUMNS = (
    "customer_id", "feature", "occurred_at", "value", "amount", "model", "input_tokens",
    "output_tokens", "cache_read_tokens", "cache_write_tokens", "property", "retracts",
)  # fmt: skip
"""What makes two events of one identity the same event. Rule USE-2."""

_KEYS = {
    name: np.uint64((0x9E3779B97F4A7C15 * (2 * place + 3)) % 2**64 | 1)
    for place, name in enumerate((*CONTENT_COLUMNS, "source", "event_id", "identity", "high"))
}


def identity_digests(columns: pa.RecordBatch, *, event_id: str = "event_id") -> Digests:
    """The digest of (`source`, `event_id`) of each row; of another column where one is named."""
    source = _share(columns.column("source"), "source")
    return _mixed(source + _share(columns.column(event_id), "event_id"))


def content_digests(columns: pa.RecordBatch, identities: Digests) -> Digests:
    """The digest of identity and content of each row. Rule USE-2."""
    total = _mixed(identities * _KEYS["identity"])
    for name in CONTENT_COLUMNS:
        column = columns.column(name)
        if column.null_count < len(column):
            total += _share(column, name)
    return _mixed(total)


def _share(column: pa.Array, name: str) -> Digests:
    """What one column adds to a digest: 0 for null, else its value mixed with the column's key."""
    if pa.types.is_dictionary(column.type):
        return _dictionary_share(column, name)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        words = string_digests(column)
    elif pa.types.is_decimal(column.type):
        words = _decimal_words(column)
    elif pa.types.is_null(column.type):
        return np.zeros(len(column), np.uint64)
    else:
        words = _integer_words(column)
    share = _mixed(words * _KEYS[name])
    if column.null_count:
        share[np.asarray(column.is_null())] = 0
    return share


def _dictionary_share(column: pa.DictionaryArray, name: str) -> Digests:
    shares = np.append(_share(column.dictionary, name), np.uint64(0))
    places = column.indices.fill_null(len(shares) - 1) if column.null_count else column.indices
    found: Digests = shares[places.to_numpy(zero_copy_only=False)]
    return found


def _integer_words(column: pa.Array) -> Digests:
    buffer = column.buffers()[1]
    start = column.offset * 8
    return np.frombuffer(buffer, "<u8", count=len(column), offset=start).copy()


def _decimal_words(column: pa.Array) -> Digests:
    start = column.offset * 16
    halves = np.frombuffer(column.buffers()[1], "<u8", count=2 * len(column), offset=start)
    return halves[0::2] ^ _mixed(halves[1::2] * _KEYS["high"])


def stable_order(digests: Digests) -> npt.NDArray[np.int64]:
    """The places of digests in rising order; of equal ones the earlier place first.

    Sorts the leading bits with the place in the others, which is several times as fast as
    an argsort. Where leading bits of different digests are equal, which is rare, it is one.

    >>> stable_order(np.array([7 << 60, 1 << 60, 7 << 60], np.uint64)).tolist()
    [1, 0, 2]
    """
    places = np.uint64((1 << len(digests).bit_length()) - 1)
    packed = (digests & ~places) | np.arange(len(digests), dtype=np.uint64)
    packed.sort()
    order = (packed & places).astype(np.int64)
    found = digests[order]
    if np.any(found[1:] < found[:-1]):
        order = np.argsort(digests, kind="stable")
    return order


def string_digests(column: pa.Array) -> Digests:
    """A digest of the bytes of each string, after MurmurHash64A, eight bytes at a time.

    >>> first, second = string_digests(pa.array(["evt_000000001", "evt_000000002"]))
    >>> bool(first != second)
    True
    """
    starts, lengths, text = _text(column)
    digests = lengths.astype(np.uint64) * _MULTIPLIER
    longest = int(lengths.max(initial=0))
    is_even = bool(len(lengths)) and int(lengths.min()) == longest
    for done in range(0, longest, 8):
        if is_even:
            _absorb(digests, _strided(text, starts, longest, done), longest - done)
            continue
        rows = np.flatnonzero(lengths > done)
        part = digests[rows]
        _absorb(part, text[starts[rows] + done], lengths[rows] - done)
        digests[rows] = part
    return _mixed(digests)


def has_empty_text(column: pa.Array) -> bool:
    """Whether one of the strings is empty; of the strings of a dictionary, of any of them."""
    plain = column.dictionary if pa.types.is_dictionary(column.type) else column
    return bool(len(plain)) and int(np.diff(_offsets(plain)).min()) == 0


def _absorb(digests: Digests, words: Digests, left: npt.NDArray[np.int64] | int) -> None:
    """Take the next eight bytes of each string, or the `left` ones, into the digests in place."""
    bits = np.uint64(64) - np.uint64(8) * np.minimum(left, 8).astype(np.uint64)
    words &= np.uint64(0xFFFFFFFFFFFFFFFF) >> bits
    words *= _MULTIPLIER
    words ^= words >> _SHIFT
    words *= _MULTIPLIER
    digests ^= words
    digests *= _MULTIPLIER


def _strided(text: Digests, starts: Any, length: int, done: int) -> Digests:
    """The word at one place of each string where all have one length: no look-up by row."""
    at = int(starts[0]) + done
    view = np.ndarray((len(starts),), "<u8", buffer=text.base, offset=at, strides=(length,))
    return view.copy()


def _offsets(column: pa.Array) -> npt.NDArray[Any]:
    """Where each string begins in the characters of an array, and where the last one ends."""
    is_large = pa.types.is_large_string(column.type)
    width, kind = (8, "<i8") if is_large else (4, "<i4")
    places = column.buffers()[1]
    return np.frombuffer(places, kind, count=len(column) + 1, offset=column.offset * width)


def _text(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Digests]:
    """Where each string starts, its length, and the eight bytes from each place of the text on."""
    characters = column.buffers()[2]
    offsets = _offsets(column)
    first, last = int(offsets[0]), int(offsets[-1])
    padded = np.zeros(last - first + 8, np.uint8)
    if last > first:
        padded[: last - first] = np.frombuffer(characters, np.uint8)[first:last]
    words = np.ndarray((last - first + 1,), "<u8", buffer=padded.data, strides=(1,))
    starts = offsets[:-1].astype(np.int64) - first
    return starts, np.diff(offsets).astype(np.int64), words


def _mixed(words: Digests) -> Digests:
    """The finalizer of MurmurHash3: one-to-one, and 0 stays 0. Works in place."""
    words = np.ascontiguousarray(words)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(33)
    return words
