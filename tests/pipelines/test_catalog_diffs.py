"""`catalog diff` on a real data root: the changes of two files, the customers of the last run."""

import json
from datetime import date
from pathlib import Path

import pytest

from pipelines import answers
from pipelines.catalog_diffs import NoCatalogFile, compare
from pipelines.cli import main
from pipelines.history import CatalogIsWrong
from pipelines.paths import DataRoot
from tests.pipelines.roots import APRIL, CATALOG, begun, contents, customer, land_actions, run

NEW = (
    CATALOG.replace("effective_at: 2026-01-01", "effective_at: 2026-05-10")
    .replace("amount: 29.00", "amount: 39.00")
    .replace("included: 100", "included: 500")
)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    made = begun(tmp_path / "root")
    rows = [*customer("acme"), *customer("beta", date(2026, 4, 20)), *customer("gone")]
    rows.append(
        {"id": "g", "at": f"{APRIL}T01:00:00Z", "customer": "gone", "do": "cancel", "when": "now"}
    )
    land_actions(made, rows)
    run(made)
    return made


def files(root: DataRoot, new: str = NEW) -> tuple[Path, Path]:
    path = root.root.parent / "new.yaml"
    path.write_text(new, encoding="utf-8")
    return root.catalog / "2026-01-01.yaml", path


def test_each_change_says_whom_it_reaches_and_when(root: DataRoot) -> None:
    before = contents(root.root)
    found = compare(root, *files(root))
    assert contents(root.root) == before
    assert (found.customers, found.effective_on) == (2, date(2026, 5, 10))
    told = [
        (".".join(change.path), str(change.verdict), reached.customers, reached.first, reached.last)
        for change, reached in found.changes
    ]
    assert told == [
        ("effective_at", "neutral", 0, None, None),
        ("plans.pro.prices.monthly.amount", "harm", 2, date(2026, 5, 20), date(2026, 6, 1)),
        (
            "plans.pro.features.api_calls.included",
            "benefit",
            2,
            date(2026, 5, 10),
            date(2026, 5, 10),
        ),
    ]


def test_it_is_told_to_people_and_to_programs(
    root: DataRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = files(root)
    with pytest.raises(SystemExit) as ended:
        main(["--root", str(root.root), "--json", "catalog", "diff", str(old), str(new)])
    assert not ended.value.code
    value = json.loads(capsys.readouterr().out)
    assert value["changes"][1] == {
        "path": "plans.pro.prices.monthly.amount",
        "old": "29.00",
        "new": "39.00",
        "verdict": "harm",
        "reach": "at each customer's renewal",
        "rule": "FAIR-3",
        "reason": "prices wait for renewal, up or down",
        "customers": 2,
        "first": "2026-05-20",
        "last": "2026-06-01",
    }
    _, counts = answers.comparison(compare(root, old, new))
    assert counts == "1 benefit, 1 harm, 1 neutral. 2 present customers."


def test_without_a_run_nobody_is_counted(tmp_path: Path) -> None:
    root = begun(tmp_path / "root")
    found = compare(root, *files(root))
    assert found.customers is None
    assert {reached.customers for _, reached in found.changes} == {None}
    assert "not counted" in str(answers.comparison(found)[1])


def test_what_may_not_change_is_a_problem_and_a_finding(root: DataRoot) -> None:
    old, new = files(root, CATALOG.replace("unit: call,", "unit: hit,"))
    (problem,) = compare(root, old, new).problems
    assert problem.code == "CATALOG-23"
    with pytest.raises(SystemExit) as ended:
        main(["--root", str(root.root), "catalog", "diff", str(old), str(new)])
    assert ended.value.code == 1


def test_the_same_version_changes_nothing(root: DataRoot) -> None:
    old, _ = files(root)
    assert "Nothing changes." in answers.comparison(compare(root, old, old))


def test_a_file_that_is_missing_or_wrong_is_a_message(root: DataRoot) -> None:
    old, new = files(root, CATALOG.replace("plans:", "planes:"))
    with pytest.raises(CatalogIsWrong, match="'planes' is not known here"):
        compare(root, old, new)
    with pytest.raises(NoCatalogFile, match=r"there is no file .*none\.yaml"):
        compare(root, old, Path("none.yaml"))
