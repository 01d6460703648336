"""Data roots with landed usage, for tests: events as rows, files of them, one call to meter."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from billing_core.usage import WindowKey
from pipelines.ai_prices import AiPrice, prices_of_versions
from pipelines.landed_rows import CANONICAL
from pipelines.landing import register_new_files
from pipelines.metering import Metered, meter_days
from pipelines.metering_spec import MeteringSpec
from pipelines.paths import DataRoot
from pipelines.snapshots import Snapshots, take_snapshots
from pipelines.usage_frames import FeatureDefinition, KnownCustomer, PlanFeature, WindowRequest

TYPES = {**CANONICAL, "properties": pa.string()}

PRICES: tuple[AiPrice, ...] = prices_of_versions(
    [
        (
            datetime(2020, 1, 1, tzinfo=UTC),
            {
                "a/x": {
                    "input": Decimal(3),
                    "output": Decimal(15),
                    "cache_read": Decimal("0.30"),
                    "cache_write": Decimal("3.75"),
                },
                "a/twice": {"input": Decimal(1), "output": Decimal(1)},
                "b/twice": {"input": Decimal(2), "output": Decimal(2)},
            },
        )
    ]
)

FEATURES = (
    FeatureDefinition("calls"),
    FeatureDefinition("mails", "count"),
    FeatureDefinition("peak", "max"),
    FeatureDefinition("last", "latest"),
    FeatureDefinition("visitors", "unique_count", property="visitor"),
    FeatureDefinition("renders", "sum", dimensions=("region",)),
    FeatureDefinition("storage", "level"),
    FeatureDefinition("chat"),
)
SPEC = MeteringSpec(features=FEATURES, prices=PRICES)
PLAN = tuple(PlanFeature(feature.code, feature.code == "chat") for feature in FEATURES)
ACME = KnownCustomer("acme", "acme", date(2020, 1, 1))


def at(text: str) -> datetime:
    """An instant in UTC: `04-16 09:30` of 2026."""
    moment = datetime.fromisoformat(f"2026-{text}")
    return moment.replace(tzinfo=UTC)


def day(text: str) -> date:
    """A day of 2026: `04-16`."""
    return date.fromisoformat(f"2026-{text}")


def event(event_id: str, when: str, **fields: Any) -> dict[str, Any]:
    """A usage event of acme's calls, unless it says otherwise."""
    row = {
        "event_id": event_id,
        "source": "app",
        "customer_id": "acme",
        "feature": "calls",
        "occurred_at": at(when),
        "value": Decimal(1),
    }
    return row | fields


def table(rows: Sequence[dict[str, Any]], **types: pa.DataType) -> pa.Table:
    """Events as canonical columns; `types` gives some columns another type."""
    kinds = TYPES | types
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()}
    )


def land(
    root: DataRoot, folder: str, rows: Sequence[dict[str, Any]], *, name: str = "a.parquet"
) -> Path:
    """Write events as a file of the folder of a day (`04-16`, or `04-16/SOURCE`)."""
    day_, _, source = folder.partition("/")
    path = root.usage_landing / f"day=2026-{day_}" / source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(rows), path)
    return path


def run(root: DataRoot, through: str, spec: MeteringSpec = SPEC) -> Metered:
    """Register and meter up to a day."""
    register_new_files(root, day(through))
    return meter_days(root, day(through), spec)


def window(start: str, end: str, *, cutoff: str = "05-01", customer: str = "acme") -> WindowRequest:
    """A window of a customer who has every feature."""
    return WindowRequest(WindowKey(customer, at(start), at(end), day(cutoff)), PLAN)


APRIL = window("04-01", "05-01")


def snapshots(
    root: DataRoot,
    *requests: WindowRequest,
    through: str = "05-01",
    customers: Iterable[KnownCustomer] = (ACME,),
    spec: MeteringSpec = SPEC,
) -> Snapshots:
    """Snapshots of windows, of April's where none is given."""
    return take_snapshots(
        root, requests or (APRIL,), customers=customers, spec=spec, through=day(through)
    )


def quantities(taken: Snapshots) -> dict[str, str]:
    """The quantity of each feature, over all windows in order."""
    rows = taken.snapshots.sort("start_at", "feature").iter_rows(named=True)
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["feature"], []).append(f"{row['quantity'].normalize():f}")
    return {feature: " ".join(numbers) for feature, numbers in sorted(found.items())}


def reasons(taken: Snapshots) -> dict[str, int]:
    """How many events are set aside for which reason."""
    counts: dict[str, int] = {}
    for part in (taken.set_aside, taken.rows_set_aside):
        for row in part.iter_rows(named=True):
            counts[row["reason"]] = counts.get(row["reason"], 0) + row["events"]
    return dict(sorted(counts.items()))


def tree(root: DataRoot, *datasets: str) -> dict[str, bytes]:
    """Every file of some datasets, by path: what must not change."""
    return {
        str(path.relative_to(root.warehouse)): path.read_bytes()
        for dataset in datasets
        for path in sorted(root.dataset(dataset).rglob("[0-9]*"))
    }
