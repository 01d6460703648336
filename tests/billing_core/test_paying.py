"""Rules PAY-0, PAY-1, PAY-3: what a payment result is for, and what it does."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.standing import standing
from billing_core.state import CustomerState, InvoiceRecord, Status, Subscription
from tests.billing_core.builders import (
    act,
    created,
    day,
    folded,
    instant,
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


def part(at: str, amount: str, invoice: Any = MAY, **fields: Any) -> Any:
    return paid(at, invoice, **{"amount": amount, **fields})


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


PARTS: dict[str, tuple[list[Any], str, Status]] = {
    # case: (payments of May's 29.00 after one that failed, what is unpaid, status)
    "a part": ([part("2026-05-02", "9.00")], "20.00", Status.PAST_DUE),
    "all but a cent": ([part("2026-05-02", "28.99")], "0.01", Status.PAST_DUE),
    "all": ([part("2026-05-02", "29")], "0.00", Status.ACTIVE),
    "too much": ([part("2026-05-02", "29.01")], "-0.01", Status.ACTIVE),
    "two parts": (
        [part("2026-05-02", "9.00"), part("2026-05-03", "20.00")], "0.00", Status.ACTIVE
    ),
    "a part, and then the rest without its amount": (
        [part("2026-05-02", "9.00"), paid("2026-05-03", MAY)], "0.00", Status.ACTIVE
    ),
    "a part, and then it fails": (
        [part("2026-05-02", "9.00"), failed("2026-05-03")], "20.00", Status.PAST_DUE
    ),
    "a failed attempt of an amount": (
        [part("2026-05-02", "9.00", result="failed")], "29.00", Status.PAST_DUE
    ),
}  # fmt: skip


@pytest.mark.parametrize(("results", "unpaid", "status"), PARTS.values(), ids=PARTS)
def test_a_payment_pays_its_amount(results: list[Any], unpaid: str, status: Status) -> None:
    """Rules PAY-1, PAY-2."""
    told = told_of(failed("2026-05-01"), *results)
    assert (str(record(told, "2026-05-01").unpaid.major), subscription(told).status) == (
        unpaid, status
    )  # fmt: skip


def test_what_was_paid_too_much_pays_the_next_invoices() -> None:
    """Rule TAX-2: as a payment, after tax; June's failed attempt finds nothing unpaid."""
    told = told_of(
        part("2026-05-02", "68.00"), failed("2026-06-01", ("recurring", "2026-06-01")),
        until="2026-07-31",
    )  # fmt: skip
    assert [str(item.unpaid.major) for item in told.state.invoices] == [
        "0.00", "0.00", "0.00", "19.00"
    ]  # fmt: skip
    assert subscription(told).status is Status.ACTIVE
    assert [str(item.total.major) for item in told.invoices] == ["29.00"] * 4


def test_what_was_paid_too_much_opens_a_checkout() -> None:
    stop = act("2026-05-16", "cancel", when="now")
    again = subscribed("2026-05-20", id="s2")
    told = told_of(part("2026-05-01", "58.00"), stop, again)
    assert (subscription(told).id, subscription(told).status) == ("s2", Status.ACTIVE)


