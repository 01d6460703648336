"""Rules PAY-0, TAX-2: ids of invoices, and whose they are."""

import pytest

from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, invoice_id_of, known
from billing_core.state import CustomerState
from tests.billing_core.builders import act, created, day, folded, instant, setting_of, subscribed


def test_an_id_names_customer_type_cause_and_day() -> None:
    cause = Cause(InvoiceType.INITIAL, "s1", instant("2026-04-05"), day("2026-04-05"))
    assert invoice_id_of(CustomerState("acme"), cause) == "acme/initial/s1/2026-04-05"
    waited = Cause(
        InvoiceType.INITIAL,
        "s1",
        instant("2026-04-05"),
        day("2026-04-05"),
        id_day=day("2026-04-01"),
    )
    assert invoice_id_of(CustomerState("acme"), waited) == "acme/initial/s1/2026-04-01"


def test_nobody_is_invoiced_who_was_never_created() -> None:
    with pytest.raises(ValueError, match="acme has a subscription but was never created"):
        known(CustomerState("acme"))


def test_a_credit_has_the_name_of_its_cause() -> None:
    stop = act("2026-04-16", "cancel", when="now")
    told = folded([created(), subscribed("2026-04-01"), stop], setting_of(), "2026-04-30")
    (credit,) = told.state.credits
    assert (credit.id, credit.reason) == ("cancellation/s1/2026-04-16", "cancellation")
