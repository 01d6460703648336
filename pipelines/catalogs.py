"""The catalog as it came into force over time: files of the data root, and what was published.

Reads every version, checks each alone and against the one before it, and puts them in
order. What a version means for a customer is decided in the billing core.
"""

import hashlib
import json
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from babel import Locale
from genai_prices import Usage, calc_price

from billing_core.actions import PublishCatalog, may_do
from billing_core.archiving import Archiving
from billing_core.catalog import GENAI_PRICES, Catalog, effective_instant
from billing_core.catalog_checks import (
    patched_catalog,
    read_catalog,
    text_of,
    version_problems,
)
from billing_core.errors import Problem
from billing_core.schema import nearest
from pipelines.action_log import (
    landed_action_files,
    misplaced_files,
    read_actions,
    set_aside_problems,
)
from pipelines.datasets import sha256_of
from pipelines.mappings import read_mapping
from pipelines.paths import DataRoot
from pipelines.world import currencies, zone
from pipelines.yaml_text import read_tree


@dataclass(frozen=True, slots=True)
class DatedCatalog:
    """A catalog version as content, and when it comes into force. Rule CAT-1.

    sha256: of the file's bytes; of a published one, of its text.
    file:   for messages; of a published one, the action.
    """

    sha256: str
    file: str
    effective_at: datetime
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class LoadedCatalogs:
    """Versions in order of effective_at, and what is wrong; a wrong version is left out."""

    versions: tuple[DatedCatalog, ...]
    problems: tuple[Problem, ...]


def load_catalogs(root: DataRoot) -> LoadedCatalogs:
    """The versions in the data root's catalog folder, in order, each checked. Rule CAT-1."""
    paths = catalog_files(root)
    read = [_version_of(path, str(path.relative_to(root.root))) for path in paths]
    versions = sorted(
        (item for item in read if isinstance(item, DatedCatalog)),
        key=lambda version: (version.effective_at, version.file),
    )
    problems = [problem for item in read if isinstance(item, tuple) for problem in item]
    if not paths:
        what, mend = "there is no catalog version", "add one, as catalog/2026-01-01.yaml"
        problems.append(Problem("CATALOG-34", "catalog", "(whole)", what, mend))
    problems += _same_instant(versions)
    return LoadedCatalogs(tuple(versions), (*problems, *_changed(versions)))


def read_version(path: Path) -> DatedCatalog | tuple[Problem, ...]:
    """The version in one file, wherever it lies, or all that is wrong with it. Rule CAT-1."""
    return _version_of(path, str(path))


def catalog_files(root: DataRoot) -> list[Path]:
    """The files that hold a version each, by name."""
    return sorted(path for path in root.catalog.glob("*.y*ml") if path.suffix in SUFFIXES)


def with_published(
    files: Sequence[DatedCatalog], actions: Iterable[PublishCatalog]
) -> LoadedCatalogs:
    """All versions in order: those of files, and those that the founder published.

    takes:   files, in order; actions in the order taken, those of files left out. At one
             instant files come first.
    returns: a patch is applied to the version before it in this order (RFC 7396); problems
             of the published ones alone.
    rule:    CAT-1.
    """
    published = [it for it in actions if may_do(it) and not is_of_file(it)]
    sequence: list[DatedCatalog | PublishCatalog] = sorted(
        (*files, *published),
        key=lambda item: item.effective_at if isinstance(item, DatedCatalog) else item.at,
    )
    versions: list[DatedCatalog] = []
    problems: list[Problem] = []
    for item in sequence:
        made = item if isinstance(item, DatedCatalog) else _published(item, versions)
        if isinstance(made, DatedCatalog):
            versions.append(made)
        else:
            problems += made
    seen = _changed(files)
    changed = (problem for problem in _changed(versions) if problem not in seen)
    return LoadedCatalogs(tuple(versions), (*problems, *changed))


