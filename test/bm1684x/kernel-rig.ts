/**
 * One node on a chip: its operands and coefficients are put into local memory, its kernel's commands are executed, its result is
 * read. Everything else in local memory must stay as it was, and only the scratch that was announced may be taken.
 */
import { expect } from 'vitest'
import { laneBytes, lanes, roundUp } from '../../src/bm1684x/chip.js'
import type { Local } from '../../src/bm1684x/codegen/kernel.js'
import { kernelOf } from '../../src/bm1684x/codegen/kernels/index.js'
import { checkInstruction } from '../../src/bm1684x/isa/check.js'
import { type Instruction, type Prec, precBytes } from '../../src/bm1684x/isa/forms.js'
import { alignedBytes, alignedStrides, type Shape4 } from '../../src/bm1684x/layout.js'
import type { Tensor } from '../../src/ir/graph.js'
import { halfToNumber } from '../../src/ir/npz.js'
import { openQuantized } from '../../src/quantize/execute.js'
import type { QGraph, QNode, QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { roundF16 } from '../../src/quantize/rounding.js'
import { floatBits, halfBits } from '../../src/quantize/tpu/weights.js'
import { integers } from '../quantize/reference.js'

/** What executes commands: 64 lanes of 256 KiB, lane after lane. */
export interface Chip {
  readonly memory: Uint8Array
  run(instruction: Instruction): void
}

export interface Spec {
  readonly op: QOp
  readonly inputs: Record<string, { readonly shape: readonly number[]; readonly type: QType }>
  readonly weights?: Record<string, QWeight>
  /** Operands in order; without it the inputs and then the weights. */
  readonly operands?: readonly string[]
  readonly shape: readonly number[]
  readonly type: QType
}

export interface Rows {
  /** Rows [from, to) of the result, and of every input. */
  readonly output: readonly [number, number]
  readonly inputs: readonly (readonly [number, number])[]
  readonly padTop: number
  readonly padBottom: number
}

const precOf = ({ kind }: QType): Prec =>
  kind === 'f32' ? 'fp32' : kind === 'f16' ? 'fp16' : kind === 'bf16' ? 'bf16' : 'int8'

/** [a, b] -> [a, b, 1, 1], [a, b, c] -> [a, b, 1, c] */
function shape4(shape: readonly number[]): Shape4 {
  if (shape.length === 3) return [shape[0]!, shape[1]!, 1, shape[2]!]
  if (shape.length < 4) return [...shape, 1, 1, 1, 1].slice(0, 4) as unknown as Shape4
  return [shape.slice(0, -3).reduce((a, b) => a * b, 1), ...(shape.slice(-3) as [number, number, number])]
}

function toBytes(value: number, type: QType, into: DataView, at: number): void {
  if (type.kind === 'i8' || type.kind === 'u8') into.setUint8(at, value & 255)
  else if (type.kind === 'f32') into.setFloat32(at, value, true)
  else if (type.kind === 'f16') into.setUint16(at, halfBits(roundF16(value)), true)
  else into.setUint16(at, floatBits(value) >>> 16, true)
}

function fromBytes({ kind }: QType, from: DataView, at: number): number {
  switch (kind) {
    case 'i8':
      return from.getInt8(at)
    case 'u8':
      return from.getUint8(at)
    case 'f32':
      return from.getFloat32(at, true)
    case 'f16':
      return halfToNumber(from.getUint16(at, true))
    case 'bf16': {
      const wide = new DataView(new ArrayBuffer(4))
      wide.setUint32(0, from.getUint16(at, true) * 65536)
      return wide.getFloat32(0)
    }
  }
}

/** Visits every element of a tensor in local memory, in NCHW order. */
function eachElement({ shape, address, prec }: Local, visit: (at: number, index: number) => void): void {
  const strides = alignedStrides(shape, prec)
  const [n, c, h, w] = shape
  let index = 0
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const element = i * strides.n + Math.floor(j / lanes) * strides.c + y * strides.h + x * strides.w
          visit((j % lanes) * laneBytes + address + element * precBytes[prec], index++)
        }
}

/** Some rows of a tensor. */
export function rowsOf({ shape, data }: Tensor, [from, to]: readonly [number, number]): Tensor {
  const [n, c, h, w] = shape4(shape)
  const part: number[] = []
  for (let plane = 0; plane < n * c; plane++)
    for (let i = from * w; i < to * w; i++) part.push(data[plane * h * w + i]!)
  return { shape: [n, c, to - from, w], data: Float32Array.from(part) }
}

function nodeOf(spec: Spec): { node: QNode; graph: QGraph } {
  const weights = spec.weights ?? {}
  const given = Object.entries(spec.inputs).map(
    ([name, { shape, type }]): QNode => ({ name, op: { type: 'Input' }, inputs: [], shape, type, layer: name }),
  )
  const inputs = spec.operands ?? [...Object.keys(spec.inputs), ...Object.keys(weights)]
  const node: QNode = { name: 'y', op: spec.op, inputs, shape: spec.shape, type: spec.type, layer: 'y' }
  return {
    node,
    graph: { name: 'test', nodes: [...given, node], weights: new Map(Object.entries(weights)), outputs: ['y'] },
  }
}

