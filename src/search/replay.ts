/**
 * Runs many variants of one INT8 network that differ from it in a few layers, and computes of each only what lies behind those.
 *
 * The network is cut into groups: a convolution with what follows it along values that nobody else reads. Every group is a session of
 * its own, kept under what it computes, so that variants share all groups that they leave alone: a variant opens one or two. The
 * values between groups of the all-INT8 run are kept, and a variant starts from those. Whole numbers come out the same however a
 * network is cut. Floats do where neighbouring float layers are in one session, so groups that a float value joins become one.
 */
import { sizeOf, type Tensor } from '../ir/graph.js'
import { storedRanges } from '../quantize/emit/range.js'
import { openQuantized, type QuantizedSession } from '../quantize/execute.js'
import type { QGraph, QNode } from '../quantize/qgraph.js'
import { isInt } from '../quantize/rounding.js'

/** What the all-INT8 network computes for one sample: stored values between groups (8 bit each), network inputs and outputs. */
export type Int8Run = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Stored }>
type Stored = Int8Array | Uint8Array | Float32Array

export interface Replay {
  /** @param feeds the network's inputs, float32 */
  int8(feeds: Readonly<Record<string, Tensor>>): Promise<Int8Run>
  /** Bytes that an `Int8Run` takes. */
  readonly bytes: number
  /**
   * Outputs of a variant, lowered from the same graph and thresholds, in its order: bit for bit those of a whole run. They hold until
   * the next run, which writes into the same buffers; one run at a time.
   */
  run(variant: QGraph, from: Int8Run): Promise<Tensor[]>
  release(): Promise<void>
}

interface Unit {
  readonly name: string
  readonly outputs: readonly string[]
  readonly shapes: readonly (readonly number[])[]
  readonly from: readonly string[]
  /** Two units that say the same compute the same. */
  readonly signature: string
}

