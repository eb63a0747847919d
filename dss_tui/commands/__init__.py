"""The commands of the command line. Each command's function returns the exit status."""
