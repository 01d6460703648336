"""Rules PAY-0, PAY-1, PAY-3: what a payment result is for, and what it does."""

from typing import Any

import pytest

from billing_core.state import CustomerState, InvoiceRecord, Status, Subscription
from tests.billing_core.builders import (
    act,
    created,
    day,
    folded,
    invoices,
    ladder,
    outcomes,
    paid,
    setting_of,
    subscribed,
    use,
)

INITIAL, MAY = ("initial", "2026-04-01"), ("recurring", "2026-05-01")
START = [created(), subscribed("2026-04-01"), paid("2026-04-01", INITIAL)]


def told_of(*steps: Any, until: str = "2026-05-31", **setting: Any) -> Any:
    """The history of acme, nothing paid but what the steps pay."""
    return folded([*START, *steps], setting_of(**{"assumes_payment": False, **setting}), until)


def failed(at: str, invoice: Any = MAY) -> Any:
    return paid(at, invoice, result="failed")


def subscription(told: Any) -> Subscription:
    state: CustomerState = told.state
    assert state.subscription is not None
    return state.subscription


def record(told: Any, on: str) -> InvoiceRecord:
    return next(item for item in told.state.invoices if item.billing_day == day(on))


NAMED: dict[str, tuple[Any, str]] = {
    "by type and date": (MAY, "applied"),
    "by id": ("acme/recurring/s1/2026-05-01", "applied"),
    "by number": ("INV-2026-000002", "applied"),
    "by a checkout's own date": (INITIAL, "applied"),
    "another date": (("recurring", "2026-05-02"), "refused unknown_invoice"),
    "another type": (("overage", "2026-05-01"), "refused unknown_invoice"),
    "another number": ("INV-2026-000003", "refused unknown_invoice"),
}


@pytest.mark.parametrize(("named", "outcome"), NAMED.values(), ids=NAMED)
def test_a_payment_names_its_invoice(named: Any, outcome: str) -> None:
    numbers = {"INV-2026-000002": "acme/recurring/s1/2026-05-01"}
    told = told_of(paid("2026-05-02", named, id="pay"), numbers=numbers)
    assert outcomes(told)["pay"] == outcome


def test_a_refusal_repeats_the_name() -> None:
    told = told_of(paid("2026-05-02", ("final", "2026-05-02")), paid("2026-05-03", "INV-9"))
    assert [outcome.what for outcome in told.outcomes[-2:]] == [
        "no invoice is final on 2026-05-02",
        "no invoice is 'INV-9'",
    ]


def test_a_checkout_paid_later_is_found_by_its_own_date_and_by_that_of_the_payment() -> None:
    story = [
        created(),
        subscribed("2026-04-01"),
        paid("2026-04-03", INITIAL),
        paid("2026-04-04", INITIAL, id="own"),
        paid("2026-04-05", ("initial", "2026-04-03"), id="paid"),
    ]
    told = folded(story, setting_of(assumes_payment=False), "2026-04-30")
    assert (outcomes(told)["own"], outcomes(told)["paid"]) == ("applied", "applied")


def test_a_failed_checkout_stays_open() -> None:
    story = [created(), subscribed("2026-04-01"), failed("2026-04-01", INITIAL)]
    told = folded(story, setting_of(assumes_payment=False), "2026-04-05")
    assert subscription(told).status is Status.PENDING_PAYMENT


def test_a_payment_that_arrives_later_is_taken_as_it_arrives() -> None:
    """Rule ACT-2: a payment of May 1 that arrives on May 2 does not undo what failed before."""
    late = paid("2026-05-01", MAY, received_at="2026-05-02")
    told = told_of(failed("2026-05-01 08:00"), late)
    assert [notice.kind for notice in told.notices] == ["past_due"]
    assert subscription(told).status is Status.ACTIVE


