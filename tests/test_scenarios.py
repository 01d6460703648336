"""Every story under tests/scenarios makes the money that it must, in the core and on the way.

The tree of folders is the decision table; a scenario names the rules that it shows.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.check import Checked, check
from pipelines.scenario_pipeline import through_pipeline

FOLDER = Path(__file__).parent / "scenarios"
FOLDERS = sorted(path.name for path in FOLDER.iterdir() if path.name != "catalogs")


def failures(checked: tuple[Checked, ...]) -> dict[str, tuple[str, ...]]:
    return {it.scenario.name: it.differences for it in checked if it.differences}


@pytest.mark.parametrize("folder", FOLDERS)
def test_scenarios_pass_in_the_core(folder: str) -> None:
    result = check(FOLDER / folder)
    assert not result.loaded.problems
    assert failures(result.checked) == {}
    assert result.has_passed


def test_stories_of_time_zones_pass_wherever_the_machine_is() -> None:
    """Rule CNV-1: zone data is input, the machine's own zone is not."""
    program = "from pipelines.cli import main; main()"
    stories = FOLDER / "subscriptions" / "time_zones.yaml"
    subprocess.run(
        [sys.executable, "-c", program, "check", str(stories)],
        env=os.environ | {"TZ": "Pacific/Kiritimati"},
        check=True,
    )


@pytest.mark.slow
def test_the_first_scenario_of_each_folder_passes_through_the_pipeline(tmp_path: Path) -> None:
    """All of them take a quarter of an hour: `fairbill check --through-pipeline`."""
    for folder in FOLDERS:
        first, *_ = sorted((FOLDER / folder).glob("*.yaml"))
        (story, *_) = (it for it in documents(first) if it.strip())
        (tmp_path / "stories" / folder).mkdir(parents=True)
        (tmp_path / "stories" / folder / first.name).write_text(story, encoding="utf-8")
    (tmp_path / "stories" / "catalogs").symlink_to(FOLDER / "catalogs")
    result = check(tmp_path / "stories", through_pipeline)
    assert failures(result.checked) == {}
    assert result.has_passed


def documents(path: Path) -> list[str]:
    """The stories of a file, each as text."""
    texts = path.read_text(encoding="utf-8").split("\n---\n")
    return [text for text in texts if "scenario:" in text]


def test_a_wrong_amount_is_shown_as_a_difference(tmp_path: Path) -> None:
    story = (FOLDER / "overage" / "windows.yaml").read_text(encoding="utf-8").split("\n---\n")[0]
    catalog = FOLDER / "catalogs" / "metered.yaml"
    wrong = story.replace("../catalogs/metered.yaml", str(catalog)).replace("129.00", "128.00")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    (only,) = check(tmp_path).checked
    assert len(only.differences) == 1
    assert "total 128.00" in only.differences[0]
    assert "total 129.00" in only.differences[0]
