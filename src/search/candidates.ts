/** What a search tries in float. */
import { type Graph, type Node, nodesByName, type OpType, usersOf } from '../ir/graph.js'

/**
 * Layers that only move data, or find places in it: in float they change nothing by themselves, but a cast less may stand between
 * their neighbours.
 */
const MOVES: ReadonlySet<OpType> = new Set(['Reshape', 'MaxPool', 'Slice', 'Permute', 'Upsample', 'Pad', 'ArgMax'])

const isCandidate = ({ op }: Node): boolean => op.type !== 'Input' && op.type !== 'Softmax' && !MOVES.has(op.type)

/** The layers that a search tries alone, in graph order: all but those that move data or are float anyway. */
export const candidateLayers = (graph: Graph): string[] => graph.nodes.filter(isCandidate).map((node) => node.name)

/** So many neighbouring layers are tried together at most. */
const longest = 4

/**
 * Runs of neighbouring candidates, in graph order: two to four layers, each of which is all that reads the one before, and single
 * layers that reach an output of the network. `withMoves` makes islands of them: sets with no cast inside.
 */
export function runs(graph: Graph): string[][] {
  const byName = nodesByName(graph)
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs)
  /** The candidate that alone reads what the layer gives, directly or moved. */
  const next = (name: string): Node | undefined => {
    const [only, ...others] = users.get(name)!
    if (only === undefined || others.length > 0 || outputs.has(name)) return undefined
    if (MOVES.has(only.op.type)) return next(only.name)
    return isCandidate(only) ? only : undefined
  }
  return candidateLayers(graph).flatMap((first) => {
    const found: string[][] = []
    const run: string[] = []
    for (let node = byName.get(first); node && run.length < longest; node = next(node.name)) {
      run.push(node.name)
      if (withMoves(graph, run).length > 1) found.push([...run])
    }
    return found
  })
}

/**
 * All candidates, and the first and the last half, quarter ... of them down to what `runs` tries: where float costs little, a choice
 * that is right in the end is reached in one step.
 */
export function stretches(graph: Graph): string[][] {
  const all = candidateLayers(graph)
  const found = [all]
  for (let count = all.length >> 1; count > longest; count >>= 1) found.push(all.slice(0, count), all.slice(-count))
  return found
}

/**
 * The candidates among the layers, and all layers that move data between them or from them to an output of the network, in graph
 * order: those go float too, as otherwise values would be rounded to 8 bit on the way.
 */
export function withMoves(graph: Graph, layers: Iterable<string>): string[] {
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs)
  const asked = new Set(layers)
  const float = new Set(graph.nodes.flatMap((node) => (asked.has(node.name) && isCandidate(node) ? [node.name] : [])))
  const reaches = ({ name }: Node): boolean =>
    outputs.has(name) ||
    users.get(name)!.some((user) => float.has(user.name) || (MOVES.has(user.op.type) && reaches(user)))
  for (const node of graph.nodes)
    if (MOVES.has(node.op.type) && float.has(node.inputs[0]!) && reaches(node)) float.add(node.name)
  return graph.nodes.flatMap(({ name }) => (float.has(name) ? [name] : []))
}
