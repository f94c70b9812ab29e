/** Constant folding of the comparisons, choices and reductions that exporters compute shapes, grids and anchors with. */
import { sizeOf } from '../graph.js'
import { broadcast, isNatural } from '../shapes.js'
import {
  type Constant,
  constant,
  expanded,
  mostNumbers,
  permuted,
  positions,
  stridesOf,
  take,
  zip,
} from './constant.js'
import type { Fold } from './fold.js'
import { integers, type OnnxNode, wholeAxis } from './node.js'

const first = (node: OnnxNode): Constant => node.known(0, 'its operand')

const whole = (x: Constant): Constant => constant('int', x.shape, x.data)

/** Compares numbers of one kind; the result is 0 or 1. */
const compare =
  (fn: (a: number, b: number) => boolean): Fold =>
  (node) => {
    const [a, b] = [first(node), node.known(1, 'its second operand')]
    if (a.kind !== b.kind) node.refuse('mixes floats and integers')
    return whole(zip(a, b, (x, y) => (fn(x, y) ? 1 : 0)) ?? node.refuse('has operands that do not fit'))
  }

const unary =
  (fn: (x: number) => number): Fold =>
  (node) => {
    const x = first(node)
    return constant(x.kind, x.shape, Array.from(x.data, fn))
  }

function spread(node: OnnxNode, x: Constant, shape: readonly number[]): Constant {
  if (!shape.every(isNatural) || sizeOf(shape) > mostNumbers) node.refuse(`asks for shape [${shape}]`)
  return expanded(x, shape)
}

const reduce =
  (start: number, fn: (sum: number, x: number) => number, finish = (sum: number, _count: number) => sum): Fold =>
  (node) => {
    const x = first(node)
    const axes = x.shape.map((_, axis) => axis)
    const given = integers(node, 'axes', 1)
    if (!given?.length && node.attributes.int('noop_with_empty_axes') === 1) return x
    const gone = new Set(given?.length ? given.map((axis) => wholeAxis(node, axis, axes.length)) : axes)
    const order = [...axes.filter((axis) => !gone.has(axis)), ...axes.filter((axis) => gone.has(axis))]
    const turned = permuted(x, order)
    const count = sizeOf([...gone].map((axis) => x.shape[axis]!))
    const kept = (node.attributes.int('keepdims') ?? 1) === 1
    const shape = x.shape.flatMap((n, axis) => (!gone.has(axis) ? [n] : kept ? [1] : []))
    const sums = Array.from({ length: sizeOf(shape) }, (_, i) => {
      let sum = start
      for (let k = 0; k < count; k++) sum = fn(sum, turned.data[i * count + k]!)
      return finish(sum, count)
    })
    return constant(x.kind, shape, sums)
  }

export const arithmeticFolders: Readonly<Record<string, Fold>> = {
  Size: (node) => constant('int', [], [sizeOf(node.shape(0))]),
  Equal: compare((a, b) => a === b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Not: unary((x) => (x === 0 ? 1 : 0)),
  Sign: unary(Math.sign),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  /** The result has the divisor's sign, or with `fmod` the dividend's. */
  Mod(node) {
    const [a, b] = [first(node), node.known(1, 'its divisor')]
    const truncated = node.attributes.int('fmod') === 1
    const rest = (x: number, y: number): number => (truncated ? x % y : x - y * Math.floor(x / y))
    return zip(a, b, rest) ?? node.refuse('has operands that do not fit')
  },
  Where(node) {
    const [condition, yes, no] = [first(node), node.known(1, 'its first choice'), node.known(2, 'its second choice')]
    if (yes.kind !== no.kind) node.refuse('mixes floats and integers')
    const both = broadcast(yes.shape, no.shape)
    const shape = both && broadcast(condition.shape, both)
    if (!shape) return node.refuse('has operands that do not fit')
    const [asked, a, b] = [condition, yes, no].map((x) => spread(node, x, shape)) as [Constant, Constant, Constant]
    return constant(
      yes.kind,
      shape,
      Array.from(asked.data, (one, i) => (one !== 0 ? a.data[i]! : b.data[i]!)),
    )
  },
  Range(node) {
    const [start, limit, delta] = [0, 1, 2].map((i) => node.known(i, `operand ${i}`)) as [Constant, Constant, Constant]
    const count = Math.max(0, Math.ceil((limit.data[0]! - start.data[0]!) / delta.data[0]!))
    if (!(count <= mostNumbers)) node.refuse(`counts to ${count} numbers`)
    const values = Array.from({ length: count }, (_, i) => start.data[0]! + i * delta.data[0]!)
    return constant(start.kind, [count], values)
  },
  Expand(node) {
    const x = first(node)
    const asked = Array.from(node.known(1, 'its shape').data)
    return spread(node, x, broadcast(x.shape, asked) ?? node.refuse(`cannot spread [${x.shape}] over [${asked}]`))
  },
  Tile(node) {
    const x = first(node)
    const repeats = Array.from(node.known(1, 'its repeats').data)
    const shape = x.shape.map((n, axis) => n * (repeats[axis] ?? Number.NaN))
    if (repeats.length !== x.shape.length || !repeats.every(isNatural) || sizeOf(shape) > mostNumbers)
      node.refuse(`repeats [${repeats}] times`)
    // Every axis twice: the repeats, which do not move, and the axis itself.
    const strides = stridesOf(x.shape)
    const pairs = x.shape.flatMap((n, axis) => [repeats[axis]!, n])
    return take(
      x,
      shape,
      positions(
        pairs,
        strides.flatMap((stride) => [0, stride]),
      ),
    )
  },
  ReduceSum: reduce(0, (sum, x) => sum + x),
  ReduceProd: reduce(1, (product, x) => product * x),
  ReduceMax: reduce(Number.NEGATIVE_INFINITY, Math.max),
  ReduceMin: reduce(Number.POSITIVE_INFINITY, Math.min),
  ReduceMean: reduce(
    0,
    (sum, x) => sum + x,
    (sum, count) => sum / count,
  ),
}
