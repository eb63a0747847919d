"""Proofs that the objective stays at or below a bound on the whole of a segment, for every t.

Sampling says nothing of what lies between its points. Along a segment the weights are affine in t,
so over a cell [u, v] of t every number of the network can be enclosed by a simple model
(`chord`), step by step (`affine`, `convolution`, `piecewise_linear`, `sigmoid`, `pooling`;
`network` takes them in order), and with it the mean loss (`losses`). `cells` cuts a segment into
cells until each is enclosed below the bound, or one refutes it. The derivation of every step is in
docs/proof.md.
"""
