"""The steps of training: rows, optimizers, tethers, mini-batches, and when a row ends."""
