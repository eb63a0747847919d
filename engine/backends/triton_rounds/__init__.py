"""Whole rounds of small fully connected networks on a GPU, in one launch (Triton)."""
