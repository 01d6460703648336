"""Rules SEAT-1 to SEAT-5: seats in advance, true-ups, and coming back up for nothing."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.money import Money, total
from billing_core.period import Period
from billing_core.pricing import PerUnit, Volume
from billing_core.seats import (
    SeatPriceNotPerUnit,
    advance_lines,
    change_held,
    charged_seats,
    is_above_without_price,
    open_seats,
    seat_months,
    true_up_lines,
)
from billing_core.state import SeatAddition, SeatHolding
from billing_core.terms import Terms
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    feature_terms,
    folded,
    invoices,
    ladder,
    outcomes,
    setting_of,
    subscribed,
    terms_with,
)

APRIL = Period(day("2026-04-01"), day("2026-05-01"))
NONE = Money(0, USD)


def editors(**changes: Any) -> Terms:
    """Terms with editor seats at 25.00, 5 included; and viewers, 3 included, none for sale."""
    seats = {"type": "seats", "unit": "seat"}
    return terms_with(
        feature_terms(
            "editors",
            **{"included": Fraction(5), "price": PerUnit(Decimal("25.00")), **seats, **changes},
        ),
        feature_terms("viewers", included=Fraction(3), price=None, **seats),
    )


# fmt: off
CHARGED = {
    # case                      held  charged
    "none":                    (0,    0),
    "one below the included":  (4,    0),
    "the included":            (5,    0),
    "one above the included":  (6,    1),
}
WITHOUT_PRICE = {
    # case                      held  above
    "one below the included":  (2,    False),
    "the included":            (3,    False),
    "one above the included":  (4,    True),
}
# fmt: on


@pytest.mark.parametrize(("held", "charged"), CHARGED.values(), ids=CHARGED)
def test_charged_seats(held: int, charged: int) -> None:
    assert charged_seats(editors().by_code["editors"], held) == charged
    assert charged_seats(editors(unlimited=True).by_code["editors"], held) == 0
    assert charged_seats(editors(price=None).by_code["editors"], held) == 0


@pytest.mark.parametrize(("held", "above"), WITHOUT_PRICE.values(), ids=WITHOUT_PRICE)
def test_seats_above_the_included_without_a_price(held: int, above: bool) -> None:
    terms = editors()
    assert is_above_without_price(terms.by_code["viewers"], held) is above
    assert not is_above_without_price(terms.by_code["editors"], held)
    unlimited = editors(price=None, unlimited=True).by_code["editors"]
    assert not is_above_without_price(unlimited, held)


@pytest.mark.parametrize(
    ("interval", "is_monthly", "months"),
    [
        ("monthly", False, 1),
        ("yearly", False, 1),
        ("monthly", True, 1),
        ("quarterly", True, 3),
        ("yearly", True, 12),
        (None, True, 1),
    ],
)
def test_seat_months(interval: str | None, is_monthly: bool, months: int) -> None:
    assert seat_months(terms_with(interval=interval), is_monthly=is_monthly) == months


def test_a_period_opens_with_what_is_included_or_held() -> None:
    assert open_seats(editors(), {"editors": 7}) == (
        SeatHolding("editors", 7, 7, NONE),
        SeatHolding("viewers", 0, 3, NONE),
    )


def test_an_advance_shows_its_working() -> None:
    terms = editors()
    (line,) = advance_lines(terms, open_seats(terms, {"editors": 7}), APRIL, is_monthly=False)
    assert (str(line.amount.major), line.quantity, line.unit_price) == ("50.00", 2, Decimal(25))
    assert (line.used, line.included, line.charge_type) == (7, 5, "advance")


def test_a_seat_price_for_a_month_is_paid_for_each_month_of_the_period() -> None:
    terms = terms_with(*editors().features, interval="yearly")
    year = Period(day("2026-04-01"), day("2027-04-01"))
    (line,) = advance_lines(terms, open_seats(terms, {"editors": 6}), year, is_monthly=True)
    assert (str(line.amount.major), line.quantity) == ("300.00", 12)


def test_seats_of_price_nothing_make_no_line() -> None:
    terms = editors(price=PerUnit(Decimal(0)))
    holdings = (change_held(open_seats(terms, {"editors": 7})[0], 9, APRIL.start),)
    assert advance_lines(terms, holdings, APRIL, is_monthly=False) == ()
    assert true_up_lines(terms, holdings, APRIL, is_monthly=False) == ()


# fmt: off
TRUE_UPS = {
    # case                            added on       amount   days
    "on the first day":             ("2026-04-01",   "50.00", (30, 30)),
    "on the second day":            ("2026-04-02",   "48.33", (29, 30)),
    "with half of the days left":   ("2026-04-16",   "25.00", (15, 30)),
    "on the last day":              ("2026-04-30",   "1.67",  (1, 30)),
}
# fmt: on


@pytest.mark.parametrize(("on", "amount", "days"), TRUE_UPS.values(), ids=TRUE_UPS)
def test_two_seats_more(on: str, amount: str, days: tuple[int, int]) -> None:
    terms = editors()
    holding = change_held(open_seats(terms, {"editors": 5})[0], 7, day(on))
    (line,) = true_up_lines(terms, (holding,), APRIL, is_monthly=False)
    assert (str(line.amount.major), line.days, line.quantity) == (amount, days, 2)
    assert (line.service, line.charge_type) == (Period(day(on), APRIL.end), "true_up")


def test_one_true_up_for_each_day_of_addition() -> None:
    terms = editors()
    holding = open_seats(terms, {"editors": 5})[0]
    for held, on in ((6, "2026-04-03"), (7, "2026-04-03"), (5, "2026-04-04"), (9, "2026-04-05")):
        holding = change_held(holding, held, day(on))
    assert holding.additions == (
        SeatAddition(day("2026-04-03"), 2),
        SeatAddition(day("2026-04-05"), 2),
    )
    lines = true_up_lines(terms, (holding,), APRIL, is_monthly=False)
    assert [line.quantity for line in lines] == [2, 2]


def test_seats_within_the_included_are_never_added() -> None:
    """15 included: 10 more, 10 less and 10 more again are charged nothing."""
    holding = open_seats(editors(included=Fraction(15)), {})[0]
    for held in (10, 0, 15):
        holding = change_held(holding, held, APRIL.start)
    assert (holding.held, holding.additions) == (15, ())


def test_seats_must_be_priced_by_the_seat() -> None:
    terms = editors(price=Volume(()))
    with pytest.raises(SeatPriceNotPerUnit, match=r"SEAT-01.*'editors' is not priced per seat"):
        advance_lines(terms, open_seats(terms, {"editors": 7}), APRIL, is_monthly=False)


levels = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 20)), max_size=8).map(sorted)


@given(changes=levels)
def test_coming_back_up_costs_nothing(changes: list[tuple[int, int]]) -> None:
    """Only a level never held before in the period is added; the additions reach the highest."""
    holding = open_seats(editors(), {"editors": 7})[0]
    for offset, held in changes:
        before = holding
        holding = change_held(holding, held, APRIL.start + timedelta(days=offset))
        if held <= before.covered:
            assert (holding.covered, holding.additions) == (before.covered, before.additions)
    highest = max([7, *(held for _, held in changes)])
    assert holding.covered == highest
    assert sum(addition.quantity for addition in holding.additions) == highest - 7


@given(changes=levels)
def test_fewer_seats_never_cost_more(changes: list[tuple[int, int]]) -> None:
    """A seat less each time makes true-ups that are not higher."""

    def charged(less: int) -> int:
        terms = editors()
        holding = open_seats(terms, {"editors": 7})[0]
        for offset, held in changes:
            on = APRIL.start + timedelta(days=offset)
            holding = change_held(holding, max(held - less, 0), on)
        lines = true_up_lines(terms, (holding,), APRIL, is_monthly=False)
        return total([line.amount for line in lines], USD).minor

    assert charged(1) <= charged(0)


SEATS = [created(), subscribed("2026-04-01", seats={"editors": "7"})]
ADD, REMOVE, SET = "add_seats", "remove_seats", "set_seats"

# fmt: off
CHANGES: dict[str, tuple[list[Any], str, int]] = {
    # case do feature quantity outcome held after
    "added": ([ADD, "editors", "2"], "applied", 9),
    "removed": ([REMOVE, "editors", "2"], "applied", 5),
    "all removed": ([REMOVE, "editors", "7"], "applied", 0),
    "one more than held removed": ([REMOVE, "editors", "8"], "refused negative_seats", 7),
    "set": ([SET, "editors", "20"], "applied", 20),
    "set to none": ([SET, "editors", "0"], "applied", 0),
    "all that are included": ([SET, "viewers", "3"], "applied", 7),
    "one more without a price": ([SET, "viewers", "4"], "refused seats_not_included", 7),
    "no seats of that name": ([ADD, "api_calls", "1"], "refused feature_not_in_plan", 7),
    "unlimited seats": ([ADD, "guests", "500"], "applied", 7),
}
# fmt: on


@pytest.mark.parametrize(("change", "outcome", "held"), CHANGES.values(), ids=CHANGES)
def test_change_of_seats(change: list[str], outcome: str, held: int) -> None:
    do, feature, quantity = change
    action = act("2026-04-16", do, feature=feature, quantity=quantity, id="change")
    told = folded([*SEATS, action], setting_of(), "2026-05-01")
    assert outcomes(told)["change"] == outcome
    assert told.state.subscription is not None
    holdings = {item.feature: item.held for item in told.state.subscription.seats}
    assert holdings["editors"] == held


@pytest.mark.parametrize("plan", ["none", "unpaid", "ended"])
def test_seats_need_a_subscription_with_access(plan: str) -> None:
    story = [created()]
    if plan != "none":
        story.append(subscribed("2026-04-01"))
    if plan == "ended":
        story.append(act("2026-04-02", "cancel", when="now"))
    action = act("2026-04-16", "add_seats", feature="editors", quantity="1", id="change")
    setting = setting_of(assumes_payment=plan != "unpaid")
    told = folded([*story, action], setting, "2026-04-20")
    assert outcomes(told)["change"] == "refused not_subscribed"


def test_unlimited_seats_are_never_charged() -> None:
    """Rule SEAT-5: they have no price, and need none."""
    story = [
        *SEATS,
        act("2026-04-16", "add_seats", feature="guests", quantity="500"),
        act("2026-05-16", "cancel", when="now"),
    ]
    told = folded(story, setting_of(), "2026-05-31")
    assert invoices(told) == [
        "2026-04-01 initial: plan_base 29.00; feature_seats/advance editors 50.00 = 79.00",
        "2026-05-01 recurring: plan_base 29.00; feature_seats/advance editors 50.00 = 79.00",
    ]


def test_a_seat_price_by_the_month_on_a_longer_period() -> None:
    """12 x 25.00 in advance; a seat from day 184 of 365 on: 12 x 25.00 x 182/365."""
    story = [
        created(),
        subscribed("2026-01-01", interval="yearly", seats={"editors": "6"}),
        act("2026-07-03", "add_seats", feature="editors", quantity="1"),
    ]
    told = folded(
        story, setting_of(ladder(policies={"seat_price_is_monthly": "true"})), "2027-01-01"
    )
    assert invoices(told) == [
        "2026-01-01 initial: plan_base 290.00; feature_seats/advance editors 300.00 = 590.00",
        "2027-01-01 recurring: plan_base 290.00; feature_seats/advance editors 600.00; "
        "feature_seats/true_up editors 149.59 = 1039.59",
    ]
