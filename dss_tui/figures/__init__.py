"""Figures for publications, drawn by matplotlib from the sheets that the engine makes.

Nothing else in this project imports matplotlib, which the extra `figures` brings.
"""
