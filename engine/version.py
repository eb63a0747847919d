"""The version of the distribution. It stands here and nowhere else."""

__version__ = "0.1.0"
