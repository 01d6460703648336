"""Rules PRM-2, ACT-5: who has a place of a promo code with a cap."""

from dataclasses import replace
from typing import Any

import pytest

from billing_core.bill import bill, with_booked
from billing_core.redemptions import Person, without_place
from tests.billing_core.builders import act, created, instant, ladder, paid, setting_of

TWO = {"TWO": {"type": "percentage", "value": "1000", "max_redemptions": "2"}}
UNTIL = instant("2026-06-01")


def wish(name: str, at: str, received_at: str | None = None, **fields: Any) -> Any:
    given = {"id": name, "customer": name, "plan": "starter", "interval": "monthly"}
    return act(at, "subscribe", received_at, **{**given, "promo_code": "two", **fields})


def refused(*actions: Any, is_paid: bool = True) -> frozenset[str]:
    setting = setting_of(ladder(promo_codes=TWO), assumes_payment=is_paid)
    people = {
        name: Person(
            [created(customer=name), *(it for it in actions if it.customer == name)], setting
        )
        for name in {it.customer for it in actions}
    }
    return without_place(people, UNTIL)


SETTLED: dict[str, tuple[list[Any], set[str]]] = {
    "in order of time": (
        [wish("c", "2026-04-01"), wish("b", "2026-04-02"), wish("a", "2026-04-03")],
        {"a"},
    ),
    "at one instant by customer": (
        [wish("c", "2026-04-01"), wish("b", "2026-04-01"), wish("a", "2026-04-01")],
        {"c"},
    ),
    "whatever the order received": (
        [wish("a", "2026-04-01", "2026-04-09"), wish("b", "2026-04-02"), wish("c", "2026-04-03")],
        {"c"},
    ),
    "one refused for another reason takes none": (
        [wish("a", "2026-04-01", plan="gold"), wish("b", "2026-04-02"), wish("c", "2026-04-03")],
        set(),
    ),
    "an end gives none back": (
        [
            wish("a", "2026-04-01"),
            act("2026-04-02", "cancel", customer="a", when="now"),
            wish("b", "2026-04-03"),
            wish("c", "2026-04-04"),
        ],
        {"c"},
    ),
    "another code": (
        [wish("a", "2026-04-01"), wish("b", "2026-04-02"), wish("c", "2026-04-03", promo_code="X")],
        set(),
    ),
}


@pytest.mark.parametrize(("actions", "without"), SETTLED.values(), ids=SETTLED)
def test_places_are_taken_in_order(actions: list[Any], without: set[str]) -> None:
    assert refused(*actions) == without


def test_an_expired_checkout_gives_its_place_back_from_then_on() -> None:
    """Of three checkouts the first two expire after seven days."""
    others = [wish("a", "2026-04-01"), wish("b", "2026-04-01"), wish("c", "2026-04-07")]
    assert refused(*others, wish("d", "2026-04-08"), is_paid=False) == {"c"}


def test_a_cancelled_checkout_gives_its_place_back_and_a_paid_one_keeps_it() -> None:
    actions = [
        wish("a", "2026-04-01"),
        act("2026-04-02", "cancel", customer="a"),
        wish("again", "2026-04-03", customer="a", promo_code=None),
        wish("b", "2026-04-01"),
        paid("2026-04-02", ("initial", "2026-04-01"), customer="b"),
        wish("c", "2026-04-04"),
        wish("d", "2026-04-05"),
    ]
    assert refused(*actions, is_paid=False) == {"d"}


def test_what_is_posted_stays_whatever_arrives_later() -> None:
    """A third redemption, posted, keeps its place; an earlier one that landed later has none."""
    catalog = ladder(promo_codes=TWO)
    people = {}
    for name, at in (("a", "2026-04-01"), ("b", "2026-04-02"), ("c", "2026-04-03")):
        actions = [created(customer=name), wish(name, at)]
        setting = setting_of(catalog)
        if name != "a":
            told = bill(name, actions, setting, until=instant("2026-04-30")).folded
            assert told is not None
            setting = with_booked(setting, told.invoices)
        people[name] = Person(actions, setting)
    assert without_place(people, UNTIL) == {"a"}


def test_a_refusal_that_a_posted_invoice_knew_of_stays() -> None:
    setting = setting_of(ladder(promo_codes=TWO))
    actions = [
        created(customer="c"),
        wish("first", "2026-04-01", customer="c"),
        wish("second", "2026-04-02", customer="c", promo_code=None),
    ]
    full = replace(setting, without_place=frozenset({"first"}))
    told = bill("c", actions, full, until=instant("2026-04-30")).folded
    assert told is not None
    person = Person(actions, with_booked(setting, told.invoices))
    assert without_place({"c": person}, UNTIL) == {"first"}
    assert without_place({"c": Person(actions, setting)}, UNTIL) == frozenset()
