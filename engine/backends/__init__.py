"""The ways to compute losses and gradients of many weight vectors."""
