"""How text becomes exact values, and how what is wrong with it is said.

Scalars of catalogs, actions and scenarios are text until one of the types below makes
them a decimal, a date, a yes or no. What does not fit is a `Problem` with path and cure.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import ErrorDetails, PydanticCustomError

from billing_core.errors import Problem

DIGITS = 38
"""How many digits a number may have, before and after the point together."""

YEARS = range(1900, 2200)
"""Years in which a date of a catalog or an action may lie."""

TREE_DEPTH = 50
"""How deep mappings and lists may be nested in a patch."""

PERSONAL = frozenset({"name", "email", "address", "tax_id"})
"""Keys whose values are never repeated in a message."""

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})"
)

Moment = TypeVar("Moment", date, datetime)
Number = TypeVar("Number", Decimal, int)

Tree = dict[str, Any]
"""Nested mappings and lists whose leaves are text or null, as YAML is read."""


class Record(BaseModel):
    """What every value that is read from text has in common: it is frozen and knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


def refusal(kind: str, what: str, mend: str) -> PydanticCustomError:
    """An error that a validator raises: its kind (see NUMBERS), what is wrong, and the cure."""
    return PydanticCustomError(kind, "{what}", {"what": what, "mend": mend})


def exact_number(value: object) -> Decimal:
    """The exact decimal that a text writes.

    raises: a refusal, for anything that is not a plain decimal of at most 38 digits.

    >>> exact_number("0.0000025")
    Decimal('0.0000025')
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = Decimal(value)
    elif isinstance(value, Decimal) and value.is_finite():
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        raise refusal(
            "number",
            f"{_shown(value)} is not an exact number",
            "write it out in digits, as in 29.00 or 0.0000025; between quotes where a program"
            " writes the file",
        )
    if _digits(number) > DIGITS:
        raise refusal(
            "number",
            f"{_shown(value)} has {_digits(number)} digits, more than {DIGITS}",
            f"round it to {DIGITS} digits or fewer",
        )
    return number


def whole_number(value: object) -> int:
    """The whole number that a text writes.

    >>> whole_number("14")
    14
    """
    number = exact_number(value)
    if number != number.to_integral_value():
        raise refusal("number", f"{_shown(value)} is not a whole number", "leave the fraction out")
    return int(number)


def yes_or_no(value: object) -> bool:
    """The truth value that a text writes: `true` or `false`."""
    match value:
        case bool():
            return value
        case "true":
            return True
        case "false":
            return False
    raise refusal("yes_or_no", f"{_shown(value)} is neither true nor false", "write true or false")


def calendar_day(value: object) -> date:
    """The date that a text writes, as in 2026-04-01.

    >>> calendar_day("2024-02-29")
    datetime.date(2024, 2, 29)
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return _in_years(value)
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise refusal(
                "date", f"{value!r} is not a day of the calendar", "check month and day"
            ) from None
        return _in_years(day)
    raise refusal("date", f"{_shown(value)} is not a date", "write year-month-day, as 2026-04-01")


