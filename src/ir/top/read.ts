import { QuantError } from '../../errors.js'
import { checkGraph } from '../check.js'
import { type Graph, type Node, sizeOf, type Weight } from '../graph.js'
import { attributesOf } from '../mlir/attributes.js'
import { layersOf, type WeightRef } from '../mlir/layers.js'
import { type Module, parseModule } from '../mlir/parse.js'
import type { NpyArray } from '../npz.js'
import { OPERANDS, opTypeOf, READ } from './ops.js'

/**
 * Reads Top-dialect text, ours and the vendor's. Calibrated types are taken as float: the thresholds have their own file.
 * @param weights the arrays of the weight npz, float32
 * @param file names the text in errors
 * @throws QuantError 'input' with line and column: text that is malformed, ops or features that a Graph cannot hold, weights that
 * are missing or of another shape
 */
export function readTop(text: string, weights: ReadonlyMap<string, NpyArray>, file: string): Graph {
  const module = parseModule(text, file)
  const { name, layers, weights: refs, outputs } = layersOf(module)
  const nodes = layers.map((layer): Node => {
    const { operation, inputs, inputTypes, type } = layer
    const op = operation.op.startsWith('top.') ? opTypeOf(operation.op.slice(4)) : undefined
    if (op === undefined)
      throw module.fail(operation.at, `op "${operation.op}" is not supported`, 'end the network before this layer')
    const [least, most] = OPERANDS[op]
    if (inputs.length < least || inputs.length > most)
      throw module.fail(operation.at, `"${operation.op}" has ${inputs.length} operands`)
    const attributes = attributesOf(operation, module.fail)
    return { name: layer.name, op: READ[op](attributes, type, inputTypes[0]), inputs, shape: type.shape }
  })
  const used = new Map(refs.map((ref) => [ref.name, weightOf(ref, weights, module)]))
  const graph = { name, nodes, weights: used, outputs }
  try {
    checkGraph(graph)
  } catch (error) {
    if (!(error instanceof QuantError)) throw error
    // It speaks of layers by name: here that becomes a place in the file.
    const layer = layers.find(({ name }) => error.message.includes(`layer \`${name}\``))
    throw module.fail(layer?.operation.at ?? module.returnAt, error.message)
  }
  return graph
}

function weightOf(ref: WeightRef, weights: ReadonlyMap<string, NpyArray>, module: Module): Weight {
  const { shape, data } = weightArray(ref, weights, module)
  if (!(data instanceof Float32Array))
    throw module.fail(ref.at, `weight '${ref.name}' is not float32 in the weight file`)
  return { shape, data }
}

/** The array of a weight, of the shape that the text states. */
export function weightArray(ref: WeightRef, weights: ReadonlyMap<string, NpyArray>, module: Module): NpyArray {
  const { name, type, at } = ref
  const array = weights.get(name)
  const hint = 'give the weight file that belongs to this text'
  if (array === undefined) throw module.fail(at, `weight '${name}' is not in the weight file`, hint)
  if (`${array.shape}` !== `${type.shape}` || array.data.length !== sizeOf(type.shape))
    throw module.fail(
      at,
      `weight '${name}' is ${type.shape.join('x')} here, ${array.shape.join('x')} in its file`,
      hint,
    )
  return array
}
