"""Threads that compute: one for each device or core, shared by many searches."""
