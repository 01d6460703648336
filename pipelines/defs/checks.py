"""What must hold of the staged files before they are published; each check stops publication."""

import dagster as dg

from pipelines import staged_checks
from pipelines.defs.resources import DataRootResource
from pipelines.warehouse import CheckResult


@dg.asset_check(asset="usage_daily", blocking=True)
def landed_rows(data_root: DataRootResource) -> dg.AssetCheckResult:
    """Each row of each landed file is counted, a duplicate, a conflict or set aside. USE-6."""
    return _result(staged_checks.landed_rows(data_root.root))


@dg.asset_check(asset="drafts", blocking=True)
def draft_totals(data_root: DataRootResource) -> dg.AssetCheckResult:
    """The lines of each drafted invoice add up to its subtotal, tax and total. INV-9."""
    return _result(staged_checks.draft_totals(data_root.root))


def _result(found: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.has_passed,
        description=f"{found.offending} {found.what}"
        + (f"; the first is {found.first}" if found.first else ""),
        metadata={"offending": found.offending},
    )
