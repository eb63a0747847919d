"""The ways to compute losses and gradients of many weight vectors, behind one protocol.

`backend` says what every way offers; `torch_backend` computes with torch, `in_place` for one model
after another, `vmapped` for many in one call, `cuda_graphs` the same replayed on a GPU; `fused` is
compiled code for small fully connected networks on the CPU. `rounds` takes training steps with any
of them. `engine.run.choose_backend` is the one place that chooses.
"""
