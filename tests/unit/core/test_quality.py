from __future__ import annotations

import numpy as np

from streamflow import Quality
from streamflow.core.quality import flag_named, flag_names


def test_each_flag_is_one_bit_that_uint16_can_hold() -> None:
    bits = [int(flag) for flag in Quality]
    assert all(bit.bit_count() == 1 and bit <= np.iinfo(np.uint16).max for bit in bits)
    assert len(set(bits)) == len(bits)


def test_bits_never_change_for_snapshots_hold_them() -> None:
    order = (
        "INVALID NOT_FINITE OUT_OF_RANGE IMPUTED TOO_FAST STUCK SATURATED COARSE SPIKE RESAMPLED"
    )
    assert [int(Quality[name]) for name in order.split()] == [1 << bit for bit in range(10)]


def test_names_and_flags_are_each_others_inverse() -> None:
    for flag in Quality:
        (name,) = flag_names(flag)
        assert flag_named(name) is flag
    assert flag_names(0) == []
