/**
 * Products of matrices, and what stands between them, in shapes that can be cut. In [b, m, n] the rows lie in the lanes and nothing is
 * along h, so the planner could only take all of it. Here rows become lanes and h: [b, m, n] is seen as [b, c, h, n] with m = c * h,
 * and so is every Softmax over the last axis and every elementwise layer on the way. Slices along h are then bundles of rows, and a
 * product, its Softmax and the next product can be one group: attention without its table of scores in global memory.
 */
import { sizeOf } from '../../ir/graph.js'
import type { QGraph, QNode, QOp, QWeight } from '../../quantize/qgraph.js'
import { bankBytes, laneBytes, lanes, roundUp, vectorBytes } from '../chip.js'
import { channelGroups } from '../layout.js'
import { isElementwise } from './rows.js'

type Shape = readonly number[]

/** A constant matrix of more bytes in a lane is multiplied by in parts of its columns. */
const mostMatrixBytes = 4 * bankBytes
/** Of one row of lanes, that there is room for operands and scratch. */
const mostRowBytes = 2 * bankBytes

/**
 * @param nodes in an order in which they can be executed
 * @returns the same nodes in other shapes, with Reshapes where others read them, and the constants that are new
 */
export function asMatrices(
  nodes: readonly QNode[],
  weights: QGraph['weights'],
): { readonly nodes: readonly QNode[]; readonly weights: QGraph['weights'] } {
  const made = new Map<string, QNode>()
  const constants = new Map(weights)
  /** Results that are seen as rows. */
  const rows = new Set<string>()
  const add = (node: QNode): string => {
    made.set(node.name, node)
    return node.name
  }
  const origin = (value: string): QNode => {
    const node = made.get(value)!
    return node.op.type === 'Reshape' ? origin(node.inputs[0]!) : node
  }
  const seenAs = (value: string, shape: Shape, of: QNode): string => {
    const node = origin(value)
    if (same(node.shape, shape)) return node.name
    const name = `${node.name}_as_${shape.join('x')}`
    return made.has(name)
      ? name
      : add({ ...of, name, op: { type: 'Reshape' }, inputs: [node.name], shape, type: node.type })
  }
  /** Adds a layer whose result is seen as rows, and shows it in its own shape. */
  const addRows = (node: QNode, op: QOp, inputs: readonly string[], shape: Shape): void => {
    if (same(node.shape, shape)) {
      rows.add(add({ ...node, op, inputs }))
      return
    }
    const name = `${node.name}_rows`
    rows.add(add({ ...node, name, op, inputs, shape }))
    add({ ...node, op: { type: 'Reshape' }, inputs: [name] })
  }
  const rowsOf = (value: string): Shape | undefined => {
    const { name, shape } = origin(value)
    return rows.has(name) ? shape : undefined
  }
  /** [b, m, n] exchanged: what it was made from by an exchange, or a Permute. */
  const exchanged = (value: string, [b, m, n]: readonly [number, number, number], of: QNode): string => {
    const node = origin(value)
    if (exchangesLast(node)) return node.inputs[0]!
    const name = `${node.name}_exchanged`
    if (made.has(name)) return name
    const input = seenAs(value, [b, m, n], of)
    return add({
      ...of,
      name,
      op: { type: 'Permute', order: [0, 2, 1] },
      inputs: [input],
      shape: [b, n, m],
      type: node.type,
    })
  }
  const product = (node: QNode, left: string, right: string, [b, m, k, n]: readonly number[]): void => {
    const found = rowsOf(left)
    const fits = found !== undefined && found[0] === b && found[3] === k
    const shape = fits ? found : [b!, ...split(m!, Math.max(k!, n!)), k!]
    const inputs = [seenAs(left, shape, node), seenAs(right, [b!, k!, 1, n!], node)]
    addRows(node, node.op, inputs, [...shape.slice(0, 3), n!])
  }

  function multiply(node: QNode): void {
    const [left, right] = node.inputs as [string, string]
    const [b, m, n] = node.shape as [number, number, number]
    const k = made.get(left)!.shape.at(-1)!
    const turned = origin(right)
    // Of a large matrix that was exchanged, the rows are at hand: y^T = right^T left^T exchanges the small ones instead.
    if (!exchangesLast(turned) || k * n <= m * (k + n)) {
      product(node, left, right, [b, m, k, n])
      return
    }
    const other = { ...node, name: `${node.name}_other`, shape: [b, n, m] }
    product(other, turned.inputs[0]!, exchanged(left, [b, m, k], node), [b, n, k, m])
    add({ ...node, op: { type: 'Permute', order: [0, 2, 1] }, inputs: [other.name] })
  }

  /** By a constant matrix: one row as a convolution, whose coefficients come in parts; more of them as rows. */
  function multiplyConstant(node: QNode, op: MatrixOp): void {
    const [input, name, bias] = node.inputs as [string, string, string | undefined]
    const matrix = constants.get(name)!
    const [k, n] = (op.rightTranspose ? matrix.shape.toReversed() : matrix.shape) as [number, number]
    const count = sizeOf(node.shape) / n
    if (node.shape.length === 2 && count === 1) {
      // Named by the layer: another one may read the same constant in another way, and the file may have `w_0` beside `w`.
      const filter = `${node.name}_filter`
      const data = op.rightTranspose ? matrix.data : transposed(matrix.data, k, n)
      constants.set(filter, { ...matrix, shape: [n, k, 1, 1], data })
      add({ ...node, op: asConvolution(op, n), inputs: node.inputs.with(1, filter) })
      return
    }
    const found = rowsOf(input)
    const shape = found?.[3] === k ? found : [1, ...split(count, Math.max(k, n)), k]
    const x = seenAs(input, shape, node)
    const result = (columns: number): Shape => [...shape.slice(0, 3), columns]
    const parts = Math.ceil((channelGroups(n) * k * bytesOf(matrix)) / mostMatrixBytes)
    const most = Math.ceil(channelGroups(n) / parts) * lanes
    if (most >= n) {
      addRows(node, op, [x, ...node.inputs.slice(1)], result(n))
      return
    }
    const names: string[] = []
    for (let from = 0; from < n; from += most) {
      const to = Math.min(n, from + most)
      const part = `${node.name}_matrix_${from}`
      constants.set(part, op.rightTranspose ? itemsOf(matrix, from, to) : columnsOf(matrix, from, to))
      const own = bias === undefined ? [] : [`${node.name}_bias_${from}`]
      if (bias !== undefined) constants.set(own[0]!, itemsOf({ ...constants.get(bias)!, shape: [n] }, from, to))
      names.push(add({ ...node, name: `${node.name}_${from}`, inputs: [x, part, ...own], shape: result(to - from) }))
    }
    addRows(node, { type: 'Concat', axis: 3, relu: false, reluLimit: -1 }, names, result(n))
  }

  /** e^(x - max) / sum along the last axis: rows are all alike. */
  function softmax(node: QNode): void {
    const n = node.shape.at(-1)!
    const found = rowsOf(node.inputs[0]!)
    const shape = found?.[3] === n ? found : [1, ...split(sizeOf(node.shape) / n, n), n]
    addRows(node, { type: 'Softmax', axis: 3 }, [seenAs(node.inputs[0]!, shape, node)], shape)
  }

  /** Along the columns of matrices that are too large to be exchanged within local memory: exchanged before and after. */
  function softmaxOfColumns(node: QNode): void {
    const [a, b, c] = node.shape as [number, number, number]
    const input = exchanged(node.inputs[0]!, [a, b, c], node)
    const other = { ...node, name: `${node.name}_other`, inputs: [input], shape: [a, c, b] }
    softmax(other)
    add({ ...node, op: { type: 'Permute', order: [0, 2, 1] }, inputs: [other.name] })
  }

  /** The shape of the rows that an elementwise layer reads; undefined where it reads none, or its operands are of several shapes. */
  function rowsRead(node: QNode): Shape | undefined {
    const values = node.inputs.filter((name) => made.has(name))
    const found = values.map(rowsOf).find((shape) => shape !== undefined)
    const shapes = values.map((name) => made.get(name)!.shape)
    const single = (name: string): boolean => made.has(name) || constants.get(name)!.data.length === 1
    const plain = node.op.type === 'Lut' || node.inputs.every(single)
    return plain && shapes.every((shape) => same(shape, node.shape)) && isElementwise(node, shapes, 0)
      ? found
      : undefined
  }

  for (const node of nodes) {
    const { op, inputs, shape } = node
    const matrices = op.type === 'MatMul' || op.type === 'MatMulInt'
    const right = matrices ? constants.get(inputs[1]!) : undefined
    const read = rowsRead(node)
    if (matrices && right?.shape.length === 2 && shape.length > 1) multiplyConstant(node, op)
    else if (matrices && right === undefined && shape.length === 3 && !op.rightTranspose) multiply(node)
    else if (op.type === 'Softmax' && shape.length > 2 && op.axis === shape.length - 1) softmax(node)
    else if (op.type === 'Softmax' && shape.length === 3 && op.axis === 1 && isLarge(shape)) softmaxOfColumns(node)
    else if (read !== undefined)
      addRows(
        node,
        op,
        inputs.map((name) => (made.has(name) ? seenAs(name, read, node) : name)),
        read,
      )
    else add(node)
  }
  const all = [...made.values()]
  return { nodes: rows.size === 0 ? all : movesFirst(all), weights: constants }
}

