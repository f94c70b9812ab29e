/**
 * TensorFlow's networks take pictures as [n, h, w, c], and their converters turn them to [n, c, h, w] at once or behind a few operators
 * that scale or pad. Then the input itself becomes [n, c, h, w]: that is how pictures are prepared, and how the chip keeps them.
 */
import { isFunction } from '../functions.js'
import { type Graph, type Node, type Op, usersOf, type Weight } from '../graph.js'
import { freshName, replace } from './rewrite.js'

/** Axis of the result -> axis of the operand. */
const order = [0, 3, 1, 2] as const
const turned = <T>(perAxis: readonly T[]): T[] => order.map((axis) => perAxis[axis]!)

export function channelsFirst(graph: Graph): Graph {
  const weights = new Map(graph.weights)
  const changed = new Map<string, Node>()
  const gone = new Map<string, string>()
  const users = usersOf(graph)
  for (const input of graph.nodes) {
    if (input.op.type !== 'Input' || input.shape.length !== 4) continue
    const region = regionOf(graph, users, input)
    if (region === undefined) continue
    const names = new Set(region.map(({ name }) => name))
    for (const node of region) {
      const operands = node.inputs.map((operand) => (names.has(operand) ? operand : turnedWeight(weights, operand)))
      changed.set(node.name, { ...node, op: turnedOp(node.op), inputs: operands, shape: turned(node.shape) })
      for (const user of users.get(node.name)!) if (!names.has(user.name)) gone.set(user.name, node.name)
    }
  }
  if (changed.size === 0) return graph
  return replace(
    { ...graph, weights },
    graph.nodes.map((node) => changed.get(node.name) ?? node),
    gone,
  )
}

/** What is computed from the input before it is turned; undefined where something else reads it, or nothing turns it. */
function regionOf(graph: Graph, users: ReadonlyMap<string, readonly Node[]>, input: Node): Node[] | undefined {
  const region = [input]
  const names = new Set([input.name])
  let turns = 0
  for (const node of region) {
    if (graph.outputs.includes(node.name)) return undefined
    for (const user of users.get(node.name)!) {
      if (names.has(user.name)) continue
      if (user.op.type === 'Permute' && user.op.order.join() === order.join()) {
        if (graph.outputs.includes(user.name)) return undefined
        turns++
      } else if (moves(user.op) && user.shape.length === 4) {
        names.add(user.name)
        region.push(user)
      } else return undefined
    }
  }
  const alone = region.every(({ inputs }) =>
    inputs.every((operand) => names.has(operand) || (graph.weights.get(operand)?.shape.length ?? 5) <= 4),
  )
  return alone && turns > 0 ? region : undefined
}

/** What is the same on turned values, once its settings are turned. */
const elementwise = new Set(['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Relu', 'LeakyRelu', 'Concat', 'Slice', 'Pad'])
const moves = (op: Op): boolean => isFunction(op) || elementwise.has(op.type)

function turnedOp(op: Op): Op {
  if (op.type === 'Concat') return { ...op, axis: order.indexOf(op.axis as 0) }
  if (op.type === 'Pad') return { ...op, paddings: [...turned(op.paddings), ...turned(op.paddings.slice(4))] }
  if (op.type !== 'Slice') return op
  return { ...op, offsets: turned(op.offsets), ends: turned(op.ends), steps: turned(op.steps) }
}

/** Aligned as numpy aligns it, then turned; one number stays what it is. */
function turnedWeight(weights: Map<string, Weight>, name: string): string {
  const { shape, data } = weights.get(name)!
  if (data.length === 1) return name
  const [n, h, w, c] = [...[1, 1, 1, 1].slice(shape.length), ...shape] as [number, number, number, number]
  const values = Float32Array.from({ length: data.length }, (_, i) => {
    const [x, y, channel] = [i % w, Math.floor(i / w) % h, Math.floor(i / w / h) % c]
    const picture = Math.floor(i / w / h / c)
    return data[((picture * h + y) * w + x) * c + channel]!
  })
  const fresh = freshName(`${name}_turned`, (taken) => weights.has(taken))
  weights.set(fresh, { shape: [n, c, h, w], data: values })
  return fresh
}
