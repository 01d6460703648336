"""The wheel stands alone: it holds every file that the packages need, and bills elsewhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("billing_core", "pipelines", "reports", "sql", "data")


def source_files() -> list[Path]:
    """The files of the project, relative to it, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, run without a word of this environment but its PATH."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that a build leaves nothing in the project's own folder."""
    copy = tmp_path_factory.mktemp("source")
    for path in source_files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    (built,) = (source / "dist").glob("fairbill-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, in which this one's packages stand for a download."""
    environment = tmp_path_factory.mktemp("elsewhere")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
        "--no-index", "--no-deps", wheel, cwd=environment,
    )  # fmt: skip
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(source: Path, wheel: Path) -> None:
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for package in PACKAGES for path in (source / package).rglob("*")]
    assert held == {str(path.relative_to(source)) for path in files if path.is_file()}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_comes_from_the_wheel(elsewhere: Path, package: str) -> None:
    origin = f"import {package}; print({package}.__file__)"
    found = run(elsewhere / "bin" / "python", "-c", origin, cwd=elsewhere)
    assert Path(found.strip()).is_relative_to(elsewhere)


@pytest.mark.slow
def test_a_demo_runs_in_another_directory(elsewhere: Path, tmp_path: Path) -> None:
    fairbill = elsewhere / "bin" / "fairbill"
    run(fairbill, "init", "x", cwd=tmp_path)
    run(fairbill, "--root", "x", "demo", cwd=tmp_path)
    assert (tmp_path / "x" / "warehouse" / "warehouse.duckdb").is_file()
    assert len(list((tmp_path / "x" / "documents").rglob("*.pdf"))) > 60