/** Of [1, b, c], that a lane has no room for the four tensors of a Softmax. */
const isLarge = ([, b, c]: Shape): boolean => 4 * channelGroups(b!) * c! * 4 > laneBytes

type MatrixOp = Extract<QOp, { type: 'MatMul' | 'MatMulInt' }>

/** Lanes and rows [c, h] of m = c * h: the fewest elements in a lane, and of those that tie the most rows, which can be cut. */
function split(m: number, width: number): readonly [c: number, h: number] {
  const elements = ([c, h]: readonly [number, number]): number => channelGroups(c) * roundUp(h * width, vectorBytes / 4)
  let best: readonly [number, number] = [1, m]
  for (let c = 2; c <= m; c++) {
    const fits = c <= lanes || channelGroups(c) * width * 4 <= mostRowBytes
    if (m % c === 0 && fits && elements([c, m / c]) < elements(best)) best = [c, m / c]
  }
  return best
}

/**
 * What only moves values stands right behind what it moves: in front of a run of computations, not within it, where it would cut
 * the run in two.
 */
function movesFirst(nodes: readonly QNode[]): QNode[] {
  const waiting = new Map<string, QNode[]>()
  const names = new Set(nodes.map(({ name }) => name))
  const moves = ({ op, inputs }: QNode): boolean =>
    ['Permute', 'Reshape', 'Slice', 'Pad'].includes(op.type) && names.has(inputs[0]!)
  for (const node of nodes)
    if (moves(node)) waiting.set(node.inputs[0]!, [...(waiting.get(node.inputs[0]!) ?? []), node])
  const follow = (node: QNode): QNode[] => [node, ...(waiting.get(node.name) ?? []).flatMap(follow)]
  return nodes.flatMap((node) => (moves(node) ? [] : follow(node)))
}

