"""The command line and the screens of dss-tui. No mathematics here: that is the engine's."""