def without_archives(
    files: Sequence[DatedCatalog],
    actions: Sequence[PublishCatalog],
    first_archiving: Callable[[tuple[DatedCatalog, ...]], Archiving | None],
) -> tuple[LoadedCatalogs, dict[str, Archiving]]:
    """As `with_published`, without the versions that leave out an add-on that somebody has.

    takes:   first_archiving, what finds the first such version of some.
    returns: also those that are refused, by file. A later patch is then one of the version
             that stays in force.
    rule:    ADD-5.
    """
    refused: dict[str, Archiving] = {}
    while True:
        kept = [it for it in files if it.file not in refused]
        loaded = with_published(kept, [it for it in actions if file_of(it.id) not in refused])
        found = first_archiving(loaded.versions) if _drops_addons(loaded.versions) else None
        if found is None:
            return loaded, refused
        refused[loaded.versions[found.place].file] = found


def _drops_addons(versions: Sequence[DatedCatalog]) -> bool:
    return any(
        before.catalog.addons.keys() - after.catalog.addons.keys()
        for before, after in pairwise(versions)
    )


def file_of(action_id: str) -> str:
    """What stands for the file of a version that an action published, in messages."""
    return f"action {action_id}"


def is_of_file(action: PublishCatalog) -> bool:
    """Whether a run wrote this action for a catalog file: its id is the file's sha256."""
    return _SHA256.fullmatch(action.id) is not None


def catalog_of_tree(tree: object, *, file: str, sha256: str) -> DatedCatalog | tuple[Problem, ...]:
    """A version from nested text, checked also against the world: zones, currencies, countries."""
    catalog = read_catalog(tree, file=file)
    return catalog if isinstance(catalog, tuple) else _dated(catalog, file=file, sha256=sha256)