DUNNED: dict[str, tuple[list[Any], Status]] = {
    "silence": ([], Status.ACTIVE),
    "paid": ([paid("2026-05-01", MAY)], Status.ACTIVE),
    "failed": ([failed("2026-05-01")], Status.PAST_DUE),
    "failed twice": ([failed("2026-05-01"), failed("2026-05-01 08:00")], Status.PAST_DUE),
    "failed three times": (
        [failed("2026-05-01"), failed("2026-05-01 08:00"), failed("2026-05-01 16:00")],
        Status.CANCELED,
    ),
    "the second retry succeeds": (
        [failed("2026-05-01"), failed("2026-05-01 08:00"), paid("2026-05-01 16:00", MAY)],
        Status.ACTIVE,
    ),
    "fails after it was paid": ([paid("2026-05-01", MAY), failed("2026-05-02")], Status.ACTIVE),
    "restored, then fails again": (
        [failed("2026-05-01"), paid("2026-05-02", MAY), failed("2026-05-03")],
        Status.ACTIVE,
    ),
    "another invoice fails": ([failed("2026-05-01", INITIAL)], Status.ACTIVE),
    "another invoice is paid": (
        [failed("2026-05-01"), paid("2026-05-02", INITIAL)],
        Status.PAST_DUE,
    ),
}


@pytest.mark.parametrize(("results", "status"), DUNNED.values(), ids=DUNNED)
def test_only_failed_results_move_the_dunning(results: list[Any], status: Status) -> None:
    assert subscription(told_of(*results)).status is status


def test_past_due_is_told_once() -> None:
    told = told_of(*DUNNED["failed three times"][0])
    assert [(notice.kind, notice.on) for notice in told.notices] == [
        ("past_due", day("2026-05-01"))
    ]


def test_the_number_of_retries_is_a_policy() -> None:
    catalog = ladder(policies={"dunning_offsets_hours": []})
    told = folded(
        [*START, failed("2026-05-01")], setting_of(catalog, assumes_payment=False), "2026-05-31"
    )
    assert subscription(told).status is Status.CANCELED
    assert [notice.kind for notice in told.notices] == ["past_due"]


def test_unpaid_to_the_end_the_window_is_closed_and_its_overage_waived() -> None:
    told = told_of(*DUNNED["failed three times"][0], uses=[use("2026-05-01 09:00", "12000")])
    used = told.windows[-1].usage[0]
    assert (used.used, used.waived, used.billed) == (12_000, 2_000, 0)
    assert len(told.invoices) == 2
    assert str(record(told, "2026-05-01").unpaid) == "29.00 USD"


def test_access_is_kept_while_past_due() -> None:
    """The next period begins, and its invoice charges what was used."""
    told = told_of(failed("2026-05-01"), until="2026-06-01", uses=[use("2026-05-20", "10050")])
    assert invoices(told)[2] == (
        "2026-06-01 recurring: plan_base 29.00; feature_overage api_calls 1.00 = 30.00"
    )


def test_a_failed_final_invoice_only_stays_outstanding() -> None:
    stop = act("2026-04-20", "cancel", when="period_end")
    fails = failed("2026-05-02", ("final", "2026-05-01"))
    told = told_of(stop, fails, uses=[use("2026-04-20", "10050")])
    assert subscription(told).status is Status.CANCELED
    assert (told.notices, str(record(told, "2026-05-01").unpaid)) == ((), "1.00 USD")


def test_paid_twice_is_paid_too_much() -> None:
    told = told_of(paid("2026-05-01", MAY), paid("2026-05-02", MAY))
    assert str(record(told, "2026-05-01").unpaid) == "-29.00 USD"


def test_a_payment_without_a_subscription_changes_its_invoice_only() -> None:
    """A failed payment of what an ended subscription owes dunns nobody."""
    story = [created(), failed("2026-05-02")]
    told = folded(story, setting_of(assumes_payment=False), "2026-05-31")
    assert str(told.outcomes[1]) == "refused unknown_invoice"


def test_a_new_subscription_is_not_restored_by_an_old_invoice() -> None:
    stop = act("2026-05-16", "cancel", when="now")
    again = [subscribed("2026-05-20", id="s2"), paid("2026-05-20", ("initial", "2026-05-20"))]
    told = told_of(failed("2026-05-01"), stop, *again, paid("2026-05-21", MAY))
    assert (subscription(told).id, subscription(told).status) == ("s2", Status.ACTIVE)


def test_who_was_cancelled_unpaid_is_not_restored_by_paying_later() -> None:
    told = told_of(*DUNNED["failed three times"][0], paid("2026-05-03", MAY))
    assert subscription(told).status is Status.CANCELED
    assert record(told, "2026-05-01").unpaid.minor == 0
