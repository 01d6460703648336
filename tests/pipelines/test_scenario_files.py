"""Scenarios are read into typed steps with everything filled in that may be left out."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing_core.actions import AddSeats, CreateCustomer, parse_action, row_of
from billing_core.invoice import InvoiceType
from pipelines.scenario_files import Scenario, load_scenarios

CATALOG = """
catalog: small
effective_at: 2025-01-01
currency: USD
seller: {name: Example Labs Inc., country: US}
features: {calls: {type: metered, name: Calls, unit: call}}
plans:
  pro: {name: Pro, consumption_model: metered, prices: {monthly: {amount: 99.00}}}
"""
HEAD = """
scenario: A story
rules: [USE-4]
catalog: catalogs/small.yaml
bill_through: 2026-04-30
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "small.yaml").write_text(CATALOG, encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str, name: str = "story.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def one(folder: Path, steps: str, expect: str = "{invoices: []}", head: str = HEAD) -> Scenario:
    loaded = load_scenarios(write(folder, f"{head}timeline:\n{steps}\nexpect: {expect}\n"))
    assert loaded.problems == ()
    (scenario,) = loaded.scenarios
    return scenario


def codes(scenario: Scenario) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in scenario.problems]


def test_a_story_is_read_whole(folder: Path) -> None:
    scenario = one(
        folder,
        """
  - {at: 2026-04-01, do: subscribe, customer: acme, plan: pro, interval: monthly, as: join}
  - {at: 2026-04-10, use: calls, customer: acme, value: 15000}
  - {at: 2026-04-12, received_at: 2026-05-03, use: calls, customer: acme, event_id: e1}
  - {at: 2026-04-11, do: add_seats, customer: acme, feature: calls, quantity: 2, id: s1}
""",
        """
  outcomes: {join: applied}
  invoices:
    - customer: acme
      on: 2026-04-01
      type: initial
      lines: [[plan_base, 99.00], [feature_overage, calls, 1.50]]
      total: 100.50
    - {customer: acme, on: 2026-05-01, lines: any, total: 1}
  state: {acme: {status: active, period: [2026-04-01, 2026-05-01], features: {sso: on}}}
  notices: [[2026-04-02, acme, quota_80, calls], [2026-04-03, acme, past_due, null]]
  ledger: [[2026-04-01, acme, reset, 10.0000, 10]]
  set_aside: [[no_access, 1]]
  holds: [[acme, conflict]]
  creators: [{creator: ann, month: 2026-04, earned: 9.33}]
""",
    )
    assert codes(scenario) == []
    assert (scenario.name, scenario.line, scenario.rules) == ("A story", 2, ("USE-4",))
    assert scenario.bill_through == date(2026, 4, 30)
    assert scenario.is_paid_at_once
    assert scenario.names == {"join": "step-0001"}
    assert [action.id for action in scenario.actions] == ["create-acme", "step-0001", "s1"]
    assert [(event.event_id, event.value) for event in scenario.usage] == [
        ("step-0002", Decimal(15000)),
        ("e1", None),
    ]
    assert scenario.usage[1].received_at == datetime(2026, 5, 3, tzinfo=UTC)
    expect = scenario.expect
    assert expect.invoices is not None
    first, second = expect.invoices
    assert first.type is InvoiceType.INITIAL
    assert [
        (line.type, line.code, str(line.amount)) for line in first.lines if first.lines != "any"
    ] == [  # type: ignore[union-attr]
        ("plan_base", None, "99.00"),
        ("feature_overage", "calls", "1.50"),
    ]
    assert second.lines == "any"
    assert second.model_fields_set == {"customer", "on", "lines", "total"}
    assert expect.state is not None
    assert expect.state["acme"].model_fields_set == {"status", "period", "features"}
    assert expect.notices is not None
    assert [(notice.kind, notice.feature) for notice in expect.notices] == [
        ("quota_80", "calls"),
        ("past_due", None),
    ]
    assert expect.ledger is not None
    assert expect.ledger[0].balance_after == 10
    assert expect.error is None


