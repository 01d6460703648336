"""Rules SUB-1, SUB-2, SUB-4, SUB-7, SUB-8, SUB-11, PAY-0: how a subscription begins."""

from typing import Any

import pytest

from billing_core.actions import Subscribe
from billing_core.bill import bill
from billing_core.setting import Setting
from billing_core.state import CustomerState, Status, Subscription
from billing_core.subscribing import open_first_period, subscribe
from billing_core.terms import terms_of
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    plan_of,
    setting_of,
    starter_at,
    subscribed,
    use,
)

UNPAID: dict[str, Any] = {"assumes_payment": False}


def subscription_of(actions: list[Any], setting: Setting, until: str) -> Subscription:
    """The subscription of acme at the end of a day."""
    subscription = folded(actions, setting, until).state.subscription
    assert subscription is not None
    return subscription


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "a plan on offer": ({}, "applied"),
    "with seats": ({"seats": {"editors": "7"}}, "applied"),
    "with all that are included": ({"seats": {"viewers": "3"}}, "applied"),
    "with unlimited seats": ({"seats": {"guests": "500"}}, "applied"),
    "in another currency": ({"currency": "JPY"}, "applied"),
    "free": ({"plan": "free", "interval": None}, "applied"),
    "free, with an interval": ({"plan": "free"}, "applied"),
    "private, by the founder": ({"plan": "hidden"}, "applied"),
    "private, by the customer": (
        {"plan": "hidden", "actor": "customer"},
        "refused plan_not_available",
    ),
    "no such plan": ({"plan": "gold"}, "refused plan_not_available"),
    "no interval": ({"interval": None}, "refused interval_not_available"),
    "no such currency": ({"currency": "EUR"}, "refused currency_not_available"),
    "yearly in that currency": (
        {"currency": "JPY", "interval": "yearly"},
        "refused currency_not_available",
    ),
    "free in another currency": (
        {"plan": "free", "currency": "JPY"},
        "refused currency_not_available",
    ),
    "no such seats": ({"seats": {"pilots": "1"}}, "refused feature_not_in_plan"),
    "seats of a metered feature": ({"seats": {"api_calls": "1"}}, "refused feature_not_in_plan"),
    "more than are sold": ({"seats": {"viewers": "4"}}, "refused seats_not_included"),
}


@pytest.mark.parametrize(("fields", "outcome"), ASKED.values(), ids=ASKED)
def test_subscribe(fields: dict[str, Any], outcome: str) -> None:
    told = folded([created(), subscribed("2026-04-01", **fields)], setting_of(), "2026-04-30")
    assert outcomes(told)["s1"] == outcome
    assert (told.state.subscription is None) == outcome.startswith("refused")


def test_a_refusal_names_what_could_be_had() -> None:
    story = [
        created(),
        subscribed("2026-04-01", plan="gold"),
        subscribed("2026-04-02", interval=None),
    ]
    told = folded(story, setting_of(), "2026-04-30")
    assert [outcome.what for outcome in told.outcomes[1:]] == [
        "plan 'gold' is not on offer; on offer: free, starter",
        "plan 'starter' has no price for interval None; it has monthly, quarterly, yearly",
    ]


def test_seats_below_zero_are_refused() -> None:
    """The schema keeps them out of files; an action made in code passes it by."""
    asked = subscribed("2026-04-01")
    action = asked.model_copy(update={"seats": {"editors": -1}})
    assert isinstance(action, Subscribe)
    step = subscribe(CustomerState("acme"), action, action.at, setting_of())
    assert str(getattr(step.decision, "reason", None)) == "negative_seats"


SECOND: dict[str, tuple[list[Any], str]] = {
    "while active": ([], "refused already_subscribed"),
    "while cancelling": (
        [act("2026-04-02", "cancel", when="period_end")],
        "refused already_subscribed",
    ),
    "after a cancellation": ([act("2026-04-02", "cancel", when="now")], "applied"),
}


@pytest.mark.parametrize(("before", "outcome"), SECOND.values(), ids=SECOND)
def test_one_subscription_at_a_time(before: list[Any], outcome: str) -> None:
    story = [created(), subscribed("2026-04-01"), *before, subscribed("2026-04-10", id="s2")]
    assert outcomes(folded(story, setting_of(), "2026-04-30"))["s2"] == outcome


