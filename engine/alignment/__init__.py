"""Brings the hidden units of one model into the order of another's, and keeps its function."""
