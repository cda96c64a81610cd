"""The two innermost loops of every product, a few rows by a few rows at a time, in vectors of the processor.

LLVM vectorises a plain loop over one row well. Of several rows it would first have to prove that no two of them overlap,
and it keeps fewer of them in registers. So these loops are written in LLVM's own instructions, by Python loops that
repeat them for each row of a tile; Numba compiles them into the functions that call them.

Arrays are [rows, columns], contiguous along the columns, float32 or float64. The last columns, where they do not fill a
vector, are read and written under a mask.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

_features = config.CPU_FEATURES  # where the user sets $NUMBA_CPU_FEATURES, or another processor
if _features is None:
    _features = llvm.get_host_cpu_features().flatten()
WIDE = "+avx512f" in _features
BYTES = 64 if WIDE else 32  # of a vector; LLVM splits it where registers are smaller
_I32 = ir.IntType(32)


class _Rows:
    """Consecutive rows of an array, from which vectors are read and to which they are written."""

    def __init__(self, context: Any, builder: Any, kind: types.Array, array: Any, row: Any) -> None:
        view = context.make_array(kind)(context, builder, array)
        self.builder, self.bytes = builder, kind.dtype.bitwidth // 8
        self.stride = builder.extract_value(view.strides, 0)
        self.start = cgutils.pointer_add(builder, view.data, builder.mul(row, self.stride))
        self.number = context.get_value_type(kind.dtype)
        self.vector = ir.VectorType(self.number, BYTES // self.bytes)
        self.columns = builder.extract_value(view.shape, 1)

    def _pointer(self, row: int, column: Any) -> Any:
        count = ir.Constant(column.type, row)
        offset = self.builder.add(
            self.builder.mul(count, self.stride),
            self.builder.mul(column, ir.Constant(column.type, self.bytes)),
        )
        return cgutils.pointer_add(self.builder, self.start, offset, self.vector.as_pointer())

    def load(self, row: int, column: Any, mask: Any) -> Any:
        """A vector; its lanes that the mask leaves out are zeros."""
        pointer = self._pointer(row, column)
        if mask is None:
            return self.builder.load(pointer, align=self.bytes)
        zeros = ir.Constant(self.vector, [0.0] * self.vector.count)
        align = ir.Constant(_I32, self.bytes)
        return self._masked("load", self.vector, [pointer, align, mask, zeros])

    def store(self, row: int, column: Any, mask: Any, value: Any) -> None:
        """Write those lanes that are not masked."""
        pointer = self._pointer(row, column)
        if mask is None:
            self.builder.store(value, pointer, align=self.bytes)
        else:
            align = ir.Constant(_I32, self.bytes)
            self._masked("store", ir.VoidType(), [value, pointer, align, mask])

    def _masked(self, operation: str, result: Any, arguments: list[Any]) -> Any:
        name = f"llvm.masked.{operation}.v{self.vector.count}f{8 * self.bytes}.p0"
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def for_each_vector(self, body: Callable[[Any, Any], None]) -> None:
        """Emit `body(column, mask)` for all whole vectors of a row in a loop, and for the rest of it."""
        builder, columns, count = self.builder, self.columns, self.vector.count
        lanes = ir.Constant(columns.type, count)
        rest = builder.srem(columns, lanes)
        whole = builder.sub(columns, rest)
        with cgutils.for_range_slice(builder, ir.Constant(columns.type, 0), whole, lanes) as (column, _):
            body(column, None)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(columns.type, 0)), likely=False):
            numbers = ir.Constant(ir.VectorType(columns.type, count), list(range(count)))
            body(whole, builder.icmp_signed("<", numbers, splat(builder, rest, count)))


def splat(builder: Any, number: Any, count: int) -> Any:
    """A vector with a number in every lane."""
    undefined = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, count), [0] * count))


def add_product(builder: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a · b, rounded once where the processor can."""
    return builder.fadd(total, builder.fmul(a, b, flags=["contract"]), flags=["contract"])


