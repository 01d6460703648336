"""The dated table of AI prices: append-only, a row only when a price changes. Rules AI-2, AI-3."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from pipelines.ai_prices import (
    GENAI_PRICES,
    MOST_TOKENS,
    NO_END,
    DamagedPrices,
    PriceTooFine,
    UnknownPackageModel,
    prices_of_versions,
    read_ai_prices,
    references,
    update_ai_prices,
)
from pipelines.paths import DataRoot


def jan(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def flat(price: str) -> dict[str, Decimal]:
    return {"input": Decimal(price), "output": Decimal(price) * 5}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path)


def terms(root: DataRoot) -> list[tuple[Any, ...]]:
    rows = read_ai_prices(root)
    return [
        (p.price_id, p.model, p.valid_from.year, p.valid_to.year, str(p.prices[0])) for p in rows
    ]


def test_a_row_is_added_only_when_a_price_changes(root: DataRoot) -> None:
    versions = [
        (jan(2024), {"a/x": flat("3"), "a/y": flat("1")}),
        (jan(2025), {"a/x": flat("3.00"), "a/y": flat("2")}),
    ]
    update_ai_prices(root, versions)
    before = root.ai_prices.read_bytes()
    update_ai_prices(root, versions)
    assert root.ai_prices.read_bytes() == before
    update_ai_prices(root, [*versions, (jan(2026), {"a/x": flat("4")})])
    assert root.ai_prices.read_bytes().startswith(before)
    assert terms(root) == [
        (1, "a/x", 2024, 2026, "3"),
        (2, "a/y", 2024, 2025, "1"),
        (3, "a/y", 2025, 9999, "2"),
        (4, "a/x", 2026, 9999, "4"),
    ]


def test_history_is_never_written_again(root: DataRoot) -> None:
    update_ai_prices(root, [(jan(2024), {"a/x": flat("3")}), (jan(2026), {"a/x": flat("4")})])
    update_ai_prices(root, [(jan(2025), {"a/x": flat("9")})])
    assert [row[2:] for row in terms(root)] == [(2024, 2026, "3"), (2026, 9999, "4")]


def test_what_is_read_is_what_was_written(root: DataRoot) -> None:
    models = {
        "google/gemini-2.5-pro": GENAI_PRICES,
        "openai/o3": GENAI_PRICES,
        "a/x": flat("0.075"),
    }
    written = update_ai_prices(root, [(jan(2024), models)])
    assert read_ai_prices(root) == written


def test_the_package_gives_its_dated_history() -> None:
    rows = prices_of_versions([(jan(2023), {"openai/o3": GENAI_PRICES})])
    assert [(str(row.valid_from.date()), row.prices[0]) for row in rows] == [
        ("2023-01-01", Decimal(10)),
        ("2025-06-10", Decimal(2)),
    ]
    assert [row.valid_to for row in rows] == [rows[1].valid_from, NO_END]


def test_a_version_begins_with_the_price_then_in_force() -> None:
    rows = prices_of_versions([(jan(2026), {"openai/o3": GENAI_PRICES})])
    assert [(row.valid_from, row.prices[0]) for row in rows] == [(jan(2026), Decimal(2))]


SIZES = [0, 1, 199_999, 200_000, 200_001, 1_000_000]


@pytest.mark.parametrize("tokens", SIZES)
def test_tiers_price_the_whole_request_as_the_package_does(tokens: int) -> None:
    rows = prices_of_versions([(jan(2025), {"google/gemini-2.5-pro": GENAI_PRICES})])
    (row,) = [row for row in rows if row.tokens_above < tokens <= row.tokens_up_to]
    usage = Usage(input_tokens=tokens, output_tokens=1000)
    priced = calc_price(
        usage, "gemini-2.5-pro", provider_id="google", genai_request_timestamp=jan(2026)
    )
    assert (row.prices[0] * tokens + row.prices[1] * 1000) / 1_000_000 == priced.total_price
    assert {row.tokens_above for row in rows} == {-1, 200_000}
    assert max(row.tokens_up_to for row in rows) == MOST_TOKENS


def test_a_model_is_found_by_the_package_s_own_names() -> None:
    rows = prices_of_versions([(jan(2025), {"openai/gpt-4o-mini-2024-07-18": GENAI_PRICES})])
    assert [(row.model, row.prices[0]) for row in rows] == [
        ("openai/gpt-4o-mini-2024-07-18", Decimal("0.15"))
    ]


@pytest.mark.parametrize(
    "model", ["openai/gpt-99", "nobody/x", "gpt-4o-mini", "deepseek/deepseek-chat"]
)
def test_what_the_package_does_not_price_is_refused(model: str) -> None:
    with pytest.raises(UnknownPackageModel, match="AI-10"):
        prices_of_versions([(jan(2025), {model: GENAI_PRICES})])


def test_a_price_of_thirteen_decimals_is_refused() -> None:
    with pytest.raises(PriceTooFine, match="12 decimals"):
        prices_of_versions([(jan(2025), {"a/x": flat("0.0000000000001")})])


def test_a_bare_name_means_the_one_provider_that_has_it() -> None:
    models = {"a/x": flat("1"), "b/x": flat("2"), "a/deep/y": flat("3")}
    found = {
        text: model for text, model, _ in references(prices_of_versions([(jan(2025), models)]))
    }
    assert found == {
        "a/deep/y": "a/deep/y",
        "a/x": "a/x",
        "b/x": "b/x",
        "deep/y": "a/deep/y",
        "x": None,
    }


def test_a_damaged_table_names_its_line(root: DataRoot) -> None:
    update_ai_prices(root, [(jan(2024), {"a/x": flat("3")})])
    with root.ai_prices.open("a") as file:
        file.write("a/y,soon,,,1,1,1,1,catalog\n")
    with pytest.raises(DamagedPrices, match="line 3"):
        read_ai_prices(root)


def test_a_row_that_a_crash_cut_is_taken_away(root: DataRoot) -> None:
    update_ai_prices(root, [(jan(2024), {"a/x": flat("3")})])
    whole = root.ai_prices.read_bytes()
    root.ai_prices.write_bytes(whole + b"a/y,2024")
    update_ai_prices(root, [(jan(2024), {"a/x": flat("3"), "a/z": flat("1")})])
    assert root.ai_prices.read_bytes().startswith(whole)
    assert [row[1] for row in terms(root)] == ["a/x", "a/z"]
