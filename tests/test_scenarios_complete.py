"""Stories leave no gap: each rule that is built has one, each switch of the policies two.

The folders of tests/scenarios are the decision table; here is what must stand in it.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from billing_core.catalog import Catalog, Policies
from pipelines.scenario_files import Scenario, load_scenarios

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "scenarios"
RULES = (ROOT / "billing_core" / "RULES.md").read_text(encoding="utf-8")

WITHOUT_STORY = {
    "field_rules": "it tells what another catalog would change, and bills nothing",
    "engine_changes": "a story is billed by one engine",
    "pipelines/engine_changes": "a story is billed by one engine",
}
"""Modules of which no story can tell, and why."""

SWITCHES_WITHOUT_PAIR = {"engine_changes": WITHOUT_STORY["engine_changes"]}
SWITCHES = sorted(Policies.model_fields.keys() - SWITCHES_WITHOUT_PAIR)


def written_rules() -> list[tuple[str, str]]:
    """Each line of RULES.md that is a rule: its number, and what it says."""
    return re.findall(r"^- \*\*([A-Z]+-\d+)\*\* (.*)$", RULES, flags=re.MULTILINE)


def applied_by(line: str) -> set[str]:
    """The modules that a rule's line names.

    >>> sorted(applied_by("`plan_base` is rounded once. `money`, `pipelines/ledger`."))
    ['money', 'pipelines/ledger']
    """
    named = re.findall(r"`([a-z_/]+)`", line)
    core = {name for name in named if (ROOT / "billing_core" / f"{name}.py").exists()}
    return core | {name for name in named if "/" in name and (ROOT / f"{name}.py").exists()}


def test_each_rule_is_written_down_once() -> None:
    numbers = Counter(number for number, _ in written_rules())
    assert [number for number, times in numbers.items() if times > 1] == []


def test_each_rule_that_is_built_is_shown_by_a_story() -> None:
    shown = {rule for story in load_scenarios(FOLDER).scenarios for rule in story.rules}
    built = {number for number, line in written_rules() if applied_by(line) - WITHOUT_STORY.keys()}
    assert sorted(built - shown) == []


def pair(switch: str) -> tuple[Scenario, Scenario]:
    """The two stories of a switch: by default, and with another setting of it."""
    loaded = load_scenarios(FOLDER / "policies" / f"{switch}.yaml")
    assert not loaded.problems
    default, other = loaded.scenarios
    return default, other


def switched(story: Scenario, switch: str) -> tuple[object, Catalog]:
    """What a story's catalog says of a switch, and the catalog without it."""
    (first, *_) = story.catalogs
    own = getattr(first.catalog.policies, switch)
    policies = first.catalog.policies.model_copy(
        update={switch: Policies.model_fields[switch].default}
    )
    return own, first.catalog.model_copy(update={"policies": policies})


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_alone_makes_a_difference(switch: str) -> None:
    default, other = pair(switch)
    (own, catalog), (others, same) = switched(default, switch), switched(other, switch)
    assert own == Policies.model_fields[switch].default
    assert own != others
    assert catalog == same
    assert (default.actions, default.usage) == (other.actions, other.usage)
    assert default.bill_through == other.bill_through
    assert default.is_paid_at_once == other.is_paid_at_once
    assert default.expect != other.expect


def test_every_pair_is_of_a_switch() -> None:
    assert sorted(path.stem for path in (FOLDER / "policies").glob("*.yaml")) == SWITCHES
