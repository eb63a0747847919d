"""Checks of this machine: does everything that dss-tui computes with do what it should here?

`checks` lists them. They run in a process of their own (`__main__`), which `process` starts, since
a broken driver may end a process. Neither `process` nor `findings` imports torch.
"""
