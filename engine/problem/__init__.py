"""The problem of a run: its data, network and loss, and the weight vectors of models."""
