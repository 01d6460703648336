"""What is kept of an event to know it again: a digest of its identity, one of its content.

Both are 64 bits, made of whole columns at a time by fixed arithmetic that is ours, so that
what was kept years ago still compares (an engine's own `hash()` may change with its version;
md5 in SQL takes six times as long as the whole of this). The digest of the content contains
the identity too: two events are one only if 128 bits agree, and a clash of identities alone
shows as a conflict, which is listed and decided by a person, never as a lost event.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Digests = npt.NDArray[np.uint64]

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
_HALF = np.uint64(32)
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
_EIGHT = 8

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
    total = np.zeros(len(columns), np.uint64)
    _add_share(total, columns.column("source"), "source")
    _add_share(total, column_of(columns, event_id), "event_id")
    return _mixed(total)


def content_digests(columns: pa.RecordBatch, identities: Digests) -> Digests:
    """The digest of identity and content of each row. Rule USE-2."""
    total = _mixed(identities * _KEYS["identity"])
    for name in CONTENT_COLUMNS:
        _add_share(total, column_of(columns, name), name)
    return _mixed(total)


def column_of(columns: pa.RecordBatch, name: str) -> pa.Array:
    """A column by name; all null where there is none."""
    place = columns.schema.get_field_index(name)
    return pa.nulls(len(columns)) if place < 0 else columns.column(place)


def _add_share(total: Digests, column: pa.Array, name: str) -> None:
    """Add to digests, in place, what one column tells of each row; a null adds nothing."""
    if column.null_count == len(column):
        return
    if not column.null_count:
        total += _share(column, name)
    else:
        rows = np.flatnonzero(_bits(column.is_valid()))
        total[rows] += _share(column.drop_null(), name)


def _share(column: pa.Array, name: str) -> Digests:
    """What one column adds to a digest: its value mixed with the column's key. No nulls."""
    if pa.types.is_dictionary(column.type):
        shares = _share(column.dictionary, name)
        found: Digests = shares.take(column.indices.to_numpy())
        return found
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        words = string_digests(column)
    elif pa.types.is_decimal(column.type):
        words = _decimal_words(column)
    else:
        words = _integer_words(column)
    return _stirred(words * _KEYS[name])


def _bits(column: pa.BooleanArray) -> npt.NDArray[np.uint8]:
    """Booleans without nulls as 0 and 1, from the bits as they lie."""
    bits = np.unpackbits(np.frombuffer(column.buffers()[1], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)]


def _integer_words(column: pa.Array) -> Digests:
    buffer = column.buffers()[1]
    start = column.offset * 8
    return np.frombuffer(buffer, "<u8", count=len(column), offset=start)


def _decimal_words(column: pa.Array) -> Digests:
    start = column.offset * 16
    halves = np.frombuffer(column.buffers()[1], "<u8", count=2 * len(column), offset=start)
    words = halves[1::2] * _KEYS["high"]
    words += halves[0::2]
    return words


def digests_content(identities: Digests, contents: Digests) -> memoryview:
    """The digests of rows as an Arrow file of one batch, not compressed."""
    batch = pa.record_batch({"identity": identities, "content": contents})
    content = pa.BufferOutputStream()
    with pa.ipc.new_file(content, batch.schema) as file:
        file.write_batch(batch)
    return memoryview(content.getvalue())


def mapped_digests(path: Path) -> tuple[Digests, Digests]:
    """The identities and contents of a file, mapped: only what is looked at is read."""
    batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    return batch.column("identity").to_numpy(), batch.column("content").to_numpy()


def stable_order(digests: Digests) -> tuple[npt.NDArray[np.int64], Digests]:
    """The places of digests in rising order, of equal ones the earlier first; and the digests.

    Sorts the leading bits with the place in the others, which is several times as fast as
    an argsort. Where leading bits of different digests are equal, which is rare, it is one.

    >>> order, found = stable_order(np.array([7 << 60, 1 << 60, 7 << 60], np.uint64))
    >>> order.tolist(), [int(digest) >> 60 for digest in found]
    ([1, 0, 2], [1, 7, 7])
    """
    places = np.uint64((1 << len(digests).bit_length()) - 1)
    packed = (digests & ~places) | np.arange(len(digests), dtype=np.uint64)
    packed.sort()
    packed &= places
    order = packed.view(np.int64)
    found = digests.take(order)
    if np.any(found[1:] < found[:-1]):
        order = np.argsort(digests, kind="stable")
        found = digests.take(order)
    return order, found


