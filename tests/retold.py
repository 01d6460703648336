"""Stories of tests/scenarios told otherwise, such that each must make the same money.

A story is the nested text that stands in its file, so that what is told otherwise goes the
whole way that a written one goes. What a story makes is compared as nested plain values.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from pipelines.check import observed_in_core
from pipelines.scenario_compare import Observed
from pipelines.scenario_files import load_scenarios
from pipelines.yaml_text import read_documents, read_tree

YEARS = 28
"""After so many years weekdays and leap years are the same again, from 1901 to 2099."""

KINDS: Mapping[str, str] = {
    "features": "zq-f.",
    "plans": "zq-l.",
    "addons": "zq-f.",
    "credit_packs": "zq-c.",
    "capacity_packs": "zq-y.",
    "quota_packs": "zq-q.",
    "promo_codes": "ZQ-P-",
}
"""What is put before codes, by the catalog's section, so that all of a kind stay in order.

An add-on may have its feature's code, and an adjustment is one for each code (ACT-3).
"""

NAMED: Mapping[str, str] = {
    "feature": "features",
    "code": "features",
    "use": "features",
    "seats": "features",
    "grants": "features",
    "plan": "plans",
    "groups": "plans",
    "to": "plans",
    "addon": "addons",
    "promo_code": "promo_codes",
}
"""Keys whose value is a code, codes, or has codes as keys -> the section that they are in."""

WITHOUT_CODES = frozenset({"credits", "exchange_rates"})
"""Keys under which `plan` and `to` are a number of credits and a currency."""

_DAY = re.compile(r"\b(\d{4})(?=-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class Story:
    """A story that can be told otherwise.

    steps: with the ids that they have by their places; catalog: written out.
    folder, file, number: where it stands, the first story of a file being number 1.
    """

    folder: str
    file: str
    number: int
    catalog: Any
    steps: Sequence[Mapping[str, Any]]
    rest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.file}/{self.number}"

    @property
    def bill_through(self) -> date:
        return date.fromisoformat(self.rest["bill_through"])

    @property
    def is_of_customers_alone(self) -> bool:
        """That no step is about the catalog, which all customers share."""
        return all("customer" in step for step in self.steps)

    @property
    def has_places(self) -> bool:
        """That a promo code has a number of places, for which customers compete. Rule PRM-2."""
        codes = self.catalog.get("promo_codes") or {}
        typed = {str(step.get("promo_code")).upper() for step in self.steps}
        return any("max_redemptions" in codes[code] for code in typed & codes.keys())


def stories(folder: Path) -> list[Story]:
    """All stories of a folder that are there to be billed, by file and line."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        documents = read_documents(path, prefix="SCENARIO")
        assert isinstance(documents, tuple), documents
        trees = [it.tree for it in documents]
        for number, tree in enumerate(trees, start=1):
            if "error" not in tree["expect"]:
                found.append(_story(tree, path, number))
    return found


def _story(tree: Mapping[str, Any], path: Path, number: int) -> Story:
    catalog = tree["catalog"]
    if isinstance(catalog, str):
        catalog = read_tree(path.parent / catalog, prefix="CATALOG")
    rest = {key: tree[key] for key in ("scenario", "payments", "bill_through") if key in tree}
    steps = [_with_id(step, place) for place, step in enumerate(tree["timeline"], start=1)]
    return Story(path.parent.name, path.stem, number, catalog, steps, rest)


def _with_id(step: Mapping[str, Any], place: int) -> dict[str, Any]:
    key = "event_id" if "use" in step else "id"
    return {key: f"step-{place:04}", **{name: step[name] for name in step if name != "as"}}


def told(story: Story, folder: Path) -> Observed:
    """What comes of a story in the core."""
    tree = {
        **story.rest,
        "catalog": story.catalog,
        "timeline": list(story.steps),
        "expect": {},
    }
    path = folder / "story.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    loaded = load_scenarios(path)
    assert not loaded.problems
    (scenario,) = loaded.scenarios
    assert not scenario.problems, scenario.problems
    return observed_in_core(scenario)


def moved(story: Story) -> Story:
    """The story with every date 28 years later."""
    return replace(
        story,
        catalog=_moved(story.catalog),
        steps=_moved(story.steps),
        rest=_moved(story.rest),
    )


def _moved(tree: Any) -> Any:
    return _each_text(tree, lambda text: _DAY.sub(lambda it: str(int(it[1]) + YEARS), text))


def _each_text(tree: Any, change: Callable[[str], str]) -> Any:
    """Nested text with each value changed, keys as they are."""
    match tree:
        case str():
            return change(tree)
        case dict():
            return {key: _each_text(value, change) for key, value in tree.items()}
        case list():
            return [_each_text(value, change) for value in tree]
    return tree


