"""Rules PAY-2, TAX-2, SUB-9: what a correction does to the invoices that it corrects."""

from typing import Any

import pytest

from billing_core.invoice import Invoice
from tests.billing_core.builders import (
    act,
    created,
    invoices,
    ladder,
    paid,
    posted,
    setting_of,
    subscribed,
    use,
)

DUTCH = {"name": "Example Labs B.V.", "country": "NL"}
RAISED = [
    {"country": "NL", "rate_bp": "2000", "from": "2012-10-01"},
    {"country": "NL", "rate_bp": "2500", "from": "2026-06-01"},
]
START = [created(is_taxed=True, country="NL"), subscribed("2026-04-01")]
APRIL = use("2026-04-20", "12000")
FEWER = use("2026-04-25", "-500", landed_on="2026-05-10")
MORE = use("2026-04-25", "500", landed_on="2026-05-10")
AT_THE_END = act("2026-05-20", "cancel", when="period_end")


def told_of(*steps: Any, uses: list[Any], start: list[Any] = START, **given: Any) -> Any:
    """A Dutch customer's history, his country's rate being raised in June."""
    setting = setting_of(ladder(seller=DUTCH, tax=RAISED), uses=uses, **given)
    return posted([*start, *steps], setting, "2026-06-30")


def record(told: Any, invoice: Invoice) -> Any:
    return next(item for item in told.state.invoices if item.id == invoice.id)


RATES: dict[str, tuple[list[Any], list[Any], str]] = {
    # case: (steps, what lands late, June's document)
    "an adjustment": (
        [], [MORE],
        "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 10.00; "
        "tax standard 7.25; tax standard 2.00 = 48.25",
    ),
    "less": (
        [], [FEWER],
        "2026-06-01 recurring: plan_base 29.00; adjustment api_calls -10.00; "
        "tax standard 7.25; tax standard -2.00 = 24.25",
    ),
    "a credit note": (
        [AT_THE_END], [FEWER],
        "2026-06-01 credit_note: adjustment api_calls -10.00; tax standard -2.00 = -12.00",
    ),
    "of a customer who has moved": (
        [act("2026-05-15", "update_customer", country="US")], [MORE],
        "2026-06-01 recurring: plan_base 29.00; adjustment api_calls 10.00; "
        "tax standard 2.00 = 41.00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "late", "expected"), RATES.values(), ids=RATES)
def test_what_corrects_takes_the_rate_of_what_it_corrects(
    steps: list[Any], late: list[Any], expected: str
) -> None:
    """Rule TAX-2: April's invoice had 20 %, and from June on it is 25 %."""
    told = told_of(*steps, uses=[APRIL, *late])
    assert invoices(told)[2] == expected


def test_a_credit_note_on_an_unpaid_invoice_takes_its_rate() -> None:
    """Cancelled in June, May's period: 29.00 x 10/31 = 9.35, 20 % = 1.87. Rule SUB-9."""
    start = [START[0], subscribed("2026-04-11"), paid("2026-04-11", ("initial", "2026-04-11"))]
    stop = act("2026-06-01", "cancel", when="now")
    told = told_of(stop, uses=[], start=start, assumes_payment=False)
    assert invoices(told)[2] == (
        "2026-06-01 credit_note: plan_base/unused -9.35; tax standard -1.87 = -11.22"
    )
    assert str(record(told, told.invoices[1]).unpaid) == "23.58 USD"


def test_a_credit_note_is_shared_over_the_invoices_that_it_corrects() -> None:
    """6.66 and 2.02 of 8.68 share 1.74 of tax: 1.335 and 0.405, the cent to the larger rest."""
    uses = [
        use("2026-01-20", "11000"),
        use("2026-02-20", "11000"),
        use("2026-01-21", "-333", landed_on="2026-03-10"),
        use("2026-02-21", "-101", landed_on="2026-03-10"),
    ]
    start = [START[0], subscribed("2026-01-01", interval="yearly")]
    catalog = ladder(seller=DUTCH, tax=RAISED, policies={"late_usage_windows": "2"})
    told = posted(start, setting_of(catalog, uses=uses), "2026-04-02")
    assert invoices(told)[3] == (
        "2026-04-01 credit_note: adjustment api_calls -6.66; adjustment api_calls -2.02; "
        "tax standard -1.74 = -10.42"
    )
    credited = [str(record(told, invoice).credited.major) for invoice in told.invoices[1:3]]
    assert credited == ["8.00", "2.42"]


def test_two_notes_of_one_day_have_ids_of_their_own() -> None:
    """March is corrected on April's boundary, and then the unpaid year is cancelled. PAY-0."""
    uses = [use("2027-02-20", "11000"), use("2027-02-21", "-500", landed_on="2027-03-10")]
    start = [START[0], subscribed("2026-01-01", interval="yearly")]
    pays = paid("2026-01-01", ("initial", "2026-01-01"))
    stop = act("2027-04-01 10:00", "cancel", when="now", id="stop")
    setting = setting_of(uses=uses, assumes_payment=False)
    told = posted([*start, pays, stop], setting, "2027-04-30")
    assert [invoice.id for invoice in told.invoices[3:]] == [
        "acme/credit_note/s1/2027-04-01",
        "acme/credit_note/stop/2027-04-01",
    ]


def test_an_invoice_knows_the_rates_of_its_own_lines_apart_from_those_that_it_corrects() -> None:
    told = told_of(uses=[APRIL, MORE])
    assert [record(told, invoice).rates for invoice in told.invoices] == [
        (("standard", 2000),),
        (("standard", 2000),),
        (("standard", 2500),),
    ]