def test_a_customer_is_created_where_an_action_first_meets_him(folder: Path) -> None:
    scenario = one(
        folder,
        """
  - {at: 2026-04-01, use: calls, customer: stranger}
  - {at: 2026-04-05, do: cancel, customer: late}
  - {at: 2026-04-03, do: pause, customer: late}
  - {at: 2026-04-02, do: create_customer, customer: own, country: DE}
""",
    )
    created = [action for action in scenario.actions if isinstance(action, CreateCustomer)]
    assert [(one.customer, one.country, one.is_taxed, one.at.day) for one in created] == [
        ("own", "DE", True, 2),
        ("late", "US", False, 3),
    ]


def test_dates_are_midnight_where_the_customer_lives(folder: Path) -> None:
    scenario = one(
        folder,
        """
  - {at: 2026-04-01, do: create_customer, customer: ada, time_zone: Asia/Shanghai}
  - {at: 2026-04-02, use: calls, customer: ada}
  - {at: 2026-04-02, use: calls, customer: bob}
  - {at: 2026-04-03, do: update_customer, customer: ada, time_zone: UTC}
  - {at: 2026-04-04, use: calls, customer: ada}
""",
    )
    assert [action.at for action in scenario.actions] == [
        datetime(2026, 3, 31, 16, tzinfo=UTC),
        datetime(2026, 4, 2, 16, tzinfo=UTC),
    ]
    assert [(event.customer_id, event.occurred_at) for event in scenario.usage] == [
        ("ada", datetime(2026, 4, 1, 16, tzinfo=UTC)),
        ("bob", datetime(2026, 4, 2, tzinfo=UTC)),
        ("ada", datetime(2026, 4, 4, tzinfo=UTC)),
    ]


def test_an_action_arrives_when_it_takes_effect_unless_it_says_otherwise(folder: Path) -> None:
    scenario = one(
        folder,
        """
  - {at: 2026-04-16, received_at: 2026-05-05, do: add_seats, customer: a, feature: e, quantity: 1}
  - {at: 2026-04-16, do: add_seats, customer: a, feature: e, quantity: 2}
""",
    )
    seats = [action for action in scenario.actions if isinstance(action, AddSeats)]
    assert [(one.quantity, str(one.received_at.date())) for one in seats] == [
        (2, "2026-04-16"),
        (1, "2026-05-05"),
    ]


def test_published_versions_are_part_of_the_scenario(folder: Path) -> None:
    scenario = one(
        folder,
        """
  - at: 2026-04-10
    do: publish_catalog
    actor: founder
    patch: {plans: {pro: {prices: {monthly: {amount: 119.00}}}}}
""",
    )
    amounts = [it.catalog.plans["pro"].prices["monthly"].amount for it in scenario.catalogs]
    assert amounts == [Decimal(99), Decimal(119)]
    assert scenario.actions[0].customer is None


def test_every_action_can_be_written_as_a_row_and_read_again(folder: Path) -> None:
    scenario = one(folder, "  - {at: 2026-04-05, do: cancel, customer: acme}")
    for action in scenario.actions:
        assert parse_action(row_of(action), where="row") == action


PROBLEMS = {
    "a step that does nothing": ("{at: 2026-04-01, customer: a}", "SCENARIO-02", "timeline.0.do"),
    "an unknown action": ("{at: 2026-04-01, do: buy, customer: a}", "ACTION-07", "timeline.0.do"),
    "a mistyped key of a usage": (
        "{at: 2026-04-01, use: calls, customer: a, vlaue: 1}",
        "SCENARIO-01",
        "timeline.0.vlaue",
    ),
    "an inexact value": (
        "{at: 2026-04-01, use: calls, customer: a, value: 1e3}",
        "SCENARIO-04",
        "timeline.0.value",
    ),
    "a day that is none": (
        "{at: 2026-02-30, do: cancel, customer: a}",
        "ACTION-06",
        "timeline.0.at",
    ),
    "a step after the end": (
        "{at: 2026-05-01, do: cancel, customer: a}",
        "SCENARIO-10",
        "timeline.0.at",
    ),
    "an id twice": (
        "{at: 2026-04-01, do: cancel, customer: a, id: x}\n"
        "  - {at: 2026-04-02, do: cancel, customer: a, id: x}",
        "SCENARIO-11",
        "timeline.1.id",
    ),
    "a name twice": (
        "{at: 2026-04-01, do: cancel, customer: a, as: x}\n"
        "  - {at: 2026-04-02, do: cancel, customer: a, as: x}",
        "SCENARIO-11",
        "timeline.1.as",
    ),
    "a patch that breaks the catalog": (
        "{at: 2026-04-01, do: publish_catalog, actor: founder, patch: {plans: {pro: {prices: ~}}}}",
        "CATALOG-11",
        "plans.pro.prices",
    ),
}