def utc_instant(value: object) -> datetime:
    """The instant that a text writes, in UTC with microseconds.

    >>> str(utc_instant("2026-04-16T10:00:00+02:00"))
    '2026-04-16 08:00:00+00:00'
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _in_years(value.astimezone(UTC))
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            at = datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            raise refusal(
                "date", f"{value!r} is not an instant of the calendar", "check date and time"
            ) from None
        return _in_years(at)
    raise refusal(
        "date",
        f"{_shown(value)} is not an instant",
        "write date, time and time zone, as 2026-04-01T08:30:00Z; at most 6 digits of a second",
    )


def day_or_instant(value: object) -> date | datetime:
    """A date, or an instant, as the text says; which of the two is kept."""
    is_day = isinstance(value, str) and len(value) <= len("2026-04-01")
    is_day |= isinstance(value, date) and not isinstance(value, datetime)
    return calendar_day(value) if is_day else utc_instant(value)


def plain_tree(value: object) -> Tree:
    """A mapping as nested text: every leaf is a text or null.

    raises: a refusal, for a leaf that is not exact and for keys that are not text.

    >>> plain_tree({"plans": {"pro": {"public": False, "prices": None}}})
    {'plans': {'pro': {'public': 'false', 'prices': None}}}
    """
    if not isinstance(value, Mapping):
        raise refusal("mapping", f"{_shown(value)} is not a mapping", "write {key: value}")
    tree: Tree = _plain(value, 0)
    return tree


def merge_patch(target: object, patch: object) -> Any:
    """A tree with a JSON merge patch applied (RFC 7396): null removes, a list replaces.

    >>> merge_patch({"a": {"b": "1", "c": "2"}}, {"a": {"b": None, "d": "3"}})
    {'a': {'c': '2', 'd': '3'}}
    """
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _not_below_zero(number: Number) -> Number:
    if number < 0:
        raise refusal("range", f"{number} is below zero", "write 0 or more")
    return number


def _above_zero(number: Number) -> Number:
    if number <= 0:
        raise refusal("range", f"{number} is not above zero", "write a number above 0")
    return number


def _basis_points(number: int) -> int:
    if not 0 <= number <= 10_000:
        raise refusal(
            "range",
            f"{number} basis points are not between 0 and 100 %",
            "write basis points from 0 to 10000: 2500 is 25 %",
        )
    return number


def _margin(number: int) -> int:
    if not 0 <= number <= 100_000:
        raise refusal(
            "range",
            f"a margin of {number} basis points is not between 0 and 1000 %",
            "write basis points from 0 to 100000: 2000 is 20 %",
        )
    return number


def _lines_of_text(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Exact = Annotated[Decimal, BeforeValidator(exact_number)]
"""An exact decimal of either sign."""
Amount = Annotated[Exact, BeforeValidator(lambda v: _not_below_zero(exact_number(v)))]
"""Money or a quantity, major units or priced units, >= 0."""
PositiveAmount = Annotated[Exact, BeforeValidator(lambda v: _above_zero(exact_number(v)))]
"""Money or a quantity above 0."""
Count = Annotated[int, BeforeValidator(lambda v: int(_not_below_zero(Decimal(whole_number(v)))))]
"""A whole number, >= 0."""
PositiveCount = Annotated[
    int, BeforeValidator(lambda v: int(_above_zero(Decimal(whole_number(v)))))
]
"""A whole number above 0."""
BasisPoints = Annotated[int, BeforeValidator(lambda v: _basis_points(whole_number(v)))]
"""A percentage from 0 to 100 %: 2500 is 25 %. Rule CNV-8."""
MarginPoints = Annotated[int, BeforeValidator(lambda v: _margin(whole_number(v)))]
"""A margin in basis points, from 0 to 1000 %."""
YesNo = Annotated[bool, BeforeValidator(yes_or_no)]
Day = Annotated[date, BeforeValidator(calendar_day)]
Instant = Annotated[datetime, BeforeValidator(utc_instant)]
"""UTC, microseconds."""
DayOrInstant = Annotated[date | datetime, BeforeValidator(day_or_instant)]
"""A date alone means 00:00 in the billing time zone."""
PlainTree = Annotated[Tree, BeforeValidator(plain_tree)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
CODE_FORM: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,199}$"
FORMS: Final = {
    CODE_FORM: "write a code: letters a to z, digits and _ . : @ / + -, no blanks",
    r"^[A-Z]{2}$": "write an ISO 3166 code of two capitals, as NL",
    r"^[A-Z]{3}$": "write an ISO 4217 code of three capitals, as USD",
    r"^[A-Z0-9-]{1,100}$": "write letters A to Z, digits and -",
}
"""What each pattern of a text means to people."""
Code = Annotated[str, StringConstraints(pattern=CODE_FORM)]
"""A code or an id: letters, digits and `_ . : @ / + -`."""
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166, two capitals."""
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217, three capitals."""
PromoCodeText = Annotated[
    str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z0-9-]{1,100}$")
]
"""What a customer types, in capitals. Rule PRM-1."""
Lines = Annotated[tuple[Text, ...], BeforeValidator(_lines_of_text)]
"""Lines of text; one text is one line."""

NUMBERS: Final = {
    "extra_forbidden": 1,
    "missing": 2,
    "mapping": 3,
    "number": 4,
    "yes_or_no": 5,
    "date": 6,
    "literal_error": 7,
    "range": 8,
    "one_of": 9,
}
"""The number that stands in a problem's code for each kind of error; shapes are 3."""

TAGS: Final = ("<", "[key]")
"""How parts of pydantic's locations begin that are no part of the file."""


def problems_of(
    errors: list[ErrorDetails], model: type[BaseModel], *, prefix: str, file: str
) -> tuple[Problem, ...]:
    """What a validation found, as problems with path and cure, in the order of the keys.

    takes: errors, as `ValidationError.errors()` gives them; prefix, of the codes: `CATALOG`.
    """
    return tuple(_problem(error, model, prefix=prefix, file=file) for error in errors)


