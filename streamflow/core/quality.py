"""Quality: flags of one value. A sensor without flags is good throughout."""

from __future__ import annotations

from enum import IntFlag


class Quality(IntFlag):
    """What is known against a value; 0 is good. Stored as uint16 per sensor and reading."""

    INVALID = 1
    """The message held something that is not a number."""
    NOT_FINITE = 2
    """Infinite."""
    OUT_OF_RANGE = 4
    """Below `low` or above `high`."""
    IMPUTED = 8
    """Not measured: filled in by a stage."""
    TOO_FAST = 16
    """Changed faster than what it measures can."""
    STUCK = 32
    """The same value for too long."""
    SATURATED = 64
    """At the end of what the sensor can show."""
    COARSE = 128
    """In steps much larger than the sensor's own."""
    SPIKE = 256
    """Far from the values around it, which agree."""
    RESAMPLED = 512
    """Not measured at this time: put onto a grid from the values around it."""


def flag_named(name: str) -> Quality:
    """The flag for its name in lower case.

    >>> flag_named("imputed")
    <Quality.IMPUTED: 8>
    """
    return Quality[name.upper()]


def flag_names(flags: int) -> list[str]:
    """The names of the flags that are set, in lower case.

    >>> flag_names(12)
    ['out_of_range', 'imputed']
    """
    return [str(flag.name).lower() for flag in Quality if flag & flags]
