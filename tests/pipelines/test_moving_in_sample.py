"""Half of the sample's customers move in from another system and are invoiced as if always here.

One root where they were always here, and where nobody who moves has used anything before the
move; one root where they come by a CSV file at mid-period, with all that they had used before.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from billing_core.actions import Action, parse_action
from billing_core.bill import bill
from billing_core.invoice import Invoice
from billing_core.setting import Setting
from billing_core.state import Status, Subscription
from pipelines import new_root
from pipelines.catalogs import load_catalogs
from pipelines.datasets import current_files
from pipelines.drafts import read_drafts
from pipelines.generate import generate
from pipelines.history import versions_of
from pipelines.moving_in import import_customers
from pipelines.paths import DataRoot
from pipelines.runs import DRAFTED, materialize
from pipelines.world import zones

START, MOVED_ON = date(2026, 1, 1), date(2026, 2, 20)
AT = datetime(2026, 2, 20, tzinfo=UTC)
PERSONAL = ("name", "email", "country", "tax_id", "time_zone", "locale")


@dataclass(frozen=True)
class Mover:
    """A customer at the instant of the move: his account's row, and what he is subscribed to."""

    account: dict[str, Any]
    subscription: Subscription


def rows_of(root: DataRoot) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for path in sorted(root.actions_landing.rglob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        yield path, [json.loads(line) for line in lines]


def movers(root: DataRoot) -> dict[str, Mover]:
    """Every second customer who is active, does not end and owes no true-up at the move."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, some in rows_of(root):
        for row in some:
            rows[row["customer"]].append(row)
    setting = Setting(
        versions_of(load_catalogs(root).versions),
        zones(
            {
                "UTC",
                *(str(it["time_zone"]) for own in rows.values() for it in own if "time_zone" in it),
            }
        ),
    )
    found = {}
    for customer in sorted(rows)[::2]:
        actions = [action(row) for row in rows[customer]]
        told = bill(customer, actions, setting, until=AT).folded
        subscription = None if told is None else told.state.subscription
        if subscription is None or subscription.status is not Status.ACTIVE:
            continue
        is_settled = not any(holding.additions for holding in subscription.seats)
        if is_settled and subscription.cancel_on is None:
            found[customer] = Mover(rows[customer][0], subscription)
    return found


def action(row: dict[str, Any]) -> Action:
    parsed = parse_action(row, where=str(row["id"]))
    assert not isinstance(parsed, tuple), parsed
    return parsed


def line(customer: str, mover: Mover) -> dict[str, str]:
    """The customer as a line of the CSV file."""
    own, period = mover.subscription, mover.subscription.period
    assert period is not None
    return {
        "customer": customer,
        **{name: mover.account.get(name, "") for name in PERSONAL},
        "address": "; ".join(mover.account["address"]),
        "plan": own.terms.plan,
        "interval": str(own.terms.interval),
        "anchor": str(own.anchor),
        "period_start": str(period.start),
        "period_end": str(period.end),
        **{f"seats.{holding.feature}": str(holding.held) for holding in own.seats},
    }


def forget_use(root: DataRoot, customers: Collection[str]) -> None:
    """Take what customers used before the move out of the landed files."""
    for path in sorted((root.root / "landing" / "usage").rglob("*.parquet")):
        try:
            table = pl.read_parquet(path)
        except pl.exceptions.ComputeError:
            continue
        is_old = pl.col("customer_id").is_in(customers) & (pl.col("occurred_at") < AT)
        table.filter(~is_old.fill_null(value=False)).write_parquet(path)


def forget_actions(root: DataRoot, customers: Collection[str]) -> None:
    """Take what customers did before the move out of the landed files."""
    for path, rows in list(rows_of(root)):
        kept = [
            row
            for row in rows
            if row["customer"] not in customers or datetime.fromisoformat(row["at"]) >= AT
        ]
        path.unlink()
        if kept:
            text = "".join(json.dumps(row) + "\n" for row in kept)
            path.write_text(text, encoding="utf-8")


def invoices(root: DataRoot, through: date) -> tuple[Invoice, ...]:
    materialize(root, DRAFTED, partition=through)
    drafts = read_drafts(root)
    assert not drafts.faults
    return drafts.invoices


def shown(made: Invoice) -> tuple[object, ...]:
    """An invoice as a customer reads it, without the days of the use, which begin at the move."""
    lines = tuple(
        (it.type, it.code, it.name, it.amount, it.quantity, it.unit_price, it.used, it.days)
        for it in made.lines
    )
    return made.customer_id, made.billing_day, made.type, lines, made.total, made.period


@pytest.mark.slow
def test_who_moved_in_at_mid_period_gets_the_next_invoices_of_who_was_always_here(
    tmp_path: Path,
) -> None:
    """Rule CUS-2."""
    always, moved = DataRoot(tmp_path / "always"), DataRoot(tmp_path / "moved")
    for root in (always, moved):
        new_root.begin(root)
        made = generate(root, customers=30, months=3, events=9000, seed=1, start=START)
    people = movers(always)
    assert len(people) >= 8
    rows = [line(customer, mover) for customer, mover in people.items()]
    file = tmp_path / "customers.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    forget_use(always, people)
    forget_actions(moved, people)
    assert import_customers(moved, file, MOVED_ON).problems == ()

    here, came = invoices(always, made.last_day), invoices(moved, made.last_day)
    after = [shown(it) for it in here if it.customer_id in people and it.billing_day > MOVED_ON]
    assert [shown(it) for it in came if it.customer_id in people] == after
    assert {it[0] for it in after} == set(people)
    assert any(cells[0] == "feature_overage" for it in after for cells in it[3])  # type: ignore[attr-defined]
    others = [it for it in here if it.customer_id not in people]
    assert [it for it in came if it.customer_id not in people] == others
    left = pl.read_parquet(current_files(moved, "usage_set_aside")["all"])
    before = left.filter(
        pl.col("customer_id").is_in(list(people)) & (pl.col("reason") == "no_access")
    )
    assert before["events"].sum() > 0
    assert before["event_day"].max() < MOVED_ON  # type: ignore[operator]
