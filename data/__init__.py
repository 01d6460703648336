"""The example catalog, and the data root of a first run."""
