"""Units: whether two levels of a sensor are one level in two units."""

from __future__ import annotations

from collections.abc import Mapping

CONVERSIONS: Mapping[str, tuple[float, float]] = {
    "degC to degF": (1.8, 32.0),
    "degF to degC": (1 / 1.8, -32 / 1.8),
    "degC to K": (1.0, 273.15),
    "K to degC": (1.0, -273.15),
    "bar to psi": (14.5038, 0.0),
    "psi to bar": (1 / 14.5038, 0.0),
    "bar to kPa": (100.0, 0.0),
    "kPa to bar": (0.01, 0.0),
    "a unit to its thousandth": (1000.0, 0.0),
    "a unit to its thousandfold": (0.001, 0.0),
}
"""Name -> factor and offset: what the one shows, the other shows as factor * x + offset."""
_NEAR = 0.04


def conversion(a: float, b: float, noise: float) -> str:
    """The conversion that makes `b` of `a`, within 4 % of the step; empty if none does.

    A step that is no larger than the sensor's own noise says nothing.

    >>> conversion(20.0, 68.2, 0.5), conversion(20.0, 30.0, 0.5)
    ('degC to degF', '')
    """
    step = abs(b - a)
    if step <= 5 * noise or not step:
        return ""
    fits = {name: abs(m * a + c - b) for name, (m, c) in CONVERSIONS.items()}
    name = min(fits, key=fits.__getitem__)
    return name if fits[name] < min(_NEAR * step, 3 * noise + 1e-9 * step + 0.01 * step) else ""
