"""The ways to compute losses and gradients of many weight vectors, behind one protocol.

`backend` is the protocol. `torch_backend` is the base of the backends that compute with torch:
`in_place` takes one model after another, `vmapped` many in one call, and `cuda_graphs` replays such
calls on a GPU. `fused` is compiled code for fully connected networks on the CPU, `triton_rounds`
takes whole rounds of theirs in one launch on a GPU. `rounds` takes training steps with any backend.
`engine.run.choosing` is the one place that chooses.
"""