def renamed(story: Story) -> Story:
    """The story with other codes of features, plans, add-ons, packs and promo codes."""
    sections = {
        code: section
        for section in ("credit_packs", "capacity_packs", "quota_packs", "promo_codes")
        for code in story.catalog.get(section) or {}
    }
    return replace(
        story,
        catalog=_renamed(story.catalog, sections),
        steps=[_renamed(step, sections) for step in story.steps],
    )


def _renamed(tree: Any, sections: Mapping[str, str]) -> Any:
    """Nested text with other codes. sections: of the codes that keys alone do not tell."""
    if isinstance(tree, list):
        return [_renamed(value, sections) for value in tree]
    if not isinstance(tree, dict):
        return tree
    changed = {}
    for key, value in tree.items():
        section = NAMED.get(key, key)
        if key in {"pack", "code"}:
            section = sections.get(value, section)
        inner = value if key in WITHOUT_CODES else _renamed(value, sections)
        changed[key] = _with_prefix(inner, KINDS[section]) if section in KINDS else inner
    return changed


def _with_prefix(tree: Any, prefix: str) -> Any:
    """A code, codes, or what has codes as its keys, with something before each."""
    match tree:
        case str():
            return prefix + tree
        case list():
            return [_with_prefix(value, prefix) for value in tree]
        case dict() if all(isinstance(value, list) for value in tree.values()):
            return {key: _with_prefix(value, prefix) for key, value in tree.items()}
        case dict():
            return {prefix + key: value for key, value in tree.items()}
    return tree


def of_others(story: Story, prefix: str) -> Story:
    """The story with other customers, whose steps and events have other ids."""
    own = {"id", "event_id", "customer", "retracts"}

    def changed(step: Mapping[str, Any]) -> Mapping[str, Any]:
        if "customer" not in step:
            return step
        named = {key: prefix + value if key in own else value for key, value in step.items()}
        others = [prefix + name for name in step.get("external_ids", ())]
        return {**named, "external_ids": others} if others else named

    return replace(story, steps=[changed(step) for step in story.steps])


def side_by_side(first: Story, second: Story) -> Story:
    """Two stories of one catalog, step by step, billed through the later end.

    A step that is of no customer (a catalog, a deleted plan) stands once, as in the first.
    """
    steps: list[Mapping[str, Any]] = []
    for left, right in zip_longest(first.steps, second.steps):
        pair = [left] if left == right else [left, right]
        steps += [step for step in pair if step is not None]
    last = max(first.bill_through, second.bill_through)
    return replace(first, steps=steps, rest={**first.rest, "bill_through": str(last)})


def made(observed: Observed, prefix: str = "", *, until: date = date.max) -> dict[str, Any]:
    """What came out through a day of customers with a prefix, as plain values.

    How they stand is told where no day is given.
    """
    invoices = [it for it in observed.invoices if it.billing_day <= until]
    standings = observed.standings.values() if until == date.max else ()
    return {
        "invoices": _of(invoices, prefix),
        "notices": _of([it for it in observed.notices if it.on <= until], prefix),
        "ledger": _of([it for it in observed.ledger if it.on <= until], prefix),
        "faults": _of(observed.faults, prefix),
        "standings": _of(standings, prefix),
        "outcomes": {
            step: outcome
            for step, outcome in observed.outcomes.items()
            if step.startswith(prefix) and not step.startswith("create-")
        },
    }


def _of(values: Any, prefix: str) -> list[Any]:
    return [plain(it) for it in values if it.customer_id.startswith(prefix)]


def plain(value: Any) -> Any:
    """A value as nested mappings, lists and texts."""
    if is_dataclass(value):
        return {it.name: plain(getattr(value, it.name)) for it in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)


def moved_back(tree: Any) -> Any:
    """What a moved story made, on the days of the story that it was moved from."""
    return _each_plain(tree, lambda text: _DAY.sub(lambda it: str(int(it[1]) - YEARS), text))


def without(prefixes: Iterable[str], tree: Any) -> Any:
    """What a story with other codes or customers made, in the words of the one before."""
    found = re.compile("|".join(map(re.escape, prefixes)))
    return _each_plain(tree, lambda text: found.sub("", text))


def _each_plain(tree: Any, change: Callable[[str], str]) -> Any:
    match tree:
        case str():
            return change(tree)
        case dict():
            return {change(key): _each_plain(value, change) for key, value in tree.items()}
        case list() | tuple():
            return [_each_plain(value, change) for value in tree]
    return tree
