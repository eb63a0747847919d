"""The threads that compute, one for each device or core, which several searches may share."""
