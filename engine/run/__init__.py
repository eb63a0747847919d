"""The sessions of runs: the search loop, checkpoints, verification and sweeps."""
