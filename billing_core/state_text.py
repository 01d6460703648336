"""A customer's state as text and back, exactly: canonical JSON of its frozen dataclasses.

What is written follows from the declared types alone, and so does the version of the text:
a field that is added, renamed or typed anew makes another version, whose texts are not read.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from billing_core.terms import Terms

T = TypeVar("T")

_TEXTS: Mapping[Any, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    Decimal: (str, Decimal),
    Fraction: (str, Fraction),
    date: (date.isoformat, date.fromisoformat),
    datetime: (datetime.isoformat, datetime.fromisoformat),
}
"""How what JSON does not know is written, and read again."""


def text_of(value: object, kind: type) -> str:
    """A value of a type as canonical JSON: the same value gives the same text.

    takes:  kind, a dataclass whose fields are of dataclasses, tuples, unions, enums, exact
            numbers, dates, texts and truths. Fields that are not compared are left out.
    """
    return json.dumps(_written(value, kind), ensure_ascii=False, separators=(",", ":"))


def value_of(text: str, kind: type[T]) -> T:
    """The value that `text_of` wrote, where the type still has the version of the text."""
    value: T = _read(json.loads(text), kind)
    return value


@cache
def text_version(kind: type) -> str:
    """What tells the texts of one shape of a type from those of another: 16 hex digits."""
    shapes = sorted(set(_shapes(kind, set())))
    return hashlib.sha256("\n".join(shapes).encode()).hexdigest()[:16]


def _written(value: Any, kind: Any) -> Any:
    parts = get_args(kind)
    if value is None:
        return None
    if isinstance(kind, UnionType):
        own = _own(parts, type(value).__name__)
        written = _written(value, own)
        return written if len(_some(parts)) == 1 else {own.__name__: written}
    if get_origin(kind) is tuple:
        return [
            _written(item, part) for item, part in zip(value, _of_tuple(kind, value), strict=True)
        ]
    if _is_record(kind):
        hints = _hints(kind)
        return {name: _written(getattr(value, name), hint) for name, hint in hints.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value.value
    return _TEXTS[kind][0](value) if kind in _TEXTS else value


def _read(tree: Any, kind: Any) -> Any:
    if tree is None:
        return None
    if isinstance(kind, UnionType):
        return _read_one_of(tree, get_args(kind))
    if get_origin(kind) is tuple:
        return tuple(
            _read(item, part) for item, part in zip(tree, _of_tuple(kind, tree), strict=True)
        )
    if _is_record(kind):
        return _made(kind, {name: _read(tree[name], hint) for name, hint in _hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(tree)
    return _TEXTS[kind][1](tree) if kind in _TEXTS else tree


def _read_one_of(tree: Any, parts: tuple[Any, ...]) -> Any:
    if len(_some(parts)) == 1:
        return _read(tree, _some(parts)[0])
    ((name, own),) = tree.items()
    return _read(own, _own(parts, name))


def _made(kind: Any, values: dict[str, Any]) -> Any:
    """The dataclass with its values; terms are looked up by code, which is not written."""
    if kind is Terms:
        values["by_code"] = {feature.code: feature for feature in values["features"]}
    return kind(**values)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The type of each field that is compared, in the order of the fields."""
    hints = get_type_hints(kind)
    return {it.name: hints[it.name] for it in fields(kind) if it.compare}


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


def _some(parts: tuple[Any, ...]) -> list[Any]:
    return [part for part in parts if part is not NoneType]


def _own(parts: tuple[Any, ...], name: str) -> Any:
    """The member of a union that a value is of; of a union with None the only other one."""
    some = _some(parts)
    return some[0] if len(some) == 1 else next(part for part in some if part.__name__ == name)


def _of_tuple(kind: Any, values: Any) -> tuple[Any, ...]:
    parts = get_args(kind)
    return (parts[0],) * len(values) if parts[1:] == (...,) else parts


def _shapes(kind: Any, seen: set[Any]) -> Iterator[str]:
    """One line a field of every dataclass within a type, and one an enum."""
    for part in get_args(kind):
        yield from _shapes(part, seen)
    if kind in seen:
        return
    seen.add(kind)
    if _is_record(kind):
        for name, hint in _hints(kind).items():
            yield f"{getattr(kind, '__name__', kind)}.{name}: {hint}"
            yield from _shapes(hint, seen)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield f"{kind.__name__}: {[item.value for item in kind]}"
