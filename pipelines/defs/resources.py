"""Where an asset reads and writes: the one resource, which holds the only path."""

from pathlib import Path

import dagster as dg

from pipelines.paths import DataRoot


class DataRootResource(dg.ConfigurableResource):  # type: ignore[type-arg] # holds no inner value
    """The folder of one installation; every path below it is named by `DataRoot`."""

    path: str

    @property
    def root(self) -> DataRoot:
        return DataRoot(Path(self.path))
