"""Does the tasks of many runs on a Dask cluster: searches, and the training of their ends."""
