"""Whole rounds as GPU kernels. This package needs Triton.

`calls` holds the kernels that Python launches, and is the place to begin reading. Each program of a
launch is one block of threads, and takes one bead through its round: it goes through the samples by
`passes` (`layers`), takes steps (`optimizers`), and `judging` ends the round. A network's sizes are
constants of a kernel, so each network is compiled for itself when it is first used.
"""
