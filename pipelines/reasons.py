"""Why a landed row or a use is set aside: each reason in words, and its cure. Rule USE-11."""

from collections.abc import Iterable

_AGAIN = "land the row again, corrected, in a new file"

ROW_REASONS: dict[str, tuple[str, str]] = {
    "unreadable_row": ("the line does not have the format of its source", _AGAIN),
    "missing_event_id": ("the event has no id", f"give every event an id of its own; {_AGAIN}"),
    "missing_customer": ("the event names no customer", _AGAIN),
    "missing_feature": ("the event names no feature", _AGAIN),
    "missing_occurred_at": ("the event has no instant", _AGAIN),
    "missing_value": ("the event has no value", _AGAIN),
    "missing_property": ("the event lacks the property that its feature counts", _AGAIN),
    "missing_tokens": (
        "an AI event names a model, input tokens and output tokens; one of them is missing",
        _AGAIN,
    ),
    "value_out_of_range": (
        "the value or the amount has more than 18 digits before the point",
        _AGAIN,
    ),
    "negative_tokens": ("a token count is below zero", _AGAIN),
    "tokens_out_of_range": ("a token count is above a million million", _AGAIN),
    "cached_above_total": (
        "the cached tokens are more than the input tokens that include them",
        "see whether the source's input total includes cached tokens (tokens_include_cached)",
    ),
    "ambiguous_model": (
        "several providers have a model of this name",
        f"write it as provider/model; {_AGAIN}",
    ),
    "unknown_model": (
        "no price is in force for this model at the instant of the event",
        "add the model to ai_models in a catalog version that is in force by then, and land the"
        " row again",
    ),
    "retracted_event_unreadable": (
        "the event that this row takes back landed in a file that cannot be read any more",
        "put the file back, and land the retraction again with a new event id",
    ),
}
"""Reasons that lie in the row alone: what is wrong, and how to mend it."""

USE_REASONS: dict[str, tuple[str, str]] = {
    "unknown_customer": (
        "nobody has the customer id that stands on the events",
        "create the customer, or add the id to his external_ids: the usage then appears by itself",
    ),
    "unknown_feature": (
        "no catalog version has a feature of this code",
        "add the feature to the catalog; or land the events again under its right code, with new"
        " event ids",
    ),
    "missing_tokens": (
        "the plan charges the feature by AI model, and the events name none",
        "take the events back (retracts), and land them again with a model and its tokens",
    ),
    "negative_value": (
        "the values are below zero, and only the level of a quota can go down",
        "take an event back by a retraction (retracts), not by a negative value",
    ),
    "no_access": (
        "the customer had no running subscription when it was used",
        "nothing, if that is right; else land the actions that are missing (subscribe, payment)",
    ),
    "feature_not_in_plan": (
        "the customer's plan does not have the feature",
        "nothing, if he should not have it; else add the feature to the plan",
    ),
    "future": (
        "the events lie more than five minutes after their arrival",
        "nothing: they count when their time has come; if they never should have been, take them"
        " back (retracts)",
    ),
}
"""Reasons that depend on who the customer is and what he has: what is wrong, how to mend it."""


HOLD_REASONS: dict[str, str] = {
    "conflict": "one event id has two contents: land decide_conflict, which says what to keep, or"
    " release_hold: then the first stays",
    "engine_change": "this version bills a posted invoice otherwise, from the same inputs: land"
    " release_hold, and the difference is on his next invoice",
    "missing_usage": "put the landed file, or its mapping, back as it was, and run again; or land"
    " release_hold: then its usage is late when it comes back",
}
"""Why a customer's invoices wait, and what lets them go. Rule USE-2."""


def row_texts(reasons: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is wrong with each row, and its cure, for the reasons of many rows.

    >>> row_texts(["unreadable_value"])[0]
    ['the value cannot be read exactly']
    """
    texts = [ROW_REASONS.get(reason) or _unreadable(reason) for reason in reasons]
    return [what for what, _ in texts], [mend for _, mend in texts]


def use_texts(reasons: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is wrong with usage of each reason, and its cure.

    >>> use_texts(["no_access"])[0]
    ['the customer had no running subscription when it was used']
    """
    texts = [USE_REASONS[reason] for reason in reasons]
    return [what for what, _ in texts], [mend for _, mend in texts]


def _unreadable(reason: str) -> tuple[str, str]:
    column = reason.removeprefix("unreadable_")
    return (
        f"the {column.replace('_', ' ')} cannot be read exactly",
        f"write {column} as a plain number with at most 9 decimals (tokens: whole; instants: ISO"
        f" 8601 or the mapping's time_unit); {_AGAIN}",
    )
