"""A subscription that comes over from another system is, from then on, as any other."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.actions import Action
from billing_core.fold import Folded
from billing_core.period import MONTHS, boundary, months_before
from billing_core.state import CustomerState
from billing_core.state_text import text_of, value_of
from tests.billing_core.builders import (
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    setting_of,
    shown,
    subscribed,
    use,
)

INTERVALS = ("monthly", "quarterly", "yearly")


def imported(at: str, anchor: date, interval: str | None, **fields: Any) -> Action:
    """The subscription `s1` of an anchor, in the period that runs at an instant."""
    length = MONTHS[interval or "monthly"]
    months = months_before(anchor, day(at[:10])) // length * length
    start, end = boundary(anchor, months), boundary(anchor, months + length)
    given = {
        "id": "s1",
        "plan": "starter",
        "interval": interval,
        "anchor": anchor,
        "period": (start, end),
        "paid_through": end,
        **fields,
    }
    return act(at, "import_subscription", **given)


def after(told: Folded, on: date) -> list[str]:
    return [shown(it) for it in told.invoices if it.billing_day > on]


LATER: dict[str, list[Action]] = {
    "nothing": [],
    "seats": [act("2026-06-20", "add_seats", feature="editors", quantity="3")],
    "an end now": [act("2026-06-20", "cancel", when="now")],
    "an end at period end": [act("2026-06-20", "cancel")],
    "a longer interval": [act("2026-06-20", "change_plan", plan="starter", interval="yearly")],
    "a pause": [act("2026-06-20", "pause"), act("2026-07-01", "resume")],
}


@settings(deadline=None, max_examples=60)
@given(
    anchor=st.dates(date(2024, 1, 1), date(2026, 5, 30)),
    into=st.integers(0, 17),
    interval=st.sampled_from(INTERVALS),
    seats=st.integers(0, 9),
    later=st.sampled_from(sorted(LATER)),
)
def test_who_moved_in_is_invoiced_as_who_was_always_here(
    anchor: date, into: int, interval: str, seats: int, later: str
) -> None:
    """Rule CUS-2: the same invoices after the move, for the same use after it."""
    on = date(2026, 6, 1) + timedelta(days=into)
    held = {"editors": str(seats)}
    uses = [use(f"{on} 12:00", "8000"), use("2026-06-25", "7000"), use("2026-09-09", "11000")]
    setting = setting_of(uses=uses)
    always = [created(), subscribed(str(anchor), interval=interval, seats=held), *LATER[later]]
    moved = [created(), imported(str(on), anchor, interval, seats=held), *LATER[later]]
    until = "2027-07-01"
    here, came = folded(always, setting, until), folded(moved, setting, until)
    assert after(came, on) == after(here, on)
    assert all(it.billing_day > on for it in came.invoices)
    assert came.state.credits == here.state.credits


@settings(deadline=None, max_examples=30)
@given(
    on=st.dates(date(2026, 6, 1), date(2026, 6, 18)),
    periods=st.integers(1, 3),
    interval=st.sampled_from(INTERVALS),
    seats=st.integers(0, 9),
    later=st.sampled_from(sorted(LATER)),
)
def test_who_moves_in_on_a_renewal_is_invoiced_for_it(
    on: date, periods: int, interval: str, seats: int, later: str
) -> None:
    """Rule CUS-2: where nothing of the period is paid, its invoice is the one of a renewal."""
    held = {"editors": str(seats)}
    anchor = boundary(on, -periods * MONTHS[interval])
    setting = setting_of(uses=[use("2026-06-25", "7000"), use("2026-09-09", "11000")])
    always = [created(), subscribed(str(anchor), interval=interval, seats=held), *LATER[later]]
    moved = imported(str(on), anchor, interval, seats=held, paid_through=on)
    here = folded(always, setting, "2027-07-01")
    came = folded([created(), moved, *LATER[later]], setting, "2027-07-01")
    assert [shown(it) for it in came.invoices] == after(here, on - timedelta(days=1))
    assert came.state.credits == here.state.credits


def test_a_period_begins_with_the_move_for_what_the_catalog_makes_better() -> None:
    """The terms are those of the move; what was offered before it is not looked at."""
    plans = ladder().model_dump(mode="json", exclude_unset=True)["plans"]
    plans["starter"]["features"]["api_calls"]["included"] = "20000"
    versions = (
        ladder(),
        ladder(effective_at="2026-05-01", plans=plans),
        ladder(effective_at="2026-06-01"),
    )
    moved = imported("2026-06-10", date(2026, 1, 15), "yearly")
    for until in ("2026-06-20", "2026-08-20"):
        told = folded([created(), moved], setting_of(*versions), until)
        assert told.state.subscription is not None
        assert told.state.subscription.terms.by_code["api_calls"].included == 10_000


def test_a_free_plan_moves_in_and_its_months_roll() -> None:
    moved = imported("2026-06-10", date(2026, 1, 15), None, plan="free")
    told = folded([created(), moved], setting_of(), "2026-07-20")
    assert told.invoices == ()
    assert told.state.subscription is not None
    assert told.state.subscription.window is not None
    assert told.state.subscription.window.start == date(2026, 7, 15)


def test_a_private_plan_and_a_currency_of_its_own() -> None:
    moved = imported("2026-06-10", date(2026, 6, 1), "monthly", plan="hidden", currency="JPY")
    told = folded([created(), moved], setting_of(), "2026-07-01")
    assert invoices(told) == ["2026-07-01 recurring: plan_base 3000 = 3000"]


def test_terms_that_come_along_stand_without_end() -> None:
    terms = {"prices": {"monthly": {"amount": "20.00"}}}
    story = [created(), imported("2026-06-10", date(2026, 6, 1), "monthly", terms=terms)]
    told = folded(story, setting_of(), "2027-06-01")
    assert {it.total.major for it in told.invoices} == {20}
    assert value_of(text_of(told.state, CustomerState), CustomerState) == told.state


def test_bought_credits_add_to_those_of_before() -> None:
    images = {"type": "metered", "name": "Images", "unit": "image"}
    pool = {
        "name": "Pool",
        "consumption_model": "credits",
        "prices": {"monthly": {"amount": "10.00", "included_credits": "500"}},
        "features": {"images": {"credits_per_unit": "10"}},
    }
    packs = {"small": {"credits": "30", "price": "3.00"}}
    catalog = ladder(features={"images": images}, plans={"pool": pool}, credit_packs=packs)
    story = [
        created(),
        subscribed("2026-03-01", plan="pool", id="s0"),
        act("2026-03-02", "buy_credit_pack", pack="small"),
        act("2026-03-10", "cancel", when="now"),
        imported(
            "2026-04-10",
            date(2026, 4, 1),
            "monthly",
            plan="pool",
            credits={"plan": "0", "purchased": "20"},
        ),
    ]
    told = folded(story, setting_of(catalog), "2026-04-20")
    entries = [(it.kind, it.amount, it.balance_after) for it in told.ledger[-2:]]
    assert entries == [("reset", -500, 30), ("adjustment", 20, 50)]
    assert told.state.funds is not None
    assert (told.state.funds.plan, told.state.funds.purchased) == (0, 50)


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "terms in another currency": (
        {"currency": "JPY", "terms": {"prices": {"monthly": {"amount": "20.00"}}}},
        "refused currency_not_available",
    ),
    "credits on a metered plan": ({"credits": "30"}, "refused wrong_model"),
    "seats above what is sold": ({"seats": {"viewers": "4"}}, "refused seats_not_included"),
    "a currency that is not sold": ({"currency": "BHD"}, "refused currency_not_available"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_is_refused(name: str) -> None:
    fields, outcome = UNFIT[name]
    story = [created(), imported("2026-06-10", date(2026, 6, 1), "monthly", **fields)]
    told = folded(story, setting_of(), "2026-07-01")
    assert outcomes(told)["s1"] == outcome
    assert told.invoices == ()


def test_the_window_begins_at_the_instant_in_the_customers_zone() -> None:
    zone = {"time_zone": "America/New_York"}
    moved = imported("2026-06-15 02:00", date(2026, 6, 14), "monthly")
    told = folded([created(**zone), moved], setting_of(), "2026-06-20")
    assert told.state.subscription is not None
    window = told.state.subscription.window
    assert window is not None
    assert (window.start, window.start_at) == (date(2026, 6, 14), instant("2026-06-15 02:00"))
    assert window.end_at == instant("2026-07-14 04:00")
