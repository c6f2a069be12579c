"""Collects the cases of all systems, and of the latency, into a report."""

from __future__ import annotations

from benchmarks.connectors import kafka, latency, mqtt
from benchmarks.frame import Report
from benchmarks.machine import describe

SYSTEMS = (kafka, mqtt, latency)


def run(size: str, repeats: int) -> Report:
    """Compare both sides on each system.

    Parameters
    ----------
    size
        "small" or "full".
    repeats
        Runs of each side.

    Raises
    ------
    BenchmarkError
        If a server is missing, or if the two sides do not get the same columns.
    """
    cases, about = [], []
    for system in SYSTEMS:
        found, said = system.run(size, repeats)
        cases += found
        about.append(said)
    return Report("connectors", size, describe(), tuple(cases), "; ".join(about) + ".")
