"""Real logs, billed by the catalogs and mappings of `data/real`, against a calculation apart.

The logs are not part of the project: FAIRBILL_REAL_LOGS names the folder that holds them.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from billing_core.invoice import Invoice
from pipelines import steps
from pipelines.books import read_books
from pipelines.issuing import post_reviewed
from pipelines.paths import PACKAGE_ROOT, DataRoot
from tests.real.oracle import bandwidth_cents, bytes_by_client, requests, token_cents

LOGS = os.environ.get("FAIRBILL_REAL_LOGS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LOGS, reason="FAIRBILL_REAL_LOGS names no folder of real logs"),
]

TRACES = ("azure_llm_2023_code.csv", "azure_llm_2023_conv.csv")
ACCESS_LOG = "apache_combined_2015.log"


@pytest.fixture
def logs() -> Path:
    return Path(LOGS or "")


@pytest.mark.parametrize(("rounding", "total"), [("exact", 1043), ("per_event", 1525)])
def test_the_traces_are_billed_to_the_cent(
    logs: Path, tmp_path: Path, rounding: str, total: int
) -> None:
    root = _begun(
        tmp_path, "azure", ("token_cost_rounding: exact", f"token_cost_rounding: {rounding}")
    )
    asked = list(requests([logs / name for name in TRACES]))
    expected = token_cents(asked, is_per_event=rounding == "per_event")
    _land(root, "azure", date(2023, 11, 17), [logs / name for name in TRACES])
    _subscribe(root, sorted(expected), plan="inference", on=date(2023, 11, 1))

    receipts, billed = _bill(root, date(2023, 12, 2))

    assert _counts(receipts) == {"rows": 28_185, "counted": 28_185}
    assert _cents(billed, "recurring") == expected
    assert sum(expected.values()) == sum(it.total.minor for it in billed) == total
    assert len(expected) == 50


def test_rounding_each_request_up_bills_half_more(logs: Path) -> None:
    asked = list(requests([logs / name for name in TRACES]))
    exact, per_event = (
        sum(token_cents(asked, is_per_event=is_per_event).values())
        for is_per_event in (False, True)
    )
    assert Fraction(145, 100) < Fraction(per_event, exact) < Fraction(148, 100)


@pytest.mark.parametrize(("included", "total"), [("1", 0), ("0.001", 221)])
def test_the_access_log_is_billed_to_the_cent(
    logs: Path, tmp_path: Path, included: str, total: int
) -> None:
    """No client was sent a whole GB; with 1 MB included there is something to pay."""
    root = _begun(tmp_path, "apache", ("included: 1,", f"included: {included},"))
    sent, without_count = bytes_by_client(logs / ACCESS_LOG)
    expected = bandwidth_cents(sent, included=Fraction(included))
    _land(root, "apache", date(2015, 5, 20), [logs / ACCESS_LOG])
    _subscribe(root, sorted(expected), plan="hosting", on=date(2015, 5, 1))

    receipts, billed = _bill(root, date(2015, 6, 2))

    assert _counts(receipts) == {"rows": 10_000, "counted": 9_331, "set_aside": without_count}
    assert _cents(billed, "recurring") == expected
    assert sum(expected.values()) == sum(it.total.minor for it in billed) == total
    assert (len(expected), sum(sent.values()), without_count) == (1_753, 2_747_282_740, 669)
    assert _used(billed) == {client: Fraction(count, 10**9) for client, count in sent.items()}


def _begun(folder: Path, name: str, changed: tuple[str, str]) -> DataRoot:
    """A data root with the shipped catalog and mapping, one text of the catalog replaced."""
    root, shipped = DataRoot(folder), PACKAGE_ROOT / "data" / "real" / name
    shutil.copytree(shipped / "mappings", root.mappings)
    root.catalog.mkdir()
    for version in (shipped / "catalog").glob("*.yaml"):
        text = version.read_text(encoding="utf-8")
        assert changed[0] in text
        (root.catalog / version.name).write_text(text.replace(*changed), encoding="utf-8")
    return root


def _land(root: DataRoot, source: str, day: date, files: Iterable[Path]) -> None:
    folder = root.usage_landing / f"day={day}" / source
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)


def _subscribe(root: DataRoot, customers: Sequence[str], *, plan: str, on: date) -> None:
    """One file of actions: each customer is created and subscribes on one day."""
    folder = root.actions_landing / f"day={on}"
    folder.mkdir(parents=True)
    with (folder / "customers.jsonl").open("w", encoding="utf-8") as file:
        for customer in customers:
            common = {"at": f"{on}T00:00:00Z", "customer": customer}
            described = {"name": customer, "email": "billing@customer.example", "country": "US"}
            created = {"id": f"create-{customer}", "do": "create_customer", **described}
            begun = {"id": f"subscribe-{customer}", "do": "subscribe", "plan": plan}
            for action in (created, begun | {"interval": "monthly"}):
                file.write(json.dumps(action | common) + "\n")


def _bill(root: DataRoot, through: date) -> tuple[pl.DataFrame, list[Invoice]]:
    """The receipts of the landed files, and every invoice after posting."""
    landed, metered = steps.land(root, through), steps.meter(root, through)
    drafted = steps.draft(root, through)
    assert steps.problems_of(landed, metered) == ()
    assert not drafted.rated.faults
    assert all(rows.is_empty() for rows in steps.unexplained_usage(root, drafted).values())
    posted = post_reviewed(root, draft_hash=drafted.summary.hash, issued_on=through)
    assert posted.left_out == {}
    return metered.receipts, [it.invoice for it in read_books(root).invoices]


def _counts(receipts: pl.DataFrame) -> dict[str, int]:
    """The sums of all columns that say what became of rows, without those that are 0."""
    names = ("rows", "filtered", "counted", "duplicates", "conflicts", "set_aside", "retracted")
    sums = {name: int(receipts[name].sum()) for name in names}
    assert sums["rows"] == sum(sums.values()) - sums["rows"]
    return {name: count for name, count in sums.items() if count}


def _cents(invoices: Iterable[Invoice], kind: str) -> dict[str, int]:
    return {it.customer_id: it.total.minor for it in invoices if it.type == kind}


def _used(invoices: Iterable[Invoice]) -> dict[str, Fraction]:
    """Gigabytes by client, of the invoices that say what was used."""
    return {it.customer_id: Fraction(used.used) for it in invoices for used in it.usage}
