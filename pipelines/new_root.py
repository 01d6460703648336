"""How a data root begins: its folders, the example catalog and mappings, Dagster's settings.

Nothing that is there is ever replaced, so that beginning twice is beginning once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from billing_core.errors import BillingError
from pipelines.paths import PACKAGE_ROOT, DataRoot

DAGSTER_SETTINGS = """\
# Dagster's own settings for this data root (DAGSTER_HOME is this folder).
telemetry:
  enabled: false
concurrency:
  pools:
    default_limit: 1
    granularity: run
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
"""


class NotADataRoot(BillingError):
    """A folder that holds no catalog was named as data root."""

    code = "ROOT-01"

    def __init__(self, root: Path) -> None:
        super().__init__(
            what="the folder is not a data root: it holds no catalog/ with a YAML file",
            where=str(root),
            mend=f"name another with --root, or begin one: fairbill init {root}",
        )


class RootIsAFile(BillingError):
    """A file stands where a data root should be."""

    code = "ROOT-02"

    def __init__(self, root: Path) -> None:
        super().__init__(
            what="a data root is a folder, and this is a file",
            where=str(root),
            mend="name another folder",
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """What `begin` made; empty where everything was there."""

    root: Path
    made: tuple[Path, ...]


def begin(root: DataRoot) -> Begun:
    """Make what a data root needs and lacks, with the example catalog if it has none.

    raises: RootIsAFile.
    """
    if root.root.is_file():
        raise RootIsAFile(root.root)
    return Begun(root.root, (*_folders(root), *_files(root)))


def existing(root: DataRoot) -> DataRoot:
    """The same root, known to hold a catalog.

    raises: NotADataRoot.
    """
    if not root.catalog.is_dir() or not any(root.catalog.glob("*.y*ml")):
        raise NotADataRoot(root.root)
    return root


def _folders(root: DataRoot) -> Iterator[Path]:
    for folder in (root.usage_landing, root.actions_landing, root.mappings, root.catalog):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            yield folder


def _files(root: DataRoot) -> Iterator[Path]:
    if not any(root.catalog.iterdir()):
        yield from _copied(PACKAGE_ROOT / "data" / "catalog", root.catalog)
    yield from _copied(PACKAGE_ROOT / "data" / "mappings", root.mappings)
    settings = root.dagster / "dagster.yaml"
    if not settings.exists():
        root.dagster.mkdir(parents=True, exist_ok=True)
        settings.write_text(DAGSTER_SETTINGS, encoding="utf-8")
        yield settings


def _copied(source: Path, target: Path) -> Iterator[Path]:
    for example in sorted(source.glob("*.yaml")):
        copy = target / example.name
        if not copy.exists():
            copy.write_bytes(example.read_bytes())
            yield copy
