"""What a catalog file changes against another, with the customers of the last run counted.

Reads two files and where the last run left everybody; the core judges. Writes nothing.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from billing_core.catalog import Catalog
from billing_core.catalog_checks import version_problems
from billing_core.catalog_diff import CatalogChange, Felt, Subscriber, catalog_changes, felt
from billing_core.currencies import effective_day
from billing_core.errors import BillingError, Problem
from billing_core.state import WITH_ACCESS
from pipelines.catalogs import DatedCatalog, read_version
from pipelines.datasets import current_files
from pipelines.history import CatalogIsWrong
from pipelines.paths import DataRoot


class NoCatalogFile(BillingError):
    """A file to compare that is not there."""

    code = "CATALOG-63"

    def __init__(self, path: Path) -> None:
        super().__init__(
            what=f"there is no file {path}",
            where="the versions to compare",
            mend="name two catalog files, as in catalog/2026-01-01.yaml catalog/2026-06-01.yaml",
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a version changes, each change with whom it reaches.

    customers: how many there are at present; None where no run has drafted yet.
    problems:  why the new version would be refused after the old one.
    """

    old: str
    new: str
    effective_on: date
    changes: tuple[tuple[CatalogChange, Felt], ...]
    customers: int | None
    problems: tuple[Problem, ...]


def compare(root: DataRoot, old: Path, new: Path) -> Comparison:
    """What the version in a file changes against that in another.

    raises: NoCatalogFile, CatalogIsWrong.
    """
    before, after = _version(old).catalog, _version(new).catalog
    people = subscribers(root)
    return Comparison(
        old=str(old),
        new=str(new),
        effective_on=effective_day(after),
        changes=tuple(
            (change, _felt(change, people, before, after))
            for change in catalog_changes(before, after)
        ),
        customers=None if people is None else len(people),
        problems=version_problems(before, after, file=str(new)),
    )


def subscribers(root: DataRoot) -> tuple[Subscriber, ...] | None:
    """Who has access after the last run, by id; None where no run has drafted yet."""
    paths = [current_files(root, name).get("all") for name in ("subscriptions", "customers")]
    if paths[0] is None or paths[1] is None:
        return None
    rows = (
        pl.read_parquet(paths[0], glob=False)
        .join(pl.read_parquet(paths[1], glob=False), on="customer_id", how="left")
        .filter(pl.col("status").is_in([status.value for status in WITH_ACCESS]))
        .sort("customer_id")
    )
    return tuple(_subscriber(row) for row in rows.iter_rows(named=True))


def _subscriber(row: dict[str, Any]) -> Subscriber:
    return Subscriber(
        customer_id=row["customer_id"],
        plan=row["plan"],
        interval=row["interval"],
        currency=row["currency"],
        country=row["country"],
        anchor=row["anchor_on"],
        renews_on=row["period_end"],
        is_ending=row["cancel_on"] is not None,
    )


def _felt(
    change: CatalogChange,
    people: tuple[Subscriber, ...] | None,
    before: Catalog,
    after: Catalog,
) -> Felt:
    return Felt(None) if people is None else felt(change, people, old=before, new=after)


def _version(path: Path) -> DatedCatalog:
    if not path.is_file():
        raise NoCatalogFile(path)
    version = read_version(path)
    if isinstance(version, tuple):
        raise CatalogIsWrong(version)
    return version
