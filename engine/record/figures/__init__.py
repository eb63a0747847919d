"""The numbers that figures show, as CSV files that say all that is drawn. No torch here."""