def nearest(word: str, known: Iterator[str] | list[str]) -> str:
    """A hint at the known word that is most like one, or all known words.

    >>> nearest("consumption_modle", ["name", "consumption_model"])
    "did you mean 'consumption_model'?"
    """
    words = sorted(known)
    match get_close_matches(word, words, n=1):
        case [close]:
            return f"did you mean {close!r}?"
    shown = ", ".join(words[:30]) + (", ..." if len(words) > 30 else "")
    return f"known: {shown}" if words else "none is known"


def _problem(error: ErrorDetails, model: type[BaseModel], *, prefix: str, file: str) -> Problem:
    path = [str(part) for part in error["loc"] if not str(part).startswith(TAGS)]
    what, mend = _said(error, model, path)
    number = NUMBERS.get(error["type"], NUMBERS["mapping"])
    return Problem(f"{prefix}-{number:02}", file, ".".join(path) or "(whole)", what, mend)


def _said(  # noqa: PLR0911  # one sentence for each kind of error
    error: ErrorDetails, model: type[BaseModel], path: list[str]
) -> tuple[str, str]:
    key, context = path[-1] if path else "", error.get("ctx", {})
    value = "a value" if key in PERSONAL else _shown(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return f"the key {key!r} is not known here", nearest(key, known_keys(model, path[:-1]))
        case "missing" if key.isdecimal():
            return f"the list has no element number {int(key) + 1}", "write all of its elements"
        case "missing":
            return f"the key {key!r} is missing", f"add {key!r}"
        case "literal_error":
            expected = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            return f"{value} is not known here", nearest(str(error["input"]), expected.split(", "))
        case "string_pattern_mismatch":
            form = FORMS.get(str(context["pattern"]), f"it must match {context['pattern']}")
            return f"{value} does not have the right form", form
        case "string_type" | "string_too_short" | "string_too_long":
            return f"{value} is not a text of 1 to 500 letters", "write a text"
        case "tuple_type" | "list_type":
            return f"{value} is not a list", "write a list, as in [first, second]"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{value} is not a mapping", "write keys and values, as in {key: value}"
        case "too_long" | "too_short":
            wanted = context.get("max_length", context.get("min_length"))
            return f"{value} has the wrong number of elements", f"write {wanted} elements"
    if "mend" in context:
        what = "a value does not fit" if key in PERSONAL else str(context["what"])
        return what, str(context["mend"])
    return f"{value}: {error['msg']}", "see the format of this key"


def known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that stand at a path below a model; none where the path leads to no model."""
    candidates: list[object] = [model]
    for part in path:
        candidates = [
            leaf
            for candidate in candidates
            for annotation in _below(candidate, part)
            for leaf in _leaves(annotation)
        ]
    return [
        field.alias or name
        for candidate in candidates
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name, field in candidate.model_fields.items()
    ]


def _below(candidate: object, part: str) -> Iterator[object]:
    if isinstance(candidate, type) and issubclass(candidate, BaseModel):
        for name, field in candidate.model_fields.items():
            if part == (field.alias or name):
                yield field.annotation
    elif get_origin(candidate) is dict:
        yield get_args(candidate)[1]
    elif get_origin(candidate) is tuple:
        yield get_args(candidate)[0]


def _leaves(annotation: object) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _leaves(part)
    else:
        yield annotation


def _plain(value: object, depth: int) -> Any:  # noqa: PLR0911  # one line for each type of leaf
    if depth > TREE_DEPTH:
        raise refusal("mapping", f"more than {TREE_DEPTH} levels", "nest less deeply")
    match value:
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise refusal("mapping", "a key is not a text", "write keys as text")
            return {key: _plain(part, depth + 1) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part, depth + 1) for part in value]
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return f"{exact_number(value):f}"
        case datetime():
            return utc_instant(value).isoformat()
        case date():
            return value.isoformat()
    raise refusal("number", f"{_shown(value)} is not exact", "write numbers as text, as in '29.00'")


def _digits(number: Decimal) -> int:
    _, digits, exponent = number.as_tuple()
    places = int(exponent)
    return max(len(digits) + max(places, 0), -places)


def _in_years(value: Moment) -> Moment:
    if value.year not in YEARS:
        raise refusal(
            "date",
            f"the year {value.year} is out of range",
            f"write a year from {YEARS.start} to {YEARS.stop - 1}",
        )
    return value


def _shown(value: object) -> str:
    text = repr(str(value)) if isinstance(value, Decimal | date) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
