/** Concat, of values and of constants beside them: a chip joins only what is computed. */
import { sizeOf } from '../../graph.js'
import { sameShape, showShape } from '../../shapes.js'
import type { Constant } from '../constant.js'
import { type Convert, type OnnxNode, wholeAxis } from '../node.js'

const operandsOf = (node: OnnxNode): number[] => Array.from({ length: node.operandCount }, (_, i) => i)

export const concat: Convert = (node) => {
  const operands = operandsOf(node)
  const first = operands.find((i) => node.constant(i) === undefined) ?? 0
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 1, node.shape(first).length)
  const plain = { type: 'Concat', axis, relu: false, reluLimit: -1 } as const
  const constants = operands.flatMap((i) => node.constant(i) ?? [])
  for (const { kind, shape } of constants) {
    if (kind !== 'float') node.refuse('has an operand of integers')
    const other = node.shape(first)
    if (shape.length !== other.length || !sameShape(shape.with(axis, 1), other.with(axis, 1)))
      node.refuse(`${showShape(shape)} does not fit ${showShape(other)}`)
  }
  const inputs = constants.length === 0 ? operands.map((i) => node.value(i)) : padded(node, axis, constants)
  if (new Set(constants.flatMap(({ data }) => Array.from(data))).size <= 1) {
    if (inputs.length === 1) return node.alias(inputs[0]!)
    return node.add(plain, inputs)
  }
  const joined = inputs.length === 1 ? inputs[0]! : node.layer('joined', plain, inputs)
  const own = node.weight(`${node.outputs[0]}_constants`, node.shapeOf(joined), constantsAlone(node, axis))
  node.add({ type: 'Add', relu: false, reluLimit: -1 }, [joined, own])
}

/**
 * Values of a Concat, padded where constants stand beside them (YOLOv6 ends in rows of box, 1, scores): with their value when all are
 * alike, else with zeros that are to be added to.
 */
function padded(node: OnnxNode, axis: number, constants: readonly Constant[]): string[] {
  const numbers = new Set(constants.flatMap(({ data }) => Array.from(data)))
  const [only = 0] = numbers
  const values: { readonly layer: string; before: number; after: number }[] = []
  let waiting = 0
  for (const i of operandsOf(node)) {
    const constant = node.constant(i)
    const length = node.shape(i)[axis] ?? 0
    if (!constant) values.push({ layer: node.value(i), before: values.length === 0 ? waiting : 0, after: 0 })
    else if (values.length === 0) waiting += length
    else values.at(-1)!.after += length
  }
  return values.map(({ layer, before, after }, i) => {
    if (before + after === 0) return layer
    const none = node.shapeOf(layer).map(() => 0)
    const paddings = [...none.with(axis, before), ...none.with(axis, after)]
    return node.layer(`pad${i}`, { type: 'Pad', paddings, value: numbers.size === 1 ? only : 0 }, [layer])
  })
}

/** The result of a Concat with zeros for what is computed. */
function constantsAlone(node: OnnxNode, axis: number): Float32Array {
  const parts = operandsOf(node).map((i) => ({ shape: node.shape(i), data: node.constant(i)?.data }))
  const { shape } = parts[0]!
  const length = parts.reduce((sum, part) => sum + part.shape[axis]!, 0)
  const row = sizeOf(shape.slice(axis + 1)) * length
  const whole = new Float32Array(sizeOf(shape.slice(0, axis)) * row)
  let at = 0
  for (const part of parts) {
    const own = sizeOf(part.shape.slice(axis))
    if (part.data)
      for (let i = 0; i < part.data.length; i++) whole[Math.floor(i / own) * row + at + (i % own)] = part.data[i]!
    at += own
  }
  return whole
}
