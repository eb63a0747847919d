"""Runs the cells of sweeps on a Dask cluster, one coarse task a cell."""
