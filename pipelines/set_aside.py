"""Actions that are not taken, as a dataset: file, row, reason, cure, beside those of usage."""

from collections.abc import Iterable

import polars as pl

from pipelines.action_log import SetAsideAction
from pipelines.datasets import PartitionFile, write_partition
from pipelines.frames import Schema, table
from pipelines.paths import DataRoot

ACTIONS_SET_ASIDE: Schema = {
    "landing_day": pl.Date,
    "path": pl.String,
    "row_number": pl.Int64,
    "reason": pl.String,
    "place": pl.String,
    "what": pl.String,
    "mend": pl.String,
}
"""One row an action, or a whole file (row null), by (landing_day, path, row_number, reason)."""


def write_set_aside_actions(root: DataRoot, actions: Iterable[SetAsideAction]) -> PartitionFile:
    """Replace the dataset by the actions that are set aside now. The writer's lock is held."""
    rows = sorted(
        (
            it.landing_day,
            it.file,
            it.row or 0,
            it.problem.code,
            it.problem.path,
            it.problem.what,
            it.problem.mend,
        )
        for it in actions
    )
    shown = [(day, path, row or None, *rest) for day, path, row, *rest in rows]
    return write_partition(root, "actions_set_aside", "all", table(shown, ACTIONS_SET_ASIDE))
