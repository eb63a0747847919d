"""A session of a run: the search loop, the run's folder, verification and sweeps."""
