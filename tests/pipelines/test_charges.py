"""Charge records: each handed out once, with what is to be collected and by which attempts."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines import charges
from pipelines.books import read_books
from pipelines.datasets import current_files
from pipelines.drafts import read_drafts
from pipelines.findings import findings_of
from pipelines.issuing import post_reviewed
from pipelines.paths import DataRoot
from tests.pipelines import roots

CREDITS = """\
credit_packs: {c100: {credits: 100, price: 10.00}}
plans:
  credit:
    name: Credit
    consumption_model: credits
    prices: {monthly: {amount: 20.00, included_credits: 500}}
    features: {api_calls: {credits_per_unit: 1}}
"""
MAY, ISSUED = roots.MAY, roots.THROUGH


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Two customers with 150 calls each in April, one of them on terms of ten days.

    The invoice of May is 29.00 and 50 calls above the 100 included x 0.10 = 34.00.
    """
    root = roots.begun(tmp_path)
    on_terms = {"collection": "on_terms", "payment_days": 10}
    roots.land_actions(root, roots.customer("auto") + roots.customer("terms", **on_terms))
    roots.land_usage(root, [roots.calls("auto", 150), roots.calls("terms", 150)])
    return root


def bill_and_post(root: DataRoot) -> None:
    roots.run(root)
    post_reviewed(root, draft_hash=read_drafts(root).summary.hash, issued_on=ISSUED)


def hand_out(root: DataRoot) -> list[dict[str, Any]]:
    return [dict(line) for line in charges.hand_out_charges(root, read_books(root))]


def result(name: str, at: str, told: str, on: date = MAY) -> dict[str, Any]:
    invoice = {"type": "recurring", "on": str(on)}
    common = {"id": f"{name}.{at}", "do": "payment", "actor": "customer", "customer": name}
    return {**common, "at": at, "invoice": invoice, "result": told}


def silent(root: DataRoot, through: date) -> list[tuple[str, int, str]]:
    drafted = roots.run(root, through)
    found = findings_of(root, drafted.summary, read_books(root)).silent
    return [(it.customer_id, it.attempt, str(it.unpaid)) for it in found]


def test_what_is_posted_and_unpaid_is_one_line_of_json(root: DataRoot) -> None:
    """Rules PAY-0, PAY-1, PAY-3: of the paid initial invoices there is nothing to collect."""
    bill_and_post(root)
    hand_out(root)
    text = (root.outbox / "charge_records.jsonl").read_text(encoding="utf-8")
    automatic, on_terms = map(json.loads, text.splitlines())
    assert automatic == {
        "id": automatic["invoice_id"],
        "invoice_id": automatic["id"],
        "number": "INV-2026-000003",
        "customer_id": "auto",
        "kind": "recurring",
        "amount": "34.00",
        "unpaid": "34.00",
        "currency": "USD",
        "due_on": "2026-05-02",
        "collection": "automatic",
        "attempts": [{"attempt": 1, "due_at": "2026-05-02T00:00:00Z"}],
        "retry_hours": [8, 16],
    }
    assert automatic["id"].startswith("auto/recurring/")
    shown = ("number", "customer_id", "amount", "due_on", "collection", "attempts", "retry_hours")
    assert [on_terms[name] for name in shown] == [
        "INV-2026-000004", "terms", "34.00", "2026-05-12", "on_terms", [], [],
    ]  # fmt: skip


def test_nothing_is_handed_out_before_posting_and_nothing_twice(root: DataRoot) -> None:
    roots.run(root)
    assert hand_out(root) == []
    bill_and_post(root)
    assert len(hand_out(root)) == 2
    roots.run(root, date(2026, 5, 20))
    before = roots.contents(root.outbox)
    assert hand_out(root) == []
    assert roots.contents(root.outbox) == before


def test_a_checkout_and_a_pack_that_wait_are_handed_out_without_a_number(root: DataRoot) -> None:
    """Rules PAY-0, PAY-3: they are posted when they are paid, so the provider is asked before."""
    path = root.catalog / "2026-01-01.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("plans:\n", CREDITS), encoding="utf-8")
    buyer = roots.customer("buyer")
    buyer[1]["plan"] = "credit"
    bought = {
        "id": "buyer.buys.more", "do": "buy_credit_pack", "pack": "c100",
        "at": "2026-04-20T10:00:00Z", "actor": "customer", "customer": "buyer",
    }  # fmt: skip
    roots.land_actions(root, [*buyer, bought, *roots.customer("late", date(2026, 4, 28))[:2]])
    roots.run(root, date(2026, 4, 29))
    lines = {line["customer_id"]: line for line in hand_out(root)}
    shown = ("number", "kind", "amount", "unpaid", "due_on", "attempts", "retry_hours")
    assert {name: [line[each] for each in shown] for name, line in lines.items()} == {
        "buyer": [
            None, "credit_pack", "10.00", "10.00", "2026-04-20",
            [{"attempt": 1, "due_at": "2026-04-21T00:00:00Z"}], [],
        ],
        "late": [
            None, "initial", "29.00", "29.00", "2026-04-28",
            [{"attempt": 1, "due_at": "2026-04-29T00:00:00Z"}], [8, 16],
        ],
    }  # fmt: skip
    assert hand_out(root) == []
    assert silent(root, date(2026, 4, 29)) == [("buyer", 1, "10.000000000")]


def test_what_is_paid_before_it_was_posted_is_never_collected(root: DataRoot) -> None:
    """Rule PAY-0. Also not when a later run looks back to the day before the payment."""
    paid = result("auto", "2026-05-01T12:00:00Z", "succeeded")
    roots.land_actions(root, [paid], MAY)
    bill_and_post(root)
    assert [line["customer_id"] for line in hand_out(root)] == ["terms"]
    roots.run(root, date(2026, 4, 30))
    assert hand_out(root) == []


def test_a_lost_file_comes_back_with_what_is_still_unpaid(root: DataRoot) -> None:
    bill_and_post(root)
    hand_out(root)
    (root.outbox / charges.FILE).unlink()
    failed = result("auto", "2026-05-03T10:00:00Z", "failed")
    paid = result("terms", "2026-05-03T10:00:00Z", "succeeded")
    roots.land_actions(root, [failed, paid], date(2026, 5, 3))
    roots.run(root, date(2026, 5, 3))
    (line,) = hand_out(root)
    assert line["attempts"] == [{"attempt": 2, "due_at": "2026-05-03T18:00:00Z"}]


def test_an_attempt_without_result_is_listed_after_24_hours(root: DataRoot) -> None:
    """Rule PAY-1: handed out on May 2; the retry is due 8 hours after the failure."""
    assert silent(root, date(2026, 5, 2)) == []
    bill_and_post(root)
    assert silent(root, date(2026, 5, 2)) == []
    assert silent(root, date(2026, 5, 3)) == [("auto", 1, "34.000000000")]
    failed = result("auto", "2026-05-03T10:00:00Z", "failed")
    roots.land_actions(root, [failed], date(2026, 5, 3))
    assert silent(root, date(2026, 5, 3)) == []
    assert silent(root, date(2026, 5, 4)) == [("auto", 2, "34.000000000")]


def test_every_invoice_above_0_has_its_record_drafts_included(root: DataRoot) -> None:
    drafted = roots.run(root)
    rows = pl.read_parquet(current_files(root, "charge_records")["all"])
    owed = {it.id: it.total.major for it in drafted.rated.invoices if it.total.minor > 0}
    assert dict(rows.select("charge_record_id", "amount").iter_rows()) == owed
    assert rows["unpaid"].sum() == Decimal(68)
