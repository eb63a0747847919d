"""The GPUs of this machine as the driver tells of them. Importing this package imports no torch."""