/** @param kept so many sessions that only variants need stay open; those of the INT8 network all do */
export function openReplay(int8: QGraph, kept: number): Replay {
  const groups = groupsOf(int8)
  const own = unitsOf(int8, groups, new Set(int8.nodes.flatMap(({ name, op }) => (op.type === 'Input' ? [] : [name]))))
  const shared = new Set(own.map(({ signature }) => signature))
  // Runs of units, so many that there are as many blocks as units in one.
  const size = Math.ceil(Math.sqrt(own.length))
  const blocks = new Map<string, readonly string[]>()
  for (let at = 0; at < own.length; at += size) {
    const members = own.slice(at, at + size).map(({ name }) => name)
    for (const member of members) blocks.set(member, members)
  }
  const names = new Set(int8.nodes.map(({ name }) => name))
  const byName = new Map(int8.nodes.map((node) => [node.name, node]))
  const sessions = new Map<string, Promise<QuantizedSession>>()
  const plans = new WeakMap<QGraph, readonly Unit[]>()

  const sessionOf = (graph: QGraph, { signature, outputs, from }: Unit): Promise<QuantizedSession> => {
    const known = sessions.get(signature)
    const session = known ?? openQuantized(graph, { outputs, from, givesBack: true })
    // The one that was used last stands last, and the first is closed.
    sessions.delete(signature)
    sessions.set(signature, session)
    const passing = [...sessions.keys()].filter((key) => !shared.has(key))
    for (const key of passing.slice(0, Math.max(0, passing.length - kept))) {
      void sessions.get(key)!.then((old) => old.release())
      sessions.delete(key)
    }
    return session
  }

  // Buffers by value, for all variants and pictures: new ones for every run, a few MB each, would be most of the garbage collector's work.
  const results = new Map<string, Tensor>()
  const starts = new Map<string, Tensor>()
  let startsOf: Int8Run | undefined
  const converted = new Set<string>()
  const bufferIn = (buffers: Map<string, Tensor>, name: string, shape: readonly number[]): Tensor => {
    const known = buffers.get(name)
    if (known) return known
    const made = { shape, data: new Float32Array(sizeOf(shape)) }
    buffers.set(name, made)
    return made
  }
  /** A kept value as float32; converted once for all variants that are run on the sample. */
  const start = (from: Int8Run, name: string): Tensor => {
    const { shape, data } = from.get(name)!
    if (data instanceof Float32Array) return { shape, data }
    if (startsOf !== from) converted.clear()
    startsOf = from
    const buffer = bufferIn(starts, name, shape)
    if (!converted.has(name)) buffer.data.set(data)
    converted.add(name)
    return buffer
  }

  const compute = async (
    graph: QGraph,
    units: readonly Unit[],
    before: (name: string) => Tensor,
  ): Promise<Map<string, Tensor>> => {
    const values = new Map<string, Tensor>()
    for (const unit of units) {
      const session = await sessionOf(graph, unit)
      const feeds = Object.fromEntries(unit.from.map((name) => [name, values.get(name) ?? before(name)]))
      const into = new Map(unit.outputs.map((name, i) => [name, bufferIn(results, name, unit.shapes[i]!)]))
      for (const [name, value] of await session.run(feeds, into)) values.set(name, value)
    }
    return values
  }

  const planOf = (variant: QGraph): readonly Unit[] => {
    const known = plans.get(variant)
    if (known) return known
    const changed = new Set<string>()
    for (const node of variant.nodes) {
      const { name, inputs } = node
      const before = byName.get(name)
      if (before?.type.kind !== node.type.kind || before.op.type !== node.op.type || inputs.some((x) => changed.has(x)))
        changed.add(name)
    }
    const fine = unitsOf(variant, groups, changed)
    const touched = new Set(fine.map(({ name }) => name))
    const byVariant = new Map(variant.nodes.map((node) => [node.name, node]))
    const floats = fine.some(({ from }) => from.some((name) => isComputedFloat(byVariant.get(name)!)))
    const alike = new Set(fine.filter(({ signature }) => shared.has(signature)).map(({ name }) => name))
    const plan = unitsOf(variant, groups, changed, (unit) => {
      if (floats) return touched.has(unit) ? 'all' : unit
      const block = blocks.get(unit)
      return block?.every((member) => alike.has(member)) ? block[0]! : unit
    })
    plans.set(variant, plan)
    return plan
  }

  return {
    bytes: int8.nodes
      .filter(({ name, op }) => op.type === 'Input' || own.some(({ outputs }) => outputs.includes(name)))
      .reduce((sum, { shape, type }) => sum + shape.reduce((a, b) => a * b, isInt(type) ? 1 : 4), 0),
    async int8(feeds) {
      const values = await compute(int8, own, (name) => feeds[name]!)
      const inputs = Object.entries(feeds).filter(([name]) => names.has(name))
      return new Map([...inputs, ...values].map(([name, value]) => [name, packed(byName.get(name)!, value)]))
    },
    async run(variant, from) {
      const before = (name: string): Tensor => start(from, name)
      const values = await compute(variant, planOf(variant), before)
      return variant.outputs.map((name) => values.get(name) ?? before(name))
    },
    async release() {
      const open = [...sessions.values()]
      sessions.clear()
      for (const session of open) await (await session).release()
    },
  }
}

/** Node of the INT8 graph -> its group, called by the first node in it. */
function groupsOf(int8: QGraph): Map<string, string> {
  const readers = readersOf(int8)
  const outputs = new Set(int8.outputs)
  const groups = new Map<string, string>()
  for (const { name, op, inputs } of int8.nodes) {
    if (op.type === 'Input') continue
    const [x, ...others] = inputs.filter((input) => !int8.weights.has(input))
    // In front of a rescale a group ends: a Concat in float reads the value as it was.
    const first = ['ConvInt', 'MatMulInt', 'MulShift', 'SumInt'].includes(op.type)
    const follows = !first && others.length === 0 && readers.get(x!)?.length === 1 && !outputs.has(x!)
    groups.set(name, (follows && groups.get(x!)) || name)
  }
  return groups
}

