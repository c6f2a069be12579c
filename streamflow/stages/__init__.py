"""Stages: one file each. Each obeys the laws in `streamflow.testing`."""