const exchangesLast = ({ op, shape }: QNode): boolean =>
  op.type === 'Permute' &&
  shape.length > 1 &&
  op.order.every((from, axis) => from === (axis < shape.length - 2 ? axis : 2 * shape.length - 3 - axis))

const same = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, axis) => size === b[axis])

const bytesOf = ({ kind }: QWeight): number => ({ i8: 1, u8: 1, f16: 2, bf16: 2, f32: 4, i32: 4 })[kind]

function asConvolution(op: MatrixOp, n: number): QOp {
  const point = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 } as const
  if (op.type === 'MatMul') return { type: 'Conv', ...point, relu: op.relu, reluLimit: op.reluLimit }
  const each = (value: number): number[] => new Array<number>(n).fill(value)
  const { multiplier, shift } = op.requant
  return { type: 'ConvInt', ...point, relu: op.relu, multipliers: each(multiplier), shifts: each(shift) }
}

/** [k, n] as [n, k]. */
const transposed = <D extends QWeight['data']>(data: D, k: number, n: number): D => {
  const result = data.slice() as D
  for (let row = 0; row < k; row++)
    for (let column = 0; column < n; column++) result[column * k + row] = data[row * n + column]!
  return result
}

/** Columns [from, to) of [k, n]. */
function columnsOf(matrix: QWeight, from: number, to: number): QWeight {
  const [k, n] = matrix.shape as [number, number]
  const data = matrix.data.slice(0, k * (to - from)) as QWeight['data']
  for (let row = 0; row < k; row++) data.set(matrix.data.subarray(row * n + from, row * n + to), row * (to - from))
  return { ...matrix, shape: [k, to - from], data }
}

/** Items [from, to) of the first axis. */
function itemsOf({ shape: [count, ...rest], data, kind }: QWeight, from: number, to: number): QWeight {
  const size = data.length / count!
  return { kind, shape: [to - from, ...rest], data: data.subarray(from * size, to * size) }
}
