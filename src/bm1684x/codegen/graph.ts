/**
 * The net as the planner sees it: which nodes compute, which only say that a value is seen under another shape, order or name, and
 * where in global memory each value lies.
 */
import { QuantError } from '../../errors.js'
import { sizeOf } from '../../ir/graph.js'
import type { QGraph, QNode, QType, QWeight } from '../../quantize/qgraph.js'
import { type IntType, isInt, zeroOf } from '../../quantize/rounding.js'
import { type Prec, precBytes } from '../isa/forms.js'
import { toBf16, toF16 } from '../layout.js'
import type { IoType } from '../program.js'
import { kernelOf } from './kernels/index.js'
import { asMatrices } from './matrices.js'
import { inPhases } from './phases.js'
import { packedStrides, permuteView, reshapeView, sliceView, strides4, type View, whole } from './view.js'

export interface Stored {
  readonly prec: Prec
  readonly signed: boolean
}

const storedAs: Readonly<Record<QType['kind'], Stored>> = {
  i8: { prec: 'int8', signed: true },
  u8: { prec: 'int8', signed: false },
  f32: { prec: 'fp32', signed: true },
  f16: { prec: 'fp16', signed: true },
  bf16: { prec: 'bf16', signed: true },
}

/** How a value's type is stored. */
export function stored({ kind }: QType): Stored {
  return storedAs[kind]
}

/** DMA from view to view, which have the same shape. */
export interface Copy {
  readonly kind: 'copy'
  readonly node: QNode
  readonly from: View
  readonly to: View
}

/** The value's place is filled with the bits of a constant. */
export interface Fill {
  readonly kind: 'fill'
  readonly node: QNode
  readonly to: View
  readonly value: number
}

export type Item =
  /** Computed by a kernel, in local memory. */
  | { readonly kind: 'compute'; readonly node: QNode }
  /** Parts of a whole: most were stored in their places, others are copied there. In local memory a kernel puts them together. */
  | { readonly kind: 'concat'; readonly node: QNode; readonly copies: readonly Copy[] }
  | Copy
  | Fill

export interface Port {
  readonly name: string
  readonly node: string
  readonly type: IoType
  readonly scale: number
  readonly zero?: number
  readonly shape: readonly number[]
}

export interface PlanGraph {
  readonly name: string
  /** In an order in which they can be executed. */
  readonly items: readonly Item[]
  readonly nodes: ReadonlyMap<string, QNode>
  readonly weights: ReadonlyMap<string, QWeight>
  readonly views: ReadonlyMap<string, View>
  /** Bytes of every tensor that is stored in global memory. */
  readonly roots: ReadonlyMap<string, number>
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** Values that have to be in global memory: outputs, and what items other than computations read. Of the others: who reads them. */
  readonly outside: ReadonlySet<string>
  readonly readers: ReadonlyMap<string, readonly QNode[]>
}

export interface GenerateOptions {
  /** Inputs are given in 8 bit instead of float32. */
  readonly quantInput?: boolean
  /** Outputs are left in 8 bit where they are computed so. */
  readonly quantOutput?: boolean
}

/** Strides and dilations that the commands of windows have bits for. */
const mostStep = 15
/** An Upsample is so many copies. */
const mostCopies = 4096