/** The part of the graph that the wanted nodes make up, as units in the order in which they can run. */
function unitsOf(
  graph: QGraph,
  groups: ReadonlyMap<string, string>,
  wanted: ReadonlySet<string>,
  blockOf: (unit: string) => string = (unit) => unit,
): Unit[] {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]))
  const readers = readersOf(graph)
  const networkOutputs = new Set(graph.outputs)
  // Casts from 8 bit to float belong to whoever reads them: only 8-bit values travel.
  const inline = ({ name, op, inputs, type }: QNode): boolean =>
    op.type === 'Cast' && !isInt(type) && !networkOutputs.has(name) && isInt(byName.get(inputs[0]!)!.type)
  const source = (value: string): string => {
    const node = byName.get(value)!
    return inline(node) ? node.inputs[0]! : value
  }

  const group = new Map<string, string>()
  const joined = new Map<string, string>()
  const root = (name: string): string => {
    const next = joined.get(name)
    return next === undefined ? name : root(next)
  }
  for (const node of graph.nodes) {
    const { name, op, inputs } = node
    if (op.type === 'Input' || inline(node)) continue
    const own = groups.get(name) ?? group.get(inputs[0]!) ?? name
    group.set(name, own)
    for (const input of inputs) {
      const before = byName.get(input)
      const float = before !== undefined && isComputedFloat(before)
      const only = readers.get(input)?.length === 1 && !networkOutputs.has(input)
      if (float && only && root(group.get(input)!) !== root(own)) joined.set(root(group.get(input)!), root(own))
    }
  }
  const unitOf = (name: string): string | undefined => {
    const own = group.get(name)
    return own === undefined ? undefined : blockOf(root(own))
  }

  // A unit is computed as a whole: what is inside it was not kept.
  const touched = new Set([...wanted].flatMap((name) => unitOf(name) ?? []))
  const members = new Map<string, QNode[]>()
  for (const node of graph.nodes) {
    const unit = unitOf(node.name)
    if (unit === undefined || !touched.has(unit)) continue
    // Again, so that units stand in the order of their last nodes: all that they read comes before it.
    const nodes = members.get(unit) ?? []
    members.delete(unit)
    members.set(unit, nodes)
    nodes.push(node)
  }
  const ranges = storedRanges(graph)
  return [...members].map(([unit, nodes]) => {
    const from = new Set<string>()
    for (const { inputs } of nodes)
      for (const input of inputs) {
        if (!byName.has(input)) continue
        const read = source(input)
        if (unitOf(read) !== unit) from.add(read)
      }
    const outside = ({ name }: QNode): boolean =>
      networkOutputs.has(name) ||
      readers.get(name)!.some((reader) => {
        const through = inline(reader) ? readers.get(reader.name)! : [reader]
        return through.some((end) => unitOf(end.name) !== unit && touched.has(unitOf(end.name)!))
      })
    const ends = nodes.filter(outside)
    const outputs = ends.map(({ name }) => name)
    const signature = JSON.stringify([
      nodes.map(({ name, type, inputs }) => [name, type.kind, ...inputs]),
      outputs,
      // How an 8-bit sum is kept exact depends on what the values can be.
      [...from].map((name) => [name, byName.get(name)!.type.kind, ranges.get(name) ?? null]),
    ])
    return { name: unit, outputs, shapes: ends.map(({ shape }) => shape), from: [...from], signature }
  })
}

/** A value that a session must not end in if its reader is float too: onnxruntime may compute both at once, with other last bits. */
const isComputedFloat = ({ op, type }: QNode): boolean => op.type !== 'Input' && op.type !== 'Cast' && !isInt(type)

function readersOf(graph: QGraph): Map<string, QNode[]> {
  const readers = new Map<string, QNode[]>(graph.nodes.map((node) => [node.name, []]))
  for (const node of graph.nodes) for (const input of node.inputs) readers.get(input)?.push(node)
  return readers
}

function packed({ type }: QNode, { shape, data }: Tensor): { shape: readonly number[]; data: Stored } {
  return {
    shape,
    data: type.kind === 'i8' ? Int8Array.from(data) : type.kind === 'u8' ? Uint8Array.from(data) : data.slice(),
  }
}