/** Values of the operands: all that their types hold, the extremes often. */
export function feedsOf(spec: Spec, next: () => number): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(spec.inputs).map(([name, { shape, type }]) => {
      const [low, high] = type.kind === 'u8' ? [0, 255] : [-128, 127]
      return [name, integers(next, shape, low, high)]
    }),
  )
}

/** What the executor makes of it. */
export async function executed(spec: Spec, feeds: Record<string, Tensor>): Promise<Tensor> {
  const session = await openQuantized(nodeOf(spec).graph, { outputs: ['y'] })
  try {
    return (await session.run(feeds)).get('y')!
  } finally {
    await session.release()
  }
}

const noise = Uint8Array.from({ length: lanes * laneBytes }, (_, i) => (i * 37 + (i >> 8)) & 255)

/** What the chip makes of it: all of it, or some rows. */
export function computed(
  chip: Chip,
  spec: Spec,
  feeds: Record<string, Tensor>,
  rows?: Rows,
): { data: Float32Array; commands: Instruction[] } {
  const { node, graph } = nodeOf(spec)
  const kernel = kernelOf(node)!
  const { memory } = chip
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength)
  memory.set(noise)
  let next = 64
  const reserve = (bytes: number): number => {
    const at = next
    next = roundUp(next + bytes, 64) + 64
    expect(next).toBeLessThanOrEqual(laneBytes)
    return at
  }
  const local = (shape: Shape4, type: QType): Local => {
    const prec = precOf(type)
    return { address: reserve(alignedBytes(shape, prec)), prec, signed: type.kind !== 'u8', shape }
  }

  const coefficients = kernel.coefficients(node, graph.weights).map(({ rows: count, rowBytes, data }) => {
    expect(data.length).toBe(count * rowBytes)
    const at = reserve(rowBytes)
    for (let row = 0; row < count; row++)
      memory.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), row * laneBytes + at)
    return { at, rowBytes }
  })
  const values = node.inputs.filter((name) => name in spec.inputs)
  const inputs = values.map((name, i) => {
    const { type } = spec.inputs[name]!
    const whole = feeds[name]!
    const fed = rows === undefined ? whole : rowsOf(whole, rows.inputs[i]!)
    const place = local(shape4(fed.shape), type)
    eachElement(place, (at, index) => toBytes(fed.data[index]!, type, view, at))
    return place
  })
  const [n, c, h, w] = shape4(spec.shape)
  const output = local([n, c, rows === undefined ? h : rows.output[1] - rows.output[0], w], spec.type)
  const scratchFrom = next
  let announced = kernel.scratchBytes(
    node,
    inputs.map(({ shape }) => shape),
    output.shape,
  )

  const commands: Instruction[] = []
  const pads = 'pads' in spec.op ? spec.op.pads : [0, 0, 0, 0]
  kernel.compute(
    node,
    {
      inputs,
      output,
      coefficients: coefficients.map(({ at }) => at),
      padTop: rows?.padTop ?? pads[0],
      padBottom: rows?.padBottom ?? pads[2],
      inputRows: inputs.map((_, i) => (rows === undefined ? 0 : rows.inputs[i]![0])),
      outputRow: rows?.output[0] ?? 0,
    },
    {
      emit: (instruction) => {
        commands.push(instruction)
      },
      scratch(bytes) {
        announced -= roundUp(bytes, 64)
        expect(announced).toBeGreaterThanOrEqual(-63)
        return reserve(bytes)
      },
    },
    { weights: graph.weights, typeOf: (name) => graph.nodes.find((one) => one.name === name)!.type },
  )
  expect(
    commands.flatMap((command) => checkInstruction(command)),
    'what the hardware would refuse',
  ).toEqual([])
  const before = memory.slice()
  for (const command of commands) chip.run(command)

  // Tables are spread over the lanes where they lie.
  const mine: (readonly [number, number])[] = [
    [output.address, output.address + alignedBytes(output.shape, output.prec)],
    [scratchFrom, next],
    ...coefficients.map(({ at, rowBytes }) => [at, at + rowBytes] as const),
  ]
  mine.sort(([a], [b]) => a - b)
  const foreign = [...mine, [laneBytes, laneBytes] as const].map(([to], i) => [mine[i - 1]?.[1] ?? 0, to] as const)
  for (const [from, to] of foreign)
    for (let lane = 0; lane < lanes; lane++) {
      const [start, end] = [lane * laneBytes + from, lane * laneBytes + Math.max(from, to)]
      const same = Buffer.compare(memory.subarray(start, end), before.subarray(start, end)) === 0
      expect(same, `written besides the result: lane ${lane}, ${from} to ${to}`).toBe(true)
    }

  const data = new Float32Array(output.shape.reduce((a, b) => a * b, 1))
  eachElement(output, (at, index) => {
    data[index] = fromBytes(spec.type, view, at)
  })
  return { data, commands }
}
