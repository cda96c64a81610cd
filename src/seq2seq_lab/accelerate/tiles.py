"""The inner loops of the matrix products, for tiles of a few rows, with vector instructions.

LLVM vectorises a plain loop over one row well. For several rows it must first prove that they do not overlap, and it
keeps fewer of them in registers. So these loops are generated as LLVM instructions: Python loops emit them for each
row of a tile, and Numba compiles them into the functions that call them.

Arrays are [rows, columns], contiguous along the columns, float32 or float64. If the last columns do
not fill a vector, they are read and written with a mask.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

_features = config.CPU_FEATURES  # set if the user defines $NUMBA_CPU_FEATURES
if _features is None:
    _features = llvm.get_host_cpu_features().flatten()
WIDE = "+avx512f" in _features
BYTES = 64 if WIDE else 32  # size of a vector; LLVM splits it if registers are smaller
HEIGHT = 8  # rows of a matrix in a tile
MOST_PRODUCTS, MOST_STEPS = (
    (6, 4) if WIDE else (3, 3)
)  # positions in a tile, limited by the number of registers
_I32 = ir.IntType(32)


class _Rows:
    """Consecutive rows of an array, to read and write vectors."""

    def __init__(self, context: Any, builder: Any, kind: types.Array, array: Any, row: Any) -> None:
        view = context.make_array(kind)(context, builder, array)
        self.builder, self.bytes = builder, kind.dtype.bitwidth // 8
        self.stride = builder.extract_value(view.strides, 0)
        self.start = cgutils.pointer_add(builder, view.data, builder.mul(row, self.stride))
        self.number = context.get_value_type(kind.dtype)
        self.vector = ir.VectorType(self.number, BYTES // self.bytes)
        self.columns = builder.extract_value(view.shape, kind.ndim - 1)

    def _pointer(self, row: int, column: Any) -> Any:
        count = ir.Constant(column.type, row)
        offset = self.builder.add(
            self.builder.mul(count, self.stride),
            self.builder.mul(column, ir.Constant(column.type, self.bytes)),
        )
        return cgutils.pointer_add(self.builder, self.start, offset, self.vector.as_pointer())

    def load(self, row: int, column: Any, mask: Any, count: int = 0) -> Any:
        """Read a vector, or a shorter one with `count` lanes; lanes that are not in the mask are zero."""
        pointer = self._pointer(row, column)
        if count:
            pointer = self.builder.bitcast(pointer, ir.VectorType(self.number, count).as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.bytes)
        zeros = ir.Constant(self.vector, [0.0] * self.vector.count)
        align = ir.Constant(_I32, self.bytes)
        return self._masked("load", self.vector, [pointer, align, mask, zeros])

    def prefetch(self, row: int, column: Any) -> None:
        """Prefetch a vector into the first cache; its address may be outside the array."""
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        pointer = self.builder.bitcast(self._pointer(row, column), cgutils.voidptr_t)
        for_reading, nearest, data = (ir.Constant(_I32, number) for number in (0, 3, 1))
        self.builder.call(function, [pointer, for_reading, nearest, data])

    def store(self, row: int, column: Any, mask: Any, value: Any) -> None:
        """Write the lanes of a vector that are in the mask; all of them if there is no mask."""
        pointer = self._pointer(row, column)
        if mask is None:
            pointer = self.builder.bitcast(pointer, value.type.as_pointer())
            self.builder.store(value, pointer, align=self.bytes)
        else:
            align = ir.Constant(_I32, self.bytes)
            self._masked("store", ir.VoidType(), [value, pointer, align, mask])

    def _masked(self, operation: str, result: Any, arguments: list[Any]) -> Any:
        name = f"llvm.masked.{operation}.v{self.vector.count}f{8 * self.bytes}.p0"
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def splat(self, row: int, column: Any, offset: int) -> Any:
        """Read one number into every lane of a vector."""
        place = self._pointer(row, self.builder.add(column, ir.Constant(column.type, offset)))
        number = self.builder.load(self.builder.bitcast(place, self.number.as_pointer()))
        return splat(self.builder, number, self.vector.count)

    def for_each_vector(self, body: Callable[[Any, Any], None]) -> None:
        """Emit `body(column, mask)` in a loop over all full vectors of a row, and once with a mask for the rest."""
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
    """total + a · b, as a fused multiply-add if the processor has one."""
    return builder.fadd(total, builder.fmul(a, b, flags=["contract"]), flags=["contract"])


def sums_of_lanes(builder: Any, vectors: list[Any]) -> Any:
    """The sum of the lanes of each of four vectors, as a vector."""

    def pick(one: Any, other: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_I32, len(order)), order))

    def add_pairs(one: Any, other: Any, low: list[int], high: list[int]) -> Any:
        """Add the lanes `low` and `high` of every group of four lanes; 10 + k means lane k of `other`."""
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
    return four


def _for_each_case(builder: Any, count: Any, most: int, body: Callable[[int], None]) -> None:
    """Emit a switch over `count` with `body(case)` for every case from 1 to `most`."""
    end = builder.append_basic_block("end")
    choice = builder.switch(count, end)
    for case in range(1, most + 1):
        block = builder.append_basic_block(f"of_{case}")
        choice.add_case(ir.Constant(count.type, case), block)
        with builder.goto_block(block):
            body(case)
            builder.branch(end)
    builder.position_at_end(end)


@intrinsic  # type: ignore[untyped-decorator]
def products(typing: Any, matrix: Any, o: Any, rows: Any, t: Any, count: Any, bias: Any, out: Any) -> Any:
    """out[t + j, o + k] = bias[o + k] + matrix[o + k] · rows[t + j]; k < HEIGHT, j < count ≤ MOST_PRODUCTS."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix_value, o, rows_value, t, count, bias_value, out_value = arguments
        a = _Rows(context, builder, matrix, matrix_value, o)
        x = _Rows(context, builder, rows, rows_value, t)
        y = _Rows(context, builder, out, out_value, t)
        b = _Rows(context, builder, bias, bias_value, ir.Constant(o.type, 0))
        zeros = ir.Constant(a.vector, [0.0] * a.vector.count)

        def tile(first: int, height: int, width: int) -> None:
            totals = [
                [cgutils.alloca_once_value(builder, zeros) for _ in range(height)] for _ in range(width)
            ]

            def step(column: Any, mask: Any) -> None:
                others = [x.load(j, column, mask) for j in range(width)]
                for k in range(height):
                    if width > 1:
                        a.prefetch(first + k + HEIGHT, column)
                    row = a.load(first + k, column, mask)
                    for j in range(width):
                        total = builder.load(totals[j][k])
                        builder.store(add_product(builder, total, row, others[j]), totals[j][k])

            for total in (total for row in totals for total in row):
                builder.store(zeros, total)
            a.for_each_vector(step)
            for k in range(0, height, 4):
                column = builder.add(o, ir.Constant(o.type, first + k))
                four = b.load(0, column, None, 4)
                for j in range(width):
                    vectors = [builder.load(total) for total in totals[j][k : k + 4]]
                    y.store(j, column, None, builder.fadd(four, sums_of_lanes(builder, vectors)))

        def case(width: int) -> None:
            for first, height in [(0, HEIGHT)] if width == 1 else [(0, 4), (4, 4)]:
                tile(first, height, width)

        _for_each_case(builder, count, MOST_PRODUCTS, case)
        return context.get_dummy_value()

    whole = types.intp
    return types.none(matrix, whole, rows, whole, whole, bias, out), generate


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(typing: Any, out: Any, t: Any, factors: Any, matrix: Any, o: Any) -> Any:
    """out[t] += Σ_k factors[t, o + k] · matrix[o + k], for k < HEIGHT."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        y = _Rows(context, builder, out, *arguments[:2])
        f = _Rows(context, builder, factors, arguments[2], arguments[1])
        a = _Rows(context, builder, matrix, *arguments[3:])
        vectors = [f.splat(0, arguments[4], k) for k in range(HEIGHT)]

        def step(column: Any, mask: Any) -> None:
            total = y.load(0, column, mask)
            for k in range(HEIGHT):
                total = add_product(builder, total, vectors[k], a.load(k, column, mask))
            y.store(0, column, mask, total)

        y.for_each_vector(step)
        return context.get_dummy_value()

    return types.none(out, types.intp, factors, matrix, types.intp), generate


def _step(with_back: bool, with_step: bool) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def step_rows(
        typing: Any, matrix: Any, o: Any, delta: Any, t: Any, count: Any, steps: Any, back: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            matrix_value, o, delta_value, t, count, steps_value, back_value = arguments
            a = _Rows(context, builder, matrix, matrix_value, o)
            d = _Rows(context, builder, delta, delta_value, t)
            x = _Rows(context, builder, steps, steps_value, t)
            y = _Rows(context, builder, back, back_value, t)

            def case(width: int) -> None:
                factors = [[d.splat(j, o, k) for j in range(width)] for k in range(HEIGHT)]

                def step(column: Any, mask: Any) -> None:
                    others = [x.load(j, column, mask) for j in range(width)] if with_step else []
                    sums = [y.load(j, column, mask) for j in range(width)] if with_back else []
                    for k in range(HEIGHT):
                        before = after = a.load(k, column, mask)
                        for j in range(width):
                            if with_step:
                                after = add_product(builder, after, factors[k][j], others[j])
                            if with_back:
                                sums[j] = add_product(builder, sums[j], factors[k][j], before)
                        if with_step:
                            a.store(k, column, mask, after)
                    for j, total in enumerate(sums):
                        y.store(j, column, mask, total)

                a.for_each_vector(step)

            _for_each_case(builder, count, MOST_STEPS, case)
            return context.get_dummy_value()

        whole = types.intp
        return types.none(matrix, whole, delta, whole, whole, steps, back), generate

    return step_rows


# `back`: back[t + j] += Σ_k delta[t + j, o + k] · matrix[o + k]; after that, `step`:
# matrix[o + k] += Σ_j delta[t + j, o + k] · steps[t + j]; k < HEIGHT, j < count ≤ MOST_STEPS.
back_rows, back_and_step_rows, step_rows = _step(True, False), _step(True, True), _step(False, True)


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing: Any, address: Any) -> Any:
    """Convert a number to a pointer, for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def never_inline(typing: Any) -> Any:
    """Forbid LLVM to inline the function that calls this: compilation is several times faster."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), generate