def test_a_checkout_in_waiting_is_a_subscription_and_an_expired_one_is_none() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        subscribed("2026-04-07 23:59", id="s2"),
        subscribed("2026-04-08", id="s3"),
    ]
    told = outcomes(folded(story, setting_of(**UNPAID), "2026-04-08"))
    assert (told["s2"], told["s3"]) == ("refused already_subscribed", "applied")


def test_a_free_plan_makes_no_invoice_and_its_months_roll() -> None:
    story = [created(), subscribed("2026-01-31", plan="free", interval=None)]
    uses = [use("2026-02-27", "900"), use("2026-02-28", "1200"), use("2026-03-30", "1")]
    told = folded(story, setting_of(uses=uses), "2026-03-31")
    assert invoices(told) == []
    assert [(w.window.start, w.window.end) for w in told.windows] == [
        (day("2026-01-31"), day("2026-02-28")),
        (day("2026-02-28"), day("2026-03-31")),
    ]
    assert [(w.usage[0].used, w.usage[0].blocked) for w in told.windows] == [(900, 0), (1201, 201)]
    assert told.state.subscription is not None
    assert told.state.subscription.period == told.state.subscription.window.period  # type: ignore[union-attr]


def test_a_checkout_waits_for_its_payment() -> None:
    story = [created(), subscribed("2026-04-01 10:00", seats={"editors": "6"})]
    subscription = subscription_of(story, setting_of(**UNPAID), "2026-04-02")
    assert subscription.status is Status.PENDING_PAYMENT
    assert (subscription.window, subscription.period) == (None, None)
    assert subscription.expires_at == instant("2026-04-08 10:00")
    draft = subscription.checkout
    assert draft is not None
    assert (str(draft.total), draft.is_postable) == ("54.00 USD", False)


CHECKOUTS: dict[str, tuple[list[str], str, list[str]]] = {
    "paid at once": (["2026-04-01"], "2026-04-30", ["2026-04-01 initial: plan_base 29.00 = 29.00"]),
    "paid later, dated by the payment": (
        ["2026-04-05"],
        "2026-05-05",
        [
            "2026-04-05 initial: plan_base 29.00 = 29.00",
            "2026-05-05 recurring: plan_base 29.00 = 29.00",
        ],
    ),
    "paid in the last moment": (
        ["2026-04-07 23:59:59.999999"],
        "2026-04-30",
        ["2026-04-07 initial: plan_base 29.00 = 29.00"],
    ),
    "paid as it expires": (["2026-04-08"], "2026-04-30", []),
    "never paid": ([], "2026-06-30", []),
}


@pytest.mark.parametrize(("payments", "until", "expected"), CHECKOUTS.values(), ids=CHECKOUTS)
def test_checkout(payments: list[str], until: str, expected: list[str]) -> None:
    story = [created(), subscribed("2026-04-01")]
    story += [paid(at, ("initial", "2026-04-01")) for at in payments]
    assert invoices(folded(story, setting_of(**UNPAID), until)) == expected


def test_an_expired_checkout_leaves_nothing() -> None:
    story = [created(), subscribed("2026-04-01")]
    told = folded(story, setting_of(**UNPAID), "2026-04-08")
    assert told.state.subscription is not None
    assert told.state.subscription.status is Status.EXPIRED
    assert (told.invoices, told.windows, told.state.invoices) == ((), (), ())


def test_the_days_of_a_checkout_are_a_policy() -> None:
    setting = setting_of(ladder(policies={"checkout_days": "2"}), **UNPAID)
    story = [created(), subscribed("2026-04-01"), paid("2026-04-03", ("initial", "2026-04-01"))]
    assert invoices(folded(story, setting, "2026-04-30")) == []


def test_a_paid_checkout_keeps_its_id_and_its_price() -> None:
    """Rules PAY-0, SUB-11: the price of the day of the checkout, dated by the payment."""
    catalogs = (ladder(), ladder(effective_at="2026-04-03", plans=starter_at("35.00")))
    story = [created(), subscribed("2026-04-01")]
    setting = setting_of(*catalogs, **UNPAID)
    draft = subscription_of(story, setting, "2026-04-02").checkout
    assert draft is not None
    story.append(paid("2026-04-05 09:30", draft.id))
    (invoice,) = folded(story, setting, "2026-04-30").invoices
    assert (invoice.id, invoice.billing_day) == (draft.id, day("2026-04-05"))
    assert (str(invoice.total), invoice.is_postable) == ("29.00 USD", True)
    assert invoice.made_at == instant("2026-04-05 09:30")


