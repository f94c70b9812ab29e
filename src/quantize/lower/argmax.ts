import type { Node, OpOf } from '../../ir/graph.js'
import type { Lowering } from './context.js'

/**
 * An ArgMax of what is stored: it needs neither a cast nor a threshold. On the chip the leading dimensions are the batch, along which
 * nothing is compared: such an axis is moved to the end.
 */
export function lowerArgMax(lowering: Lowering, node: Node & { readonly op: OpOf<'ArgMax'> }): void {
  const { name, op, shape } = node
  const [x] = node.inputs as [string]
  const size = lowering.shapeOf(x)
  const length = size[op.axis]!
  const leading = size.length > 3 ? size.length - 3 : size.length > 1 ? 1 : 0
  const moved = op.axis < leading
  const index = {
    op: { type: 'ArgMax', axis: moved ? size.length - 1 : op.axis, length },
    type: { kind: 'f32' },
  } as const
  if (op.keepDims && !moved) {
    lowering.add({ ...index, name, inputs: [x], shape, layer: name })
    return
  }
  const own = `${name}_index`
  if (moved) {
    const turned = `${name}_turned`
    const order = size.map((_, axis) => axis)
    order.push(...order.splice(op.axis, 1))
    const turnedSize = order.map((axis) => size[axis]!)
    lowering.add({
      name: turned,
      op: { type: 'Permute', order },
      inputs: [x],
      shape: turnedSize,
      type: lowering.typeOf(x),
      layer: turned,
    })
    lowering.add({ ...index, name: own, inputs: [turned], shape: turnedSize.with(-1, 1), layer: own })
  } else lowering.add({ ...index, name: own, inputs: [x], shape: size.with(op.axis, 1), layer: own })
  lowering.add({ name, op: { type: 'Reshape' }, inputs: [own], shape, type: index.type, layer: name })
}
