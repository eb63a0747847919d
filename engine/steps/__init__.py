"""The steps that weights take: optimizers."""
