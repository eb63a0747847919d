"""Several methods between the same ends: trained once, searched by each, measured by one code."""
