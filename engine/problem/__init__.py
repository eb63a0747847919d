"""What is measured: data, a network and a loss, and the weight vectors it is measured at."""
