"""The sample: the same bytes for one seed, the counts that it states, and every kind of row."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from pipelines.catalogs import load_catalogs, validate
from pipelines.datasets import sha256_of
from pipelines.generate import FEATURES, Generated, LandingDiffers, generate
from pipelines.new_root import begin
from pipelines.paths import DataRoot

START = date(2026, 1, 1)
CANONICAL = {
    "event_id": pl.String,
    "source": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "received_at": pl.Datetime("us", "UTC"),
    "value": pl.Decimal(38, 9),
    "model": pl.String,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "amount": pl.Decimal(38, 9),
    "retracts": pl.String,
    "properties": pl.String,
}


def sample(folder: Path, *, seed: int = 7, months: int = 2, events: int = 20_000) -> Generated:
    return generate(
        DataRoot(folder), customers=40, months=months, events=events, seed=seed, start=START
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generated]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, sample(folder)


def usage(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "landing" / "usage" / "**" / "usage.parquet")


def actions(folder: Path) -> list[dict[str, object]]:
    files = sorted((folder / "landing" / "actions").glob("day=*/actions.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def test_the_same_seed_gives_the_same_bytes(made: tuple[Path, Generated], tmp_path: Path) -> None:
    sample(tmp_path)
    assert contents(tmp_path) == contents(made[0])


def test_another_seed_gives_other_rows(made: tuple[Path, Generated], tmp_path: Path) -> None:
    sample(tmp_path, seed=8)
    assert usage(tmp_path)["event_id"].is_in(usage(made[0])["event_id"].implode()).sum() == 0


def test_writing_it_again_changes_nothing_and_another_size_is_refused(tmp_path: Path) -> None:
    first = sample(tmp_path, months=1, events=500)
    before = contents(tmp_path)
    assert sample(tmp_path, months=1, events=500) == first
    with pytest.raises(LandingDiffers, match=r"\[GEN-01\]"):
        sample(tmp_path, months=1, events=600)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("customers", "events"), [(1, 100), (1, 0), (2, 1), (200, 3)])
def test_a_sample_may_be_very_small(tmp_path: Path, customers: int, events: int) -> None:
    root = DataRoot(tmp_path)
    made = generate(root, customers=customers, months=1, events=events, seed=1, start=START)
    assert (made.customers, made.events) == (customers, events)


def test_the_counts_are_those_of_the_files(made: tuple[Path, Generated]) -> None:
    folder, counts = made
    rows = usage(folder)
    assert counts.events == 20_000
    assert len(rows) == counts.events + counts.duplicates + counts.bad_rows
    assert rows.unique(["source", "event_id"]).height == counts.events + counts.bad_rows
    assert len(actions(folder)) == counts.actions
    assert len(contents(folder)) == counts.files
    assert (counts.first_day, counts.last_day) == (date(2026, 1, 1), date(2026, 3, 4))


def test_the_columns_are_the_canonical_ones(made: tuple[Path, Generated]) -> None:
    assert usage(made[0]).schema == pl.Schema(CANONICAL)


def test_a_copy_differs_from_its_event_in_the_arrival_only(made: tuple[Path, Generated]) -> None:
    rows = usage(made[0])
    content = [name for name in CANONICAL if name != "received_at"]
    assert rows.unique(content).height == rows.unique(["source", "event_id"]).height


def test_every_row_lands_on_the_day_that_received_it(made: tuple[Path, Generated]) -> None:
    with duckdb.connect() as connection:
        landed = connection.execute(f"""
        select
            count(*) filter (day <> (received_at at time zone 'UTC')::date) as astray,
            count(*) filter (received_at < occurred_at) as early,
            count(*) filter (day > (occurred_at at time zone 'UTC')::date) as late,
        from '{made[0]}/landing/usage/*/usage.parquet'
        """).fetchall()
    astray, early, late = landed[0]
    assert (astray, early) == (0, 0)
    assert late >= made[1].late_rows > 100


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("unknown customer", pl.col("customer_id") == "cus-moved-out"),
        ("unknown feature", pl.col("feature") == "telefax"),
        ("unknown model", pl.col("model") == "openai/gpt-nonesuch"),
        ("missing tokens", (pl.col("feature") == "ai_chat") & pl.col("output_tokens").is_null()),
        ("negative value", pl.col("value") < 0),
    ],
)
def test_there_are_bad_rows_of_every_kind(
    made: tuple[Path, Generated], reason: str, found: pl.Expr
) -> None:
    assert usage(made[0]).filter(found).height * 5 == made[1].bad_rows, reason


def test_one_file_breaks_off(made: tuple[Path, Generated]) -> None:
    (broken,) = (made[0] / "landing" / "usage").rglob("partner-upload.parquet")
    with pytest.raises(duckdb.Error):
        duckdb.connect().execute(f"select count(*) from '{broken}'").fetchall()


def test_nobody_uses_anything_before_paying_or_after_leaving(
    made: tuple[Path, Generated],
) -> None:
    steps = actions(made[0])
    paid = {
        step["customer"]: str(step["at"])
        for step in steps
        if step["do"] == "payment" and step["invoice"]["type"] == "initial"  # type: ignore[index]
    }
    left = {
        step["customer"]: str(step["at"])
        for step in steps
        if step["do"] == "cancel" and step["when"] == "now"
    }
    rows = usage(made[0]).filter(pl.col("customer_id") != "cus-moved-out")
    spans = rows.group_by("customer_id").agg(
        first=pl.col("occurred_at").min(), last=pl.col("occurred_at").max()
    )
    assert len(paid) == 40
    assert left
    for customer, first, last in spans.iter_rows():
        assert first >= datetime.fromisoformat(paid[customer])
        assert last < datetime.fromisoformat(left.get(customer, "2026-03-01T00:00:00Z"))


def test_the_sample_fits_the_example_catalog(tmp_path: Path) -> None:
    begin(DataRoot(tmp_path))
    sample(tmp_path, months=1, events=500)
    assert validate(DataRoot(tmp_path)).problems == ()
    (version,) = load_catalogs(DataRoot(tmp_path)).versions
    assert set(FEATURES) < set(version.catalog.features)


def test_the_stories_are_all_there(made: tuple[Path, Generated]) -> None:
    steps = actions(made[0])
    done = {str(step["do"]) for step in steps}
    created = [step for step in steps if step["do"] == "create_customer"]
    assert done == {
        "create_customer", "subscribe", "payment", "add_seats", "remove_seats", "cancel",
    }  # fmt: skip
    assert {step["country"] for step in created} == {"NL", "DE", "FR", "US", "CN"}
    assert any("<b>" in str(step["name"]) for step in created)
    assert any("time_zone" in step for step in created)
    assert {step["when"] for step in steps if step["do"] == "cancel"} == {"now", "period_end"}
    assert any(
        step["do"] == "subscribe" and datetime.fromisoformat(str(step["at"])).day == 31
        for step in steps
    )
    assert [step["received_at"] for step in steps] == sorted(step["received_at"] for step in steps)  # type: ignore[type-var]
    assert datetime.fromisoformat(str(steps[-1]["at"])) < datetime(2026, 3, 4, tzinfo=UTC)
