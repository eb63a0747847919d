"""What a run is asked to do: a preset's keys, read, validated and written back. No torch here."""
