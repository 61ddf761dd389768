"""Executors that outlive their Dask worker: they live in a process beside it, which the worker's replacement takes over."""
