"""Rules CRD-2, BAL-3, CAP-2, CUR-3, PAY-3, LED-1: what is bought, carried and refused."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.bill import bill, drawn_so_far
from billing_core.catalog import Catalog
from billing_core.ledger import carried
from billing_core.period import Window
from billing_core.resuming import keep
from billing_core.state import CustomerState, Funds, Status, Subscription
from billing_core.step import Step
from tests.billing_core.builders import (
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
    subscribed,
    terms_with,
    use,
)

CREDITS = {"credits_per_unit": "2"}
PRICED = {"overage": {"unit_price": "0.50"}}


def on_credits(**changes: Any) -> Catalog:
    """A plan with 100 credits a month, calls at 2; packs of 50 credits."""
    price = {"amount": "10.00", "included_credits": "100", "currencies": {"EUR": {"amount": "9"}}}
    plan = plan_of({"api_calls": CREDITS}, consumption_model="credits", prices={"monthly": price})
    packs = {
        "small": {"credits": "50", "price": "4.00", "currencies": {"EUR": {"price": "3.50"}}},
        "usd": {"name": "Dollars only", "credits": "50", "price": "4.00"},
        "gift": {"credits": "5", "price": "0.00"},
    }
    return ladder(**{"plans": {"starter": plan}, "credit_packs": packs, **changes})


def on_balance(**feature: Any) -> Catalog:
    price = {"amount": "10.00", "included_balance": "5.00"}
    held = {"api_calls": {**PRICED, **feature}}
    plan = plan_of(held, consumption_model="balance", prices={"monthly": price})
    return ladder(plans={"starter": plan})


def buys(pack: str, at: str = "2026-04-10", **fields: Any) -> Any:
    return act(at, "buy_credit_pack", id="buy", pack=pack, **fields)


def test_a_pack_costs_its_price_in_the_currency_of_the_subscription() -> None:
    story = [created(), subscribed("2026-04-01", currency="EUR"), buys("small")]
    told = folded(story, setting_of(on_credits()), "2026-04-30")
    assert invoices(told)[1] == "2026-04-10 pack_purchase: pack small 3.50 = 3.50"


@pytest.mark.parametrize(
    ("pack", "outcome"),
    [
        ("small", "applied"),
        ("usd", "refused currency_not_available"),
        ("large", "refused pack_not_available"),
    ],
)
def test_a_pack_without_a_price_in_the_currency_is_refused(pack: str, outcome: str) -> None:
    story = [created(), subscribed("2026-04-01", currency="EUR"), buys(pack)]
    told = folded(story, setting_of(on_credits()), "2026-04-30")
    assert outcomes(told)["buy"] == outcome


def test_a_pack_that_costs_nothing_makes_no_invoice() -> None:
    """Rule INV-7."""
    story = [created(), subscribed("2026-04-01"), buys("gift")]
    told = folded(story, setting_of(on_credits()), "2026-05-02")
    assert len(told.invoices) == 2
    assert told.state.funds == Funds("credits", told.state.funds.plan, told.ledger[1].amount)  # type: ignore[union-attr]
    assert [(it.kind, int(it.balance_after)) for it in told.ledger] == [
        ("reset", 100),
        ("purchase", 105),
    ]


def test_nothing_is_bought_before_a_checkout_is_paid_or_without_a_subscription() -> None:
    for story in ([created()], [created(), subscribed("2026-04-01")]):
        setting = setting_of(on_credits(), assumes_payment=False)
        told = folded([*story, buys("small", "2026-04-02")], setting, "2026-04-05")
        assert outcomes(told)["buy"] == "refused not_subscribed"


def test_a_top_up_is_what_is_invoiced_and_too_small_a_one_is_refused() -> None:
    """Rule BAL-3."""
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-02", "top_up", id="tiny", amount="0.004"),
        act("2026-04-03", "top_up", id="more", amount="1.006"),
    ]
    told = folded(story, setting_of(on_balance()), "2026-05-02")
    assert outcomes(told)["tiny"] == "refused below_minimum"
    assert invoices(told)[1] == "2026-04-03 balance_topup: pack 1.01 = 1.01"
    assert [(it.kind, str(it.amount)) for it in told.ledger] == [
        ("reset", "5"),
        ("topup", "101/100"),
        ("reset", "-101/100"),
    ]


def test_bought_credits_outlive_an_end_and_come_back() -> None:
    """Rules CRD-2, SUB-7."""
    story = [
        created(),
        subscribed("2026-04-01"),
        buys("small"),
        act("2026-04-12", "cancel", when="now"),
        subscribed("2026-06-01", id="s2"),
    ]
    setting = setting_of(on_credits(), uses=[use("2026-04-11", "60")])
    told = folded(story, setting, "2026-06-02")
    assert [(str(it.on), it.kind, int(it.balance_after)) for it in told.ledger] == [
        ("2026-04-01", "reset", 100),
        ("2026-04-10", "purchase", 150),
        ("2026-04-11", "consumption", 30),
        ("2026-06-01", "reset", 130),
    ]


def test_the_state_of_a_customer_on_credits_is_not_kept() -> None:
    """Rule PST-3: his usage is read by stretches, so he is folded from the first action."""
    story, setting = [created(), subscribed("2026-04-01")], setting_of(on_credits())
    at = instant("2026-05-01")
    assert keep("acme", story, setting, boundary_at=at, fingerprint=lambda _: "") is None


def test_a_change_of_model_takes_back_the_old_and_keeps_bought_credits() -> None:
    """Rules LED-1, CRD-2: each unit has a ledger of its own."""
    april = Window(
        day("2026-04-01"), day("2026-05-01"), instant("2026-04-01"), instant("2026-05-01")
    )
    may = Window(day("2026-05-01"), day("2026-06-01"), instant("2026-05-01"), instant("2026-06-01"))
    money = terms_with(consumption_model="balance", included_funds=Fraction(7))
    old = Subscription("s1", Status.ACTIVE, terms_with(), day("2026-04-01"), window=april)
    held = Funds("credits", Fraction(40), Fraction(30))
    before = CustomerState("acme", subscription=old, funds=held)
    after = replace(before, subscription=replace(old, terms=money, window=may))
    step = carried(before, Step(after))
    assert step.state.funds == Funds("USD", Fraction(7), Fraction(30))
    assert [(it.unit, int(it.amount), int(it.balance_after)) for it in step.ledger] == [
        ("credits", -40, 30),
        ("USD", 7, 7),
    ]


april_to_june = st.integers(0, 90).map(lambda n: str(date(2026, 4, 1) + timedelta(days=n)))


@settings(max_examples=40, deadline=None)
@given(
    uses=st.lists(st.tuples(april_to_june, st.integers(0, 120).map(str)), max_size=8),
    packs=st.lists(april_to_june, max_size=3),
    ends=st.one_of(st.none(), april_to_june),
)
def test_over_windows_and_ends_opening_and_entries_make_the_closing(
    uses: list[tuple[str, str]], packs: list[str], ends: str | None
) -> None:
    """Rules LED-1, CRD-2, INV-8: from the first window to the running one."""
    story = [created(), subscribed("2026-04-01")]
    story += [
        act(at, "buy_credit_pack", id=f"b{n}", pack="small") for n, at in enumerate(sorted(packs))
    ]
    story += [] if ends is None else [act(ends, "cancel", id="end", when="now")]
    setting = setting_of(on_credits(), uses=[use(*one) for one in uses])
    told = folded(story, setting, "2026-07-05")
    running = drawn_so_far(told.state, setting)
    entries = told.ledger if running is None else (*told.ledger, *running.entries)
    balance = Fraction(0)
    for entry in entries:
        balance += entry.amount
        assert entry.balance_after == balance >= 0
    left = told.state.funds if running is None else running.left
    assert left is not None
    assert left.plan + left.purchased == balance
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


NOT_DRAWN: dict[str, tuple[Catalog, dict[str, Any], str]] = {
    "included units": (on_balance(included="5"), "use included apart from the balance"),
    "tiers": (
        on_balance(overage={"model": "percentage", "rate_bp": "100"}),
        "use on a balance without a plain unit price",
    ),
    "a minimum": (
        on_balance(overage={"unit_price": "1", "minimum_amount": "1"}),
        "use on a balance without a plain unit price",
    ),
}


@pytest.mark.parametrize(("catalog", "what"), NOT_DRAWN.values(), ids=NOT_DRAWN)
def test_what_cannot_be_drawn_sets_the_customer_aside(catalog: Catalog, what: str) -> None:
    story = [created(), subscribed("2026-04-01")]
    answer = bill("acme", story, setting_of(catalog), until=instant("2026-05-01"))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.what) == (
        "SCOPE-01",
        f"{what} is not billed by this version",
    )
