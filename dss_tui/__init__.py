"""The command line and the screens of dss-tui. All mathematics is in the engine."""
