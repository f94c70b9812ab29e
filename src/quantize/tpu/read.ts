import { attributesOf } from '../../ir/mlir/attributes.js'
import { layersOf, type WeightRef } from '../../ir/mlir/layers.js'
import { type Module, parseModule, type TensorType } from '../../ir/mlir/parse.js'
import type { NpyArray } from '../../ir/npz.js'
import { weightArray } from '../../ir/top/read.js'
import type { QGraph, QNode, QType, QWeight } from '../qgraph.js'
import { operandsOf, readTpuOp } from './ops.js'
import { isWeightKind, loadWeight } from './weights.js'

/**
 * Reads Tpu-dialect text after lowering, ours and the vendor's. Casts and rescales belong to no layer; every other node has the
 * name of its layer.
 * @param weights the arrays of the weight npz: int8, uint8, int32, float32, and 16-bit floats as uint16
 * @param file names the text in errors
 * @throws QuantError 'input' with line and column: text that is malformed or otherwise beyond a QGraph, weights that
 * are missing or of another shape or type
 */
export function readTpu(text: string, weights: ReadonlyMap<string, NpyArray>, file: string): QGraph {
  const module = parseModule(text, file)
  const { fail } = module
  const { name, layers, weights: refs, outputs } = layersOf(module)
  const nodes = layers.map(({ operation, name, inputs, inputTypes, type }): QNode => {
    const op = readTpuOp(operation.op, attributesOf(operation, fail), type, inputTypes)
    if (op === undefined)
      throw fail(operation.at, `op "${operation.op}" is not supported`, 'end the network before this layer')
    const [least, most] = operandsOf(op.type)
    if (inputs.length < least || inputs.length > most)
      throw fail(operation.at, `"${operation.op}" has ${inputs.length} operands`)
    const rescale = op.type === 'MulShift' || (op.type === 'SumInt' && inputs.length === 1)
    const layer = op.type === 'Cast' || rescale ? undefined : name
    return { name, op, inputs, shape: type.shape, type: typeOf(type, operation.at, module), layer }
  })
  return { name, nodes, weights: new Map(refs.map((ref) => [ref.name, weightOf(ref, weights, module)])), outputs }
}

function typeOf({ element, quant }: TensorType, at: number, { fail }: Module): QType {
  if (quant !== undefined && (element === 'i8' || element === 'u8')) {
    const { scale, zeroPoint } = quant
    if (zeroPoint === 0) return { kind: element, scale }
    if (element === 'i8' && Number.isInteger(zeroPoint) && zeroPoint >= -128 && zeroPoint <= 127)
      return { kind: element, scale, zero: zeroPoint }
    throw fail(at, `zero point ${zeroPoint} of ${element}`, 'only signed values have one, from -128 to 127')
  }
  if (quant === undefined && (element === 'f32' || element === 'f16' || element === 'bf16')) return { kind: element }
  throw fail(at, `values of type ${element} are not supported`)
}

function weightOf(ref: WeightRef, weights: ReadonlyMap<string, NpyArray>, module: Module): QWeight {
  const kind = ref.type.element
  if (!isWeightKind(kind)) throw module.fail(ref.at, `weights of type ${kind} are not supported`)
  const { shape, data: stored } = weightArray(ref, weights, module)
  const data = loadWeight(kind, stored)
  if (data === undefined) throw module.fail(ref.at, `weight '${ref.name}' is not stored as ${kind} in the weight file`)
  return { shape, data, kind }
}
