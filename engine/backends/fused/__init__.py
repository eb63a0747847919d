"""Compiled code for fully connected networks on the CPU."""
