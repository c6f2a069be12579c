"""Benchmarks: what streamflow costs beside the program a user would write without it."""
