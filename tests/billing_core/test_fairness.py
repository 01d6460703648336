"""What a later catalog version gives to a running period. Rules FAIR-1 to FAIR-5, 8 and 9."""

from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.catalog import Catalog
from billing_core.fairness import changes, improved, settled_until
from billing_core.fold import Folded
from billing_core.money import Currency
from billing_core.pricing import Percentage, PerUnit
from billing_core.state import SeatAddition
from billing_core.terms import FeatureTerms, Terms
from tests.billing_core.builders import created, folded, ladder, setting_of, subscribed, use

USD = Currency("USD", 2)
CALLS = FeatureTerms(
    code="calls",
    name="Calls",
    type="metered",
    unit="call",
    aggregation="sum",
    is_ai=False,
    margin_bp=0,
    included=Fraction(100),
    unlimited=False,
    price=PerUnit(Decimal("0.02")),
    mode="charge",
)


def terms(*features: FeatureTerms) -> Terms:
    by_code = {feature.code: feature for feature in features}
    return Terms(
        plan="pro",
        plan_name="Pro",
        consumption_model="metered",
        interval="monthly",
        currency=USD,
        amount=Decimal(29),
        features=tuple(by_code.values()),
        by_code=by_code,
    )


FIELDS: dict[str, tuple[dict[str, object], bool]] = {
    "more included": ({"included": Fraction(200)}, True),
    "less included": ({"included": Fraction(50)}, False),
    "unlimited": ({"unlimited": True}, True),
    "a higher price": ({"price": PerUnit(Decimal("0.03"))}, False),
    "a lower price": ({"price": PerUnit(Decimal("0.01"))}, False),
    "overage switched off": ({"price": None, "mode": "block"}, False),
    "a higher margin": ({"margin_bp": 100}, False),
    "a minimum": ({"minimum": Decimal(5)}, False),
}


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_comes_at_once_or_waits(name: str) -> None:
    written, is_at_once = FIELDS[name]
    new = replace(CALLS, **written)  # type: ignore[arg-type]
    found = changes(terms(CALLS), terms(new))
    assert {change.field for change in found} == set(written)
    assert {change.is_at_once for change in found} == {is_at_once}
    assert improved(terms(CALLS), terms(new)).by_code["calls"] == (new if is_at_once else CALLS)


def test_a_feature_that_is_added_comes_at_once_and_one_that_is_removed_stays() -> None:
    other = replace(CALLS, code="sso")
    assert improved(terms(CALLS), terms(other)).by_code == {"calls": CALLS, "sso": other}


def test_what_is_not_better_leaves_the_terms_as_they_are() -> None:
    own = terms(CALLS)
    assert improved(own, replace(own, amount=Decimal(19))) is own


def test_unit_prices_fall_at_once_where_the_switch_says_so() -> None:
    lower = replace(CALLS, price=PerUnit(Decimal("0.01")))
    assert improved(terms(CALLS), terms(lower), lowers_unit_prices=True) == terms(lower)
    higher = replace(CALLS, price=PerUnit(Decimal("0.03")))
    assert improved(terms(CALLS), terms(higher), lowers_unit_prices=True) == terms(CALLS)
    share = replace(CALLS, price=Percentage(1))
    assert improved(terms(CALLS), terms(share), lowers_unit_prices=True) == terms(CALLS)
    seats = replace(CALLS, type="seats")
    cheaper = replace(seats, price=PerUnit(Decimal("0.01")))
    assert improved(terms(seats), terms(cheaper), lowers_unit_prices=True) == terms(seats)


FOURTH, TENTH, TWENTIETH = (date(2026, 4, day) for day in (4, 10, 20))
SETTLED = {
    "none of them": (0, (SeatAddition(FOURTH, 2),)),
    "one of two": (1, (SeatAddition(FOURTH, 1, TWENTIETH), SeatAddition(FOURTH, 1))),
    "all": (5, (SeatAddition(FOURTH, 2, TWENTIETH),)),
}


@pytest.mark.parametrize("name", SETTLED)
def test_seats_that_become_included_are_paid_for_up_to_that_day(name: str) -> None:
    more, expected = SETTLED[name]
    assert settled_until((SeatAddition(FOURTH, 2),), more, TWENTIETH) == expected


def test_a_seat_added_on_the_day_it_becomes_included_costs_nothing() -> None:
    assert settled_until((SeatAddition(TENTH, 1),), 1, TENTH) == ()
    stopped = (SeatAddition(FOURTH, 1, TENTH),)
    assert settled_until(stopped, 3, TWENTIETH) == stopped


def drops_of(included: str | None, on: str, model: str = "credits") -> Catalog:
    """A plan on credits, or gone, from a day on."""
    plans = {} if included is None else {"drops": deepcopy(DROPS)}
    if included is not None:
        plans["drops"]["consumption_model"] = model
        plans["drops"]["prices"]["yearly"]["included_credits"] = included
    features = {"images": {"type": "metered", "name": "Images", "unit": "image"}}
    return ladder(effective_at=on, plans=plans, features=features)


DROPS: dict[str, Any] = {
    "name": "Drops",
    "consumption_model": "credits",
    "prices": {"yearly": {"amount": "200.00"}},
    "features": {"images": {"credits_per_unit": "1"}},
}
DROPPED = [created(), subscribed("2026-01-01", "drops", "yearly")]


def adjustments(told: Folded) -> list[tuple[str, Fraction]]:
    return [(str(it.on), it.amount) for it in told.ledger if it.kind == "adjustment"]


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 400)), max_size=6),
)
def test_credits_included_only_become_more_in_a_period(
    included: list[int], used: list[tuple[int, int]]
) -> None:
    """Rules FAIR-4, FAIR-5, LED-1: the highest so far is granted, and nothing else adds."""
    first = date(2026, 1, 1)
    versions = [
        drops_of(str(amount), str(first + timedelta(days=13 * place)))
        for place, amount in enumerate(included)
    ]
    uses = [use(f"{first + timedelta(days=day)} 12:00", str(n), "images") for day, n in used]
    told = folded(DROPPED, setting_of(*versions, uses=uses), "2026-04-01")
    highest = [max(included[: place + 1]) for place in range(len(included))]
    assert [amount for _, amount in adjustments(told)] == [
        after - before for before, after in pairwise(highest) if after > before
    ]
    balance = Fraction(0)
    for entry in told.ledger:
        balance += entry.amount
        assert balance == entry.balance_after >= 0
    assert told.state.funds is not None
    assert told.state.funds.plan == highest[-1]


def test_a_version_without_the_plan_or_on_another_model_adds_nothing() -> None:
    """Rule FAIR-5: only what is counted in the same unit can be more."""
    versions = [
        drops_of("100", "2026-01-01"),
        drops_of(None, "2026-01-10"),
        drops_of("900", "2026-01-12", "metered"),
        drops_of("150", "2026-01-20"),
    ]
    told = folded(DROPPED, setting_of(*versions), "2026-02-01")
    assert adjustments(told) == [("2026-01-20", Fraction(50))]