def string_digests(column: pa.Array) -> Digests:
    """A digest of the bytes of each string, after MurmurHash64A, eight bytes at a time.

    >>> first, second = string_digests(pa.array(["evt_000000001", "evt_000000002"]))
    >>> bool(first != second)
    True
    """
    offsets = _offsets(column)
    lengths = np.diff(offsets)
    digests = lengths.astype(np.uint64) * _MULTIPLIER
    longest = int(lengths.max(initial=0))
    if longest >= _EIGHT and int(lengths.min()) == longest:
        for words in _even_words(column.buffers()[2], len(column), int(offsets[0]), longest):
            _absorb(digests, words)
        return _mixed(digests)
    starts, text = _text(column)
    for done in range(0, longest, _EIGHT):
        rows = np.flatnonzero(lengths > done)
        left = np.minimum(lengths[rows] - done, _EIGHT).astype(np.uint64)
        unused = np.uint64(64) - np.uint64(8) * left
        part = digests[rows]
        _absorb(part, text[starts[rows] + done] & (_ONES >> unused))
        digests[rows] = part
    return _mixed(digests)


def has_empty_text(column: pa.Array) -> bool:
    """Whether one of the strings is empty; of the strings of a dictionary, of any of them."""
    plain = column.dictionary if pa.types.is_dictionary(column.type) else column
    return bool(len(plain)) and int(np.diff(_offsets(plain)).min()) == 0


def _absorb(digests: Digests, words: Digests) -> None:
    """Take the next eight bytes of each string into the digests, in place."""
    words *= _MULTIPLIER
    words ^= words >> _SHIFT
    words *= _MULTIPLIER
    digests ^= words
    digests *= _MULTIPLIER


def _even_words(characters: Any, rows: int, first: int, length: int) -> Iterator[Digests]:
    """The bytes of strings of one length, eight at a time, then those that are left."""
    for done in range(0, length, _EIGHT):
        left = min(length - done, _EIGHT)
        at = first + done - (_EIGHT - left)
        words = np.ndarray((rows,), "<u8", buffer=characters, offset=at, strides=(length,))
        yield words >> np.uint64(8 * (_EIGHT - left)) if left < _EIGHT else words.copy()


def _offsets(column: pa.Array) -> npt.NDArray[Any]:
    """Where each string begins in the characters of an array, and where the last one ends."""
    is_large = pa.types.is_large_string(column.type)
    width, kind = (8, "<i8") if is_large else (4, "<i4")
    places = column.buffers()[1]
    return np.frombuffer(places, kind, count=len(column) + 1, offset=column.offset * width)


def _text(column: pa.Array) -> tuple[npt.NDArray[np.int64], Digests]:
    """Where each string starts, and the eight bytes from each place of the text on."""
    characters = column.buffers()[2]
    offsets = _offsets(column)
    first, last = int(offsets[0]), int(offsets[-1])
    padded = np.zeros(last - first + _EIGHT, np.uint8)
    if last > first:
        padded[: last - first] = np.frombuffer(characters, np.uint8)[first:last]
    words = np.ndarray((last - first + 1,), "<u8", buffer=padded.data, strides=(1,))
    return offsets[:-1].astype(np.int64) - first, words


def _stirred(words: Digests) -> Digests:
    """Half of `_mixed`, for what is added up and mixed whole. One-to-one; works in place."""
    words ^= words >> _HALF
    words *= _MULTIPLIER
    return words


def _mixed(words: Digests) -> Digests:
    """The finalizer of MurmurHash3: one-to-one, and 0 stays 0. Works in place."""
    words = np.ascontiguousarray(words)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(33)
    return words
