"""A posting of another engine that this one bills otherwise: listed and held, not late usage."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from billing_core.invoice import Invoice, LineType
from billing_core.money import Money
from pipelines import answers
from pipelines.books import engine_sources, inputs_of, read_books
from pipelines.datasets import current_files
from pipelines.drafts import read_drafts, write_drafts
from pipelines.engine_changes import DATASET
from pipelines.paths import DataRoot
from pipelines.posting import Numbering, post
from pipelines.status import status_of
from tests.pipelines import roots
from tests.pipelines.roots import CATALOG, THROUGH, begun, bills, calls, customer, run

JUNE = date(2026, 6, 2)


def billed(folder: Path, *, cents: int, engine: str, policy: str = "hold") -> DataRoot:
    """Acme and beta posted through May 2 by an engine that billed acme's calls some cents more."""
    text = CATALOG.replace("seller:", f"policies: {{engine_changes: {policy}}}\nseller:")
    root = begun(folder, text)
    roots.land_actions(root, [*customer("acme"), *customer("beta")])
    roots.land_usage(root, [calls("acme", 150), calls("beta", 150)])
    run(root)
    drafts = read_drafts(root)
    summary = write_drafts(
        root,
        [more(invoice, cents) for invoice in drafts.invoices],
        through=THROUGH,
        outcomes=drafts.outcomes,
    )
    post(
        root,
        draft_hash=summary.hash,
        issued_on=THROUGH,
        numbering=Numbering("Example Labs B.V."),
        inputs=replace(inputs_of(root), sources=engine),
    )
    return root


def more(invoice: Invoice, cents: int) -> Invoice:
    if invoice.customer_id != "acme":
        return invoice
    added = Money(cents, invoice.currency)
    lines = tuple(
        replace(it, amount=it.amount + added, details=())
        if it.type is LineType.FEATURE_OVERAGE
        else it
        for it in invoice.lines
    )
    return replace(invoice, lines=lines)


def listed(root: DataRoot) -> list[tuple[str, str, int, int]]:
    rows = [
        row
        for path in current_files(root, DATASET).values()
        for row in pl.read_parquet(path, glob=False).iter_rows(named=True)
    ]
    return [(it["customer_id"], it["code"], it["booked_minor"], it["now_minor"]) for it in rows]


def held(root: DataRoot) -> list[tuple[str, str]]:
    return [(it.customer_id, it.reason) for it in read_drafts(root).holds]


OTHER = "0" * 64


def test_what_another_engine_billed_otherwise_is_listed_and_held(tmp_path: Path) -> None:
    root = billed(tmp_path, cents=100, engine=OTHER)
    drafted = run(root, JUNE)
    assert listed(root) == [("acme", "api_calls", 600, 500)]
    found = status_of(root)
    assert [(str(it.booked), str(it.now)) for it in found.findings.engine_changes] == [
        ("6.00 USD", "5.00 USD")
    ]
    titles = [str(getattr(it, "title", it)) for it in answers.status(found, is_full=False)]
    assert "Posted lines that this version bills otherwise: 1" in titles
    assert held(root) == [("acme", "engine_change")]
    assert bills(drafted)["acme"] == ["29.00", "35.00", "28.00"]
    posted = roots.post_all(root, JUNE)
    assert [it.invoice.customer_id for it in posted.invoices] == ["beta"]


def test_a_release_lets_it_go_once_it_was_seen(tmp_path: Path) -> None:
    root = billed(tmp_path, cents=100, engine=OTHER)
    run(root, JUNE)
    on = JUNE + timedelta(days=1)
    release = {"id": "go", "do": "release_hold", "customer": "acme", "actor": "founder"}
    roots.land_actions(root, [release | {"at": f"{on}T00:00:00Z", "reason": "engine_change"}], on)
    run(root, on)
    assert held(root) == []
    posted = roots.post_all(root, on)
    assert [it.invoice.customer_id for it in posted.invoices] == ["acme", "beta"]
    run(root, on + timedelta(days=1))
    assert (held(root), bool(listed(root))) == ([], True)


@pytest.mark.parametrize(
    ("cents", "engine", "policy"),
    [(0, OTHER, "hold"), (100, "", "hold"), (100, OTHER, "adjust")],
    ids=["the same amounts", "this very engine", "the policy adjust"],
)
def test_what_is_not_held(tmp_path: Path, cents: int, engine: str, policy: str) -> None:
    root = billed(tmp_path, cents=cents, engine=engine or engine_sources(), policy=policy)
    run(root, JUNE)
    assert held(root) == []
    assert bool(listed(root)) == (policy == "adjust")


def test_late_usage_is_no_change_of_the_engine(tmp_path: Path) -> None:
    root = billed(tmp_path, cents=0, engine=OTHER)
    roots.land_usage(root, [calls("acme", 10, on=12)], date(2026, 5, 20))
    drafted = run(root, JUNE)
    assert (listed(root), held(root)) == ([], [])
    assert bills(drafted)["acme"] == ["29.00", "34.00", "30.00"]


def test_a_posting_is_rated_again_once_for_an_engine(tmp_path: Path) -> None:
    root = billed(tmp_path, cents=100, engine=OTHER)
    run(root, JUNE)
    (before,) = current_files(root, DATASET).values()
    written = before.stat().st_mtime_ns
    run(root, JUNE + timedelta(days=1))
    (after,) = current_files(root, DATASET).values()
    assert (after, after.stat().st_mtime_ns) == (before, written)
    assert read_books(root).postings[0].inputs.sources == OTHER
