/** What a legal float graph is, as code: run in tests after import and after every pass, and on graphs read from text. */
import { QuantError } from '../errors.js'
import { type Graph, type Node, sizeOf } from './graph.js'
import { isPositive, resultShape, sameShape, showShape } from './shapes.js'

/**
 * Every name once; operands made before they are read; weights only where the op takes them; shapes as `resultShape` says; weights
 * with finite numbers and as many as their shape tells; outputs are nodes, each once.
 * @throws QuantError 'model' with the first thing that is wrong.
 */
export function checkGraph(graph: Graph): void {
  for (const [name, weight] of graph.weights) {
    if (!weight.shape.every(isPositive) || sizeOf(weight.shape) !== weight.data.length)
      throw wrong(`weight \`${name}\` has ${weight.data.length} numbers for shape ${showShape(weight.shape)}`)
    if (!weight.data.every(Number.isFinite)) throw wrong(`weight \`${name}\` has a number that is not finite`)
  }
  const made = new Map<string, Node>()
  for (const node of graph.nodes) {
    if (made.has(node.name) || graph.weights.has(node.name)) throw wrong(`the name \`${node.name}\` stands twice`)
    const shapes = node.inputs.map((input, i) => {
      const weight = graph.weights.get(input)
      if (weight && !takesWeight(node, i)) throw wrong(`layer \`${node.name}\`: operand ${i} must not be a weight`)
      if (!weight && needsWeight(node, i)) throw wrong(`layer \`${node.name}\`: operand ${i} must be a weight`)
      const shape = (weight ?? made.get(input))?.shape
      if (!shape) throw wrong(`layer \`${node.name}\` reads \`${input}\`, which is not made before it`)
      return shape
    })
    if (shapes.length > 0 && node.inputs.every((input) => graph.weights.has(input)))
      throw wrong(`layer \`${node.name}\` reads weights only`)
    const shape = resultShape(node, shapes)
    if (!sameShape(shape, node.shape) || !shape.every(isPositive))
      throw wrong(`layer \`${node.name}\` has shape ${showShape(node.shape)}, its op gives ${showShape(shape)}`)
    made.set(node.name, node)
  }
  if (graph.outputs.length === 0) throw wrong(`graph \`${graph.name}\` has no output`)
  for (const [i, output] of graph.outputs.entries()) {
    if (!made.has(output)) throw wrong(`output \`${output}\` is not a layer`)
    if (graph.outputs.indexOf(output) !== i) throw wrong(`output \`${output}\` stands twice`)
  }
}

const wrong = (fact: string): QuantError => new QuantError('model', fact)

const takesWeight = ({ op }: Node, operand: number): boolean =>
  ['Add', 'Mul', 'Sub', 'Div', 'Min', 'Max'].includes(op.type) ||
  (operand > 0 && ['Conv', 'Deconv', 'MatMul', 'Scale', 'PRelu'].includes(op.type))

const needsWeight = ({ op }: Node, operand: number): boolean =>
  operand > 0 && (['Conv', 'Deconv', 'Scale', 'PRelu'].includes(op.type) || (op.type === 'MatMul' && operand === 2))
