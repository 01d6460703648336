"""Text becomes an exact value or is refused with a cure; patches follow RFC 7396."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from billing_core.catalog import Catalog
from billing_core.schema import (
    Record,
    calendar_day,
    day_or_instant,
    exact_number,
    known_keys,
    merge_patch,
    nearest,
    plain_tree,
    problems_of,
    utc_instant,
    whole_number,
    yes_or_no,
)

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)

READ = {
    # case                              reader          text                           value
    "a price": (exact_number, "29.00", Decimal("29.00")),
    "a tiny price": (exact_number, "0.0000025", Decimal("0.0000025")),
    "a negative number": (exact_number, "-5", Decimal(-5)),
    "an integer of JSON": (exact_number, 3, Decimal(3)),
    "38 digits": (exact_number, "9" * 38, Decimal("9" * 38)),
    "a whole number": (whole_number, "14", 14),
    "a whole number with zeros": (whole_number, "14.0", 14),
    "yes": (yes_or_no, "true", True),
    "no": (yes_or_no, False, False),
    "a leap day": (calendar_day, "2024-02-29", date(2024, 2, 29)),
    "a date that is one": (calendar_day, date(2026, 4, 1), date(2026, 4, 1)),
    "an instant of UTC": (utc_instant, "2026-04-01T12:00:00Z", NOON),
    "an instant of another zone": (utc_instant, "2026-04-01T14:00:00+02:00", NOON),
    "an instant without seconds": (utc_instant, "2026-04-01 12:00Z", NOON),
    "microseconds": (utc_instant, "2026-04-01T12:00:00.000001Z", NOON.replace(microsecond=1)),
    "a date stays a date": (day_or_instant, "2026-04-01", date(2026, 4, 1)),
    "an instant stays an instant": (day_or_instant, "2026-04-01T12:00:00Z", NOON),
}
REFUSED = {
    # case                              reader          value                          what
    "an inexact number": (exact_number, 29.0, "not an exact number"),
    "not a number": (exact_number, "NaN", "not an exact number"),
    "infinity": (exact_number, Decimal("Infinity"), "not an exact number"),
    "an exponent": (exact_number, "1e5", "not an exact number"),
    "a thousands separator": (exact_number, "1,000", "not an exact number"),
    "a truth value as number": (exact_number, True, "not an exact number"),
    "no text": (exact_number, "", "not an exact number"),
    "39 digits": (exact_number, "9" * 39, "39 digits, more than 38"),
    "39 decimals": (exact_number, "0." + "0" * 38 + "1", "39 digits, more than 38"),
    "a large exponent": (exact_number, Decimal("1E+60"), "61 digits, more than 38"),
    "a fraction": (whole_number, "1.5", "not a whole number"),
    "yes as another word": (yes_or_no, "yes", "neither true nor false"),
    "February 30": (calendar_day, "2026-02-30", "not a day of the calendar"),
    "a date in another order": (calendar_day, "01.04.2026", "not a date"),
    "an instant as date": (calendar_day, NOON, "not a date"),
    "a year far away": (calendar_day, "9999-01-01", "the year 9999 is out of range"),
    "an instant without zone": (utc_instant, "2026-04-01T12:00:00", "not an instant"),
    "a naive instant": (utc_instant, NOON.replace(tzinfo=None), "not an instant"),
    "nanoseconds": (utc_instant, "2026-04-01T12:00:00.123456789Z", "not an instant"),
    "a leap second": (utc_instant, "2026-06-30T23:59:60Z", "not an instant of the calendar"),
    "25 o'clock": (utc_instant, "2026-04-01T25:00:00Z", "not an instant of the calendar"),
    "an inexact leaf": (plain_tree, {"a": [1.5]}, "is not exact"),
    "a key that is no text": (plain_tree, {1: "a"}, "a key is not a text"),
    "a list as tree": (plain_tree, ["a"], "not a mapping"),
}


@pytest.mark.parametrize(("reader", "text", "value"), READ.values(), ids=READ)
def test_text_is_read(reader: Any, text: object, value: object) -> None:
    read = reader(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("reader", "value", "what"), REFUSED.values(), ids=REFUSED)
def test_a_value_is_refused_with_a_cure(reader: Any, value: object, what: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        reader(value)
    assert what in refused.value.message()
    assert refused.value.context is not None
    assert refused.value.context["mend"]


def test_a_tree_too_deep_is_refused() -> None:
    tree: Any = {}
    for _ in range(60):
        tree = {"a": tree}
    with pytest.raises(PydanticCustomError, match="levels"):
        plain_tree(tree)


def test_a_tree_is_text_through_and_through() -> None:
    tree = {
        "n": 3,
        "d": Decimal("1E+2"),
        "b": True,
        "none": None,
        "on": date(2026, 4, 1),
        "at": NOON,
    }
    assert plain_tree(tree | {"list": (1, "x")}) == {
        "n": "3",
        "d": "100",
        "b": "true",
        "none": None,
        "on": "2026-04-01",
        "at": "2026-04-01T12:00:00+00:00",
        "list": ["1", "x"],
    }


# The examples of RFC 7396, appendix A.
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": ["1"]}, {"a": ["1"]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": "1"}, {"e": None, "a": "1"}),
    (["1", "2"], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_merge_patch(target: object, patch: object, result: object) -> None:
    assert merge_patch(target, patch) == result


trees = st.recursive(
    st.text(max_size=3),
    lambda children: st.dictionaries(st.text(max_size=2), children, max_size=3),
    max_leaves=8,
)


@given(target=trees, patch=trees)
def test_a_patch_applied_twice_is_applied_once(target: object, patch: object) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ([], "exchange_rates"),
        (["plans", "pro", "prices", "monthly"], "trial_days"),
        (["plans", "pro", "features", "calls", "overage", "tiers", "0"], "up_to"),
        (["ai_models", "openai/tiny"], "cache_read"),
        (["tax", "0"], "from"),
    ],
)
def test_known_keys_are_those_of_the_place(path: list[str], key: str) -> None:
    assert key in known_keys(Catalog, path)


def test_no_key_is_known_where_the_path_leads_nowhere() -> None:
    assert known_keys(Catalog, ["nonsense", "there"]) == []
    assert nearest("x", []) == "none is known"


class Counted(Record):
    count: int


def test_a_message_without_words_of_our_own_is_shown_as_it_is() -> None:
    with pytest.raises(ValidationError) as error:
        Counted.model_validate({"count": "many"})
    (problem,) = problems_of(error.value.errors(), Counted, prefix="TEST", file="a.yaml")
    assert str(problem).startswith("[TEST-03] 'many': Input should be a valid integer")
    assert problem.path == "count"