@pytest.mark.parametrize(("step", "code", "path"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_wrong_step_is_a_problem_of_its_scenario(
    folder: Path, step: str, code: str, path: str
) -> None:
    assert (code, path) in codes(one(folder, f"  - {step}"))


def test_the_last_microsecond_of_the_last_day_is_in(folder: Path) -> None:
    step = '{at: "2026-04-30T23:59:59.999999Z", do: cancel, customer: a}'
    assert codes(one(folder, f"  - {step}")) == []


def test_a_wrong_catalog_is_kept_for_the_expected_error(folder: Path) -> None:
    head = HEAD.replace("catalogs/small.yaml", "{catalog: typo}")
    scenario = one(folder, "  []", "{error: seller}", head)
    assert scenario.expect.error == "seller"
    assert "CATALOG-02" in {problem.code for problem in scenario.problems}
    missing = one(folder, "  []", "{error: no.yaml}", HEAD.replace("small", "no"))
    assert codes(missing) == [("CATALOG-30", "(whole)")]


EXPECTATIONS = {
    "a mistyped key": ("{invoice: []}", "SCENARIO-01", "expect.invoice"),
    "a line of one element": (
        "{invoices: [{customer: a, on: 2026-04-01, lines: [[plan_base]]}]}",
        "SCENARIO-03",
        "expect.invoices.0.lines.0",
    ),
    "an amount that is none": (
        "{invoices: [{customer: a, on: 2026-04-01, lines: [[plan_base, x]]}]}",
        "SCENARIO-04",
        "expect.invoices.0.lines.0.amount",
    ),
    "an outcome that is none": ("{outcomes: {x: done}}", "SCENARIO-09", "expect.outcomes.x"),
    "an unknown reason": (
        "{outcomes: {x: refused past_deu}}",
        "SCENARIO-09",
        "expect.outcomes.x",
    ),
    "a mistyped state": (
        "{state: {a: {statsu: active}}}",
        "SCENARIO-01",
        "expect.state.a.statsu",
    ),
}


@pytest.mark.parametrize(("expect", "code", "path"), EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_a_wrong_expectation_is_a_problem(folder: Path, expect: str, code: str, path: str) -> None:
    loaded = load_scenarios(write(folder, f"{HEAD}timeline: []\nexpect: {expect}\n"))
    assert loaded.scenarios == ()
    assert [(problem.code, problem.path) for problem in loaded.problems] == [(code, path)]


def test_an_outcome_of_no_step_is_a_problem(folder: Path) -> None:
    step = "  - {at: 2026-04-01, do: cancel, customer: a, as: leave}"
    scenario = one(folder, step, "{outcomes: {laeve: applied}}")
    assert codes(scenario) == [("SCENARIO-12", "expect.outcomes.laeve")]
    assert "did you mean 'leave'?" in scenario.problems[0].mend


def test_a_folder_holds_scenarios_and_catalogs(folder: Path) -> None:
    story = f"{HEAD}timeline: []\nexpect: {{}}\n"
    write(folder, f"# two\n---{story}---{story}payments: manual\n", "b.yaml")
    (folder / "deeper").mkdir()
    write(folder / "deeper", story.replace("catalogs/", "../catalogs/"), "a.yaml")
    write(folder, "a: [", "broken.yaml")
    loaded = load_scenarios(folder)
    assert [(Path(it.file).name, it.line, it.is_paid_at_once) for it in loaded.scenarios] == [
        ("b.yaml", 3, True),
        ("b.yaml", 10, False),
        ("a.yaml", 2, True),
    ]
    assert all(not it.problems for it in loaded.scenarios)
    assert [problem.code for problem in loaded.problems] == ["SCENARIO-30"]


def test_where_there_is_nothing_it_is_said(folder: Path) -> None:
    for path in (folder / "nowhere", folder / "nowhere.yaml"):
        (problem,) = load_scenarios(path).problems
        assert problem.code == "SCENARIO-31"
