"""Benchmarks of presets on this machine, against plain loops and the machine's own limits.

`suite` measures every preset in a process of its own (`__main__`). `measures` holds the results.
Neither `suite` nor `measures` imports torch.
"""
