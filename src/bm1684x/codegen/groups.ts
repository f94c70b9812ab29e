/** Which neighbouring nodes stay in local memory together, and how they are cut: by estimated time. */
import { QuantError } from '../../errors.js'
import type { QNode } from '../../quantize/qgraph.js'
import { laneBytes, lanes } from '../chip.js'
import type { PlanGraph } from './graph.js'
import { fits } from './local.js'
import { startPricing } from './price.js'
import { bordersOf, type Cut, cutGroup, type Tiling } from './slices.js'
import { type Context, type Group, groupSteps } from './steps.js'
import { shape4 } from './view.js'

/** Longest groups that are looked at, in atoms. */
const mostAtoms = 16
const sliceCounts = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096]

/** How a group is to be cut. */
interface Plan {
  readonly kind: 'cut'
  readonly nodes: readonly QNode[]
  readonly tiling: Tiling
  readonly cut: Cut
  readonly slices: number
  /** Estimated. */
  readonly cycles: number
}

/** A Concat whose parts are in global memory. */
interface Join {
  readonly kind: 'join'
  readonly group: Group
  readonly cycles: number
}

/**
 * Cuts a run of nodes into groups so that the sum of their times is least.
 * @param room bytes of a lane that may live at the same time: fewer than there are where buffers could not be packed
 * @throws QuantError 'model' naming the layer that does not fit by itself
 */
export function chooseGroups(context: Context, nodes: readonly QNode[], room = laneBytes): Group[] {
  const atoms = atomsOf(context.graph, nodes)
  const best: { readonly cycles: number; readonly from: number; readonly plan: Plan | Join }[] = []
  for (let end = 1; end <= atoms.length; end++) {
    let choice: (typeof best)[number] | undefined
    for (let from = end - 1; from >= Math.max(0, end - mostAtoms); from--) {
      const plan = planRun(context, atoms.slice(from, end).flat(), room)
      if (plan === undefined) continue
      const cycles = plan.cycles + (from === 0 ? 0 : best[from - 1]!.cycles)
      if (choice === undefined || cycles < choice.cycles) choice = { cycles, from, plan }
    }
    if (choice === undefined) throw tooLarge(context, atoms[end - 1]![0]!)
    best.push(choice)
  }
  const groups: Group[] = []
  for (let end = atoms.length; end > 0; end = best[end - 1]!.from) {
    const { plan } = best[end - 1]!
    const group = plan.kind === 'join' ? plan.group : build(context, plan)
    if (group === undefined) return chooseGroups(context, nodes, room * 0.9)
    groups.unshift(group)
  }
  return groups
}

/** A node and what follows it element by element for no one else: always computed together. */
function atomsOf(graph: PlanGraph, nodes: readonly QNode[]): QNode[][] {
  const atoms: QNode[][] = []
  for (const node of nodes) {
    const before = atoms.at(-1)?.at(-1)
    const [input, ...others] = node.inputs.filter((name) => graph.nodes.has(name))
    const only = before !== undefined && input === before.name && others.length === 0
    const alone = only && !graph.outside.has(before.name) && graph.readers.get(before.name)?.length === 1
    const here =
      before?.shape.length === node.shape.length && node.shape.every((size, axis) => size === before.shape[axis])
    if (alone && here && node.op.type !== 'ConvInt' && node.op.type !== 'Conv' && node.op.type !== 'Cast')
      atoms.at(-1)!.push(node)
    else atoms.push([node])
  }
  return atoms
}

function planRun(context: Context, nodes: readonly QNode[], room: number): Plan | Join | undefined {
  const join = nodes.length === 1 ? context.joins.get(nodes[0]!.name) : undefined
  if (join === undefined) return planGroup(context, nodes, room)
  const moves = join.steps.flatMap((step) => step.moves)
  return { kind: 'join', group: join, cycles: moves.reduce((sum, { cycles }) => sum + cycles, 0) }
}

/** The fastest way to cut a group; undefined where none fits. */
function planGroup(context: Context, nodes: readonly QNode[], room: number): Plan | undefined {
  let best: Plan | undefined
  const known = new Set<string>()
  const borders = bordersOf(context.graph, context.slicer, nodes)
  for (const tiling of tilings(nodes)) {
    const cut = cutGroup(context.graph, context.slicer, borders, tiling)
    if (cut === undefined) continue
    const pricing = startPricing(context, nodes, tiling, cut)
    if (pricing === undefined) continue
    let worse = 0
    for (const slices of countsOf(cut)) {
      if (worse > 1) break
      // Coefficients that are loaded again for each slice help only where they do not fit otherwise: the times of slices that were
      // all made can but rise. (Those of others are continued, which knows no such order.)
      if (!tiling.resident && known.has(`${tiling.batch} ${slices}`)) {
        worse++
        continue
      }
      const price = pricing(slices)
      if (price === undefined) break
      const { cycles, peak, whole } = price
      if (peak > room) continue
      if (whole && tiling.resident && tiling.strips === 1 && !tiling.flat) known.add(`${tiling.batch} ${slices}`)
      if (best === undefined || cycles < best.cycles) best = { kind: 'cut', nodes, tiling, cut, slices, cycles }
      else worse++
    }
  }
  return best
}

/** Rising; each once. */
function* countsOf(cut: Cut): Generator<number> {
  let before = 0
  for (const slices of sliceCounts) {
    const count = cut.countOf(slices)
    if (count > before) yield count
    before = count
  }
}

/** All steps of a group, in as many slices as it takes to fit; undefined where no number does. */
function build(context: Context, { nodes, tiling, cut, slices }: Plan): Group | undefined {
  for (const count of countsOf(cut)) {
    if (count < slices) continue
    const group = groupSteps(context, nodes, tiling, cut, count)
    if (group !== undefined && fits(group)) return group
  }
  return undefined
}

function tilings(nodes: readonly QNode[]): Tiling[] {
  const channels = Math.max(...nodes.map(({ shape }) => shape4(shape)[1]))
  const batched = shape4(nodes[0]!.shape)[0] > 1
  const strips = Math.floor(lanes / channels)
  const plain = { batch: 'all', strips: 1, flat: false, resident: true } as const
  return [
    plain,
    { ...plain, flat: true },
    ...(batched ? [{ ...plain, batch: 'one' as const }] : []),
    ...(strips > 1 ? [{ ...plain, strips, batch: batched ? ('one' as const) : ('all' as const) }] : []),
    { ...plain, resident: false },
    ...(batched ? [{ ...plain, batch: 'one' as const, resident: false }] : []),
  ]
}

function tooLarge({ graph, parts }: Context, node: QNode): QuantError {
  const [part] = parts.of(node, 1) ?? []
  const bytes = part?.packed.reduce((sum, { rowBytes }) => sum + rowBytes, 0) ?? 0
  const operands = node.inputs
    .filter((name) => graph.nodes.has(name))
    .map((name) => graph.nodes.get(name)!.shape.join('x'))
  return new QuantError(
    'model',
    `${node.layer ?? node.name} does not fit the BM1684X: one row of ${operands.join(' and ')} -> ${node.shape.join('x')} with ${bytes} bytes of coefficients needs more than the ${laneBytes} bytes of a lane`,
    {
      hint: 'use a smaller input or fewer channels, or end the network before this layer: model.outputs in quant.yaml',
    },
  )
}
