"""What customers are told, as a table that analysts read and as lines for a mailer."""

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl

from billing_core.money import Money
from billing_core.step import Notice
from pipelines.datasets import current_files
from pipelines.notices import FILE, hand_out_notices, write_notices
from pipelines.paths import DataRoot
from tests.billing_core.builders import USD, instant


def test_notices_are_numbered_by_customer_in_order_of_time(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    at = instant("2026-04-10 12:00")
    warned = Notice(
        "b",
        "downgrade_warning",
        date(2026, 4, 10),
        at,
        feature="editors",
        used=Fraction(8),
        limit=Fraction(5),
        cost=Money(7500, USD),
    )
    due = Notice("b", "past_due", date(2026, 4, 2), instant("2026-04-02"))
    write_notices(root, [warned, due, Notice("a", "past_due", date(2026, 5, 1), at)])
    rows = pl.read_parquet(current_files(root, "notices")["all"]).to_dicts()
    assert [(row["customer_id"], row["notice"], row["kind"]) for row in rows] == [
        ("a", 1, "past_due"),
        ("b", 1, "past_due"),
        ("b", 2, "downgrade_warning"),
    ]
    last = rows[-1]
    assert (last["feature"], last["notice_day"]) == ("editors", date(2026, 4, 10))
    figures = (last["used_quantity"], last["limit_quantity"], last["cost"], last["currency"])
    assert figures == (8, 5, Decimal("75.00"), "USD")
    assert (rows[0]["used_quantity"], rows[0]["cost"]) == (None, None)


def test_a_notice_is_handed_to_the_mailer_once_by_its_id(tmp_path: Path) -> None:
    """Two invoices that are overdue on one day are two notices, however often it is told."""
    root = DataRoot(tmp_path)
    at, on = instant("2026-05-11"), date(2026, 5, 11)
    late = [Notice("b", "overdue", on, at, invoice_id=name) for name in ("b/one", "b/two")]
    warned = Notice(
        "a",
        "downgrade_warning",
        date(2026, 5, 9),
        instant("2026-05-09 12:00"),
        feature="editors",
        used=Fraction(17, 2),
        limit=Fraction(5),
        cost=Money(7500, USD),
    )
    write_notices(root, late)
    assert [it["id"] for it in hand_out_notices(root, locales={})] == [
        "b/overdue/b/one/2026-05-11T00:00:00Z",
        "b/overdue/b/two/2026-05-11T00:00:00Z",
    ]
    write_notices(root, [warned, *late])
    assert len(hand_out_notices(root, locales={"a": "nl_NL"})) == 1
    before = (root.outbox / FILE).stat().st_mtime_ns
    assert hand_out_notices(root, locales={}) == ()
    assert (root.outbox / FILE).stat().st_mtime_ns == before
    last = (root.outbox / FILE).read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last) == {
        "id": "a/downgrade_warning/editors/2026-05-09T12:00:00Z",
        "customer_id": "a",
        "kind": "downgrade_warning",
        "notice_day": "2026-05-09",
        "notice_at": "2026-05-09T12:00:00Z",
        "invoice_id": None,
        "feature": "editors",
        "used": "8.5",
        "limit": "5",
        "cost": "75.00",
        "currency": "USD",
        "locale": "nl_NL",
    }


def test_two_notices_of_one_kind_and_instant_are_told_apart(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    told = Notice("a", "past_due", date(2026, 5, 1), instant("2026-05-01"))
    write_notices(root, [told, told])
    assert [str(it["id"])[-2:] for it in hand_out_notices(root, locales={})] == ["0Z", "/2"]


def test_before_a_run_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert hand_out_notices(DataRoot(tmp_path), locales={}) == ()