/** @throws QuantError 'model' naming the layer that cannot be compiled. */
export function planGraph(q: QGraph, options: GenerateOptions = {}): PlanGraph {
  const { nodes, weights, outputs } = boundaries(q, options)
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const readers = new Map<string, QNode[]>()
  for (const node of nodes)
    for (const input of node.inputs) if (byName.has(input)) readers.set(input, [...(readers.get(input) ?? []), node])

  const views = new Map<string, View>()
  const roots = new Map<string, number>()
  const bytesOf = (type: QType): number => precBytes[stored(type).prec]
  const root = (name: string, shape: readonly number[], type: QType): View => {
    roots.set(name, sizeOf(shape) * bytesOf(type))
    return whole(name, shape)
  }
  const written = new Set(outputs.map(({ node }) => node))
  const items: Item[] = []

  // A part of a Concat is stored at its place in the whole where it is computed for it alone; so the places are known first.
  const slots = new Map<string, View>()
  for (const node of nodes.toReversed()) {
    if (node.op.type !== 'Concat' || node.op.relu) continue
    const { axis } = node.op
    const into = slots.get(node.name) ?? root(node.name, node.shape, node.type)
    slots.set(node.name, into)
    let at = 0
    for (const input of node.inputs) {
      const part = byName.get(input)
      const shape = part?.shape ?? weights.get(input)!.shape
      const slot = sliceView(
        into,
        shape,
        shape.map((_, i) => (i === axis ? at : 0)),
      )
      at += shape[axis]!
      const own = part !== undefined && !slots.has(input) && !written.has(input) && strides4(slot) !== undefined
      if (own && (computed(part) || part.op.type === 'Concat')) slots.set(input, slot)
    }
  }

  const viewOf = (name: string): View => views.get(name)!
  for (const node of nodes) {
    const { op, name, inputs, shape, type } = node
    const input = inputs[0] === undefined ? undefined : views.get(inputs[0])
    switch (op.type) {
      case 'Input':
        views.set(name, root(name, shape, type))
        break
      case 'Reshape': {
        const same = reshapeView(input!, shape)
        if (same !== undefined && !written.has(name)) {
          views.set(name, same)
          break
        }
        const to = root(name, shape, type)
        views.set(name, to)
        items.push({
          kind: 'copy',
          node,
          from: input!,
          to: { ...to, shape: input!.shape, strides: packedStrides(input!.shape) },
        })
        break
      }
      case 'Slice': {
        const part = sliceView(input!, shape, op.offsets, op.steps)
        if (part.strides.at(-1) === 1 && !written.has(name) && strides4(part) !== undefined) views.set(name, part)
        else {
          views.set(name, root(name, shape, type))
          items.push({ kind: 'copy', node, from: part, to: viewOf(name) })
        }
        break
      }
      case 'Permute':
        views.set(name, root(name, shape, type))
        items.push({ kind: 'copy', node, from: permuteView(input!, op.order), to: viewOf(name) })
        break
      case 'Pad': {
        const to = root(name, shape, type)
        views.set(name, to)
        const before = op.paddings.slice(0, shape.length)
        if (op.paddings.some((padding) => padding < 0)) throw unsupported(node, 'a negative padding')
        items.push({ kind: 'fill', node, to, value: bitsOf(op.value, type) })
        items.push({ kind: 'copy', node, from: input!, to: sliceView(to, input!.shape, before) })
        break
      }
      case 'Concat':
        if (!op.relu) {
          const into = slots.get(name)!
          views.set(name, into)
          const copies: Copy[] = []
          let at = 0
          for (const part of inputs) {
            const from = views.get(part)
            if (from === undefined) throw unsupported(node, 'a constant operand')
            const to = sliceView(
              into,
              from.shape,
              from.shape.map((_, i) => (i === op.axis ? at : 0)),
            )
            at += from.shape[op.axis]!
            if (!sameView(from, to)) copies.push({ kind: 'copy', node, from, to })
          }
          if (joinsChannels(node)) items.push({ kind: 'concat', node, copies })
          else items.push(...copies)
          break
        }
        views.set(name, compute(node))
        break
      default:
        views.set(name, compute(node))
    }
  }
  function compute(node: QNode): View {
    const { op } = node
    if (kernelOf(node) === undefined) throw unsupported(node, `${op.type} in ${node.type.kind}`)
    for (const [what, pair] of [
      ['strides', 'strides' in op ? op.strides : []],
      ['dilations', 'dilations' in op ? op.dilations : []],
    ] as const)
      if (pair.some((step) => step > mostStep))
        throw unsupported(node, `${what} [${pair}], at most ${mostStep} are possible`)
    if (op.type === 'Upsample' && op.scaleH * op.scaleW > mostCopies)
      throw unsupported(node, `every pixel repeated ${op.scaleH * op.scaleW} times, at most ${mostCopies} are possible`)
    items.push({ kind: 'compute', node })
    return slots.get(node.name) ?? root(node.name, node.shape, node.type)
  }

  const port = (name: string, node: QNode): Port => ({
    name,
    node: node.name,
    type: node.type.kind,
    scale: isInt(node.type) ? node.type.scale : 1,
    ...(zeroOf(node.type) !== 0 && { zero: zeroOf(node.type) }),
    shape: node.shape,
  })
  return {
    name: q.name,
    items,
    nodes: byName,
    weights,
    views,
    roots,
    inputs: nodes.filter(({ op }) => op.type === 'Input').map((node) => port(node.name, node)),
    outputs: outputs.map(({ name, node }) => port(name, byName.get(node)!)),
    outside: new Set([
      ...written,
      ...nodes.filter((node) => !computed(node) && !joinsChannels(node)).flatMap(({ inputs }) => inputs),
    ]),
    readers,
  }
}

