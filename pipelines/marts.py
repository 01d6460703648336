"""What each relation of the warehouse is: its SQL, its grain, and a comment for each column.

A mart is one file under `sql/marts/`, named as the relation. Its header is the one place
where it is described; from there the descriptions go into the database as comments.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.paths import sql_text

TABLES = (
    "invoices",
    "invoice_lines",
    "invoice_line_details",
    "invoice_usage",
    "payments",
    "charge_records",
    "outstanding",
    "customer_credits",
    "tax_summary",
    "customers",
    "subscriptions",
    "opening_invoices",
    "addons",
    "purchases",
    "action_outcomes",
    "faults",
    "holds",
    "outbox",
    "ledger",
    "balances",
    "notices",
)
"""Relations that are copied into the database: what an analyst starts from."""

VIEWS = (
    "usage_daily",
    "usage_snapshots",
    "usage_snapshot_tokens",
    "usage_conflicts",
    "set_aside",
)
"""Relations that are views on the exact Parquet files: what is large."""

KEYED = (*TABLES, "usage_snapshots", "usage_snapshot_tokens")
"""Relations of which each publication checks the grain; the others grow without bound."""

CHECKS = ("invoice_totals", "invoice_numbers", "line_invoices", "ledger_balances")
"""Queries under `sql/checks/` that return what must not be there."""

_KEY = re.compile(r"-- (what|grain|units|from|read by|rules|columns): *(.*)")
_COLUMN = re.compile(r"--   (\w+): (.+)")
_MORE = re.compile(r"-- {3,}(\S.*)")


@dataclass(frozen=True, slots=True)
class Mart:
    """One relation: its SQL over logical tables, and what its header says of it."""

    name: str
    sql: str
    what: str
    grain: tuple[str, ...]
    units: str
    sources: tuple[str, ...]
    columns: Mapping[str, str]

    @property
    def comment(self) -> str:
        """What a person reads of the relation in the database."""
        return f"{self.what}. Grain: one row per ({', '.join(self.grain)}). Units: {self.units}."


def mart(name: str) -> Mart:
    """The mart of this name, as its file describes it."""
    text = sql_text(f"marts/{name}")
    header, columns = _header(text)
    grain = re.search(r"\((.+)\)", header["grain"])
    return Mart(
        name=name,
        sql=text,
        what=header["what"],
        grain=() if grain is None else tuple(grain[1].split(", ")),
        units=header["units"],
        sources=tuple(header["from"].split(", ")),
        columns=columns,
    )


def _header(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The keys of a header and its columns, with the lines that go on joined to them.

    >>> keys, columns = _header("-- what: one\\n--       two\\n-- columns:\\n--   a: b\\n--     c")
    >>> keys["what"], columns
    ('one two', {'a': 'b c'})
    """
    keys: dict[str, str] = {}
    columns: dict[str, str] = {}
    current, name = keys, ""
    for line in text.splitlines():
        if found := _KEY.fullmatch(line):
            current, name = keys, found[1]
            keys[name] = found[2]
        elif "columns" in keys and (found := _COLUMN.fullmatch(line)):
            current, name = columns, found[1]
            columns[name] = found[2]
        elif found := _MORE.fullmatch(line):
            current[name] = f"{current[name]} {found[1]}"
        else:
            break
    return keys, columns
