/** One picture through the float model: which values must be looked at, and what follows of the others. */
import { QuantError } from '../errors.js'
import { type Graph, type Node, nodesByName, type Tensor } from '../ir/graph.js'
import type { Session } from '../runtime/session.js'
import { mergeStatistics, observe, observeBent, type TensorStatistics } from './statistics.js'

/** The layers whose values `analysePicture` reads: what its session must have as outputs, but for Input layers. */
export function readLayers(graph: Graph): string[] {
  const bent = bentLayers(graph)
  return graph.nodes.filter((node) => !followsOthers(graph, node) && !bent.has(node.name)).map(({ name }) => name)
}

/**
 * Runs one picture and looks at its values. One picture's tensors are alive at a time.
 * @param session a float model that has `readLayers` as outputs
 * @returns statistics of the layers that do not just follow others; `withFollowers` adds those
 */
export async function analysePicture(
  graph: Graph,
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Map<string, TensorStatistics>> {
  const values = await session.run(feeds)
  const read = (layer: string): Float32Array => {
    const value = values.get(layer) ?? feeds[layer]
    if (value) return value.data
    throw new QuantError('runtime', `the calibration model does not give layer ${JSON.stringify(layer)}`, {
      hint: 'it must be among its outputs',
    })
  }
  const bent = bentLayers(graph)
  const bentOf = new Map([...bent].map(([layer, { operand }]) => [operand, layer]))
  const found = new Map<string, TensorStatistics>()
  for (const node of graph.nodes) {
    if (followsOthers(graph, node) || bent.has(node.name)) continue
    const layer = bentOf.get(node.name)
    if (layer === undefined) found.set(node.name, observe(read(node.name)))
    else {
      const both = observeBent(read(node.name), bent.get(layer)!.slope)
      found.set(node.name, both.plain).set(layer, both.bent)
    }
  }
  return found
}

/** Of every layer, in graph order. Of one picture or of many together, which makes no difference here. */
export function withFollowers(
  graph: Graph,
  known: ReadonlyMap<string, TensorStatistics>,
): Map<string, TensorStatistics> {
  const all = new Map<string, TensorStatistics>()
  for (const node of graph.nodes) {
    const operands = node.inputs.map((name) => all.get(name)!)
    all.set(node.name, followsOthers(graph, node) ? follow(node, operands) : known.get(node.name)!)
  }
  return all
}

/** Layers that give their operands' values and no others, each equally often. */
function followsOthers(graph: Graph, { op, inputs }: Node): boolean {
  switch (op.type) {
    case 'Permute':
    case 'Reshape':
    case 'Upsample':
      return true
    case 'Concat':
      return !op.relu && !inputs.some((name) => graph.weights.has(name))
    default:
      return false
  }
}

function follow({ op }: Node, operands: readonly TensorStatistics[]): TensorStatistics {
  if (op.type === 'Upsample') return mergeStatistics(Array.from({ length: op.scaleH * op.scaleW }, () => operands[0]!))
  return operands.length === 1 ? operands[0]! : mergeStatistics(operands)
}

/** LeakyRelus that are looked at together with their operands, one for each. */
function bentLayers(graph: Graph): Map<string, { operand: string; slope: number }> {
  const nodes = nodesByName(graph)
  const bent = new Map<string, { operand: string; slope: number }>()
  const taken = new Set<string>()
  for (const { name, op, inputs } of graph.nodes) {
    if (op.type !== 'LeakyRelu' || op.alpha < 0) continue
    const operand = nodes.get(inputs[0]!)!
    if (followsOthers(graph, operand) || bent.has(operand.name) || taken.has(operand.name)) continue
    taken.add(operand.name)
    bent.set(name, { operand: operand.name, slope: Math.fround(op.alpha) })
  }
  return bent
}