def test_the_first_window_begins_at_the_instant_and_the_period_on_the_day() -> None:
    """Rule CNV-9: what is used before is rated nowhere, the first day counts in full."""
    story = [created(), subscribed("2026-04-01 10:00")]
    uses = [use("2026-04-01 09:59:59.999999", "50000"), use("2026-04-01 10:00", "10100")]
    told = folded(story, setting_of(uses=uses), "2026-05-01")
    assert invoices(told)[1] == (
        "2026-05-01 recurring: plan_base 29.00; feature_overage api_calls 2.00 = 31.00"
    )


def test_a_checkout_of_nothing_opens_at_once() -> None:
    setting = setting_of(ladder(plans=starter_at("0.00")), **UNPAID)
    told = folded([created(), subscribed("2026-04-01")], setting, "2026-05-01")
    assert invoices(told) == [
        "2026-04-01 initial: plan_base 0.00 = 0.00",
        "2026-05-01 recurring: plan_base 0.00 = 0.00",
    ]


def test_reactivated_at_the_price_of_that_day() -> None:
    catalogs = (ladder(), ladder(effective_at="2026-04-15", plans=starter_at("35.00")))
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-01", "cancel", when="now"),
        subscribed("2026-04-20", id="s2"),
    ]
    assert invoices(folded(story, setting_of(*catalogs), "2026-04-30")) == [
        "2026-04-01 initial: plan_base 29.00 = 29.00",
        "2026-04-20 initial: plan_base 35.00; credit cancellation -29.00 = 6.00",
    ]


def test_another_currency_is_charged_in_its_own_prices() -> None:
    story = [created(), subscribed("2026-04-01", currency="JPY", seats={"editors": "6"})]
    told = folded(story, setting_of(uses=[use("2026-04-10", "10100.2")]), "2026-05-01")
    assert invoices(told) == [
        "2026-04-01 initial: plan_base 3000; feature_seats/advance editors 2500 = 5500",
        "2026-05-01 recurring: plan_base 3000; feature_overage api_calls 200; "
        "feature_seats/advance editors 2500 = 5700",
    ]


def test_a_currency_of_three_decimals() -> None:
    price = {"amount": "10.00", "currencies": {"BHD": {"amount": "3.7705"}}}
    plan = plan_of({}, prices={"monthly": price})
    setting = setting_of(ladder(plans={"starter": plan}))
    told = folded([created(), subscribed("2026-04-01", currency="BHD")], setting, "2026-04-30")
    assert invoices(told) == ["2026-04-01 initial: plan_base 3.771 = 3.771"]


def test_overage_of_a_quota_is_not_billed_yet_unless_it_waits_for_a_confirmation() -> None:
    quota = {"type": "quota", "name": "Storage", "unit": "GB"}
    for mode, code in (("charge", "SCOPE-01"), ("confirm", None), ("block", None)):
        held = {"included": "2", "overage": {"mode": mode, "unit_price": "1"}}
        catalog = ladder(features={"storage": quota}, plans={"starter": plan_of({"storage": held})})
        story = [created(), subscribed("2026-04-01")]
        answer = bill("acme", story, setting_of(catalog), until=instant("2026-05-01"))
        assert (answer.fault.code if answer.fault else None) == code


@pytest.mark.parametrize(
    ("country", "fields", "currency"),
    [
        ("JP", {}, "JPY"),
        ("JP", {"currency": "USD"}, "USD"),
        ("JP", {"interval": "yearly"}, "USD"),
        ("JP", {"plan": "free"}, "USD"),
        ("DE", {}, "USD"),
        ("AQ", {}, "USD"),
        (None, {}, "USD"),
    ],
)
def test_a_subscription_is_in_the_currency_of_the_country_if_it_is_priced_in_it(
    country: str | None, fields: dict[str, Any], currency: str
) -> None:
    """Rules CUR-1, CUR-3."""
    setting = setting_of(local_currencies={"JP": "JPY", "DE": "EUR"})
    story = [created(country=country), subscribed("2026-04-01", **fields)]
    assert subscription_of(story, setting, "2026-04-01").terms.currency.code == currency


def test_a_first_period_is_opened_from_a_checkout_only() -> None:
    terms = terms_of(ladder(), "starter", "monthly", USD)
    bare = Subscription("s1", Status.PENDING_PAYMENT, terms, day("2026-04-01"))
    with pytest.raises(ValueError, match="has no checkout"):
        open_first_period(CustomerState("acme"), bare, instant("2026-04-01"), setting_of())
