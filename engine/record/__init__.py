"""The files of a run, written and read: events, progress, strings. No torch here."""
