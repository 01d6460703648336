"""Rules ACT-1, ACT-2, ACT-6, INV-11, PST-4: the order of events, and what becomes of each."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from billing_core.actions import MODELS, Action
from billing_core.bill import bill
from billing_core.fold import due_at, fold
from billing_core.setting import Setting
from billing_core.state import Customer
from tests.billing_core.builders import (
    act,
    created,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    paid,
    setting_of,
    starter_at,
    subscribed,
    use,
)

UPDATE = "update_customer"


def test_actions_may_come_in_any_order() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-10", "add_seats", feature="editors", quantity="6"),
        act("2026-04-20", "cancel", when="now"),
    ]
    told = {
        repr(fold("acme", order, setting_of(), until=instant("2026-06-01")))
        for order in permutations(story)
    }
    assert len(told) == 1


def test_at_one_instant_actions_are_taken_in_the_order_received() -> None:
    remove = {"feature": "editors", "quantity": "6"}
    story = [
        created(),
        subscribed("2026-04-01", seats={"editors": "5"}),
        act("2026-04-10", "remove_seats", "2026-04-11", **remove, id="remove"),
        act("2026-04-10", "add_seats", "2026-04-10", feature="editors", quantity="1", id="add"),
    ]
    assert outcomes(folded(story, setting_of(), "2026-04-30"))["remove"] == "applied"
    story[3] = act("2026-04-10", "add_seats", "2026-04-12", feature="editors", quantity="1")
    told = outcomes(folded(story, setting_of(), "2026-04-30"))
    assert told["remove"] == "refused negative_seats"


def test_what_is_due_at_an_instant_comes_before_the_actions_of_it() -> None:
    """Rule INV-11: a cancellation as a period begins pays for the new one and is credited it."""
    story = [created(), subscribed("2026-04-01"), act("2026-05-01", "cancel", when="now")]
    told = folded(story, setting_of(), "2026-05-31")
    assert invoices(told)[1:] == ["2026-05-01 recurring: plan_base 29.00 = 29.00"]
    assert [str(credit.left) for credit in told.state.credits] == ["29.00 USD"]


def test_a_catalog_version_is_in_force_before_the_actions_of_its_instant() -> None:
    catalogs = (ladder(), ladder(effective_at="2026-04-01", plans=starter_at("35.00")))
    told = folded([created(), subscribed("2026-04-01")], setting_of(*catalogs), "2026-04-30")
    assert invoices(told) == ["2026-04-01 initial: plan_base 35.00 = 35.00"]


# fmt: off
UNTIL = {
    # case                              to, exclusive                    invoices
    "before the boundary":           ("2026-04-30 23:59:59.999999",    1),
    "at the boundary":               ("2026-05-01",                    1),
    "just after the boundary":       ("2026-05-01 00:00:00.000001",    2),
    "before the first action":       ("2020-01-01",                    0),
    "at the subscription":           ("2026-04-01",                    0),
    "just after the subscription":   ("2026-04-01 00:00:00.000001",    1),
}
# fmt: on


@pytest.mark.parametrize(("until", "count"), UNTIL.values(), ids=UNTIL)
def test_the_end_of_a_fold_is_exclusive(until: str, count: int) -> None:
    story = [created(), subscribed("2026-04-01")]
    assert len(fold("acme", story, setting_of(), until=instant(until)).invoices) == count


def test_nothing_is_due_where_there_is_no_subscription() -> None:
    assert due_at(None) is None


def test_a_customer_who_was_never_created_is_unknown() -> None:
    told = folded([subscribed("2026-04-01")], setting_of(), "2026-04-30")
    assert outcomes(told) == {"s1": "refused unknown_customer"}
    assert told.outcomes[0].what == (
        "customer 'acme' is unknown at 2026-04-01T00:00:00Z; create him first"
    )


def test_a_customer_is_known_from_the_instant_that_creates_him() -> None:
    """Whenever the file arrived: a customer created on April 1 can subscribe on April 2."""
    story = [created("2026-04-01", received_at="2026-04-20"), subscribed("2026-04-02")]
    assert outcomes(folded(story, setting_of(), "2026-04-30"))["s1"] == "applied"


def test_a_customer_created_twice_stays_as_he_was() -> None:
    story = [created(country="NL"), created("2026-01-01", country="DE", id="again")]
    told = folded(story, setting_of(), "2026-04-30")
    assert told.state.customer is not None
    assert (told.state.customer.country, outcomes(told)["again"]) == ("NL", "applied")


def test_only_the_founder_may_do_some_things() -> None:
    grant = act("2026-04-02", "grant_credit", amount="5", reason="x", actor="customer", id="grant")
    told = folded([created(), grant], setting_of(), "2026-04-30")
    assert outcomes(told)["grant"] == "refused wrong_actor"
    assert told.outcomes[1].what == "only the founder may grant_credit"


FIELDS: dict[str, dict[str, Any]] = {
    "confirm_overage": {"feature": "api_calls"},
}


@pytest.mark.parametrize("do", FIELDS)
def test_an_action_that_is_not_billed_yet_sets_the_customer_aside(do: str) -> None:
    story = [created(), subscribed("2026-04-01"), act("2026-04-10", do, id="x", **FIELDS[do])]
    answer = bill("acme", story, setting_of(), until=instant("2026-05-01"))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.where) == ("SCOPE-01", "action x")
    assert answer.fault.what == f"the action {do} is not billed by this version"
    assert do in MODELS


CREATED = {"country": "DE", "time_zone": "Europe/Amsterdam", "payment_days": "14"}
UPDATED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "what billing needs not": ({"name": "Acme", "email": "a@b.example"}, {}),
    "the country": ({"country": "NL"}, {"country": "NL"}),
    "null clears": (
        {"country": None, "payment_days": None},
        {"country": None, "payment_days": None},
    ),
    "the time zone": ({"time_zone": "UTC"}, {"time_zone": "UTC"}),
    "how it is collected": ({"collection": "on_terms"}, {"collection": "on_terms"}),
    "a tax id that is valid": (
        {"tax_id": "DE136695976", "tax_id_checked_on": "2026-04-02"},
        {"is_tax_id_valid": True},
    ),
    "a tax id that is not": ({"tax_id": "DE1"}, {"is_tax_id_valid": False}),
}


@pytest.mark.parametrize(("written", "changed"), UPDATED.values(), ids=UPDATED)
def test_customer_data_changes_as_written(written: dict[str, Any], changed: dict[str, Any]) -> None:
    story = [created(**CREATED), act("2026-04-02", UPDATE, **written)]
    told = folded(story, setting_of(), "2026-04-30")
    before = {"country": "DE", "time_zone": "Europe/Amsterdam", "payment_days": 14}
    expected = {**before, "is_taxed": False, **changed}
    assert told.state.customer == Customer("acme", **expected)


def test_collection_that_is_cleared_is_the_default_again() -> None:
    story = [created(collection="on_terms"), act("2026-04-02", UPDATE, collection=None)]
    told = folded(story, setting_of(), "2026-04-30")
    assert told.state.customer == Customer("acme", is_taxed=False)


def test_a_tax_id_that_is_taken_away_is_not_valid() -> None:
    story = [
        created(country="DE", tax_id_checked_on="2026-01-01"),
        act("2026-04-02", UPDATE, tax_id=None),
    ]
    told = folded(story, setting_of(), "2026-04-30")
    assert told.state.customer == Customer("acme", country="DE", is_taxed=False)


def test_customer_data_counts_from_its_arrival() -> None:
    """Rule ACT-2: data of April that arrives in May changes no invoice before."""
    dutch = {
        "seller": {"name": "Example Labs B.V.", "country": "NL"},
        "tax": [{"country": "NL", "rate_bp": "2100", "from": "2012-10-01"}],
    }
    story = [
        created(is_taxed=True, country="US"),
        subscribed("2026-04-01"),
        act("2026-04-10", UPDATE, received_at="2026-05-10", country="NL"),
    ]
    told = folded(story, setting_of(ladder(**dutch)), "2026-06-01")
    assert [str(invoice.tax.major) for invoice in told.invoices] == ["0.00", "0.00", "6.09"]


FAULTS: dict[str, tuple[list[Action], Setting, str]] = {
    "an unknown zone": ([created(time_zone="Mars/Base")], setting_of(), "ZONE-01"),
    "before the catalog": ([created("2019-01-01")], setting_of(), "CATALOG-50"),
    "use below zero": ([created()], setting_of(uses=[use("2026-04-10", "-1")]), "QTY-01"),
}


@pytest.mark.parametrize(("story", "setting", "code"), FAULTS.values(), ids=FAULTS)
def test_a_fault_sets_one_customer_aside(story: list[Action], setting: Setting, code: str) -> None:
    first = story[0].at if code == "CATALOG-50" else instant("2026-04-01")
    history = [*story, subscribed(f"{first:%Y-%m-%d}")]
    answer = bill("acme", history, setting, until=instant("2026-05-02"))
    assert answer.fault is not None
    assert (answer.fault.customer_id, answer.fault.code) == ("acme", code)
    assert answer.folded is None


def test_outcomes_show_both_dates_and_a_sentence() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        act("2026-04-10", "cancel", "2026-04-12", when="period_end"),
        paid("2026-04-11", ("final", "2026-04-11")),
    ]
    told = folded(story, setting_of(), "2026-04-30")
    assert [outcome.what for outcome in told.outcomes] == [
        "create_customer was applied",
        "subscribe was applied",
        "cancel takes effect on 2026-05-01",
        "no invoice is final on 2026-04-11",
    ]
    stop = told.outcomes[2]
    assert stop.received_at - stop.at == timedelta(days=2)
    assert str(stop) == "scheduled 2026-05-01"
