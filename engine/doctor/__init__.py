"""Checks of this machine: does everything that dss-tui computes with do what it should here?

`surroundings` lists the checks of software, folders and data, and `checks` those of devices and
arithmetic. The latter run in a process of their own (`__main__`), which `process` starts, since a
broken driver may end a process. Nothing that the face imports of this package imports torch.
"""
