"""What an asset says of itself, so that its page in Dagster is a control sheet."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl

PREVIEW_ROWS = 10


def facts(**values: object) -> dict[str, Any]:
    """Values as metadata: tables as a preview, totals by currency as text, the rest as it is.

    >>> facts(rows=2, totals={"EUR": Decimal("1234.50"), "USD": Decimal(7)})["totals"]
    'EUR 1,234.50; USD 7'
    """
    return {name: _shown(value) for name, value in values.items()}


def observe_days(
    context: dg.AssetExecutionContext, asset: str, by_day: Mapping[date, Mapping[str, object]]
) -> None:
    """Say of each day of a run with several days what concerns that day alone.

    Dagster keeps one set of facts for all days that are materialised in one run; an
    observation is how a day gets its own.
    """
    if len(context.partition_keys) == 1:
        return
    for key in context.partition_keys:
        own = by_day.get(date.fromisoformat(key))
        if own is not None:
            context.log_event(dg.AssetObservation(asset, partition=key, metadata=facts(**own)))


def preview(table: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """The first rows of a table as markdown.

    >>> print(preview(pl.DataFrame({"feature": ["a|b"], "events": [2]})).value)
    | feature | events |
    |---|---|
    | a\\|b | 2 |
    """
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in table.head(PREVIEW_ROWS).rows()]
    head = "| " + " | ".join(table.columns) + " |"
    return dg.MetadataValue.md("\n".join([head, "|" + "---|" * table.width, *rows]))


def _shown(value: object) -> object:
    match value:
        case pl.DataFrame():
            return preview(value)
        case dict():
            # exact numbers are text here: Dagster's own are floats
            return "; ".join(f"{code} {amount:,}" for code, amount in value.items())
        case Decimal():
            return f"{value:,}"
        case _:
            return value


def _cell(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return text.replace("|", "\\|").replace("\n", " ")
