"""Rule PAY-1: who pays on terms, until when, and who is told that he has not."""

from typing import Any

import pytest

from billing_core.catalog import Policies
from billing_core.invoice import InvoiceType
from billing_core.money import Money
from billing_core.overdue import due_on, payment_days
from billing_core.state import Customer, InvoiceRecord, Status
from tests.billing_core.builders import (
    USD,
    act,
    created,
    day,
    folded,
    paid,
    setting_of,
    subscribed,
)

INITIAL, MAY, JUNE = (
    ("initial", "2026-04-01"), ("recurring", "2026-05-01"), ("recurring", "2026-06-01")
)  # fmt: skip
ON_TERMS = {"collection": "on_terms", "payment_days": 10}
DAYS: dict[str, tuple[dict[str, Any], dict[str, Any], int | None]] = {
    # case: (the customer's, the policies', days to pay)
    "nobody says": ({}, {}, None),
    "the customer, his days": (ON_TERMS, {}, 10),
    "the customer, the policies' days": ({"collection": "on_terms"}, {"payment_days": "14"}, 14),
    "the customer, at once": ({"collection": "on_terms", "payment_days": 0}, {}, 0),
    "the policies": ({}, {"collection": "on_terms"}, 30),
    "the policies, his days": ({"payment_days": 10}, {"collection": "on_terms"}, 10),
    "not this customer": ({"collection": "automatic"}, {"collection": "on_terms"}, None),
    "days alone": ({"payment_days": 10}, {}, None),
}


@pytest.mark.parametrize(("own", "policies", "days"), DAYS.values(), ids=DAYS)
def test_days_to_pay_are_the_customers_or_the_policies(
    own: dict[str, Any], policies: dict[str, Any], days: int | None
) -> None:
    customer = Customer("acme", **own)
    assert payment_days(customer, Policies.model_validate(policies)) == days


def told_of(*steps: Any, until: str = "2026-06-30", **setting: Any) -> Any:
    start = [created(**ON_TERMS), subscribed("2026-04-01"), paid("2026-04-01", INITIAL)]
    return folded([*start, *steps], setting_of(assumes_payment=False, **setting), until)


OVERDUE: dict[str, tuple[list[Any], str, list[str]]] = {
    # case: (steps, until, days of the notices)
    "the day it is due": ([], "2026-05-11", []),
    "the day after": ([], "2026-05-12", ["2026-05-12"]),
    "each invoice once": ([], "2026-06-30", ["2026-05-12", "2026-06-12"]),
    "paid in time": ([paid("2026-05-11 23:00", MAY)], "2026-05-31", []),
    "paid at the instant it is overdue": (
        [paid("2026-05-12", MAY)], "2026-05-31", ["2026-05-12"]
    ),
    "paid too late": ([paid("2026-05-12 01:00", MAY)], "2026-05-31", ["2026-05-12"]),
    "paid in part": ([paid("2026-05-11", MAY, amount="28.99")], "2026-05-31", ["2026-05-12"]),
    "written off": (
        [
            act(
                "2026-05-11", "write_off", amount="29.00", reason="agreed",
                invoice={"type": MAY[0], "on": MAY[1]},
            )
        ],
        "2026-05-31", [],
    ),
    "after the end": (
        [act("2026-05-10", "cancel", when="period_end")], "2026-06-30", ["2026-05-12"]
    ),
    "not what was made before the terms changed": (
        [act("2026-05-20", "update_customer", collection="automatic")], "2026-06-30",
        ["2026-05-12"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "until", "days"), OVERDUE.values(), ids=OVERDUE)
def test_overdue_is_told_once_on_the_day_after(
    steps: list[Any], until: str, days: list[str]
) -> None:
    told = told_of(*steps, until=until)
    assert [(it.kind, str(it.on)) for it in told.notices] == [("overdue", on) for on in days]


def test_on_terms_a_failed_payment_moves_nothing() -> None:
    results = [paid(f"2026-05-0{on}", MAY, result="failed") for on in range(2, 6)]
    told = told_of(*results, until="2026-05-10")
    assert (told.state.subscription.status, told.notices) == (Status.ACTIVE, ())
    assert not any(record.is_uncollectible for record in told.state.invoices)


def test_in_a_run_an_invoice_is_due_by_the_day_that_its_posting_gave() -> None:
    """A draft is not issued, so that nobody is told of it."""
    name = "acme/recurring/s1/2026-05-01"
    told = told_of(takes_later_usage=True, due_on={name: day("2026-05-20")})
    assert [str(notice.on) for notice in told.notices] == ["2026-05-21"]


def test_an_invoice_that_is_not_known_has_no_day_to_pay() -> None:
    nothing = Money(0, USD)
    record = InvoiceRecord(
        "i", InvoiceType.RECURRING, day("2026-05-01"), nothing, nothing, nothing, nothing, nothing,
        payment_days=10,
    )  # fmt: skip
    assert due_on(record, setting_of()) is None
