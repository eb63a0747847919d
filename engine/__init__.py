"""The search engine: data, networks, training, segments, methods, one loop.

It knows no screen. What leaves it are events (`engine.record.events`) and the files of a
run directory (`engine.record.rundir`).
"""

__version__ = "0.1.0"
