/** The shape of every op's result: the one place where shapes are worked out; import computes with it, `checkGraph` compares. */
import { QuantError } from '../errors.js'
import { isFunction } from './functions.js'
import { type Node, type Pads, type Pair, sizeOf } from './graph.js'

export type Shape = readonly number[]

/** Values of a layer, 1 GiB in float32: a network that asks for more is damaged, or not for this chip. */
export const mostValues = 2 ** 28

/** 1x3x416x416; a scalar is called `scalar`. */
export const showShape = (shape: Shape): string => (shape.length === 0 ? 'scalar' : shape.join('x'))

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i])

/** numpy's rule; undefined where the shapes do not fit. */
export function broadcast(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length)
  const result: number[] = []
  for (let axis = 0; axis < rank; axis++) {
    const m = a[axis - rank + a.length] ?? 1
    const n = b[axis - rank + b.length] ?? 1
    if (m !== n && m !== 1 && n !== 1) return undefined
    result.push(m === 1 ? n : m)
  }
  return result
}

/** One axis of a convolution or pool: floor((size + pads - extent) / stride) + 1. Not positive when the kernel does not fit. */
export const windows = (size: number, extent: number, stride: number, before: number, after: number): number =>
  Math.floor((size + before + after - extent) / stride) + 1

/** Pixels that a dilated kernel covers along one axis. */
export const extentOf = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1

/**
 * The shape of a node's result from the shapes of its operands.
 * @param node its `shape` is read only where the op does not determine it: Input and Reshape.
 * @throws QuantError 'model' naming the node when operands or attributes do not fit the op.
 */
