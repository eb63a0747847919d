"""The keys of a preset: reads, checks and writes what a run is asked to do. No torch here."""
