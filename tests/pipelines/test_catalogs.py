"""Catalog versions come into force in order, by file and by action, or are refused. Rule CAT-1."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from billing_core.actions import PublishCatalog
from pipelines.catalogs import load_catalogs, sha256_of_text, validate, with_published
from pipelines.datasets import sha256_of
from pipelines.mappings import LandedQuery, UsageMapping, landed_query, read_mapping
from pipelines.paths import PACKAGE_ROOT, DataRoot

SMALL = """
catalog: small
effective_at: {effective_at}
currency: USD
seller: {{name: Example Labs Inc., country: US}}
features: {{calls: {{type: metered, name: Calls, unit: {unit}}}}}
plans:
  pro:
    name: Pro
    consumption_model: metered
    prices: {{monthly: {{amount: {amount}}}}}
    features: {{calls: {{}}}}
"""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path)
    root.catalog.mkdir()
    return root


def write(root: DataRoot, name: str, text: str = SMALL, **values: str) -> Path:
    path = root.catalog / name
    defaults = {"effective_at": "2026-01-01", "unit": "call", "amount": "99.00"}
    path.write_text(text.format(**(defaults | values)), encoding="utf-8")
    return path


def publish(at: datetime, actor: str = "founder", **content: Any) -> PublishCatalog:
    row = {"id": f"p-{at:%m%d}", "at": at, "received_at": at, "actor": actor, **content}
    return PublishCatalog.model_validate(row)


def codes(root: DataRoot) -> list[tuple[str, str, str]]:
    return [(one.code, one.file, one.path) for one in load_catalogs(root).problems]


def test_versions_are_in_order_of_their_instants(root: DataRoot) -> None:
    late = write(root, "a.yaml", effective_at="2026-03-01T08:30:00Z", amount="109.00")
    early = write(root, "b.yml")
    (root.catalog / "ai_prices.csv").write_text("not a catalog")
    loaded = load_catalogs(root)
    assert loaded.problems == ()
    assert [(it.file, it.effective_at, it.sha256) for it in loaded.versions] == [
        ("catalog/b.yml", datetime(2026, 1, 1, tzinfo=UTC), sha256_of(early)),
        ("catalog/a.yaml", datetime(2026, 3, 1, 8, 30, tzinfo=UTC), sha256_of(late)),
    ]


def test_a_date_is_midnight_in_the_billing_time_zone(root: DataRoot) -> None:
    write(root, "a.yaml", SMALL + "policies: {{billing_time_zone: Europe/Amsterdam}}\n")
    (version,) = load_catalogs(root).versions
    assert version.effective_at == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_a_root_without_version_is_a_problem(root: DataRoot) -> None:
    assert codes(root) == [("CATALOG-34", "catalog", "(whole)")]


def test_two_versions_at_one_instant_are_refused(root: DataRoot) -> None:
    write(root, "a.yaml")
    write(root, "b.yaml", effective_at="2026-01-01T00:00:00Z")
    assert codes(root) == [("CATALOG-22", "catalog/b.yaml", "effective_at")]


def test_how_a_feature_is_counted_stays_from_version_to_version(root: DataRoot) -> None:
    write(root, "a.yaml")
    write(root, "b.yaml", effective_at="2026-02-01", unit="request")
    assert codes(root) == [("CATALOG-23", "catalog/b.yaml", "features.calls.unit")]


@pytest.mark.parametrize(
    ("added", "code", "path"),
    [
        (
            "policies: {{billing_time_zone: Europe/Amsterdm}}",
            "CATALOG-31",
            "policies.billing_time_zone",
        ),
        (
            "exchange_rates: [{{from: USD, to: EUX, rate: 1, valid_from: 2026-01-01, source: x}}]",
            "CATALOG-32",
            "exchange_rates.0.to",
        ),
        ("tax: [{{country: XX, rate_bp: 0, from: 2026-01-01}}]", "CATALOG-33", "tax.0.country"),
        ("plans: {{}}", "CATALOG-30", "line 13"),
        ("polices: {{}}", "CATALOG-01", "polices"),
    ],
)
def test_a_wrong_file_names_itself(root: DataRoot, added: str, code: str, path: str) -> None:
    write(root, "a.yaml", SMALL.rstrip() + f"\n{added}\n")
    loaded = load_catalogs(root)
    assert loaded.versions == ()
    assert [(one.code, one.file, one.path) for one in loaded.problems] == [
        (code, "catalog/a.yaml", path)
    ]


def test_a_patch_is_applied_to_the_version_before_it(root: DataRoot) -> None:
    write(root, "a.yaml")
    write(root, "c.yaml", effective_at="2026-06-01", amount="149.00")
    files = load_catalogs(root).versions
    price = {"plans": {"pro": {"prices": {"monthly": {"amount": "119.00"}}}}}
    hidden = {"plans": {"pro": {"public": "false"}}}
    actions = [
        publish(datetime(2026, 4, 10, tzinfo=UTC), patch=price),
        publish(datetime(2026, 4, 20, tzinfo=UTC), patch=hidden),
        publish(datetime(2026, 6, 10, tzinfo=UTC), patch=hidden),
    ]
    loaded = with_published(files, actions)
    assert loaded.problems == ()
    pros = [version.catalog.plans["pro"] for version in loaded.versions]
    assert [(str(pro.prices["monthly"].amount), pro.public) for pro in pros] == [
        ("99.00", True),
        ("119.00", True),
        ("119.00", False),
        ("149.00", True),
        ("149.00", False),
    ]
    assert loaded.versions[1].file == "action p-0410"
    assert loaded.versions[1].sha256 == sha256_of_text(loaded.versions[1].catalog)
    assert len({version.sha256 for version in loaded.versions}) == 5


def test_a_whole_version_can_be_published(root: DataRoot) -> None:
    at = datetime(2026, 4, 10, tzinfo=UTC)
    whole = {"catalog": "new", "currency": "EUR", "seller": {"name": "B.V.", "country": "NL"}}
    loaded = with_published([], [publish(at, catalog=whole)])
    assert [(it.effective_at, it.catalog.currency) for it in loaded.versions] == [(at, "EUR")]


def test_what_cannot_be_published_is_a_problem(root: DataRoot) -> None:
    write(root, "a.yaml")
    files = load_catalogs(root).versions
    at = datetime(2026, 4, 10, tzinfo=UTC)
    wrong = {"plans": {"pro": {"prices": None}}}
    nowhere = {"policies": {"billing_time_zone": "Mars/Olympus"}}
    recount = {"features": {"calls": {"unit": "request"}}}
    found = {
        "broken": with_published(files, [publish(at, patch=wrong)]).problems,
        "zone": with_published(files, [publish(at, patch=nowhere)]).problems,
        "recounted": with_published(files, [publish(at, patch=recount)]).problems,
        "before the first": with_published(
            files, [publish(datetime(2025, 4, 10, tzinfo=UTC), patch=wrong)]
        ).problems,
        "not the founder": with_published(files, [publish(at, "customer", patch=wrong)]).problems,
    }
    assert {name: [one.code for one in problems] for name, problems in found.items()} == {
        "broken": ["CATALOG-11"],
        "zone": ["CATALOG-31"],
        "recounted": ["CATALOG-23"],
        "before the first": ["CATALOG-34"],
        "not the founder": [],
    }


def test_the_example_is_valid_and_has_nothing_to_warn_of(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    for kind, folder in (("catalog", root.catalog), ("mappings", root.mappings)):
        folder.mkdir(parents=True)
        for example in (PACKAGE_ROOT / "data" / kind).glob("*.yaml"):
            (folder / example.name).write_bytes(example.read_bytes())
    found = validate(root)
    assert found.problems == ()
    assert found.warnings == ()
    (version,) = load_catalogs(root).versions
    assert set(version.catalog.plans) == {"starter", "pro", "scale"}


def test_the_example_mappings_read_their_logs(tmp_path: Path) -> None:
    logs = {
        "llm_gateway": (
            "a.csv",
            "request_id,finished_at,account,model,status,prompt_tokens,cached_tokens,completion_tokens\n"
            "r1,1775001600000,acme,openai/gpt-4o-mini,200,100,40,7\n",
        ),
        "web_server": (
            "a.log",
            '192.0.2.7 - - [01/Apr/2026:02:00:00 +0200] "GET / HTTP/1.1" 200 512 "-" "curl"\n',
        ),
    }
    with duckdb.connect() as connection:
        for source, (name, text) in logs.items():
            path = tmp_path / name
            path.write_text(text, encoding="utf-8")
            file = PACKAGE_ROOT / "data" / "mappings" / f"{source}.yaml"
            mapping = read_mapping(file, file=file.name)
            assert isinstance(mapping, UsageMapping), mapping
            query = landed_query(connection, path, mapping, default_source=source)
            assert isinstance(query, LandedQuery), query


def test_validate_names_everything_that_is_wrong(root: DataRoot) -> None:
    write(
        root,
        "a.yaml",
        SMALL + "policies: {{token_cost_rounding: per_event}}\n"
        "ai_models: {{openai/no-such-model: genai-prices, openai/gpt-4o-mini: genai-prices}}\n",
    )
    folder = root.actions_landing / f"day={date(2026, 4, 1)}"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"do": "subscribe"}\n', encoding="utf-8")
    (folder / "a.csv").write_text("do\n", encoding="utf-8")
    root.mappings.mkdir(parents=True)
    (root.mappings / "web.yaml").write_text("colums: {}\n", encoding="utf-8")
    found = validate(root)
    assert [(one.code, one.file) for one in found.problems] == [
        ("CATALOG-35", "catalog/a.yaml"),
        ("MAP-01", "landing/mappings/web.yaml"),
        ("ACTION-02", "landing/actions/day=2026-04-01/a.jsonl:1"),
        ("ACTION-34", "landing/actions/day=2026-04-01/a.csv"),
    ]
    assert [(one.code, "+47 %" in one.what) for one in found.warnings] == [("CATALOG-36", True)]
    assert not (root.root / "landing" / "actions_register.jsonl").exists()
