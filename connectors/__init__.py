"""Connectors of streamflow: sources and sinks, one file for each system."""
