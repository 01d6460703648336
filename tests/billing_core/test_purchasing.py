"""Rules PAY-3, PAY-0, PAY-2, CUS-1: purchases that wait for their payment."""

from typing import Any

import pytest

from billing_core.actions import Action
from billing_core.catalog import Catalog, Policies
from billing_core.fold import Folded
from billing_core.resuming import keep
from tests.billing_core.builders import (
    act,
    created,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    plan_of,
    setting_of,
    subscribed,
    use,
)

INITIAL = ("initial", "2026-04-01")
PACK = ("pack_purchase", "2026-04-10")


def on_credits() -> Catalog:
    price = {"amount": "10.00", "included_credits": "100"}
    plans = {
        "starter": plan_of(
            {"api_calls": {"credits_per_unit": "2"}},
            consumption_model="credits",
            prices={"monthly": price},
        )
    }
    return ladder(plans=plans, credit_packs={"small": {"credits": "50", "price": "4.00"}})


START = [created(), subscribed("2026-04-01"), paid("2026-04-01", INITIAL)]
BUYS = act("2026-04-10", "buy_credit_pack", id="buy", pack="small")


def told(*steps: Action, until: str = "2026-04-30", **changes: Any) -> Folded:
    setting = setting_of(on_credits(), assumes_payment=False, **changes)
    return folded([*START, *steps], setting, until)


def test_a_pack_waits_and_makes_no_invoice_until_it_is_paid() -> None:
    waits = told(BUYS)
    assert outcomes(waits)["buy"] == "applied"
    assert len(waits.invoices) == 1
    assert [it.draft.id for it in waits.state.purchases] == ["acme/pack_purchase/buy/2026-04-10"]
    assert not waits.state.purchases[0].draft.is_postable


@pytest.mark.parametrize("name", [PACK, "acme/pack_purchase/buy/2026-04-10"])
def test_the_paid_invoice_keeps_the_id_and_takes_the_day_of_the_payment(name: Any) -> None:
    got = told(BUYS, paid("2026-04-12 10:00", name))
    assert invoices(got)[1] == "2026-04-12 pack_purchase: pack small 4.00 = 4.00"
    assert got.invoices[1].id == "acme/pack_purchase/buy/2026-04-10"
    assert got.state.purchases == ()
    assert got.state.funds is not None
    assert [(it.at, it.on.day) for it in got.state.funds.additions] == [
        (instant("2026-04-12 10:00"), 12)
    ]


def test_a_failed_payment_undoes_the_purchase_and_says_so() -> None:
    got = told(BUYS, paid("2026-04-10 08:00", PACK, "failed"))
    assert outcomes(got)["buy"] == "refused payment_failed"
    assert got.outcomes[3].what == "50 credits was not bought: its payment failed; buy again"
    assert len(got.invoices) == 1
    assert got.state.purchases == ()


def test_paid_in_parts_it_is_there_with_the_last() -> None:
    parts = [paid(f"2026-04-1{day}", PACK, amount=part) for day, part in ((1, "1.50"), (3, "2.50"))]
    assert len(told(BUYS, parts[0]).invoices) == 1
    got = told(BUYS, *parts)
    assert invoices(got)[1] == "2026-04-13 pack_purchase: pack small 4.00 = 4.00"
    assert got.state.invoices[-1].unpaid.minor == 0


def test_an_amount_that_the_currency_does_not_have_pays_nothing() -> None:
    got = told(BUYS, paid("2026-04-11", PACK, amount="4.001", id="p"))
    assert outcomes(got)["p"] == "refused payment_failed"
    assert len(got.state.purchases) == 1


def test_what_was_paid_too_much_before_buys_at_once() -> None:
    more = paid("2026-04-02", INITIAL, amount="5.00")
    got = told(more, BUYS)
    assert invoices(got)[1] == "2026-04-10 pack_purchase: pack small 4.00 = 4.00"
    assert got.state.purchases == ()


