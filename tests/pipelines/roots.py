"""A small data root for tests: one catalog, a few customers, their usage, runs and postings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.drafts import read_drafts
from pipelines.paths import DataRoot
from pipelines.posting import Numbering, Posted, post
from pipelines.steps import Drafted, draft, land, meter

APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)
LANDED, THROUGH = date(2026, 4, 20), date(2026, 5, 2)

CATALOG = """\
catalog: small
effective_at: 2026-01-01
currency: USD
seller: {name: Example Labs B.V., country: NL, address: [Keizersgracht 1]}
features:
  api_calls: {type: metered, name: API calls, unit: call, aggregation: sum}
  ai_chat:   {type: metered, name: AI chat, unit: token}
plans:
  pro:
    name: Pro
    consumption_model: metered
    prices: {monthly: {amount: 29.00}}
    features:
      api_calls: {included: 100, overage: {unit_price: 0.10}}
      ai_chat:   {pricing: ai_model, margin_bp: 2000}
ai_models: {lab/large: {input: 3.00, output: 15.00}}
"""

USAGE: dict[str, pl.DataType | type[pl.DataType]] = {
    "event_id": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "value": pl.Decimal(38, 9),
    "model": pl.String,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
}
"""The columns of a usage file as `land_usage` writes it."""

Row = Mapping[str, Any]


def begun(folder: Path, catalog: str = CATALOG) -> DataRoot:
    """A data root with one catalog version and nothing landed."""
    root = DataRoot(folder)
    root.catalog.mkdir(parents=True)
    (root.catalog / "2026-01-01.yaml").write_text(catalog, encoding="utf-8")
    return root


def customer(name: str, on: date = APRIL, **told: object) -> list[dict[str, Any]]:
    """The actions of a customer who is created, subscribes to Pro and pays, all at 00:00 UTC."""
    common = {"at": f"{on}T00:00:00Z", "actor": "customer", "customer": name}
    paid = {"type": "initial", "on": str(on)}
    return [
        {"id": f"{name}.comes", "do": "create_customer", "country": "US", **common, **told},
        {"id": f"{name}.buys", "do": "subscribe", "plan": "pro", "interval": "monthly", **common},
        {"id": f"{name}.pays", "do": "payment", "invoice": paid, "result": "succeeded", **common},
    ]


def calls(name: str, value: object, event_id: str | None = None, on: int = 10) -> dict[str, Any]:
    """API calls at noon of a day of April."""
    return {
        "event_id": event_id or f"{name}-{on}",
        "customer_id": name,
        "feature": "api_calls",
        "occurred_at": datetime(2026, 4, on, 12, tzinfo=UTC),
        "value": None if value is None else Decimal(str(value)),
    }


def land_actions(root: DataRoot, rows: Iterable[Row | str], day: date = APRIL) -> Path:
    """An action file of rows; a text stands as it is written."""
    folder = root.actions_landing / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"actions-{len(list(folder.iterdir()))}.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def land_usage(
    root: DataRoot, rows: Sequence[Row], day: date = LANDED, name: str = "usage.parquet"
) -> Path:
    """A canonical usage file."""
    path = usage_path(root, day, name)
    pl.DataFrame(rows, schema=USAGE).write_parquet(path)
    return path


def usage_path(root: DataRoot, day: date, name: str) -> Path:
    """Where a usage file of a day lies, its folder made."""
    path = root.usage_landing / f"day={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def run(root: DataRoot, through: date = THROUGH) -> Drafted:
    """Land, meter and draft, as a run does."""
    land(root, through)
    meter(root, through)
    return draft(root, through)


def post_all(root: DataRoot, issued_on: date = THROUGH) -> Posted:
    """Post the drafts as they are now."""
    drafts = read_drafts(root)
    return post(
        root,
        draft_hash=drafts.summary.hash,
        issued_on=issued_on,
        numbering=Numbering("Example Labs B.V."),
    )


def bills(drafted: Drafted) -> dict[str, list[str]]:
    """Each customer's invoice totals in order, those that are posted included."""
    totals: dict[str, list[str]] = {}
    for invoice in drafted.rated.invoices:
        amount = Decimal(invoice.total.minor).scaleb(-invoice.currency.minor_digits)
        totals.setdefault(invoice.customer_id, []).append(str(amount))
    return totals


def reasons(drafted: Drafted) -> dict[str, int]:
    """How many events are not billed, by reason."""
    snapshots = drafted.snapshots
    parts = (snapshots.set_aside, snapshots.rows_set_aside)
    found = pl.concat([part.select("reason", "events") for part in parts])
    counts = found.group_by("reason").agg(pl.col("events").sum()).sort("reason")
    return dict(counts.iter_rows())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".writer.lock"
    }
