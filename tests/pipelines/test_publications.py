"""Catalog files are published into the action log once; what an invoice used stays. Rule CAT-1."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.books import read_books
from pipelines.catalogs import validate
from pipelines.cli import main
from pipelines.console import ExitCode
from pipelines.datasets import sha256_of
from pipelines.drafts import read_drafts
from pipelines.paths import DataRoot
from tests.pipelines.roots import CATALOG, THROUGH, begun, calls, customer, land_actions, land_usage

FIRST = "2026-01-01.yaml"


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = begun(tmp_path)
    land_actions(root, customer("acme"))
    land_usage(root, [calls("acme", 150)])
    return root


@pytest.fixture
def fairbill(root: DataRoot, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: ExitCode = ExitCode.OK) -> Any:
        with pytest.raises(SystemExit) as stopped:
            main(["--root", str(root.root), "--json", *arguments])
        out = capsys.readouterr().out
        assert stopped.value.code == code, out
        return json.loads(out)

    return run


def write(root: DataRoot, day: str, price: str, name: str | None = None) -> Path:
    path = root.catalog / (name or f"{day}.yaml")
    text = CATALOG.replace("2026-01-01", day).replace("29.00", price)
    path.write_text(text, encoding="utf-8")
    return path


def published(root: DataRoot) -> list[tuple[str, str, str]]:
    paths = root.actions_landing.glob("day=*/catalog-*.jsonl")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return sorted((row["do"], row["at"], row["id"]) for row in rows)


def outcomes(root: DataRoot) -> dict[str, str]:
    found = read_drafts(root).outcomes
    return {it.action_id: it.reason or str(it.status) for it in found if it.customer_id is None}


def totals(root: DataRoot) -> list[tuple[str, int]]:
    return [(str(it.billing_day), it.total.minor) for it in read_drafts(root).invoices]


def test_a_new_file_is_published_once_by_its_hash(root: DataRoot, fairbill: Any) -> None:
    fairbill("run", "--through", str(THROUGH))
    first = sha256_of(root.catalog / FIRST)
    assert published(root) == [("publish_catalog", "2026-01-01T00:00:00+00:00", first)]
    assert outcomes(root) == {first: "applied"}
    before = read_drafts(root).summary.hash
    fairbill("run", "--through", str(THROUGH))
    assert len(published(root)) == 1
    assert read_drafts(root).summary.hash == before
    second = sha256_of(write(root, "2026-06-01", "39.00"))
    fairbill("run", "--through", str(THROUGH))
    assert [row[2] for row in published(root)] == [first, second]
    assert validate(root).problems == ()


def test_a_version_that_a_posted_invoice_used_is_frozen(root: DataRoot, fairbill: Any) -> None:
    fairbill("run", "--through", str(THROUGH))
    fairbill("post", "--yes", "--issued-on", str(THROUGH))
    path = root.catalog / FIRST
    was, text = sha256_of(path), path.read_text(encoding="utf-8")
    write(root, "2026-01-01", "19.00")
    refused = fairbill("run", "--through", "2026-06-02", code=ExitCode.BAD_INPUT)["error"]
    assert refused["code"] == "CATALOG-61"
    assert refused["where"] == f"catalog/{FIRST}"
    assert "catalog_changed" in refused["what"]
    assert read_books(root).postings[0].inputs.files[f"catalog/{FIRST}"] == was
    assert was in refused["what"]
    assert "new version" in refused["mend"]
    assert read_drafts(root).summary.through == THROUGH, "nobody is billed by the edited text"
    path.unlink()
    write(root, "2026-05-15", "39.00")
    gone = fairbill("run", "--through", "2026-06-02", code=ExitCode.BAD_INPUT)["error"]
    assert gone["code"] == "CATALOG-61"
    path.write_text(text, encoding="utf-8")
    fairbill("run", "--through", "2026-06-02")
    assert totals(root)[-1] == ("2026-06-01", 3900)


def test_a_version_that_nothing_used_may_be_edited(root: DataRoot, fairbill: Any) -> None:
    future = write(root, "2026-06-01", "39.00")
    fairbill("run", "--through", str(THROUGH))
    fairbill("post", "--yes", "--issued-on", str(THROUGH))
    was = sha256_of(future)
    write(root, "2026-06-01", "49.00")
    said = fairbill("run", "--through", "2026-06-02")["assets"]["drafts"]["problems"]
    assert "CATALOG-63" in said
    assert was[:12] in said
    assert outcomes(root)[was] == "catalog_changed"
    assert outcomes(root)[sha256_of(future)] == "applied"
    assert totals(root)[-1] == ("2026-06-01", 4900)


def test_a_version_before_the_first_invoice_is_not_used(root: DataRoot, fairbill: Any) -> None:
    old = write(root, "2025-06-01", "9.00")
    fairbill("run", "--through", str(THROUGH))
    fairbill("post", "--yes", "--issued-on", str(THROUGH))
    old.unlink()
    fairbill("run", "--through", str(THROUGH))


def test_a_version_dated_before_what_is_posted_is_late(root: DataRoot, fairbill: Any) -> None:
    fairbill("run", "--through", str(THROUGH))
    fairbill("post", "--yes", "--issued-on", str(THROUGH))
    late = sha256_of(write(root, "2026-05-01", "39.00"))
    run = fairbill("run", "--through", "2026-06-02")["assets"]["drafts"]
    assert "CATALOG-62" in run["problems"]
    assert outcomes(root)[late] == "late_action"
    assert totals(root) == [("2026-06-01", 2900)]
    fairbill("post", "--yes", "--issued-on", "2026-06-02")
    write(root, "2026-06-15", "39.00", name="2026-05-01.yaml")
    fairbill("run", "--through", "2026-07-02")
    assert totals(root) == [("2026-07-01", 3900)]


def test_drafts_of_an_older_catalog_are_not_posted(root: DataRoot, fairbill: Any) -> None:
    fairbill("run", "--through", str(THROUGH))
    write(root, "2026-01-01", "19.00")
    refused = fairbill("post", "--yes", code=ExitCode.BAD_INPUT)["error"]
    assert refused["code"] == "POST-05"
    assert read_books(root).postings == ()
    fairbill("run", "--through", str(THROUGH))
    fairbill("post", "--yes", "--issued-on", str(date(2026, 5, 2)))


ADDON = "addons: {faster: {name: Faster, feature: fast, model: boolean, price: 5.00}}\n"


def with_addon(root: DataRoot, day: str, addon: str = ADDON, price: str = "29.00") -> Path:
    text = CATALOG.replace("2026-01-01", day).replace("29.00", price)
    text = text.replace("features:", "features:\n  fast: {type: boolean, name: Fast}", 1)
    path = root.catalog / f"{day}.yaml"
    path.write_text(text + addon, encoding="utf-8")
    return path


def test_a_version_without_an_addon_that_somebody_has_is_not_taken(
    root: DataRoot, fairbill: Any
) -> None:
    """Rule ADD-5: all are billed as before, and a later version can drop it."""
    with_addon(root, "2026-01-01")
    act = {"at": "2026-04-16T00:00:00Z", "actor": "customer", "customer": "acme"}
    bought = {"type": "addon_activation", "on": "2026-04-16"}
    paying = {"do": "payment", "invoice": bought, "result": "succeeded", "id": "paid", **act}
    activating = {"do": "activate_addon", "addon": "faster", "id": "activates", **act}
    land_actions(root, [activating, paying], date(2026, 4, 16))
    without = sha256_of(with_addon(root, "2026-04-20", addon="", price="99.00"))
    run = fairbill("run", "--through", str(THROUGH))["assets"]["drafts"]
    assert "CATALOG-64" in run["problems"]
    assert "add-on 'faster', which customer 'acme' has" in run["problems"]
    assert outcomes(root)[without] == "already_active"
    assert totals(root) == [("2026-04-01", 2900), ("2026-04-16", 250), ("2026-05-01", 3900)]
    fairbill("post", "--yes", "--issued-on", str(THROUGH))
    ends = {"do": "deactivate_addon", "addon": "faster", "id": "ends", **act}
    land_actions(root, [{**ends, "at": "2026-05-10T00:00:00Z"}], date(2026, 5, 10))
    dropped = sha256_of(with_addon(root, "2026-05-20", addon="", price="39.00"))
    fairbill("run", "--through", "2026-06-02")
    assert (outcomes(root)[without], outcomes(root)[dropped]) == ("already_active", "applied")
    assert totals(root) == [("2026-06-01", 3900)]