def sums_of_lanes(builder: Any, vectors: list[Any]) -> list[Any]:
    """The sum of the lanes of each of four vectors."""

    def pick(one: Any, other: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_I32, len(order)), order))

    def add_pairs(one: Any, other: Any, low: list[int], high: list[int]) -> Any:
        """In every group of four lanes; 10 + k means lane k of `other`."""
        count = one.type.count
        groups = range(0, count, 4)
        low, high = ([g + k % 10 + k // 10 * count for g in groups for k in order] for order in (low, high))
        return builder.fadd(pick(one, other, low), pick(one, other, high))

    a, b, c, d = vectors
    ab, cd = (add_pairs(one, other, [0, 10, 1, 11], [2, 12, 3, 13]) for one, other in ((a, b), (c, d)))
    four = add_pairs(ab, cd, [0, 1, 10, 11], [2, 3, 12, 13])
    while (half := four.type.count // 2) >= 4:
        low, high = list(range(half)), list(range(half, 2 * half))
        four = builder.fadd(pick(four, four, low), pick(four, four, high))
    return [builder.extract_element(four, ir.Constant(_I32, k)) for k in range(4)]


def dots(height: int, width: int) -> Any:
    """A function (matrix, o, rows, t) → the products matrix[o + k] · rows[t + j], those of j = 0 first.

    Args:
        height: for how many k, a multiple of four.
        width: for how many j.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, matrix: Any, o: Any, rows: Any, t: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            a = _Rows(context, builder, matrix, *arguments[:2])
            x = _Rows(context, builder, rows, *arguments[2:])
            zeros = ir.Constant(a.vector, [0.0] * a.vector.count)
            totals = [
                [cgutils.alloca_once_value(builder, zeros) for _ in range(height)] for _ in range(width)
            ]

            def step(column: Any, mask: Any) -> None:
                others = [x.load(j, column, mask) for j in range(width)]
                for k in range(height):
                    row = a.load(k, column, mask)
                    for j in range(width):
                        total = builder.load(totals[j][k])
                        builder.store(add_product(builder, total, row, others[j]), totals[j][k])

            a.for_each_vector(step)
            numbers = [
                number
                for j in range(width)
                for k in range(0, height, 4)
                for number in sums_of_lanes(builder, [builder.load(total) for total in totals[j][k : k + 4]])
            ]
            return context.make_tuple(builder, signature.return_type, numbers)

        result = types.UniTuple(matrix.dtype, height * width)
        return result(matrix, types.intp, rows, types.intp), generate

    return tile


def add_multiples(height: int, width: int) -> Any:
    """A function (out, r, factors, f, g, rows, q): out[r + k] += Σ_j factors[f + k, g + j] · rows[q + j].

    Args:
        height: for how many k.
        width: for how many j.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, out: Any, r: Any, factors: Any, f: Any, g: Any, rows: Any, q: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            sums = _Rows(context, builder, out, *arguments[:2])
            x = _Rows(context, builder, rows, *arguments[5:])
            view = context.make_array(factors)(context, builder, arguments[2])
            by_row, by_column = (builder.extract_value(view.strides, axis) for axis in (0, 1))
            start = builder.add(builder.mul(arguments[3], by_row), builder.mul(arguments[4], by_column))

            def factor(k: int, j: int) -> Any:
                down = builder.mul(ir.Constant(by_row.type, k), by_row)
                offset = builder.add(
                    builder.add(start, down), builder.mul(ir.Constant(by_row.type, j), by_column)
                )
                pointer = cgutils.pointer_add(builder, view.data, offset, sums.number.as_pointer())
                return splat(builder, builder.load(pointer), sums.vector.count)

            vectors = [[factor(k, j) for j in range(width)] for k in range(height)]

            def step(column: Any, mask: Any) -> None:
                others = [x.load(j, column, mask) for j in range(width)]
                for k in range(height):
                    total = sums.load(k, column, mask)
                    for j in range(width):
                        total = add_product(builder, total, others[j], vectors[k][j])
                    sums.store(k, column, mask, total)

            sums.for_each_vector(step)
            return context.get_dummy_value()

        whole = types.intp
        return types.none(out, whole, factors, whole, whole, rows, whole), generate

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing: Any, address: Any) -> Any:
    """A number as an address, for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def keep_apart(typing: Any) -> Any:
    """Forbid LLVM to copy the function that calls this into its callers: it compiles several times faster so."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), generate
