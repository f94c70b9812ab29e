import type { Convert } from '../node.js'
import { windowOf } from './window.js'

/** Conv on images; the weight is known at import. */
export const conv: Convert = (node) => {
  const { shape } = node.known(1, 'its weight')
  if (shape.length !== 4) node.refuse('only two-dimensional convolutions are supported')
  if (node.has(2)) node.known(2, 'its bias')
  node.add(
    {
      type: 'Conv',
      ...windowOf(node, [shape[2]!, shape[3]!]),
      group: node.attributes.int('group') ?? 1,
      relu: false,
      reluLimit: -1,
    },
    node.has(2) ? [node.value(0), node.operand(1), node.operand(2)] : [node.value(0), node.operand(1)],
  )
}