export function resultShape(node: Pick<Node, 'name' | 'op' | 'shape'>, inputs: readonly Shape[]): Shape {
  const { op } = node
  const fail = (fact: string): never => {
    throw new QuantError('model', `layer \`${node.name}\` (${op.type}): ${fact}`)
  }
  const need = (fits: boolean, fact: string): void => {
    if (!fits) fail(fact)
  }
  const operands = (least: number, most: number): void =>
    need(inputs.length >= least && inputs.length <= most, `has ${inputs.length} operands`)
  const x = inputs[0] ?? []
  // Only a Pad may be infinite: before a MaxPool it is.
  for (const [key, value] of Object.entries(op))
    if (typeof value === 'number')
      need(op.type === 'Pad' ? !Number.isNaN(value) : Number.isFinite(value), `${key} is ${value}`)

  const image = (): readonly [number, number, number, number] => {
    need(x.length === 4, `takes NCHW, but its operand is ${showShape(x)}`)
    return x as unknown as readonly [number, number, number, number]
  }
  const slide = (kernel: Pair, strides: Pair, pads: Pads, dilations: Pair = [1, 1]): Pair => {
    const [, , h, w] = image()
    need([...kernel, ...strides, ...dilations].every(isPositive), 'kernel, strides and dilations must be positive')
    need(pads.every(isNatural), `pads [${pads}] must not be negative`)
    const padded = (h + pads[0] + pads[2]) * (w + pads[1] + pads[3])
    need(padded <= mostValues, `pads [${pads}] make ${showShape([h, w])} too large`)
    const size: Pair = [
      windows(h, extentOf(kernel[0], dilations[0]), strides[0], pads[0], pads[2]),
      windows(w, extentOf(kernel[1], dilations[1]), strides[1], pads[1], pads[3]),
    ]
    need(size.every(isPositive), `kernel ${showShape(kernel)} is larger than its padded input ${showShape([h, w])}`)
    return size
  }

  if (isFunction(op)) {
    operands(1, 1)
    return x
  }
  switch (op.type) {
    case 'Input':
      operands(0, 0)
      return node.shape
    case 'Conv': {
      operands(2, 3)
      const [n, c] = image()
      const [oc = 0, ic, kh, kw] = inputs[1]!
      need(inputs[1]!.length === 4 && kh === op.kernel[0] && kw === op.kernel[1], `weight is ${showShape(inputs[1]!)}`)
      need(isPositive(op.group) && oc % op.group === 0, `${oc} filters do not divide into ${op.group} groups`)
      need(ic! * op.group === c, `takes ${ic! * op.group} channels, but its operand has ${c}`)
      if (inputs[2]) need(sameShape(inputs[2], [oc]), `bias is ${showShape(inputs[2])}, not ${oc}`)
      return [n, oc, ...slide(op.kernel, op.strides, op.pads, op.dilations)]
    }
    case 'Deconv': {
      operands(2, 3)
      const [n, c, h, w] = image()
      const [oc = 0, ic, kh, kw] = inputs[1]!
      const { kernel, strides, dilations, pads, outputPadding } = op
      need([...kernel, ...strides, ...dilations].every(isPositive), 'kernel, strides and dilations must be positive')
      need([...pads, ...outputPadding].every(isNatural), `pads [${pads}] and [${outputPadding}] must not be negative`)
      need(inputs[1]!.length === 4 && kh === kernel[0] && kw === kernel[1], `weight is ${showShape(inputs[1]!)}`)
      need(isPositive(op.group) && oc % op.group === 0, `${oc} filters do not divide into ${op.group} groups`)
      need(ic! * op.group === c, `takes ${ic! * op.group} channels, but its operand has ${c}`)
      if (inputs[2]) need(sameShape(inputs[2], [oc]), `bias is ${showShape(inputs[2])}, not ${oc}`)
      const size = [h, w].map(
        (length, axis) =>
          (length - 1) * strides[axis]! +
          extentOf(kernel[axis]!, dilations[axis]!) +
          outputPadding[axis]! -
          pads[axis]! -
          pads[axis + 2]!,
      )
      need(size.every(isPositive), `its pads [${pads}] leave nothing`)
      return [n, oc, ...size]
    }
    case 'MatMul': {
      operands(2, 3)
      const right = inputs[1]!
      const batch = right.slice(0, -2)
      need(
        x.length >= 2 && right.length >= 2 && (batch.length === 0 || sameShape(batch, x.slice(0, -2))),
        `takes [..., k] and [k, n], not ${showShape(x)} and ${showShape(right)}`,
      )
      const [k, n] = (op.rightTranspose ? right.slice(-2).reverse() : right.slice(-2)) as [number, number]
      need(x.at(-1) === k, `${showShape(x)} does not fit ${showShape([k, n])}`)
      if (inputs[2]) need(sameShape(inputs[2], [n]), `bias is ${showShape(inputs[2])}, not ${n}`)
      return [...x.slice(0, -1), n]
    }
    case 'Scale':
      operands(3, 3)
      need(x.length >= 2, `takes [n, c, ...], but its operand is ${showShape(x)}`)
      for (const weight of inputs.slice(1))
        need(sameShape(weight, [x[1]!]), `weight is ${showShape(weight)}, not ${x[1]}`)
      return x
    case 'Relu':
    case 'LeakyRelu':
      operands(1, 1)
      return x
    case 'PRelu':
      operands(2, 2)
      need(
        x.length >= 2 && inputs[1]!.length === x.length && inputs[1]!.every((n, axis) => n === (axis === 1 ? x[1] : 1)),
        `slopes are ${showShape(inputs[1]!)} for ${showShape(x)}`,
      )
      return x
    case 'Softmax':
      operands(1, 1)
      need(isAxis(op.axis, x), `axis ${op.axis} is not one of ${showShape(x)}`)
      return x
    case 'ArgMax':
      operands(1, 1)
      need(isAxis(op.axis, x), `axis ${op.axis} is not one of ${showShape(x)}`)
      need(x[op.axis]! <= 2 ** 24, `axis ${op.axis} of ${showShape(x)} is longer than float32 can count`)
      return op.keepDims ? x.with(op.axis, 1) : x.toSpliced(op.axis, 1)
    case 'MaxPool': {
      operands(1, 1)
      const [n, c] = image()
      return [n, c, ...slide(op.kernel, op.strides, op.pads)]
    }
    case 'AvgPool': {
      operands(1, 1)
      const [n, c] = image()
      const size = slide(op.kernel, op.strides, op.pads)
      need(op.keepDims || sizeOf(size) === 1, `drops axes of ${showShape(size)}`)
      return op.keepDims ? [n, c, ...size] : [n, c]
    }
    case 'Sub':
    case 'Div':
      operands(2, 2)
      return broadcast(x, inputs[1]!) ?? fail(`${showShape(x)} does not fit ${showShape(inputs[1]!)}`)
    case 'Add':
    case 'Mul':
    case 'Min':
    case 'Max':
      operands(2, Number.POSITIVE_INFINITY)
      return inputs.reduce((a, b) => broadcast(a, b) ?? fail(`${showShape(a)} does not fit ${showShape(b)}`))
    case 'Concat': {
      operands(1, Number.POSITIVE_INFINITY)
      need(isAxis(op.axis, x), `axis ${op.axis} is not one of ${showShape(x)}`)
      for (const other of inputs)
        need(
          other.length === x.length && other.every((n, axis) => axis === op.axis || n === x[axis]),
          `${showShape(other)} does not fit ${showShape(x)} along axis ${op.axis}`,
        )
      return x.with(
        op.axis,
        inputs.reduce((sum, other) => sum + other[op.axis]!, 0),
      )
    }
    case 'Upsample': {
      operands(1, 1)
      const [n, c, h, w] = image()
      need(isPositive(op.scaleH) && isPositive(op.scaleW), 'factors must be whole and positive')
      return [n, c, h * op.scaleH, w * op.scaleW]
    }
    case 'Permute':
      operands(1, 1)
      need(
        sameShape(
          [...op.order].sort((a, b) => a - b),
          x.map((_, axis) => axis),
        ),
        `order [${op.order}] does not fit ${showShape(x)}`,
      )
      return op.order.map((axis) => x[axis]!)
    case 'Reshape':
      operands(1, 1)
      need(sizeOf(node.shape) === sizeOf(x), `${showShape(x)} cannot become ${showShape(node.shape)}`)
      return node.shape
    case 'Slice':
      operands(1, 1)
      need(
        [op.offsets, op.steps, op.ends].every((list) => list.length === x.length),
        `needs one offset, step and end per axis of ${showShape(x)}`,
      )
      return x.map((n, axis) => {
        const [from, to, step] = [op.offsets[axis]!, op.ends[axis]!, op.steps[axis]!]
        need(isNatural(from) && from < to && to <= n && isPositive(step), `takes ${from}:${to}:${step} of ${n}`)
        return Math.ceil((to - from) / step)
      })
    case 'Pad':
      operands(1, 1)
      need(
        op.paddings.length === 2 * x.length && op.paddings.every(isNatural),
        `paddings [${op.paddings}] do not fit ${showShape(x)}`,
      )
      return x.map((n, axis) => n + op.paddings[axis]! + op.paddings[axis + x.length]!)
  }
}

export const isPositive = (n: number): boolean => Number.isSafeInteger(n) && n > 0
export const isNatural = (n: number): boolean => Number.isSafeInteger(n) && n >= 0
const isAxis = (axis: number, shape: Shape): boolean => isNatural(axis) && axis < shape.length
