"""A story told otherwise makes the same money: on other days, in other words, among others.

By default the first story of each folder is told all these ways at once; the slow tests
tell every story each way.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.scenario_compare import Observed
from tests.retold import (
    KINDS,
    Story,
    made,
    moved,
    moved_back,
    of_others,
    renamed,
    side_by_side,
    stories,
    told,
    without,
)

FOLDER = Path(__file__).parent / "scenarios"
FOLDERS = sorted(path.name for path in FOLDER.iterdir() if path.name != "catalogs")
TWO = ("one-", "two-")
"""What is put before the customers of two stories that are told side by side."""


@cache
def of_folder(folder: str) -> tuple[Story, ...]:
    return tuple(stories(FOLDER / folder))


def twice(story: Story) -> Story:
    first, second = (of_others(story, prefix) for prefix in TWO)
    return side_by_side(first, second)


def of_each(observed: Observed) -> list[dict[str, Any]]:
    """What the customers of each of two stories made, called as in the story."""
    return [without(TWO, made(observed, prefix)) for prefix in TWO]


def as_once(made_once: Mapping[str, Any], story: Story) -> dict[str, Any]:
    """What each of two makes of a story, where steps of nobody alone are told apart."""
    own = {str(step["id"]) for step in story.steps if "id" in step and "customer" in step}
    outcomes = {step: made_once["outcomes"][step] for step in made_once["outcomes"].keys() & own}
    return {**made_once, "outcomes": outcomes}


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name != "catalog"])
def test_the_first_story_of_a_folder_told_in_all_ways_at_once(folder: str, tmp_path: Path) -> None:
    story = next(it for it in of_folder(folder) if not it.has_places)
    once = as_once(without((), made(told(story, tmp_path))), story)
    otherwise = told(moved(renamed(twice(story))), tmp_path)
    for each in of_each(otherwise):
        assert without(KINDS.values(), moved_back(each)) == once


WAYS: Mapping[str, tuple[Callable[[Story], Story], Callable[[Any], Any]]] = {
    "28 years later": (moved, moved_back),
    "with other codes": (renamed, lambda tree: without(KINDS.values(), tree)),
    "of other customers": (lambda story: of_others(story, TWO[0]), lambda tree: without(TWO, tree)),
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_stories_told_in_each_way(folder: str, tmp_path: Path) -> None:
    changed = [
        (story.name, way)
        for story in of_folder(folder)
        for once in [without((), made(told(story, tmp_path)))]
        for way, (tell, back) in WAYS.items()
        if back(made(told(tell(story), tmp_path))) != once
    ]
    assert changed == []


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_stories_of_two_customers_at_once(folder: str, tmp_path: Path) -> None:
    changed = []
    for story in of_folder(folder):
        if not story.has_places:
            once = as_once(without((), made(told(story, tmp_path))), story)
            if of_each(told(twice(story), tmp_path)) != [once, once]:
                changed.append(story.name)
    assert changed == []


def of_one_catalog(found: Iterable[Story]) -> list[tuple[Story, Story]]:
    """Each story with the next one of the same catalog that pays in the same way."""
    told_so = [it for it in found if it.is_of_customers_alone and not it.has_places]
    told_so.sort(key=lambda it: (repr(it.catalog), it.rest.get("payments", "")))
    return [
        (first, second)
        for first, second in pairwise(told_so)
        if first.catalog == second.catalog
        and first.rest.get("payments") == second.rest.get("payments")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_stories_step_by_step_with_another(folder: str, tmp_path: Path) -> None:
    changed = []
    for pair in of_one_catalog(of_folder(folder)):
        first, second = (of_others(it, name) for it, name in zip(pair, TWO, strict=True))
        both = told(side_by_side(first, second), tmp_path)
        for story, prefix in zip(pair, TWO, strict=True):
            until = story.bill_through
            alone = without((), made(told(story, tmp_path), until=until))
            if without(TWO, made(both, prefix, until=until)) != alone:
                changed.append((story.name, [it.name for it in pair]))
    assert changed == []
