"""The project's own files agree: the lock with the dependencies, the README with the commands."""

import importlib.metadata
import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

COMMANDS = ("demo", "test", "lint", "bench", "dev")


def canonical(name: str) -> str:
    """A package's name as registries compare it.

    >>> canonical("types-PyYAML")
    'types-pyyaml'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    pinned = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", LOCK, flags=re.MULTILINE)
    return {canonical(name): version for name, version in pinned}


@pytest.mark.parametrize(
    "dependency", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
)
def test_the_lock_holds_each_dependency_at_its_version(dependency: str) -> None:
    name, version = dependency.split("==")
    assert locked()[canonical(name)] == version


def test_the_lock_holds_what_builds_the_project() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in pyproject["build-system"]["requires"]:
        name, version = requirement.split("==")
        assert locked()[canonical(name)] == version


def test_the_lock_names_the_extras_that_packages_ask_for() -> None:
    """Without them pip looks at the newest release for its extra, and finds it without a hash."""
    for distribution in importlib.metadata.distributions():
        for text in distribution.requires or ():
            asked = Requirement(text)
            is_asked = asked.marker is None or asked.marker.evaluate({"extra": ""})
            if is_asked and asked.extras and canonical(asked.name) in locked():
                extras = ",".join(sorted(asked.extras))
                assert f"\n{canonical(asked.name)}[{extras}]==" in LOCK, text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_in_the_makefile_and_the_readme(command: str) -> None:
    assert re.search(rf"^{command}: setup", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert f"make {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_changelog_names_the_version() -> None:
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_merge_check_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
