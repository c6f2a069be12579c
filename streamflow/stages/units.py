"""Units of measure: what turns a value in one unit into another, looked up once."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from streamflow.errors import FlowError


class Affine(NamedTuple):
    """(value + before) * scale + after; one of the two is 0, for temperatures one is not."""

    before: float
    scale: float
    after: float


SAME = Affine(0.0, 1.0, 0.0)


def conversion(place: str, sensor: str, unit: str, declared: str) -> Affine:
    """From `unit` to the sensor's declared one, each number exact or rounded once.

    >>> conversion("here", "t", "degF", "degC")
    Affine(before=-32.0, scale=0.5555555555555556, after=0.0)

    Raises
    ------
    FlowError
        For a unit that is none, and units of different kinds.
    """
    if not declared:
        raise FlowError(
            f'{place}: {sensor!r} declares no unit to convert into; give it one: Sensor("{unit}")'
        )
    try:
        import pint
    except ImportError:
        raise FlowError(
            f"{place}: units need pint, which is not there: pip install 'streamflow-iot[units]'"
        ) from None
    for name in (unit, declared):
        try:
            _registry().Unit(name)
        except (pint.PintError, AssertionError, AttributeError, TypeError, ValueError, SyntaxError):
            raise FlowError(
                f"{place}: {sensor!r}: {name!r} is no unit; write it like degC, bar, m/s"
            ) from None
    try:
        zero, one, two = (
            _registry().Quantity(Fraction(x), unit).to(declared).magnitude for x in range(3)
        )
    except (pint.PintError, TypeError):
        raise FlowError(
            f"{place}: {sensor!r} cannot be converted from {unit!r} into {declared!r}, "
            f"a unit of another kind"
        ) from None
    if two - one != one - zero:
        raise FlowError(f"{place}: {sensor!r}: {unit!r} is not proportional to {declared!r}")
    scale = one - zero
    before = zero / scale
    # Where one of the two is a round number, the limits of a range stay what they are.
    if Fraction(float(before)) == before:
        return Affine(float(before), float(scale), 0.0)
    return Affine(0.0, float(scale), float(zero))


@cache
def _registry() -> Any:
    # Takes a tenth of a second to make. Fractions, so that a conversion is exact until its end.
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)
