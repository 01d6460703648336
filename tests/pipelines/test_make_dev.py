"""`make dev` in a fresh clone: the definitions load, and Dagster's pages answer."""

import subprocess
from pathlib import Path

import pytest

from pipelines import runs
from pipelines.paths import PACKAGE_ROOT
from tests.pipelines.test_backfill import asker, free_port, running

ASSETS = "{ assetNodes { assetKey { path } } }"
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of what is committed, with the environment that is set up already."""
    folder = tmp_path / "clone"
    if not (PACKAGE_ROOT / ".git").exists():
        pytest.skip("this is no clone")
    if not list((PACKAGE_ROOT / ".venv").glob("ready-*")):
        pytest.skip("`make` has not set up .venv here")
    subprocess.run(["git", "clone", "-q", str(PACKAGE_ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(PACKAGE_ROOT / ".venv")
    return folder


@pytest.mark.slow
def test_a_fresh_clone_shows_its_pages(clone: Path, tmp_path: Path) -> None:
    port, root = free_port(), tmp_path / "root"
    command = ["make", "dev", f"PORT={port}", f"ROOT={root}"]
    environment = {"PATH": DEFAULT_PATH, "PYTHONWARNINGS": "ignore"}
    with running(command, clone, environment, log=tmp_path / "make.log"):
        nodes = asker(port)(ASSETS)["assetNodes"]
    assert {*runs.DRAFTED, *runs.DOCUMENTS, "books", "warehouse", "revenue_report"} == {
        node["assetKey"]["path"][0] for node in nodes
    }
    assert (root / "dagster" / "dagster.yaml").exists()
    assert (root / "catalog").is_dir()
