from __future__ import annotations

import numpy as np
import pytest

from streamflow import Field, Memory


@pytest.mark.parametrize(
    ("default", "dtype"), [(0.0, np.float64), (0, np.int64), (False, np.bool_), (1.5, np.float64)]
)
def test_a_plain_default_tells_its_type(default: float, dtype: type) -> None:
    (field,) = Memory({"x": default}).fields.values()
    assert field.make(2).dtype == dtype
    assert field.make(2).tolist() == [default, default]


def test_a_field_makes_rows_of_its_shape_and_default() -> None:
    made = Field(np.float32, np.nan, (2, 3)).make(4)
    assert (made.shape, made.dtype) == ((4, 2, 3), np.float32)
    assert np.isnan(made).all()
    assert not Field(np.int8, shape=(2,)).make(3).any()


def test_bytes_per_device_count_all_fields() -> None:
    memory = Memory({"mean": 0.0, "ring": Field(np.float32, shape=(10,)), "on": False})
    assert memory.bytes_per_device == 8 + 40 + 1
    assert Memory().bytes_per_device == 0


def test_rows_of_whole_cache_lines_begin_on_one() -> None:
    for spec in (Field(np.uint8, 0, (640,)), Field(np.float64, 0, (4, 2))):
        for rows in (1, 3, 1000):
            made = spec.make(rows)
            assert (made.shape, made.dtype, made.any()) == ((rows, *spec.shape), spec.dtype, False)
            assert made.ctypes.data % 64 == 0
            assert made.flags.c_contiguous
            assert made.flags.writeable