@pytest.mark.parametrize("amount", [None, "4.00", "1.00"])
def test_what_is_paid_after_the_end_stays_the_customers(amount: str | None) -> None:
    """Rule PAY-2."""
    late = paid("2026-04-20", PACK, **({} if amount is None else {"amount": amount}))
    got = told(BUYS, act("2026-04-15", "cancel", when="now"), late)
    assert outcomes(got)["buy"] == "refused payment_failed"
    assert got.state.invoices[-1].unpaid.minor == -int(float(amount or 4) * 100)


@pytest.mark.parametrize("by", ["the customer's own terms", "the policy"])
def test_on_terms_it_is_there_at_once_and_a_failed_payment_changes_nothing(by: str) -> None:
    """Rule PAY-1: overdue is a notice."""
    owes, catalog = created(collection="on_terms"), on_credits()
    if by == "the policy":
        owes, on_terms = created(), Policies(collection="on_terms")
        catalog = catalog.model_copy(update={"policies": on_terms})
    setting = setting_of(catalog, assumes_payment=False)
    story = [owes, *START[1:], BUYS, paid("2026-04-12", PACK, "failed", id="p")]
    got = folded(story, setting, "2026-04-30")
    assert (outcomes(got)["buy"], outcomes(got)["p"]) == ("applied", "applied")
    assert invoices(got)[1] == "2026-04-10 pack_purchase: pack small 4.00 = 4.00"
    assert got.state.invoices[-1].unpaid.minor == 400


def test_a_purchase_bought_twice_is_paid_by_its_id() -> None:
    again = act("2026-04-10 05:00", "buy_credit_pack", id="again", pack="small")
    got = told(BUYS, again, paid("2026-04-11", "acme/pack_purchase/buy/2026-04-10"))
    assert [it.action_id for it in got.state.purchases] == ["again"]
    last = told(BUYS, again, paid("2026-04-11", PACK))
    assert [it.action_id for it in last.state.purchases] == ["buy"]


def test_a_purchase_that_failed_is_named_only_where_none_was_made() -> None:
    """Rule PAY-0: the second one of the day came to nothing, so a credit note is on the first."""
    again = act("2026-04-10 05:00", "buy_credit_pack", id="again", pack="small")
    results = [
        paid("2026-04-10 06:00", "acme/pack_purchase/buy/2026-04-10", id="p"),
        paid("2026-04-10 07:00", "acme/pack_purchase/again/2026-04-10", "failed", id="q"),
    ]
    note = act(
        "2026-04-11", "issue_credit_note", amount="1.00", reason="agreed",
        invoice={"type": PACK[0], "on": PACK[1]},
    )  # fmt: skip
    got = told(BUYS, again, *results, note)
    assert invoices(got)[2] == "2026-04-11 credit_note: pack small -1.00 = -1.00"
    credited = {it.id.split("/")[2]: it.credited.minor for it in got.state.invoices}
    assert credited == {"s1": 0, "buy": 100, "again": 0}
    only = told(BUYS, paid("2026-04-10 07:00", PACK, "failed", id="q"), note)
    assert str(only.outcomes[-1]) == "refused unknown_invoice"


def test_use_is_drawn_with_a_pack_from_its_payment_on() -> None:
    """Rule CRD-4."""
    uses = [use("2026-04-11", "80"), use("2026-04-13", "20")]
    got = told(BUYS, paid("2026-04-12", PACK), until="2026-05-02", uses=uses)
    assert [(it.kind, int(it.amount)) for it in got.ledger][:4] == [
        ("reset", 100),
        ("consumption", -100),
        ("purchase", 50),
        ("consumption", -40),
    ]


def test_a_state_with_a_purchase_that_waits_is_not_kept() -> None:
    """Rule PST-3: its draft changes from day to day."""
    setting = setting_of(ladder(addons={"sso": SSO}), assumes_payment=False)
    story = [*START, act("2026-04-10", "activate_addon", addon="sso")]
    at = instant("2026-04-20")
    assert keep("acme", story, setting, boundary_at=at, fingerprint=lambda _: "") is None
    assert keep("acme", START, setting, boundary_at=at, fingerprint=lambda _: "") is not None


SSO = {"name": "Single sign-on", "feature": "sso", "model": "boolean", "price": "7.00"}