CHECKOUT: dict[str, tuple[list[Any], Status, list[str]]] = {
    # case: (payments of a checkout of 29.00, status, what is unpaid of each record)
    "a part": ([part("2026-04-02", "9.00", INITIAL)], Status.PENDING_PAYMENT, ["-9.00"]),
    "in parts": (
        [part("2026-04-02", "9.00", INITIAL), part("2026-04-03", "20.00", INITIAL)],
        Status.ACTIVE, ["0.00"],
    ),
    "a part, and then the rest without its amount": (
        [part("2026-04-02", "9.00", INITIAL), paid("2026-04-03", INITIAL)], Status.ACTIVE, ["0.00"]
    ),
    "too much": ([part("2026-04-02", "30.00", INITIAL)], Status.ACTIVE, ["-1.00"]),
    "a part, then cancelled": (
        [part("2026-04-02", "9.00", INITIAL), act("2026-04-03", "cancel", when="now")],
        Status.CANCELED, ["-9.00"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "status", "unpaid"), CHECKOUT.values(), ids=CHECKOUT)
def test_a_checkout_begins_when_it_is_paid_in_full(
    steps: list[Any], status: Status, unpaid: list[str]
) -> None:
    """Rules SUB-4, PAY-0, PAY-2: what was paid before an end is the customer's."""
    story = [created(), subscribed("2026-04-01"), *steps]
    told = folded(story, setting_of(assumes_payment=False), "2026-04-05")
    assert subscription(told).status is status
    assert [str(item.unpaid.major) for item in told.state.invoices] == unpaid


@pytest.mark.parametrize("invoice", [MAY, ("initial", "2026-05-20")], ids=["made", "checkout"])
def test_an_amount_finer_than_the_currency_is_no_payment(invoice: Any) -> None:
    stop, again = act("2026-05-16", "cancel", when="now"), subscribed("2026-05-20", id="s2")
    told = told_of(stop, again, part("2026-05-21", "9.001", invoice, id="pay"))
    assert outcomes(told)["pay"] == "refused payment_failed"
    assert told.outcomes[-1].what.startswith("9.001 cannot have been paid: USD has 2 decimal")
    assert record(told, "2026-05-01").paid.minor == 0


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


DUES = [("recurring", "2026-05-01"), ("recurring", "2026-06-01"), ("recurring", "2026-07-01")]
RESULTS = st.lists(st.tuples(st.sampled_from(range(3)), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(results=RESULTS, retries=st.integers(0, 3))
def test_past_due_is_whoever_has_a_failed_invoice_unpaid(
    results: list[tuple[int, bool]], retries: int
) -> None:
    """Rule PAY-1: each invoice has its own retries; the last one of any ends the subscription."""
    catalog = ladder(policies={"dunning_offsets_hours": [8 * n for n in range(1, retries + 1)]})
    steps, failures, unpaid, status = [], Counter[int](), {0, 1, 2}, Status.ACTIVE
    for place, (which, is_paid) in enumerate(results):
        at, result = f"2026-07-02 {place:02}:00", "succeeded" if is_paid else "failed"
        steps.append(paid(at, DUES[which], result=result))
        if is_paid:
            unpaid.discard(which)
        elif which in unpaid and status is not Status.CANCELED:
            failures[which] += 1
        if status is Status.CANCELED or any(failures[it] > retries for it in unpaid):
            status = Status.CANCELED
        else:
            status = Status.PAST_DUE if any(failures[it] for it in unpaid) else Status.ACTIVE
    setting = setting_of(catalog, assumes_payment=False)
    told = folded([*START, *steps], setting, "2026-07-10")
    assert subscription(told).status is status
    owed = sum(item.unpaid.minor for item in told.state.invoices if item.unpaid.minor > 0)
    assert owed == 2900 * len(unpaid)


def test_an_attempt_that_fails_after_an_end_changes_nothing() -> None:
    """Rule PAY-1: neither the subscription that owes it nor the one after it."""
    again = [subscribed("2026-05-20", id="s2"), paid("2026-05-20", ("initial", "2026-05-20"))]
    told = told_of(*DUNNED["failed three times"][0], *again, failed("2026-05-21"))
    assert (subscription(told).id, subscription(told).status) == ("s2", Status.ACTIVE)


UNCOLLECTIBLE: dict[str, tuple[list[Any], list[str]]] = {
    # case: (results, days of the uncollectible invoices)
    "while it is retried": (DUNNED["failed twice"][0], []),
    "when the last retry has failed": (DUNNED["failed three times"][0], ["2026-05-01"]),
    "until it is paid": ([*DUNNED["failed three times"][0], paid("2026-05-03", MAY)], []),
    "also with a part paid": (
        [*DUNNED["failed three times"][0], part("2026-05-03", "9.00")], ["2026-05-01"]
    ),
    "all that have failed": (
        [failed("2026-06-01", DUES[1]), *(failed(f"2026-06-02 1{hour}:00") for hour in range(3))],
        ["2026-05-01", "2026-06-01"],
    ),
    "not what has not failed": (
        [failed(f"2026-06-02 {hour}:00") for hour in (10, 12, 14)], ["2026-05-01"]
    ),
    "not what is cancelled past due": (
        [failed("2026-05-01"), act("2026-05-02", "cancel", when="now")], []
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "days"), UNCOLLECTIBLE.values(), ids=UNCOLLECTIBLE)
def test_what_no_retry_could_collect_is_uncollectible_and_stays_outstanding(
    steps: list[Any], days: list[str]
) -> None:
    """Rules PAY-1, PAY-2."""
    told = told_of(*steps, until="2026-06-10")
    lost = [item for item in told.state.invoices if item.is_uncollectible]
    assert [str(item.billing_day) for item in lost] == days
    now = standing(told.state, setting_of(), at=instant("2026-06-11"))
    assert sum(it.minor for it in now.uncollectible) == sum(it.unpaid.minor for it in lost)
    owed = sum(item.unpaid.minor for item in told.state.invoices)
    assert [it.minor for it in now.outstanding] == [owed]


def test_the_results_of_attempts_are_kept_as_presented_and_settled() -> None:
    """Rule CUR-1: of the checkout's attempts those from the first payment on."""
    settled = {"amount": "26.681", "currency": "EUR"}
    story = [
        created(),
        subscribed("2026-04-01"),
        part("2026-04-02", "9.00", INITIAL, id="part"),
        paid("2026-04-03", INITIAL, id="rest", settlement={"amount": "18.4", "currency": "EUR"}),
        failed("2026-05-03", ("recurring", "2026-05-03")),
        part("2026-05-04", "29.00", ("recurring", "2026-05-03"), settlement=settled, id="may"),
    ]
    told = folded(story, setting_of(assumes_payment=False), "2026-05-10")
    kept = [
        (it.result, str(it.amount.major), it.settled and str(it.settled), it.settlement_currency)
        for item in told.state.invoices
        for it in item.payments
    ]
    assert kept == [
        ("succeeded", "9.00", None, None),
        ("succeeded", "20.00", "18.4", "EUR"),
        ("failed", "29.00", None, None),
        ("succeeded", "29.00", "26.681", "EUR"),
    ]


def test_a_part_of_a_checkout_that_went_back_does_not_pay_it() -> None:
    """Rule PAY-2."""
    back = act(
        "2026-04-03", "refund", amount="4.00", reason="agreed",
        invoice={"type": INITIAL[0], "on": INITIAL[1]},
    )  # fmt: skip
    story = [
        created(), subscribed("2026-04-01"), part("2026-04-02", "9.00", INITIAL), back,
        part("2026-04-04", "20.00", INITIAL),
    ]  # fmt: skip
    told = folded(story, setting_of(assumes_payment=False), "2026-04-05")
    assert subscription(told).status is Status.PENDING_PAYMENT
    last = paid("2026-04-05", INITIAL)
    told = folded([*story, last], setting_of(assumes_payment=False), "2026-04-05")
    assert subscription(told).status is Status.ACTIVE
    assert record(told, "2026-04-05").unpaid.minor == 0
