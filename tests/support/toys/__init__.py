"""A data set and a network that do not come with the engine, each added in one file."""
