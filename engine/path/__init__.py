"""The path between two models: its segments, what is known of them, and its audit."""
