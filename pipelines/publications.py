"""Catalog files in the action log: each version is published once, by the hash of its file.

A file is content, its `publish_catalog` action is its coming into force. A version that a
posted invoice used is frozen; one that came after what it would have changed is late.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby, pairwise
from pathlib import Path

from billing_core.actions import Outcome, PublishCatalog, ReasonCode
from billing_core.archiving import Archiving
from billing_core.catalog_checks import text_of
from billing_core.errors import BillingError, Problem
from billing_core.schema import utc_instant
from pipelines.action_log import LandedAction
from pipelines.books import Books, Manifest, PostedInvoice
from pipelines.catalogs import SUFFIXES, DatedCatalog, catalog_files, is_of_file
from pipelines.datasets import replaced, sha256_of
from pipelines.paths import DataRoot

_FOREVER = datetime.max.replace(tzinfo=UTC)


class CatalogChanged(BillingError):
    """A catalog version that a posted invoice used was edited or removed. Rule CAT-1."""

    code = "CATALOG-61"

    def __init__(self, used: "UsedVersion") -> None:
        super().__init__(
            what=f"catalog_changed: the posting that begins with {used.number} used this "
            f"version, and its file is no longer what it was (sha256 {used.sha256})",
            where=used.file,
            mend="put the file back as it was, and make the change in a new version with an "
            "effective_at of its own; nobody is billed until then",
        )
        self.used = used


class CatalogNotDrafted(BillingError):
    """The catalog was edited after the drafts were made: they are not what it says. PST-2."""

    code = "POST-05"

    def __init__(self, file: str) -> None:
        super().__init__(
            what="the catalog is not the one that the drafts were made with",
            where=file,
            mend="run `fairbill run --through DATE`, look at the drafts, then post",
        )


@dataclass(frozen=True, slots=True)
class UsedVersion:
    """A catalog file that a posting used: path and hash from its manifest, its first number."""

    file: str
    sha256: str
    number: str


def publish_files(
    root: DataRoot, versions: Iterable[DatedCatalog], *, through: date
) -> tuple[Path, ...]:
    """Land an action for each version of a file that has none yet. Rule CAT-1.

    takes:   through, the day under which new ones land. The writer's lock is held.
    returns: the action files that were written now, in order of effective_at.
    """
    written = []
    for version in versions:
        if _publication(root, version.sha256) is None:
            path = root.actions_landing / f"day={through}" / f"catalog-{version.sha256}.jsonl"
            with replaced(path) as temporary:
                temporary.write_text(_row(version), encoding="utf-8")
            written.append(path)
    return tuple(written)


def raise_if_changed(root: DataRoot, books: Books, versions: Sequence[DatedCatalog]) -> None:
    """raises: CatalogChanged, for the first version that was used and is no longer there."""
    now = {version.sha256 for version in versions}
    for manifest, invoices in _postings(books):
        for used in _used(root, manifest, invoices):
            if used.sha256 not in now and not _is_late(root, books, used.sha256):
                raise CatalogChanged(used)


def late_versions(books: Books, versions: Iterable[DatedCatalog]) -> tuple[Problem, ...]:
    """The files that would change what was posted without them; none of them is in force.

    rule: CAT-1, ACT-4.
    """
    return tuple(
        Problem(
            "CATALOG-62",
            version.file,
            "effective_at",
            f"late_action: this version would be in force from {version.effective_at:%Y-%m-%d}, "
            f"and {passed.number} was posted without it; it is not taken",
            "give it an effective_at after what is posted",
        )
        for version in versions
        if (passed := _passed_over(books, version.sha256, version.effective_at)) is not None
    )


def archiving_versions(refused: Mapping[str, Archiving]) -> tuple[Problem, ...]:
    """What is said of versions that leave out an add-on that somebody has. Rule ADD-5."""
    return tuple(
        Problem(
            "CATALOG-64",
            file,
            f"addons.{found.addon}",
            str(found),
            "add a further version that keeps the add-on; or deactivate it for all who have it, "
            "and add a further version without it after that",
        )
        for file, found in sorted(refused.items())
    )


def raise_if_not_drafted(root: DataRoot, outcomes: Iterable[Outcome]) -> None:
    """raises: CatalogNotDrafted, where catalog/ is not what the outcomes of a run tell of."""
    told = {it.action_id: it.reason for it in outcomes if it.customer_id is None}
    now = {sha256_of(path): path.relative_to(root.root).as_posix() for path in catalog_files(root)}
    for sha256, file in now.items():
        is_replaced = told.get(sha256) is ReasonCode.CATALOG_CHANGED
        if is_replaced or _publication(root, sha256) is None:
            raise CatalogNotDrafted(file)
    for name, reason in told.items():
        if reason is None and name not in now and (path := _publication(root, name)):
            raise CatalogNotDrafted(path.relative_to(root.root).as_posix())


def replaced_texts(
    actions: Iterable[LandedAction], versions: Iterable[DatedCatalog]
) -> tuple[Problem, ...]:
    """What is said of published texts that are no longer there, and that nothing used. CAT-1."""
    now = {version.sha256 for version in versions}
    return tuple(
        Problem(
            "CATALOG-63",
            one.file,
            "id",
            f"the version published for {one.action.at:%Y-%m-%d} as {one.action.id[:12]} was "
            "edited or removed; no posted invoice used it, and what is in catalog/ now is taken",
            "put the file back as it was, if that was not meant",
        )
        for one in actions
        if isinstance(one.action, PublishCatalog)
        and is_of_file(one.action)
        and one.action.id not in now
    )


def _row(version: DatedCatalog) -> str:
    """The action; it is received when it takes effect, so that any cadence writes the same."""
    at = version.effective_at.isoformat()
    row = {
        "id": version.sha256,
        "at": at,
        "received_at": at,
        "actor": "founder",
        "do": "publish_catalog",
        "catalog": {**text_of(version.catalog), "effective_at": at},
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _publication(root: DataRoot, sha256: str) -> Path | None:
    return next(root.actions_landing.glob(f"day=*/catalog-{sha256}.jsonl"), None)


def _effective_at(root: DataRoot, sha256: str) -> datetime | None:
    path = _publication(root, sha256)
    return None if path is None else utc_instant(json.loads(path.read_bytes())["at"])


def _postings(books: Books) -> list[tuple[Manifest, list[PostedInvoice]]]:
    by_posting = groupby(books.invoices, key=lambda posted: posted.posting)
    return [(books.postings[number - 1], list(invoices)) for number, invoices in by_posting]


def _used(
    root: DataRoot, manifest: Manifest, invoices: Sequence[PostedInvoice]
) -> list[UsedVersion]:
    """The versions in force at some instant from the first window to the last invoice made.

    One whose publication is not there any more counts as used.
    """
    last = max(posted.invoice.made_at for posted in invoices)
    first = min(
        posted.invoice.made_at if posted.invoice.window is None else posted.invoice.window.start_at
        for posted in invoices
    )
    files = [
        (_effective_at(root, sha256) or first, file, sha256)
        for file, sha256 in manifest.inputs.files.items()
        if file.startswith("catalog/") and file.endswith(SUFFIXES)
    ]
    ends = [(_FOREVER, "", "")]
    return [
        UsedVersion(file, sha256, manifest.first_number)
        for (at, file, sha256), (end, _, _) in pairwise([*sorted(files), *ends])
        if at <= last and end > first
    ]


def _is_late(root: DataRoot, books: Books, sha256: str) -> bool:
    at = _effective_at(root, sha256)
    return at is not None and _passed_over(books, sha256, at) is not None


def _passed_over(books: Books, sha256: str, at: datetime) -> PostedInvoice | None:
    """The first invoice made at an instant or after it, and posted without the version."""
    for manifest, invoices in _postings(books):
        if sha256 not in manifest.inputs.files.values():
            for posted in invoices:
                if posted.invoice.made_at >= at:
                    return posted
    return None
