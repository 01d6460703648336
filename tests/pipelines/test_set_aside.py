"""What is not taken says what is wrong with it, where it lies and how to mend it."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.paths import DataRoot, sql_text
from pipelines.reasons import USE_REASONS
from pipelines.warehouse import publish
from tests.pipelines import roots
from tests.pipelines.roots import LANDED, calls, customer, run

NEXT_DAY = LANDED + timedelta(days=1)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Acme and beta since 1 April."""
    begun = roots.begun(tmp_path / "root")
    roots.land_actions(begun, customer("acme") + customer("beta"))
    return begun


def mart(root: DataRoot, order: str = "kind, path, row_number, reason") -> list[dict[str, Any]]:
    """The rows of the published mart `set_aside`."""
    with duckdb.connect(str(root.database), read_only=True) as connection:
        found = connection.sql(f"from set_aside order by {order}").pl()
    return found.rows(named=True)


def test_every_reason_of_usage_has_its_words() -> None:
    found = re.findall(r"then '(\w+)'", sql_text("usage/usage_reasons"))
    assert set(found) == set(USE_REASONS)


def test_every_row_of_the_mart_says_what_where_and_how_to_mend(root: DataRoot) -> None:
    roots.land_usage(root, [
        calls("acme", 150, on=10),
        calls("stranger", 5, on=11),
        calls("beta", -3, on=12),
        calls("beta", 1, on=13) | {"feature": "nonsense"},
        calls("beta", 1, on=14) | {"event_id": None},
        calls("beta", 1, "spring") | {"occurred_at": datetime(2026, 3, 1, tzinfo=UTC)},
        calls("beta", 1, "autumn") | {"occurred_at": datetime(2026, 9, 1, tzinfo=UTC)},
    ])  # fmt: skip
    roots.usage_path(root, LANDED, "broken.parquet").write_bytes(b"PAR1, but no more")
    roots.land_actions(root, ["{", {"id": "x", "do": "subscribe", "customer": "beta"}])
    run(root)
    publish(root)
    rows = mart(root)
    assert {row["kind"] for row in rows} == {"row", "usage", "action"}
    for row in rows:
        assert all(row[name] for name in ("what", "mend", "path", "place", "landing_day")), row
        assert (root.root / row["path"]).is_file()
    assert [(it["reason"], it["place"]) for it in rows if it["kind"] == "usage"] == [
        ("future", "events of 2026-09-01"),
        ("negative_value", "events of 2026-04-12"),
        ("no_access", "events of 2026-03-01"),
        ("unknown_customer", "events of 2026-04-11"),
        ("unknown_feature", "events of 2026-04-13"),
    ]


def test_usage_that_came_in_several_files_names_one_and_counts_the_others(root: DataRoot) -> None:
    for number, day in enumerate((LANDED, LANDED, NEXT_DAY)):
        rows = [calls("stranger", 2, f"e{number}")]
        roots.land_usage(root, rows, day, name=f"{number}.parquet")
    run(root)
    publish(root)
    (row,) = mart(root)
    assert row["path"] == f"landing/usage/day={LANDED}/0.parquet and 2 more"
    assert (row["events"], row["quantity"]) == (3, Decimal(6))
    assert row["landing_day"] == LANDED
