"""The parts that all viewers share: follow a run and put it into words. No screen library here."""
