"""The hidden units of a module that may change places, found from what its forward computes."""
