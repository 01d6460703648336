"""Credits and balances as tables: every change since a customer's first, and what is left.

A ledger is told again by each run, from actions and from all usage known by then; what
lands late stands where it was used. Before it is written it is shown to add up, exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import polars as pl

from billing_core.drawing import LedgerEntry
from billing_core.errors import BillingError
from pipelines.datasets import PartitionFile, write_partition
from pipelines.frames import INSTANT, QUANTITY, Schema, readable, table
from pipelines.paths import DataRoot

LEDGER: Schema = {
    "customer_id": pl.String,
    "unit": pl.String,
    "entry": pl.Int32,
    "entry_type": pl.String,
    "code": pl.String,
    "description": pl.String,
    "entry_day": pl.Date,
    "amount": QUANTITY,
    "balance_after": QUANTITY,
    "entry_at": INSTANT,
    "amount_exact": pl.String,
    "balance_after_exact": pl.String,
}
"""One row an entry, by (customer_id, unit, entry); `entry` counts from 1. Rule LED-1."""

BALANCES: Schema = {
    "customer_id": pl.String,
    "unit": pl.String,
    "entries": pl.Int32,
    "bought": QUANTITY,
    "consumed": QUANTITY,
    "balance": QUANTITY,
    "balance_exact": pl.String,
}
"""One row a customer and unit, by both: what is left after the last entry. Rule LED-1."""

LEDGERS: dict[str, Schema] = {"ledger_entries": LEDGER, "ledger_balances": BALANCES}
"""Datasets with the one partition `all`."""


class LedgerDoesNotAddUp(BillingError):
    """The entries of a customer do not make his balance. Rule LED-1."""

    code = "LEDGER-01"

    def __init__(self, entry: LedgerEntry, balance: Fraction) -> None:
        super().__init__(
            what=f"after {entry.kind} of {entry.amount} {entry.unit} the balance is "
            f"{entry.balance_after}, and the entries up to it make {balance}",
            where=f"customer {entry.customer_id!r}, {entry.on}; nothing was drafted",
            mend="drafts and warehouse of the run before stand; report this text with the "
            "customer's actions",
        )


def write_ledger(root: DataRoot, entries: Iterable[LedgerEntry]) -> list[PartitionFile]:
    """Replace both tables by these entries. The writer's lock is held.

    takes:  entries of whole histories, those of a customer in the order made.
    raises: LedgerDoesNotAddUp.
    """
    ledgers = [list(made) for _, made in groupby(sorted(entries, key=_owner), key=_owner)]
    for made in ledgers:
        raise_if_not_adding_up(made)
    tables = {
        "ledger_entries": table((row for made in ledgers for row in _entries(made)), LEDGER),
        "ledger_balances": table((_balance(made) for made in ledgers), BALANCES),
    }
    return [write_partition(root, name, "all", rows) for name, rows in tables.items()]


def raise_if_not_adding_up(entries: Sequence[LedgerEntry]) -> None:
    """Opening + entries = closing, exactly, after each entry. Rule LED-1.

    takes:  all entries of one customer and unit; the first opens at 0.
    raises: LedgerDoesNotAddUp.
    """
    balance = Fraction(0)
    for entry in entries:
        balance += entry.amount
        if balance != entry.balance_after:
            raise LedgerDoesNotAddUp(entry, balance)


def _owner(entry: LedgerEntry) -> tuple[str, str]:
    return entry.customer_id, entry.unit


def _entries(entries: Sequence[LedgerEntry]) -> Iterator[tuple[Any, ...]]:
    for number, it in enumerate(entries, start=1):
        yield (
            it.customer_id,
            it.unit,
            number,
            it.kind,
            it.code,
            it.description,
            it.on,
            readable(it.amount),
            readable(it.balance_after),
            it.at,
            str(it.amount),
            str(it.balance_after),
        )


def _balance(entries: Sequence[LedgerEntry]) -> tuple[Any, ...]:
    last = entries[-1]
    return (
        last.customer_id,
        last.unit,
        len(entries),
        _sum(entries, {"purchase", "topup"}),
        _sum(entries, {"consumption"}),
        readable(last.balance_after),
        str(last.balance_after),
    )


def _sum(entries: Iterable[LedgerEntry], kinds: set[str]) -> Decimal | None:
    amounts = (entry.amount for entry in entries if entry.kind in kinds)
    return readable(abs(sum(amounts, Fraction(0))))
