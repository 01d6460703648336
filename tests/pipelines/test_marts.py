"""What analysts read of money, on a root that was really run and posted: every total ties."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.drafts import read_drafts
from pipelines.issuing import post_reviewed
from pipelines.paths import DataRoot
from pipelines.warehouse import publish, reading
from tests.pipelines import roots

TAXED = """\
tax:
  - {country: NL, category: standard, rate_bp: 2100, from: 2019-01-01}
features:
"""
MAY = {"type": "recurring", "on": "2026-05-01"}


def act(name: str, do: str, at: str, **told: Any) -> dict[str, Any]:
    common = {"id": f"{name}.{do}.{at}", "do": do, "at": f"{at}T00:00:00Z", "customer": name}
    return {**common, "actor": "customer" if do == "payment" else "founder", **told}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Three customers with an invoice in April and one in May, posted on May 2, run to May 20.

    Each is charged 29.00 in April, and in May 29.00 + 50 calls x 0.10 = 34.00. nl pays 21 %
    tax, de by reverse charge none, us is out of scope and draws 12.00 of credit. Of May
    nl pays 50.00 instead of 41.14 and gets 5.00 back; the payment of de fails.
    """
    path: Path = tmp_path_factory.mktemp("root")
    root = roots.begun(path, roots.CATALOG.replace("features:\n", TAXED, 1))
    people = [
        *roots.customer("nl", country="NL"),
        *roots.customer("de", country="DE", tax_id="DE136695976"),
        *roots.customer("us"),
    ]
    granted = act("us", "grant_credit", "2026-04-15", amount="12.00", reason="outage")
    later = act(
        "us", "grant_credit", "2026-05-03", amount="5.00", reason="late", expires_at="2026-05-20"
    )
    revoked = act("us", "revoke_credit", "2026-05-05", amount="1.50", reason="by mistake")
    roots.land_actions(root, [*people, granted])
    roots.land_usage(root, [roots.calls(name, 150) for name in ("nl", "de", "us")])
    post(root, roots.THROUGH)
    paid = act("nl", "payment", "2026-05-10", invoice=MAY, result="succeeded", amount="50.00")
    back = act("nl", "refund", "2026-05-11", invoice=MAY, amount="5.00", reason="asked")
    failed = act("de", "payment", "2026-05-10", invoice=MAY, result="failed")
    roots.land_actions(root, [later, paid, back, failed, revoked], date(2026, 5, 10))
    roots.run(root, date(2026, 5, 20))
    publish(root)
    return root


def post(root: DataRoot, on: date) -> None:
    roots.run(root, on)
    post_reviewed(root, draft_hash=read_drafts(root).summary.hash, issued_on=on)


def query(root: DataRoot, sql: str) -> list[tuple[Any, ...]]:
    with reading(root) as connection:
        return connection.execute(sql).fetchall()


def money(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, amounts))


def test_charge_records_tie_to_the_posted_invoices(root: DataRoot) -> None:
    """Rule PAY-1. The retry of de is due 8 hours after the failure."""
    rows = query(
        root,
        "select customer_id, kind, attempts, failed_attempts, is_silent, unpaid, due_on,"
        " next_attempt_at::text from charge_records where kind = 'recurring' order by 1",
    )
    due = date(2026, 5, 2)
    assert rows == [
        ("de", "recurring", 1, 1, True, Decimal(34), due, "2026-05-10 08:00:00"),
        ("nl", "recurring", 1, 0, False, Decimal(0), due, None),
        ("us", "recurring", 0, 0, True, Decimal(22), due, "2026-05-02 00:00:00"),
    ]
    tied = query(
        root,
        "select count(*), sum(charge_records.amount), sum(charge_records.unpaid_minor)"
        " from charge_records join invoices on charge_record_id = invoice_id"
        " where charge_records.number = invoices.number and amount = total"
        " and charge_records.unpaid = greatest(invoices.unpaid, 0)",
    )
    whole = query(
        root,
        "select count(*), sum(total), sum(greatest(unpaid_minor, 0)) from invoices"
        " where status = 'posted' and total > 0",
    )
    assert tied == whole


def test_payments_and_refunds_tie_to_what_invoices_were_paid(root: DataRoot) -> None:
    """Rules CUR-1, PAY-2."""
    rows = query(
        root,
        "select customer_id, number, result, amount from payments"
        " where taken_at >= '2026-05-01' order by 1, 3",
    )
    assert rows == [
        ("de", "INV-2026-000004", "failed", Decimal(34)),
        ("nl", "INV-2026-000005", "refunded", Decimal(5)),
        ("nl", "INV-2026-000005", "succeeded", Decimal(50)),
    ]
    paid = query(
        root,
        "select sum(amount) filter (where result = 'succeeded'),"
        " sum(amount) filter (where result = 'refunded') from payments",
    )
    assert paid == query(root, "select sum(paid), sum(refunded) from invoices")


def test_tax_is_told_by_country_treatment_and_rate(root: DataRoot) -> None:
    """Rules TAX-1, TAX-3: 29.00 and 34.00 for each, of us 22.00 after its credit."""
    rows = query(
        root,
        "select month::text, country, treatment, tax_rate_bp, invoices, base, tax"
        " from tax_summary order by 1, 2",
    )
    april, may = "2026-04-01", "2026-05-01"
    assert rows == [
        (april, "DE", "reverse_charge", 0, 1, *money("29.00", "0.00")),
        (april, "NL", "taxed", 2100, 1, *money("29.00", "6.09")),
        (april, "US", "out_of_scope", None, 1, *money("29.00", "0.00")),
        (may, "DE", "reverse_charge", 0, 1, *money("34.00", "0.00")),
        (may, "NL", "taxed", 2100, 1, *money("34.00", "7.14")),
        (may, "US", "out_of_scope", None, 1, *money("22.00", "0.00")),
    ]
    tied = "select sum(subtotal), sum(tax) from invoices where status = 'posted'"
    assert query(root, "select sum(base), sum(tax) from tax_summary") == query(root, tied)


def test_what_is_outstanding_is_aged_and_ties_to_the_invoices(root: DataRoot) -> None:
    """Rule PAY-2: due on May 2, so 18 days past due; nl has paid 3.86 too much."""
    columns = "not_due, days_1_to_30, days_31_to_60, uncollectible, paid_ahead, outstanding"
    rows = query(root, f"select customer_id, as_of, {columns} from outstanding order by 1")
    as_of = date(2026, 5, 20)
    assert rows == [
        ("de", as_of, *money("0", "34.00", "0", "0", "0", "34.00")),
        ("nl", as_of, *money("0", "0", "0", "0", "3.86", "-3.86")),
        ("us", as_of, *money("0", "22.00", "0", "0", "0", "22.00")),
    ]
    tied = "select sum(unpaid) from invoices where status = 'posted'"
    assert query(root, "select sum(outstanding) from outstanding") == query(root, tied)


def test_a_customer_credit_is_what_was_granted_drawn_taken_back_and_left(root: DataRoot) -> None:
    """Rule CUS-1. The second expires at 00:00 on May 20, the last day run."""
    columns = "reason, is_expired, granted, drawn, drawn_posted, taken_back, remaining"
    rows = query(root, f"select customer_id, {columns} from customer_credits")
    assert rows == [
        ("us", "outage", False, *money("12.00", "12.00", "12.00", "0", "0")),
        ("us", "late", True, *money("5.00", "0", "0", "1.50", "3.50")),
    ]
    tied = "select -sum(amount) from invoice_lines where charge_type = 'customer_credit'"
    assert query(root, "select sum(drawn) from customer_credits") == query(root, tied)
