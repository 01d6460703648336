"""Rules SUB-1, PAY-2, CUS-1: how a customer stands."""

from fractions import Fraction
from typing import Any

import pytest

from billing_core.money import Money
from billing_core.standing import Scheduled, Standing, standing
from billing_core.state import CancelReason, CustomerCredit, CustomerState
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    folded,
    instant,
    paid,
    setting_of,
    subscribed,
    use,
)

UNPAID: dict[str, Any] = {"assumes_payment": False}
PAY_MAY = paid("2026-05-02", ("recurring", "2026-05-01"))


def standing_of(*story: Any, until: str = "2026-04-20", **setting: Any) -> Standing:
    """How acme stands at the end of a day, usage known by then."""
    world = setting_of(**{"known_on": day(until), **setting})
    told = folded([created(), *story], world, until)
    return standing(told.state, world, at=instant(until))


def test_who_never_had_a_subscription() -> None:
    assert standing_of() == Standing("acme")


def test_an_active_subscription() -> None:
    uses = [use("2026-04-10", "12000"), use("2026-04-21", "1")]
    now = standing_of(subscribed("2026-04-01", seats={"editors": "7"}), uses=uses)
    assert (now.status, now.plan, now.interval) == ("active", "starter", "monthly")
    assert now.has_access
    assert now.seats == {"editors": 7, "guests": 0, "viewers": 0}
    assert [(item.feature, item.used, item.billed) for item in now.usage] == [
        ("api_calls", 12_000, 2_000)
    ]
    assert now.limits == {"api_calls": Fraction(10_000)}
    assert now.features == ("api_calls", "editors", "guests", "viewers")
    assert now.scheduled is None


def test_a_cancellation_is_scheduled_until_its_day() -> None:
    story = [subscribed("2026-04-01"), act("2026-04-10", "cancel", when="period_end")]
    assert standing_of(*story).scheduled == Scheduled(day("2026-05-01"), CancelReason.REQUESTED)
    ended = standing_of(*story, until="2026-05-01")
    assert (ended.scheduled, ended.has_access, ended.features) == (None, False, ())
    assert ended.usage == ()


@pytest.mark.parametrize(
    ("payments", "owed"),
    [
        ([], ["29.00 USD"]),
        ([PAY_MAY], ["0.00 USD"]),
        (
            [
                paid("2026-05-02", ("recurring", "2026-05-01")),
                paid("2026-05-03", ("initial", "2026-04-01")),
            ],
            ["-29.00 USD"],
        ),
    ],
    ids=["unpaid", "paid", "paid twice"],
)
def test_outstanding(payments: list[Any], owed: list[str]) -> None:
    start = [subscribed("2026-04-01"), paid("2026-04-01", ("initial", "2026-04-01"))]
    now = standing_of(*start, *payments, until="2026-05-05", **UNPAID)
    assert [str(amount) for amount in now.outstanding] == owed


@pytest.mark.parametrize(("at", "left"), [("2026-04-30 23:59", ["5.00 USD"]), ("2026-05-01", [])])
def test_a_credit_counts_until_it_expires(at: str, left: list[str]) -> None:
    until = instant("2026-05-01")
    amount = Money(500, USD)
    credit = CustomerCredit("c1", instant("2026-04-01"), "goodwill", amount, amount, until)
    now = standing(CustomerState("acme", credits=(credit,)), setting_of(), at=instant(at))
    assert [str(amount) for amount in now.customer_credit] == left


def test_no_total_adds_two_currencies() -> None:
    story = [
        subscribed("2026-04-01"),
        act("2026-04-01", "cancel", when="now"),
        subscribed("2026-04-02", id="s2", currency="JPY"),
        act("2026-04-02", "cancel", when="now", id="stop"),
    ]
    now = standing_of(*story)
    assert [str(amount) for amount in now.customer_credit] == ["3000 JPY", "29.00 USD"]
    assert [str(amount) for amount in now.outstanding] == ["0 JPY", "0.00 USD"]
