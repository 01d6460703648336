"""Rules CUS-1, INV-13: credit that the founder gives and takes away."""

from typing import Any

import pytest

from tests.billing_core.builders import (
    act,
    created,
    folded,
    invoices,
    outcomes,
    setting_of,
    subscribed,
)


def grant(at: str, amount: str, **fields: Any) -> Any:
    given = {"id": f"g{at}/{amount}", "amount": amount, "reason": f"sorry {amount}"}
    return act(at, "grant_credit", **{**given, **fields})


def revoke(at: str, amount: str, **fields: Any) -> Any:
    return act(at, "revoke_credit", **{"id": "r", "amount": amount, "reason": "error", **fields})


DRAWN: dict[str, tuple[list[Any], str]] = {
    "one": ([grant("2026-03-01", "10.00")], "credit sorry 10.00 -10.00 = 19.00"),
    "oldest first": (
        [grant("2026-03-02", "25.00"), grant("2026-03-01", "10.00")],
        "credit sorry 10.00 -10.00; credit sorry 25.00 -19.00 = 0.00",
    ),
    "expired": (
        [grant("2026-03-01", "10.00", expires_at="2026-04-01"), grant("2026-03-02", "1.00")],
        "credit sorry 1.00 -1.00 = 28.00",
    ),
    "not yet expired": (
        [grant("2026-03-01", "10.00", expires_at="2026-04-02")],
        "credit sorry 10.00 -10.00 = 19.00",
    ),
    "of another currency": ([grant("2026-03-01", "10", currency="JPY")], "= 29.00"),
    "revoked in part, the newest first": (
        [grant("2026-03-01", "4.00"), grant("2026-03-02", "5.00"), revoke("2026-03-03", "6.00")],
        "credit sorry 4.00 -3.00 = 26.00",
    ),
    "revoked beyond what is left": (
        [grant("2026-03-01", "4.00"), revoke("2026-03-03", "6.00")],
        "= 29.00",
    ),
}


@pytest.mark.parametrize(("actions", "drawn"), DRAWN.values(), ids=DRAWN)
def test_an_invoice_draws_what_was_granted(actions: list[Any], drawn: str) -> None:
    told = folded([created(), *actions, subscribed("2026-04-01")], setting_of(), "2026-04-01")
    (shown,) = invoices(told)
    start = "2026-04-01 initial: plan_base 29.00"
    assert shown == f"{start}{' ' if drawn.startswith('=') else '; '}{drawn}"


def test_what_is_not_used_waits_for_the_next_invoice() -> None:
    story = [created(), grant("2026-03-01", "40.00"), subscribed("2026-04-01")]
    told = folded(story, setting_of(), "2026-05-01")
    assert [it.rpartition(" = ")[2] for it in invoices(told)] == ["0.00", "18.00"]
    assert [(it.granted.minor, it.left.minor) for it in told.state.credits] == [(4000, 0)]


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing is sold in it": (grant("2026-03-01", "1", currency="EUR"), "currency_not_available"),
    "nothing was given": (revoke("2026-03-01", "1"), "not_found"),
    "by the customer": (grant("2026-03-01", "1", actor="customer"), "wrong_actor"),
}


@pytest.mark.parametrize(("action", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_credit_is_refused(action: Any, reason: str) -> None:
    told = folded([created(), action], setting_of(), "2026-04-01")
    assert outcomes(told)[action.id] == f"refused {reason}"
    assert told.state.credits == ()


def test_what_a_cancellation_gave_back_is_not_revoked() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-16", "cancel", when="now"),
        revoke("2026-04-17", "5.00"),
    ]
    told = folded(story, setting_of(), "2026-04-17")
    assert outcomes(told)["r"] == "refused not_found"
    assert [it.left.minor for it in told.state.credits] == [1450]
