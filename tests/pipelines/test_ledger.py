"""Rules LED-1, BAL-5: credits and balances as tables that add up."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from billing_core.drawing import CREDITS, LedgerEntry
from pipelines.datasets import current_files
from pipelines.ledger import BALANCES, LEDGER, LedgerDoesNotAddUp, write_ledger
from pipelines.paths import DataRoot
from pipelines.warehouse import publish, reading


def entry(kind: str, amount: str, balance: str, **changes: object) -> LedgerEntry:
    own = LedgerEntry(
        customer_id="acme",
        at=datetime(2026, 4, 1, tzinfo=UTC),
        on=date(2026, 4, 1),
        kind=kind,
        unit=CREDITS,
        amount=Fraction(amount),
        balance_after=Fraction(balance),
        code=None,
        description=kind,
    )
    return replace(own, **changes)  # type: ignore[arg-type]


STORY = [
    entry("reset", "500", "500"),
    entry("purchase", "30", "530"),
    entry("consumption", "-1/3", "1589/3", code="images"),
    entry("reset", "10", "10", customer_id="bob", unit="USD"),
]


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def read(root: DataRoot, name: str) -> pl.DataFrame:
    return pl.read_parquet(current_files(root, name)["all"])


def test_each_entry_and_each_balance_has_its_row(root: DataRoot) -> None:
    write_ledger(root, STORY)
    entries, balances = read(root, "ledger_entries"), read(root, "ledger_balances")
    assert (entries.schema, balances.schema) == (pl.Schema(LEDGER), pl.Schema(BALANCES))
    assert entries["entry"].to_list() == [1, 2, 3, 1]
    assert entries["balance_after_exact"].to_list() == ["500", "530", "1589/3", "10"]
    first, second = balances.to_dicts()
    assert (first["bought"], first["balance"]) == (Decimal(30), Decimal("529.666666667"))
    assert (second["customer_id"], second["unit"], second["entries"]) == ("bob", "USD", 1)


def test_entries_that_do_not_make_the_balance_are_not_written(root: DataRoot) -> None:
    with pytest.raises(LedgerDoesNotAddUp, match="the entries up to it make 490"):
        write_ledger(root, [entry("reset", "500", "500"), entry("consumption", "-10", "489")])
    assert current_files(root, "ledger_entries") == {}


def test_analysts_read_the_ledger_and_what_is_left(root: DataRoot) -> None:
    write_ledger(root, STORY)
    publish(root)
    with reading(root) as warehouse:
        rows = warehouse.execute(
            "select customer_id, unit, sum(amount), max_by(balance_after, entry), min(balance)"
            " from ledger join balances using (customer_id, unit) group by all order by all"
        ).fetchall()
    assert rows == [
        ("acme", "credits", Decimal("529.666666667"), *(2 * [Decimal("529.666666667")])),
        ("bob", "USD", Decimal(10), Decimal(10), Decimal(10)),
    ]
