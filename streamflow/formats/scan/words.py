"""Loads from a buffer of bytes: one, or eight at once, at any place, unchecked.

Numba's own indexing allows for negative indices, which costs as much as what a scan does with a
byte. A buffer ends with `PADDING`, so that what is loaded at its last byte is still its own.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

PADDING = bytes(16)
WORKS = sys.byteorder == "little" and not getattr(config, "DISABLE_JIT", False)
"""Whether a scan can run here: it is compiled, and takes the first byte of a word as its lowest."""


def _load(bits: int, kind: Any) -> Any:
    @intrinsic
    def load(typing_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            place = builder.bitcast(place, ir.IntType(bits).as_pointer())
            return builder.load(place, align=1)

        return kind(data, types.intp), generate

    return load


byte = _load(8, types.uint8)
"""`byte(data, at)`: uint8."""
word = _load(64, types.uint64)
"""`word(data, at)`: the eight bytes from there on, the first of them lowest."""


@intrinsic
def _lowest(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


lowest: Any = _lowest
"""`lowest(bits)`: the number of the lowest bit that is set; there is one."""


@intrinsic
def _swapped(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), generate


swapped: Any = _swapped
"""`swapped(bits)`: the same eight bytes, the lowest of them highest."""


def _real(bits: int, form: Any, kind: Any) -> Any:
    @intrinsic
    def real(typing_context: Any, bits_of: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            whole = ir.IntType(bits)
            low = arguments[0] if bits == 64 else builder.trunc(arguments[0], whole)
            return builder.bitcast(low, form)

        return kind(types.uint64), generate

    return real


single = _real(32, ir.FloatType(), types.float32)
"""`single(bits)`: the float32 of the lower four bytes."""
double = _real(64, ir.DoubleType(), types.float64)
"""`double(bits)`: the float64 of these bytes."""
