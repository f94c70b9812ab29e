import type { Node } from '../../ir/graph.js'
import type { QOp } from '../qgraph.js'
import type { FloatKind } from '../rounding.js'
import type { Lowering } from './context.js'

/** A layer in float: operands cast, weights rounded to the type, the result rounded once. A conv's bias stays float32. */
export function lowerFloat(lowering: Lowering, node: Node, kind: FloatKind): void {
  const inputs = node.inputs.map((input, i) => lowering.float(input, node.op.type === 'Conv' && i === 2 ? 'f32' : kind))
  lowering.add({ ...node, op: node.op satisfies QOp, inputs, type: { kind }, layer: node.name })
}