const computed = ({ op }: QNode): boolean =>
  !['Input', 'Reshape', 'Slice', 'Permute', 'Pad', 'Concat'].includes(op.type) || (op.type === 'Concat' && op.relu)

const joinsChannels = ({ op, shape }: QNode): boolean => op.type === 'Concat' && op.axis === 1 && shape.length === 4

const sameView = (a: View, b: View): boolean =>
  a.root === b.root &&
  a.offset === b.offset &&
  a.shape.every((size, axis) => size === 1 || a.strides[axis] === b.strides[axis])

const unsupported = (node: QNode, what: string): QuantError =>
  new QuantError('model', `${node.layer ?? node.name} cannot be compiled for the BM1684X: ${what}`, {
    hint: 'end the network before this layer: model.outputs in quant.yaml',
  })

function bitsOf(value: number, type: QType): number {
  if (isInt(type)) return value & 255
  const float = Float32Array.of(value)
  if (type.kind === 'f32') return new Uint32Array(float.buffer)[0]!
  return (type.kind === 'bf16' ? toBf16(float) : toF16(float))[0]!
}

/** The same node with its properties in one order: what is planned with runs faster where all nodes are built alike. */
const alike = ({ name, op, inputs, shape, type, layer }: QNode): QNode => ({ name, op, inputs, shape, type, layer })

/** Without the casts at the borders that are not wanted, matrices as rows, and without nodes that nothing needs. */
function boundaries(q: QGraph, { quantInput = false, quantOutput = false }: GenerateOptions) {
  let nodes = [...q.nodes]
  const byName = new Map(nodes.map((node) => [node.name, node]))
  if (quantInput) {
    for (const input of q.nodes) {
      if (input.op.type !== 'Input' || isInt(input.type)) continue
      const users = q.nodes.filter(({ inputs }) => inputs.includes(input.name))
      const [cast] = users
      if (users.length !== 1 || cast?.op.type !== 'Cast' || !isInt(cast.type) || q.outputs.includes(input.name))
        continue
      const type: IntType = cast.type
      nodes = nodes.flatMap((node): QNode[] => {
        if (node === input) return [{ ...input, type }]
        if (node === cast) return []
        return [{ ...node, inputs: node.inputs.map((name) => (name === cast.name ? input.name : name)) }]
      })
    }
  }
  const outputs = q.outputs.map((name) => {
    const node = byName.get(name)!
    const from = node.op.type === 'Cast' ? byName.get(node.inputs[0]!) : undefined
    return quantOutput && from !== undefined && isInt(from.type)
      ? { name: from.name, node: from.name }
      : { name, node: name }
  })
  const needed = new Set(outputs.map(({ node }) => node))
  const phased = inPhases(nodes, q.weights, needed)
  const shaped = asMatrices(phased.nodes, phased.weights)
  for (const { name, inputs, op } of shaped.nodes.toReversed())
    if (needed.has(name)) for (const input of inputs) needed.add(input)
    else if (op.type === 'Input') needed.add(name)
  const used = shaped.nodes.filter(({ name }) => needed.has(name)).map(alike)
  return { nodes: used, weights: shaped.weights, outputs }
}
