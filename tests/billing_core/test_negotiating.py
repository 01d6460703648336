"""Terms above the catalog for one subscription: when they count, and when they cannot be."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.actions import parse_action
from billing_core.bill import bill
from billing_core.state import CustomerState
from billing_core.state_text import text_of, value_of
from tests.billing_core.builders import (
    LADDER,
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    plan_of,
    setting_of,
    starter_at,
    subscribed,
    use,
)

CHEAPER = {"prices": {"monthly": {"amount": "20.00"}}}


def agreed(at: str, patch: dict[str, Any], **fields: Any) -> Any:
    return act(at, "override_terms", patch=patch, **fields)


PATCHES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an unknown feature": (
        {"features": {"apicalls": {"included": "5"}}},
        {},
        "features.apicalls: the feature 'apicalls' is not in the catalog; "
        "did you mean 'api_calls'?",
    ),
    "a tier's price on a price per unit": (
        {"features": {"api_calls": {"overage": {"size": "100"}}}},
        {},
        "features.api_calls.overage.size: size stands on the charge model per_unit",
    ),
    "no amount": (
        {"prices": {"monthly": {"amount": None}}},
        {},
        "prices.monthly.amount: the key 'amount' is missing",
    ),
    "another model": ({"consumption_model": "balance"}, {}, "leave consumption_model out"),
    "no price of the interval": ({"prices": {"monthly": None}}, {}, "keep prices.monthly"),
    "a price in the catalog's currency alone": (
        CHEAPER,
        {"currency": "JPY"},
        "gives prices.monthly.amount in USD alone; add currencies: {JPY: ...} beside it",
    ),
    "an overage in the catalog's currency alone": (
        {"features": {"api_calls": {"overage": {"unit_price": "0.01"}}}},
        {"currency": "JPY"},
        "features.api_calls.overage.unit_price in USD alone",
    ),
    "an end before its beginning": (CHEAPER, {"until": "2026-04-10"}, "name a later day"),
}


@pytest.mark.parametrize("name", PATCHES)
def test_what_cannot_be_agreed_on_is_refused_with_its_place_and_cure(name: str) -> None:
    patch, fields, cure = PATCHES[name]
    currency = {"currency": fields["currency"]} if "currency" in fields else {}
    until = {"until": fields["until"]} if "until" in fields else {}
    story = [created(), subscribed("2026-04-01", **currency), agreed("2026-04-10", patch, **until)]
    told = folded(story, setting_of(), "2026-05-01")
    assert cure in told.outcomes[-1].what
    alone = folded(story[:-1], setting_of(), "2026-05-01")
    assert invoices(told) == invoices(alone)


def test_a_price_in_the_subscriptions_currency_counts() -> None:
    patch = {"prices": {"monthly": {"currencies": {"JPY": {"amount": "2000"}}}}}
    story = [created(), subscribed("2026-04-01", currency="JPY"), agreed("2026-04-10", patch)]
    told = folded(story, setting_of(), "2026-05-01")
    assert invoices(told)[-1] == "2026-05-01 recurring: plan_base 2000 = 2000"


def test_a_patch_with_all_its_prices_in_the_subscriptions_currency_counts() -> None:
    local = {"currencies": {"JPY": {"unit_price": "1"}}}
    patch = {
        "prices": {"quarterly": {"trial_days": "0"}},
        "features": {"api_calls": {"overage": local}, "viewers": {"included": "9"}},
    }
    story = [created(), subscribed("2026-04-01", currency="JPY"), agreed("2026-04-10", patch)]
    told = folded(story, setting_of(uses=[use("2026-05-05", "10500")]), "2026-06-01")
    assert invoices(told)[-1].endswith("feature_overage api_calls 500 = 3500")
    unsaid = {"features": {"api_calls": {"overage": {"block": "hard"}}}}
    mixed = folded([*story, agreed("2026-04-11", unsaid)], setting_of(), "2026-05-01")
    assert str(mixed.outcomes[-1]) == "applied"


def test_while_it_rests_terms_are_agreed_on_for_the_resume() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-10", "pause"),
        agreed("2026-04-11", CHEAPER, id="o1"),
        act("2026-04-12", "resume"),
    ]
    told = folded(story, setting_of(), "2026-04-30")
    assert outcomes(told)["o1"] == "applied"
    assert invoices(told)[-1] == "2026-04-12 recurring: plan_base 20.00 = 20.00"


def test_without_a_subscription_there_is_nothing_to_agree_on() -> None:
    gone = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-05", "cancel", when="now"),
        agreed("2026-04-10", CHEAPER, id="o1"),
    ]
    assert outcomes(folded(gone, setting_of(), "2026-04-30"))["o1"] == "refused not_subscribed"
    waiting = [created(), subscribed("2026-04-01"), agreed("2026-04-02", CHEAPER, id="o1")]
    unpaid = setting_of(assumes_payment=False)
    assert outcomes(folded(waiting, unpaid, "2026-04-03"))["o1"] == "refused not_subscribed"


def test_on_a_free_plan_the_next_month_has_less_and_this_one_more() -> None:
    less = {"features": {"api_calls": {"included": "500"}}}
    more = {"features": {"api_calls": {"included": "5000"}}}
    story = [created(), subscribed("2026-04-01", plan="free", interval=None)]
    for patch, before, after in ((less, 1000, 500), (more, 5000, 5000)):
        for until, included in (("2026-04-20", before), ("2026-05-10", after)):
            told = folded([*story, agreed("2026-04-10", patch)], setting_of(), until)
            assert told.state.subscription is not None
            assert told.state.subscription.terms.by_code["api_calls"].included == included


def test_a_lower_cost_in_credits_counts_from_its_instant_and_until_the_renewal() -> None:
    images = {"type": "metered", "name": "Images", "unit": "image"}
    plan = plan_of(
        {"images": {"credits_per_unit": "10"}},
        consumption_model="credits",
        prices={"monthly": {"amount": "10.00", "included_credits": "500"}},
    )
    catalog = ladder(features={"images": images}, plans={"pool": plan}, groups={})
    cheaper = {"features": {"images": {"credits_per_unit": "4"}}}
    story = [
        created(),
        subscribed("2026-04-01", plan="pool"),
        agreed("2026-04-10", cheaper, until="2026-04-20"),
    ]
    uses = [use(f"2026-{at} 12:00", "1", "images") for at in ("04-05", "04-15", "04-25", "05-05")]
    told = folded(story, setting_of(catalog, uses=uses), "2026-06-01")
    spent = [entry.amount for entry in told.ledger if entry.kind == "consumption"]
    assert spent == [-10, -4, -4, -10]


def test_a_version_over_which_it_fits_no_more_is_a_fault_at_the_renewal_alone() -> None:
    patch = {"features": {"api_calls": {"overage": {"unit_price": "0.01"}}}}
    plans = starter_at("29.00")
    plans["starter"]["features"]["api_calls"]["overage"] = {
        "model": "package",
        "size": "100",
        "price": "1.00",
    }
    setting = setting_of(ladder(), ladder(effective_at="2026-05-10", plans=plans))
    story = [created(), subscribed("2026-04-01"), agreed("2026-04-10", patch, id="o1")]
    assert len(folded(story, setting, "2026-05-31").invoices) == 2
    answer = bill("acme", story, setting, until=instant("2026-06-02"))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.where) == (
        "TERMS-01",
        "action o1, features.api_calls.overage.unit_price",
    )
    mended = [*story, agreed("2026-05-20", {})]
    assert len(folded(mended, setting, "2026-06-02").invoices) == 3


def test_a_patch_is_read_by_the_keys_of_a_plan() -> None:
    record = {
        "id": "o1",
        "do": "override_terms",
        "at": "2026-04-01T00:00:00Z",
        "received_at": "2026-04-01T00:00:00Z",
        "actor": "founder",
        "customer": "acme",
        "patch": {"features": {"api_calls": {"inculded": "5", "margin_bp": None}}, "prices": "x"},
    }
    found = parse_action(record, where="actions.jsonl")
    assert isinstance(found, tuple)
    assert {(one.code, one.path) for one in found} == {
        ("ACTION-01", "patch.features.api_calls.inculded"),
        ("ACTION-03", "patch.prices"),
    }
    assert any("did you mean 'included'?" in one.mend for one in found)


def test_what_is_agreed_on_is_kept_in_a_states_text() -> None:
    story = [created(), subscribed("2026-04-01"), agreed("2026-04-10", CHEAPER, until="2026-07-01")]
    state = folded(story, setting_of(), "2026-04-20").state
    assert value_of(text_of(state, CustomerState), CustomerState) == state
    assert state.subscription is not None
    assert [it.until_at for it in state.subscription.negotiated] == [instant("2026-07-01")]


@settings(deadline=None, max_examples=30)
@given(on=st.integers(0, 80), months=st.integers(1, 3))
def test_to_agree_on_what_the_catalog_says_changes_nothing(on: int, months: int) -> None:
    """Rule FAIR-4: a patch with the catalog's own values is the catalog."""
    starter = LADDER["plans"]["starter"]
    same = {"prices": starter["prices"], "features": {"editors": starter["features"]["editors"]}}
    at = str(day("2026-04-01") + timedelta(days=on))
    until = str(day("2026-04-01") + timedelta(days=on + 30 * months))
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "7"}),
        act("2026-04-17", "add_seats", feature="editors", quantity="2"),
    ]
    uses = [use("2026-05-05", "12000")]
    setting = setting_of(uses=uses)
    told = folded([*story, agreed(at, same, until=until)], setting, "2026-08-01")
    assert invoices(told) == invoices(folded(story, setting, "2026-08-01"))
    assert str(told.outcomes[-1]) == "applied"


@settings(deadline=None, max_examples=30)
@given(
    days=st.lists(st.integers(0, 29), min_size=1, max_size=4, unique=True),
    amounts=st.lists(st.integers(0, 20_000), min_size=4, max_size=4),
    lengths=st.lists(st.integers(1, 40), min_size=4, max_size=4),
)
def test_inside_a_period_terms_only_get_better(
    days: list[int], amounts: list[int], lengths: list[int]
) -> None:
    """Rule FAIR-4, whatever is agreed on and whenever it ends."""
    start = day("2026-04-01")
    story = [created(), subscribed("2026-04-01")]
    for on, amount, length in zip(sorted(days), amounts, lengths, strict=False):
        at, until = start + timedelta(days=on), start + timedelta(days=on + length)
        patch = {"features": {"api_calls": {"included": str(amount)}}}
        story.append(agreed(str(at), patch, until=str(until)))
    included = []
    for on in range(0, 30, 3):
        state = folded(story, setting_of(), str(start + timedelta(days=on))).state
        assert state.subscription is not None
        included.append(state.subscription.terms.by_code["api_calls"].included)
    assert included == sorted(included)
    assert included[0] >= 10_000