def sha256_of_text(catalog: Catalog) -> str:
    """The sha256 of a catalog's content: its keys in order, as JSON."""
    text = json.dumps(text_of(catalog), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def catalog_warnings(versions: Iterable[DatedCatalog]) -> tuple[Problem, ...]:
    """What is allowed and worth knowing: token costs that round each event up. Rule AI-7."""
    return tuple(
        Problem(
            "CATALOG-36",
            version.file,
            "policies.token_cost_rounding",
            "per_event rounds the cost of every event up to 0.0001: on small requests of a cheap"
            " model it bills up to half more (a trace of 28,185 requests at 0.15/0.60 per"
            " million: +47 %; at 3/15: +2 %)",
            "leave it out (exact), unless your vendor bills you so",
        )
        for version in versions
        if version.catalog.policies.token_cost_rounding == "per_event"
    )


SUFFIXES = (".yaml", ".yml")
"""How the name of a catalog file may end."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _version_of(path: Path, file: str) -> DatedCatalog | tuple[Problem, ...]:
    tree = read_tree(path, prefix="CATALOG", file=file)
    if isinstance(tree, Problem):
        return (tree,)
    return catalog_of_tree(tree, file=file, sha256=sha256_of(path))


def _published(
    action: PublishCatalog, before: Sequence[DatedCatalog]
) -> DatedCatalog | tuple[Problem, ...]:
    file = file_of(action.id)
    if action.patch is None:
        tree = (action.catalog or {}) | {"effective_at": action.at.isoformat()}
        made = read_catalog(tree, file=file)
    elif before:
        made = patched_catalog(before[-1].catalog, action.patch, at=action.at, file=file)
    else:
        what = f"no catalog version is in force at {action.at:%Y-%m-%dT%H:%M:%SZ} to be patched"
        return (Problem("CATALOG-34", file, "patch", what, "publish a whole version first"),)
    if isinstance(made, tuple):
        return made
    return _dated(made, file=file, sha256=sha256_of_text(made))


def _dated(catalog: Catalog, *, file: str, sha256: str) -> DatedCatalog | tuple[Problem, ...]:
    name = catalog.policies.billing_time_zone
    billing_zone = zone(name)
    problems = tuple(_unknown_to_the_world(catalog, file))
    if billing_zone is None:
        hint = nearest(name, sorted(zoneinfo.available_timezones()))
        what = f"there is no time zone {name!r}"
        path = "policies.billing_time_zone"
        return (Problem("CATALOG-31", file, path, what, hint), *problems)
    at = effective_instant(catalog, billing_zone)
    return problems or DatedCatalog(sha256, file, at, catalog)


def _unknown_to_the_world(catalog: Catalog, file: str) -> Iterator[Problem]:
    for path, code in _currency_codes(catalog):
        if code not in currencies():
            what = f"there is no currency {code!r} with a minor unit"
            yield Problem("CATALOG-32", file, path, what, nearest(code, sorted(currencies())))
    countries = Locale("en").territories
    places = [("seller.country", catalog.seller.country)]
    places += [(f"tax.{n}.country", row.country) for n, row in enumerate(catalog.tax)]
    for path, code in places:
        if code not in countries:
            what = f"there is no country {code!r}"
            yield Problem("CATALOG-33", file, path, what, "write its ISO 3166 code, as NL")


def _currency_codes(catalog: Catalog) -> Iterator[tuple[str, str]]:
    yield "currency", catalog.currency
    for place, rate in enumerate(catalog.exchange_rates):
        yield f"exchange_rates.{place}.from", rate.from_
        yield f"exchange_rates.{place}.to", rate.to
    for code, plan in catalog.plans.items():
        for interval, price in plan.prices.items():
            for currency in price.currencies:
                yield f"plans.{code}.prices.{interval}.currencies.{currency}", currency


def _same_instant(versions: Sequence[DatedCatalog]) -> Iterator[Problem]:
    for before, after in pairwise(versions):
        if before.effective_at == after.effective_at:
            what = f"{before.file} comes into force at the same instant, {after.effective_at}"
            mend = "give each version an instant of its own"
            yield Problem("CATALOG-22", after.file, "effective_at", what, mend)


def _changed(versions: Sequence[DatedCatalog]) -> tuple[Problem, ...]:
    return tuple(
        problem
        for before, after in pairwise(versions)
        for problem in version_problems(before.catalog, after.catalog, file=after.file)
    )


@dataclass(frozen=True, slots=True)
class Validation:
    """What `fairbill validate` says: problems must be mended, warnings should be known."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def validate(root: DataRoot) -> Validation:
    """Everything that is wrong with a data root's catalog, landed actions and mappings. CAT-1.

    Nothing is registered or written.
    """
    loaded = load_catalogs(root)
    log = read_actions(root, landed_action_files(root))
    published = [
        landed.action for landed in log.actions if isinstance(landed.action, PublishCatalog)
    ]
    versions = with_published(loaded.versions, published)
    problems = (
        *loaded.problems,
        *versions.problems,
        *_not_in_genai_prices(versions.versions),
        *_wrong_mappings(root),
        *set_aside_problems(log),
        *misplaced_files(root),
    )
    return Validation(problems, catalog_warnings(versions.versions))


def _wrong_mappings(root: DataRoot) -> Iterator[Problem]:
    for path in sorted(root.mappings.glob("*.yaml")):
        mapping = read_mapping(path, file=str(path.relative_to(root.root)))
        if isinstance(mapping, tuple):
            yield from mapping


def _not_in_genai_prices(versions: Iterable[DatedCatalog]) -> Iterator[Problem]:
    for version in versions:
        for code, prices in version.catalog.ai_models.items():
            provider, _, model = code.partition("/")
            if prices == GENAI_PRICES and not _is_priced(provider, model):
                what = f"genai-prices has no model {code!r}"
                mend = "write its prices per million tokens: {input: 3.00, output: 15.00}"
                yield Problem("CATALOG-35", version.file, f"ai_models.{code}", what, mend)


def _is_priced(provider: str, model: str) -> bool:
    try:
        calc_price(Usage(input_tokens=1, output_tokens=1), model, provider_id=provider)
    except LookupError:
        return False
    return True
