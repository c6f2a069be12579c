"""A prefetch instruction for kernels: asks for a cache line before it is needed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def _prefetch(typing_context: Any, array: Any, row: Any, column: Any) -> Any:  # noqa: ARG001
    """Ask for the line that holds `array[row, column]`; array is 2-d and C-contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, arguments[0])
        index = [
            context.cast(builder, a, t, types.intp)
            for a, t in zip(arguments[1:], signature.args[1:], strict=True)
        ]
        pointer = cgutils.get_item_pointer(
            context, builder, kind, struct, index, wraparound=False, boundscheck=False
        )
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        # For writing, to be kept in all caches, data.
        how = [number(1), number(3), number(1)]
        builder.call(function, [builder.bitcast(pointer, byte), *how])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


def _nothing(array: Any, row: Any, column: Any) -> None:
    """Where kernels run as plain Python."""


prefetch: Any = _nothing if getattr(config, "DISABLE_JIT", False) else _prefetch
