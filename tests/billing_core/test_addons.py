"""Rules ADD-1 to ADD-6: add-ons in state, in terms and on invoices; the stories are scenarios."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing_core.addons import (
    AddonNotPriced,
    base_line,
    current_features,
    unused_lines,
    window_terms,
)
from billing_core.bill import bill, with_booked
from billing_core.catalog import Catalog
from billing_core.period import Period, Span
from billing_core.resuming import KeptState, keep
from billing_core.state import HeldAddon, Status, Subscription
from billing_core.state_text import text_of, value_of
from billing_core.terms import AddonTerms
from tests.billing_core.builders import (
    LADDER,
    act,
    created,
    day,
    feature_terms,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    setting_of,
    subscribed,
    terms_with,
    use,
)

SMS = {
    "name": "SMS",
    "feature": "sms",
    "model": "metered",
    "price": "50.00",
    "included": "100",
    "overage": {"unit_price": "0.03"},
}
SSO = {"name": "Single sign-on", "feature": "sso", "model": "boolean", "price": "49.00"}
FEATURES = {
    **LADDER["features"],
    "sms": {"type": "metered", "name": "SMS", "unit": "message"},
    "disk": {"type": "quota", "name": "Disk", "unit": "GB"},
}


def with_addons(effective_at: str = "2020-01-01", **addons: Any) -> Catalog:
    offered = {"sms": SMS, "sso": SSO, **addons}
    return ladder(effective_at=effective_at, features=FEATURES, addons=offered)


def activates(addon: str, at: str = "2026-04-16", **fields: Any) -> Any:
    return act(at, "activate_addon", **{"id": addon, "addon": addon, **fields})


PRORATED = {
    "20 of 31": ("50.00", "2026-01-12", ("2026-01-01", "2026-02-01"), "32.26"),
    "15 of 30": ("49.00", "2026-04-16", ("2026-04-01", "2026-05-01"), "24.50"),
    "all days": ("49.00", "2026-04-01", ("2026-04-01", "2026-05-01"), "49.00"),
    "one day": ("49.00", "2026-04-30", ("2026-04-01", "2026-05-01"), "1.63"),
    "a leap year": ("366.00", "2024-02-29", ("2024-01-01", "2025-01-01"), "307.00"),
    "a half cent is rounded up": ("0.99", "2026-04-16", ("2026-04-01", "2026-05-01"), "0.50"),
    "a quarter": ("50.00", "2026-02-15", ("2026-01-01", "2026-04-01"), "25.00"),
}


@pytest.mark.parametrize(("price", "on", "period", "amount"), PRORATED.values(), ids=PRORATED)
def test_an_activation_costs_the_share_of_the_days_left(
    price: str, on: str, period: tuple[str, str], amount: str
) -> None:
    """Rules ADD-2, CNV-6."""
    whole = Period(*map(day, period))
    addon = AddonTerms("x", "X", "boolean", Decimal(price), feature_terms())
    line = base_line(terms_with(), addon, Period(day(on), whole.end), unit="month", of=whole)
    assert (str(line.amount.major), line.unit_price) == (amount, Decimal(price))
    rest = (whole.end - day(on)).days
    assert line.days == (None if rest == whole.days else (rest, whole.days))


def test_unused_days_never_come_to_more_than_was_charged() -> None:
    """Rule ADD-4: whatever the days of activation and change."""
    whole = Period(day("2026-01-01"), day("2026-02-01"))
    addon = AddonTerms("x", "X", "boolean", Decimal("49.99"), feature_terms())
    held = HeldAddon(addon, instant("2026-01-01"), is_paid=True)
    owner = Subscription("s1", Status.ACTIVE, terms_with(), whole.start, addons=(held,))
    for first in range(1, 32):
        rest = Period(whole.start.replace(day=first), whole.end)
        charged = base_line(owner.terms, addon, rest, unit="", of=whole).amount.minor
        for last in range(first, 32):
            unused = Period(whole.start.replace(day=last), whole.end)
            (line,) = unused_lines(owner, unused, whole)
            assert 0 < -line.amount.minor <= charged


@pytest.mark.parametrize(
    ("currency", "local", "outcome"),
    [
        ("JPY", {}, "refused currency_not_available"),
        ("JPY", {"JPY": {"price": "5000"}}, "applied"),
    ],
)
def test_an_addon_without_a_price_in_the_currency_is_refused(
    currency: str, local: dict[str, Any], outcome: str
) -> None:
    catalog = with_addons(sso={**SSO, "currencies": local})
    story = [created(), subscribed("2026-04-01", currency=currency), activates("sso")]
    told = folded(story, setting_of(catalog), "2026-04-30")
    assert outcomes(told)["sso"] == outcome
    if local:
        line = told.invoices[1].lines[0]
        assert (str(line.amount), line.unit_price) == ("2500 JPY", Decimal(5000))


def test_an_overage_without_a_price_in_the_currency_is_no_offer() -> None:
    """Rule CUR-3."""
    catalog = with_addons(sms={**SMS, "currencies": {"JPY": {"price": "5000"}}})
    story = [created(), subscribed("2026-04-01", currency="JPY"), activates("sms")]
    told = folded(story, setting_of(catalog), "2026-04-30")
    assert outcomes(told)["sms"] == "refused currency_not_available"


def test_an_addon_that_costs_nothing_makes_no_invoice_but_stands_on_the_next() -> None:
    """Rule INV-7."""
    catalog = with_addons(sso={**SSO, "price": "0.00"})
    story = [created(), subscribed("2026-04-01"), activates("sso")]
    told = folded(story, setting_of(catalog), "2026-05-01")
    assert invoices(told)[1:] == [
        "2026-05-01 recurring: plan_base 29.00; addon_base sso 0.00 = 29.00"
    ]


def test_a_quota_comes_with_its_limit() -> None:
    """Rule QTA-2."""
    disk = {"name": "Disk", "feature": "disk", "model": "metered", "price": "5", "included": "10"}
    told = folded(
        [created(), subscribed("2026-04-01"), activates("disk")],
        setting_of(with_addons(disk=disk)),
        "2026-04-30",
    )
    subscription = told.state.subscription
    assert subscription is not None
    held = {feature.code: feature for feature in current_features(subscription)}
    assert (held["disk"].included, held["disk"].unlimited) == (Fraction(10), False)


NOT_BILLED: dict[str, tuple[dict[str, Any], str]] = {
    "seats": ({"feature": "viewers", "included": "1"}, "an add-on of seats"),
    "overage of a quota": (
        {"feature": "disk", "included": "1", "overage": {"unit_price": "1"}},
        "overage of a quota",
    ),
}


@pytest.mark.parametrize(("fields", "what"), NOT_BILLED.values(), ids=NOT_BILLED)
def test_what_is_not_billed_sets_the_customer_aside(fields: dict[str, Any], what: str) -> None:
    """Rule PST-4."""
    odd = {"name": "Odd", "model": "metered", "price": "5.00", **fields}
    plans = {**LADDER["plans"], "starter": {**LADDER["plans"]["starter"], "features": {}}}
    catalog = ladder(features=FEATURES, plans=plans, addons={"odd": odd})
    story = [created(), subscribed("2026-04-01"), activates("odd")]
    answer = bill("acme", story, setting_of(catalog), until=instant("2026-05-01"))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.what) == (
        "SCOPE-01",
        f"{what} is not billed by this version",
    )


def test_activated_and_ended_at_one_instant_nothing_was_there() -> None:
    """Rule ADD-2: what was paid stays paid, and a second activation is free."""
    story = [
        created(),
        subscribed("2026-04-01"),
        activates("sms"),
        act("2026-04-16", "deactivate_addon", addon="sms"),
        activates("sms", "2026-04-20", id="again"),
    ]
    told = folded(story, setting_of(with_addons()), "2026-04-30")
    assert len(told.invoices) == 2
    assert told.state.subscription is not None
    (held,) = told.state.subscription.addons
    assert held.spans == (Span(instant("2026-04-20")),)


def test_two_addons_of_one_feature_are_not_active_together() -> None:
    """Rule ADD-1."""
    more = {**SMS, "name": "More SMS", "included": "1000"}
    story = [created(), subscribed("2026-04-01"), activates("sms"), activates("more", "2026-04-20")]
    told = folded(story, setting_of(with_addons(more=more)), "2026-04-30")
    assert outcomes(told)["more"] == "refused already_active"
    assert told.outcomes[-1].what == "SMS is there already, by add-on 'sms'"


def test_one_of_two_addons_of_a_feature_can_follow_the_other() -> None:
    more = {**SMS, "name": "More SMS", "included": "1000"}
    story = [
        created(),
        subscribed("2026-04-01"),
        activates("sms"),
        act("2026-04-18", "deactivate_addon", addon="sms"),
        activates("more", "2026-04-20"),
    ]
    told = folded(story, setting_of(with_addons(more=more)), "2026-04-30")
    assert told.state.subscription is not None
    assert outcomes(told)["more"] == "applied"
    assert "sms" in [it.code for it in current_features(told.state.subscription)]
    (feature,) = [it for it in window_terms(told.state.subscription).features if it.code == "sms"]
    assert feature.included == 1000
    assert feature.during == (
        Span(instant("2026-04-16"), instant("2026-04-18")),
        Span(instant("2026-04-20")),
    )


def test_an_addon_that_is_sold_no_more_ends_at_renewal() -> None:
    """Rule ADD-5 keeps such a version out; where one is in force, nothing is charged by it."""
    setting = setting_of(with_addons(), ladder(effective_at="2026-05-01", features=FEATURES))
    told = folded([created(), subscribed("2026-04-01"), activates("sso")], setting, "2026-05-01")
    assert invoices(told)[2] == "2026-05-01 recurring: plan_base 29.00 = 29.00"


def test_an_addon_whose_price_in_the_currency_is_gone_is_a_fault() -> None:
    priced = with_addons(sso={**SSO, "currencies": {"JPY": {"price": "5000"}}})
    setting = setting_of(priced, with_addons("2026-04-20"))
    story = [created(), subscribed("2026-04-01", currency="JPY"), activates("sso")]
    answer = bill("acme", story, setting, until=instant("2026-05-02"))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.what) == (
        AddonNotPriced.code,
        "add-on 'sso' has no price in JPY on 2026-05-01",
    )


def test_a_kept_state_knows_of_addons() -> None:
    """Rule PST-3: the text of a state comes back the same."""
    story = [created(), subscribed("2026-04-01"), activates("sms"), activates("sso", "2026-04-17")]
    setting = setting_of(with_addons(), uses=[use("2026-04-20", "300", "sms")])
    setting = with_booked(setting, folded(story, setting, "2026-05-01").invoices)
    kept = keep("acme", story, setting, boundary_at=instant("2026-05-01"), fingerprint=lambda _: "")
    assert kept is not None
    assert kept.state.subscription is not None
    assert [it.terms.code for it in kept.state.subscription.addons] == ["sms", "sso"]
    assert value_of(text_of(kept, KeptState), KeptState) == kept


def test_a_posted_history_with_addons_folded_again_says_the_same() -> None:
    """Nothing new: no adjustment, the same invoices, the same state."""
    story = [
        created(),
        subscribed("2026-04-01"),
        paid("2026-04-01", ("initial", "2026-04-01")),
        activates("sms"),
        paid("2026-04-17", ("addon_activation", "2026-04-16")),
        act("2026-05-10", "deactivate_addon", addon="sms"),
        act("2026-05-20", "change_plan", interval="quarterly"),
    ]
    uses = [use("2026-04-20", "300", "sms")]
    setting = setting_of(with_addons(), uses=uses, assumes_payment=False)
    first = folded(story, setting, "2026-06-15")
    again = folded(story, with_booked(setting, first.invoices), "2026-06-15")
    assert again.invoices == first.invoices
    assert again.state == first.state
