/** From the quantized graph to the two command streams of the BM1684X. */
import type { QGraph, QNode } from '../../quantize/qgraph.js'
import { globalBase } from '../chip.js'
import { checkInstruction } from '../isa/check.js'
import { type Instruction, precBytes } from '../isa/forms.js'
import type { Program, ProgramTensor } from '../program.js'
import { cyclesOf } from '../timing/cycles.js'
import { totalCycles } from '../timing/simulate.js'
import { startCoefficients } from './coefficients.js'
import { startEmitter } from './emit.js'
import { type Copy, type Fill, type GenerateOptions, type PlanGraph, type Port, planGraph, stored } from './graph.js'
import { chooseGroups } from './groups.js'
import type { Packed } from './kernel.js'
import { placeGroups } from './local.js'
import { type Life, placeTensors } from './memory.js'
import type { Transfer } from './moves.js'
import { startParts } from './parts.js'
import { startSlicer } from './sliced.js'
import type { Context, Group, Move, Step } from './steps.js'
import { copyGlobal, fillGlobal } from './transfer.js'

/**
 * @param options without them inputs and outputs are float32
 * @throws QuantError 'model' naming the layer that has no kernel or does not fit
 */
export function generate(q: QGraph, options: GenerateOptions = {}): Program {
  const graph = planGraph(q, options)
  const groups = groupsOf(graph)
  const coefficients = startCoefficients()
  for (const { steps } of groups)
    for (const { loads } of steps) for (const { root } of loads) if (typeof root !== 'string') coefficients.place(root)
  const image = coefficients.image()
  const memory = placeTensors(lives(graph, groups))
  const neurons = globalBase + image.length
  const address = (root: string | Packed): number =>
    typeof root === 'string' ? neurons + memory.offsets.get(root)! : coefficients.place(root)
  const port = ({ node, ...tensor }: Port): ProgramTensor => ({
    ...tensor,
    address: address(graph.views.get(node)!.root),
  })
  return {
    name: graph.name,
    ...checked(fastest(eagernesses.map((eagerness) => streams(groups, eagerness, address)))),
    coefficients: image,
    neuronBytes: memory.bytes,
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(port),
  }
}

type Streams = Pick<Program, 'tiu' | 'dma' | 'spans'>

/** Loads that come earlier wait less, but keep local memory from others: what is best is found by trying. */
const eagernesses = [1, 1.5, 2.5]

/** The first of those that take the fewest cycles. */
function fastest(candidates: readonly Streams[]): Streams {
  const cycles = candidates.map(totalCycles)
  return candidates[cycles.indexOf(Math.min(...cycles))]!
}

/** @throws Error, our own mistake and not the user's, where the chip would not take a command */
function checked(streams: Streams): Streams {
  for (const { layer, tiu, dma } of streams.spans)
    for (const instruction of [...streams.tiu.slice(...tiu), ...streams.dma.slice(...dma)]) {
      const findings = checkInstruction(instruction)
      if (findings.length > 0) throw new Error(`${layer}: ${instruction.form}: ${findings.join('; ')}`)
    }
  return streams
}

function streams(groups: readonly Group[], eagerness: number, address: (root: string | Packed) => number): Streams {
  const schedule = placeGroups(groups, eagerness)
  if (schedule === undefined) throw new Error('a group that fits by itself does not fit behind others')
  const emitter = startEmitter()
  const layerOf = new Map<Transfer, string>()
  for (const { layer, loads } of schedule.steps) for (const load of loads) layerOf.set(load, layer)
  let before = ''
  schedule.steps.forEach((step, index) => {
    for (const load of schedule.loads[index]!) {
      emitter.layer(layerOf.get(load)!)
      for (const command of load.commands(address(load.root))) emitter.emit(command)
    }
    for (const store of step.stores) {
      emitter.layer(before)
      for (const command of store.commands(address(store.root))) emitter.emit(command)
    }
    emitter.layer(step.layer)
    for (const { from, to, commands } of step.moves)
      for (const command of commands(from === undefined ? 0 : address(from), address(to))) emitter.emit(command)
    step.compute((command) => emitter.emit(command))
    before = step.layer
  })
  return emitter.finish()
}

/** Runs of nodes between copies become groups; a copy is a group of its own. */
function groupsOf(graph: PlanGraph): Group[] {
  const joins = new Map<string, Group>()
  for (const item of graph.items) if (item.kind === 'concat') joins.set(item.node.name, moveGroup(item.copies))
  const context: Context = { graph, parts: startParts(graph), slicer: startSlicer(graph), transfers: new Map(), joins }
  const groups: Group[] = []
  let run: QNode[] = []
  const close = (): void => {
    if (run.length > 0) groups.push(...chooseGroups(context, run))
    run = []
  }
  for (const item of graph.items) {
    if (item.kind === 'compute' || item.kind === 'concat') {
      run.push(item.node)
      continue
    }
    close()
    groups.push(moveGroup([item]))
  }
  close()
  return groups
}

function moveGroup(items: readonly (Copy | Fill)[]): Group {
  const steps = items.map((item): Step => {
    const layer = item.node.layer ?? item.node.name
    return { layer, loads: [], stores: [], moves: [moveOf(item)], cycles: 0, scratch: undefined, compute: () => {} }
  })
  return { steps, buffers: [] }
}

function moveOf(item: Copy | Fill): Move {
  const { prec } = stored(item.node.type)
  const size = precBytes[prec]
  const { to } = item
  const commands = (fromBase: number, toBase: number): Instruction[] => {
    const target = { address: toBase + to.offset * size, strides: to.strides }
    if (item.kind === 'fill') return fillGlobal(prec, item.value, to.shape, target)
    const { from } = item
    return copyGlobal(prec, to.shape, { address: fromBase + from.offset * size, strides: from.strides }, target)
  }
  const cycles = commands(globalBase, globalBase).reduce((sum, command) => sum + cyclesOf(command), 0)
  return { from: item.kind === 'copy' ? item.from.root : undefined, to: to.root, cycles, commands }
}

/** When each stored tensor is in use, counted in groups; inputs and outputs always are. */
function lives(graph: PlanGraph, groups: readonly Group[]): Life[] {
  const uses = new Map<string, [first: number, last: number]>()
  const use = (root: string | Packed | undefined, at: number): void => {
    if (typeof root !== 'string') return
    const known = uses.get(root) ?? [at, at]
    uses.set(root, [Math.min(known[0], at), Math.max(known[1], at)])
  }
  groups.forEach(({ steps }, at) => {
    for (const { loads, stores, moves } of steps) {
      for (const { root } of [...loads, ...stores]) use(root, at)
      for (const { from, to } of moves) {
        use(from, at)
        use(to, at)
      }
    }
  })
  for (const { node } of [...graph.inputs, ...graph.outputs])
    uses.set(graph.views.get(node)!.root, [Number.NEGATIVE_INFINITY, Infinity])
  return [...uses].map(([name, [first, last]]) => ({ name, bytes: graph.roots.get(name)!, first, last }))
}
