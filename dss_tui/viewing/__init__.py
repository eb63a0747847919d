"""What viewers share: a run followed by its folder and put into words. No screen library here."""
