/** Constant folding: what ONNX operators do to operands known at import. One entry per ONNX type. */
import { sizeOf } from '../graph.js'
import { isNatural, type Shape } from '../shapes.js'
import {
  type Constant,
  constant,
  mostNumbers,
  permuted,
  positions,
  reshaped,
  stridesOf,
  take,
  zip,
} from './constant.js'
import { arithmeticFolders } from './fold-arithmetic.js'
import { type OnnxNode, wholeAxis } from './node.js'
import { flattened, reshapeTarget, squeezed, unsqueezed } from './reshape.js'
import { spanOf } from './span.js'
import { decodeTensor, kindOf } from './tensor.js'

export type Fold = (node: OnnxNode) => Constant

const first = (node: OnnxNode): Constant => node.known(0, 'its operand')

const unary =
  (fn: (x: number) => number): Fold =>
  (node) => {
    const x = first(node)
    return constant(x.kind, x.shape, Array.from(x.data, fn))
  }

const binary =
  (fn: (a: number, b: number) => number, onIntegers = fn): Fold =>
  (node) => {
    const a = first(node)
    const b = node.known(1, 'its second operand')
    if (a.kind !== b.kind) node.refuse('mixes floats and integers')
    return zip(a, b, a.kind === 'int' ? onIntegers : fn) ?? node.refuse('has operands that do not fit')
  }

const operands = (node: OnnxNode): [Constant, ...Constant[]] => [
  first(node),
  ...Array.from({ length: Math.max(0, node.operandCount - 1) }, (_, i) => node.known(i + 1, `operand ${i + 1}`)),
]

/** Of any number of operands, from left to right. */
const several =
  (fn: (a: number, b: number) => number): Fold =>
  (node) =>
    operands(node).reduce(
      (a, b) => (a.kind === b.kind ? zip(a, b, fn) : undefined) ?? node.refuse('has operands that do not fit'),
    )

const toShape =
  (shapeFor: (node: OnnxNode, shape: Shape) => Shape): Fold =>
  (node) => {
    const x = first(node)
    const shape = shapeFor(node, x.shape)
    if (sizeOf(shape) !== x.data.length) node.refuse(`cannot give [${x.shape}] the shape [${shape}]`)
    return reshaped(x, shape)
  }

export const folders: Readonly<Record<string, Fold>> = {
  ...arithmeticFolders,
  Constant(node) {
    const { attributes } = node
    const tensor = attributes.tensor('value')
    if (tensor) return decodeTensor(tensor, node.outputs[0] ?? '', node.file)
    const scalar = { float: attributes.float('value_float'), int: attributes.int('value_int') }
    if (scalar.float !== undefined) return constant('float', [], [scalar.float])
    if (scalar.int !== undefined) return constant('int', [], [scalar.int])
    const [floats, ints] = [attributes.floats('value_floats'), attributes.ints('value_ints')]
    if (floats) return constant('float', [floats.length], floats)
    if (ints) return constant('int', [ints.length], ints)
    return node.refuse('has neither a tensor nor numbers')
  },
  Shape(node) {
    const shape = node.shape(0).slice(node.attributes.int('start') ?? 0, node.attributes.int('end'))
    return constant('int', [shape.length], shape)
  },
  ConstantOfShape(node) {
    const shape = Array.from(first(node).data)
    if (!shape.every(isNatural) || sizeOf(shape) > mostNumbers) node.refuse(`asks for shape [${shape}]`)
    const tensor = node.attributes.tensor('value')
    const value = tensor ? decodeTensor(tensor, node.outputs[0] ?? '', node.file) : constant('float', [1], [0])
    return take(value, shape, new Uint32Array(sizeOf(shape)))
  },
  Cast(node) {
    const x = first(node)
    const kind = kindOf(node.attributes.int('to') ?? 0) ?? node.refuse('casts to a type that is no number')
    return constant(kind, x.shape, kind === 'int' ? Array.from(x.data, Math.trunc) : x.data)
  },
  Gather(node) {
    const x = first(node)
    const at = node.known(1, 'its indices')
    const axis = wholeAxis(node, node.attributes.int('axis') ?? 0, x.shape.length)
    const picked = Array.from(at.data, (i) => wholeAxis(node, i, x.shape[axis]!))
    if ((picked.length * x.data.length) / x.shape[axis]! > mostNumbers) node.refuse('picks too many numbers')
    // View x as [outer, axis, inner] and pick along the middle.
    const inner = sizeOf(x.shape.slice(axis + 1))
    const outer = positions([sizeOf(x.shape.slice(0, axis))], [inner * x.shape[axis]!])
    const flat = Array.from(outer, (base) => picked.map((i) => positions([inner], [1], base + i * inner)))
    return take(
      x,
      [...x.shape.slice(0, axis), ...at.shape, ...x.shape.slice(axis + 1)],
      Uint32Array.from(flat.flat().flatMap((list) => Array.from(list))),
    )
  },
  Concat(node) {
    const parts = operands(node)
    const { kind, shape } = parts[0]
    const axis = wholeAxis(node, node.attributes.int('axis') ?? 1, shape.length)
    for (const other of parts)
      if (
        other.kind !== kind ||
        other.shape.length !== shape.length ||
        !other.shape.every((n, i) => i === axis || n === shape[i])
      )
        node.refuse('has operands that do not fit')
    const outer = sizeOf(shape.slice(0, axis))
    const length = parts.reduce((sum, part) => sum + part.shape[axis]!, 0)
    const joined = shape.with(axis, length)
    if (sizeOf(joined) > 4 * mostNumbers) node.refuse(`joins too many numbers: [${joined}]`)
    const row = sizeOf(joined.slice(axis))
    const data = new Float64Array(sizeOf(joined))
    let at = 0
    for (const part of parts) {
      const own = part.data.length / outer
      for (let i = 0; i < outer; i++) data.set(part.data.subarray(i * own, (i + 1) * own), i * row + at)
      at += own
    }
    return constant(kind, joined, data)
  },
  Slice(node) {
    const x = first(node)
    const { offsets, ends, steps } = spanOf(node, x.shape)
    const strides = stridesOf(x.shape)
    const shape = x.shape.map((_, axis) => Math.max(0, Math.ceil((ends[axis]! - offsets[axis]!) / steps[axis]!)))
    const view = strides.map((stride, axis) => stride * steps[axis]!)
    const start = offsets.reduce((sum, offset, axis) => sum + offset * strides[axis]!, 0)
    return take(x, shape, positions(shape, view, start))
  },
  Transpose(node) {
    const x = first(node)
    const axes = x.shape.map((_, axis) => axis)
    const order = node.attributes.ints('perm') ?? axes.toReversed()
    if (order.length !== axes.length || axes.some((axis) => !order.includes(axis)))
      node.refuse(`perm [${order}] does not fit [${x.shape}]`)
    return permuted(x, order)
  },
  Reshape: toShape(reshapeTarget),
  Flatten: toShape(flattened),
  Squeeze: toShape(squeezed),
  Unsqueeze: toShape(unsqueezed),
  Identity: first,
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary(
    (a, b) => a / b,
    (a, b) => Math.trunc(a / b),
  ),
  Pow: binary((a, b) => a ** b),
  Min: several(Math.min),
  Max: several(Math.max),
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Reciprocal: unary((x) => 1 / x),
  Sqrt: unary(Math.sqrt),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
}
