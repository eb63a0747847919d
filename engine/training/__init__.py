"""Weight vectors trained many at a time, one by one or as whole strings."""
