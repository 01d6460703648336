"""Where customers stand, as tables that analysts read."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from billing_core.money import Money
from billing_core.state import (
    CancelReason,
    Customer,
    CustomerState,
    InvoiceRecord,
    Negotiated,
    PaymentResult,
    Status,
    Subscription,
    ended,
)
from billing_core.terms import Terms
from pipelines import standing
from pipelines.datasets import current_files
from pipelines.paths import DataRoot, sql_text
from tests.billing_core.builders import instant, setting_of
from tests.pipelines import samples

PRO = Terms("pro", "Pro", "metered", "monthly", samples.USD, Decimal("99.00"), features=())


def state(customer: str) -> CustomerState:
    invoice = samples.initial(customer)
    record = InvoiceRecord(
        invoice.id,
        invoice.type,
        invoice.billing_day,
        total=invoice.total,
        paid=Money(1000, samples.USD),
        credited=Money(0, samples.USD),
        refunded=Money(0, samples.USD),
        written_off=Money(0, samples.USD),
    )
    subscription = Subscription(
        f"{customer}:1", Status.ACTIVE, PRO, samples.APRIL.start, period=samples.APRIL
    )
    return CustomerState(customer, Customer(customer, "NL"), subscription, invoices=(record,))


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def write(root: DataRoot, states: list[CustomerState]) -> None:
    """Write the tables of some states as of April 20, in a setting without deletions."""
    standing.write_standing(root, states, setting_of(), instant("2026-04-20"))


def read(root: DataRoot, name: str) -> list[dict[str, object]]:
    return pl.read_parquet(current_files(root, name)["all"]).to_dicts()


def test_each_customer_has_his_rows(root: DataRoot) -> None:
    write(root, [state("b"), state("a")])
    assert [row["customer_id"] for row in read(root, "customers")] == ["a", "b"]
    first, _ = read(root, "subscriptions")
    assert (first["status"], first["plan"], first["plan_price"]) == ("active", "pro", Decimal(99))
    assert (first["period_start"], first["window_start"]) == (date(2026, 4, 1), None)
    balance, _ = read(root, "invoice_balances")
    assert (balance["unpaid_minor"], balance["unpaid"]) == (9900 + 2079 - 1000, Decimal("109.79"))
    assert balance["is_uncollectible"] is False


def test_payment_results_are_told_as_presented_and_settled(root: DataRoot) -> None:
    """Rule CUR-1."""
    at, whole = datetime(2026, 4, 2, tzinfo=UTC), Money(2900, samples.USD)
    results = (
        PaymentResult("b", at, "succeeded", whole, Decimal("26.681"), "EUR"),
        PaymentResult("a", at, "failed", whole),
    )
    told = state("acme")
    record = replace(told.invoices[0], payments=results)
    write(root, [replace(told, invoices=(record,))])
    rows = [
        (row["action_id"], row["result"], row["amount"], row["settled"], row["settlement_currency"])
        for row in read(root, "payments")
    ]
    assert rows == [
        ("a", "failed", Decimal(29), None, None),
        ("b", "succeeded", Decimal(29), Decimal("26.681"), "EUR"),
    ]


def test_what_was_unpaid_elsewhere_stands_apart_and_grows_old_with_the_rest(root: DataRoot) -> None:
    old = InvoiceRecord(
        "1017",
        None,
        date(2026, 2, 1),
        total=Money(4000, samples.USD),
        paid=Money(1500, samples.USD),
        refunded=Money(0, samples.USD),
        credited=Money(0, samples.USD),
        written_off=Money(500, samples.USD),
        due_on=date(2026, 2, 1),
    )
    own = state("a")
    write(root, [replace(own, invoices=(old, *own.invoices))])
    assert [row["invoice_id"] for row in read(root, "invoice_balances")] == [own.invoices[0].id]
    (row,) = read(root, "opening_invoices")
    assert (row["invoice"], row["unpaid"], row["due_on"]) == ("1017", 20, date(2026, 2, 1))
    with duckdb.connect() as connection:
        connection.register("opening_invoices", pl.DataFrame([row]).to_arrow())
        connection.execute(
            "create table invoices as select 'a' as customer_id, 'USD' as currency, 'posted' as"
            " status, 99.00::decimal(38, 9) as unpaid, date '2026-05-01' as due_on,"
            " date '2026-05-01' as billing_day"
        )
        span = {"next_month": date(2026, 6, 1), "as_of": date(2026, 5, 3)}
        ages = connection.execute(sql_text("reports/revenue_outstanding"), span).fetchall()
    assert ages == [("USD", 1, 1, 1, 99), ("USD", 4, 1, 1, 20)]


def test_terms_that_were_agreed_on_are_shown_with_their_end(root: DataRoot) -> None:
    own = state("a").subscription
    assert own is not None
    since, until = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    dated = Negotiated("o1", "pro", "{}", since, until)
    rows = []
    for agreed in ((), (dated,), (dated, replace(dated, until_at=None))):
        told = replace(state("a"), subscription=replace(own, negotiated=agreed))
        write(root, [told])
        (row,) = read(root, "subscriptions")
        rows.append((row["is_negotiated"], row["negotiated_until"]))
    assert rows == [(False, None), (True, until), (True, None)]


def test_who_was_never_created_has_no_rows(root: DataRoot) -> None:
    nobody = CustomerState("a")
    write(root, [nobody, replace(state("b"), subscription=None)])
    assert [row["customer_id"] for row in read(root, "customers")] == ["b"]
    assert read(root, "subscriptions") == []


def test_without_customers_the_columns_are_there(root: DataRoot) -> None:
    write(root, [])
    for name, schema in standing.STANDING.items():
        assert dict(pl.read_parquet_schema(current_files(root, name)["all"])) == schema


def test_a_checkout_says_until_when_and_how_much(root: DataRoot) -> None:
    waiting = state("a").subscription
    assert waiting is not None
    expires_at = datetime(2026, 4, 8, tzinfo=UTC)
    checkout = replace(
        waiting,
        status=Status.PENDING_PAYMENT,
        checkout=samples.initial("a"),
        expires_at=expires_at,
    )
    write(root, [replace(state("a"), subscription=checkout), state("b")])
    first, second = read(root, "subscriptions")
    assert (first["expires_at"], first["checkout_total"]) == (expires_at, Decimal("119.79"))
    assert (second["expires_at"], second["checkout_total"]) == (None, None)


def test_what_is_coming_is_shown_with_its_reason(root: DataRoot) -> None:
    waiting = state("a").subscription
    assert waiting is not None
    asked = replace(waiting, cancel_on=samples.APRIL.end)
    lower = replace(waiting, next_plan="starter", next_interval="monthly")
    gone = ended(waiting, instant("2026-04-10"), CancelReason.UNPAID)
    some = {"a": asked, "b": lower, "c": waiting, "d": gone}
    states = [replace(state(name), subscription=it) for name, it in some.items()]
    write(root, states)
    shown = [
        (row["cancel_on"], row["cancel_reason"], row["next_plan"], row["next_interval"])
        for row in read(root, "subscriptions")
    ]
    assert shown == [
        (date(2026, 5, 1), "requested", None, None),
        (None, None, "starter", "monthly"),
        (None, None, None, None),
        (None, "unpaid", None, None),
    ]


def test_a_trial_says_when_it_ends(root: DataRoot) -> None:
    waiting = state("a").subscription
    assert waiting is not None
    ends_at = datetime(2026, 4, 15, 4, tzinfo=UTC)
    trial = replace(waiting, status=Status.TRIALING, trial_ends_at=ends_at)
    write(root, [replace(state("a"), subscription=trial), state("b")])
    assert [row["trial_ends_at"] for row in read(root, "subscriptions")] == [ends_at, None]
