/** What a layer is really computed in: some have no 8-bit form, some float layers ignore the 16-bit types. */
import type { Warning } from '../../events.js'
import type { Graph, Node } from '../../ir/graph.js'
import type { Precision } from '../qgraph.js'

export interface Placement {
  readonly precision: Precision
  /** Why it is not what was asked for. */
  readonly because: string | undefined
}

/** Reshape and ArgMax are placed nowhere: they take their operand in whatever type it has. */
export function placement(graph: Graph, node: Node, asked: Precision): Placement {
  if (asked === 'INT8' && averages(graph, node))
    return { precision: 'F16', because: 'the weights of a Softmax lose too much in 8 bit' }
  const because = asked === 'INT8' ? noInt8(graph, node) : asked === 'F32' ? undefined : no16Bit(node)
  return because === undefined ? { precision: asked, because } : { precision: 'F32', because }
}

/** The layers of a graph that are computed in another precision than asked for, in order. */
export function describeFallbacks(graph: Graph, precision: (layer: string) => Precision): Warning[] {
  return graph.nodes.flatMap((node) => {
    if (['Input', 'Reshape', 'ArgMax'].includes(node.op.type)) return []
    const asked = precision(node.name)
    const { precision: placed, because } = placement(graph, node, asked)
    return because === undefined ? [] : [{ about: node.name, message: `${because}: ${placed} instead of ${asked}` }]
  })
}

/**
 * Whether a node is a product of two computed values with a Softmax for an operand, or moves the Softmax on its way there. What the
 * product gives is no larger than the other operand, so 16 bits hold it; but in 8 bit, one weight near 1 anywhere leaves nothing of
 * the many small ones.
 */
function averages(graph: Graph, { name, op, inputs }: Node): boolean {
  if (op.type === 'MatMul')
    return !graph.weights.has(inputs[1]!) && inputs.slice(0, 2).some((value) => isSoftmax(graph, value))
  if (!moves(op) || !isSoftmax(graph, inputs[0]!)) return false
  return graph.nodes.some((reader) => reader.inputs.includes(name) && averages(graph, reader))
}

const moves = ({ type }: Node['op']): boolean => type === 'Permute' || type === 'Reshape'

function isSoftmax(graph: Graph, value: string): boolean {
  const node = graph.nodes.find(({ name }) => name === value)
  if (node === undefined || !moves(node.op)) return node?.op.type === 'Softmax'
  return isSoftmax(graph, node.inputs[0]!)
}

function noInt8(graph: Graph, { op, inputs, shape }: Node): string | undefined {
  const weights = inputs.map((input) => graph.weights.get(input))
  switch (op.type) {
    case 'Softmax':
    case 'Div':
      return `${op.type} has no 8-bit form`
    case 'Conv':
    case 'Deconv':
      return weights[1] === undefined || (inputs.length > 2 && weights[2] === undefined)
        ? `a ${op.type} of two computed values has no 8-bit form`
        : undefined
    case 'MatMul':
      if (weights[1] === undefined)
        return inputs.length > 2 ? 'a MatMul of two computed values with a bias has no 8-bit form' : undefined
      if (inputs.length > 2 && weights[2] === undefined) return 'a MatMul with a computed bias has no 8-bit form'
      return weights[1].shape.length !== 2 ? 'a batched MatMul has no 8-bit form' : undefined
    case 'Scale':
      return shape.length === 4 ? undefined : 'a Scale of other than four dimensions has no 8-bit form'
    case 'AvgPool':
      return !op.countIncludePad && op.pads.some((pad) => pad > 0)
        ? 'an average that leaves out the padding has no 8-bit form'
        : undefined
    case 'Concat':
      return weights.some((weight) => weight !== undefined) ? 'a Concat with a constant has no 8-bit form' : undefined
    default:
      return undefined
  }
}

const no16Bit = ({ op }: Node): string | undefined =>
  ['Softmax', 'Sigmoid', 'SiLU', 'Div'].includes(op.type) ? `${op.type} in float is always F32` : undefined
