"""Cleaning stages beside the per-reading loop one would write, and a copy of the columns."""
