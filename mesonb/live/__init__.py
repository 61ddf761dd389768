"""Live: the same core on real Dask workers. The only package that knows Dask; ``mesonb.Master`` is its door."""
