/** ONNX nodes -> layers and weights, before any pass: the state behind `OnnxNode`. */
import { QuantError } from '../../errors.js'
import { type Graph, type Node, sizeOf, type Weight } from '../graph.js'
import { freshName } from '../passes/rewrite.js'
import { isPositive, mostValues, resultShape, type Shape, showShape } from '../shapes.js'
import type { Constant } from './constant.js'
import { converters, unsupported } from './convert/index.js'
import { folders } from './fold.js'
import { attributesOf, nameOf, type OnnxNode } from './node.js'
import type { GraphProto, NodeProto } from './onnx_pb.js'
import { trueInputs } from './read.js'
import { decodeTensor } from './tensor.js'

/** A computed tensor is a layer, a known one a constant. */
type Binding = { readonly layer: string } | { readonly constant: Constant }

/**
 * Converts nodes one after the other and keeps what is known so far: inputs first, then nodes in order, then the result.
 * @param cut asked when a node is refused: where to end the network instead
 */
export function graphReader(onnx: GraphProto, file: string, cut: () => string | undefined) {
  const bindings = new Map<string, Binding>()
  const initializers = new Map(onnx.initializer.map((tensor) => [tensor.name, tensor]))
  const nodes = new Map<string, Node>()
  const weights = new Map<string, Weight>()
  /** Constant tensor -> its weight, so that two readers share it. */
  const adopted = new Map<string, string>()
  // Weights give way to layers, whose names are told by the rule: so the layers' names are taken from the start.
  const layerNames = new Set([
    ...trueInputs(onnx).map(({ name }) => name),
    ...onnx.node.map((node) => `${node.output[0]}_${node.opType}`),
  ])

  const shapeInFile = (node: Parameters<typeof resultShape>[0], operands: readonly Shape[]): Shape => {
    try {
      return resultShape(node, operands)
    } catch (cause) {
      throw new QuantError('model', `${(cause as Error).message}, in \`${file}\``, {
        hint: 'the network does not fit together: check the sizes in model.inputs, or export it again',
        cause,
      })
    }
  }
  const addLayer = (name: string, op: Node['op'], inputs: readonly string[], shape: Shape = []): string => {
    const taken = (name: string): boolean => nodes.has(name) || weights.has(name)
    const fresh = freshName(name, taken)
    const operands = inputs.map((input) => (nodes.get(input) ?? weights.get(input))!.shape)
    const result = shapeInFile({ name: fresh, op, shape }, operands)
    if (!result.every(isPositive) || sizeOf(result) > mostValues)
      throw new QuantError('model', `layer \`${fresh}\` of \`${file}\` would have shape ${showShape(result)}`, {
        hint: 'check the sizes in model.inputs',
      })
    nodes.set(fresh, { name: fresh, op, inputs, shape: result })
    return fresh
  }
  const addWeight = (hint: string, shape: Shape, data: Float32Array): string => {
    if (!data.every(Number.isFinite))
      throw new QuantError('model', `weight \`${hint}\` of \`${file}\` has a number that is NaN or infinite`, {
        hint: 'the training diverged or the export is damaged: export the model again',
      })
    if (data.length === 0)
      throw new QuantError('model', `weight \`${hint}\` of \`${file}\` is empty`, {
        hint: 'export the model again',
      })
    const fresh = freshName(hint, (name) => nodes.has(name) || weights.has(name) || layerNames.has(name))
    weights.set(fresh, { shape, data })
    return fresh
  }
  /** Initializers are decoded when they are first read: cut-off ones never. */
  const bindingOf = (tensor: string): Binding | undefined => {
    const known = bindings.get(tensor)
    const initializer = initializers.get(tensor)
    if (known || !initializer) return known
    const binding = { constant: decodeTensor(initializer, tensor, file) }
    bindings.set(tensor, binding)
    return binding
  }

  function view(proto: NodeProto, opset: number): OnnxNode {
    const refuse = (fact: string, hint?: string): never => {
      const ways = [hint, cut()].filter((way) => way !== undefined)
      throw new QuantError('model', `${proto.opType} \`${nameOf(proto)}\` of \`${file}\`: ${fact}`, {
        hint: ways.length > 0 ? ways.join('; or ') : undefined,
      })
    }
    const operandCount = proto.input.findLastIndex((tensor) => tensor !== '') + 1
    const binding = (i: number): Binding => {
      const tensor = proto.input[i] || refuse(`has no operand ${i}`)
      return bindingOf(tensor) ?? refuse(`reads \`${tensor}\`, which nothing makes before it`)
    }
    const constant = (i: number): Constant | undefined => {
      if (!proto.input[i]) return undefined
      const bound = binding(i)
      return 'constant' in bound ? bound.constant : undefined
    }
    const bind = (output: number, layer: string): void => void bindings.set(proto.output[output] ?? '', { layer })
    return {
      type: proto.opType,
      opset,
      file,
      attributes: attributesOf(proto, refuse),
      operandCount,
      outputs: proto.output,
      has: (i) => Boolean(proto.input[i]),
      constant,
      refuse,
      shape(i) {
        const bound = binding(i)
        return 'layer' in bound ? nodes.get(bound.layer)!.shape : bound.constant.shape
      },
      value(i) {
        const bound = binding(i)
        return 'layer' in bound ? bound.layer : refuse(`operand \`${proto.input[i]}\` is a constant`)
      },
      known: (i, what) =>
        constant(i) ??
        refuse(
          proto.input[i]
            ? `${what} must be constant, but \`${proto.input[i]}\` is computed`
            : `has no operand ${i}, ${what}`,
        ),
      operand(i) {
        const bound = binding(i)
        if ('layer' in bound) return bound.layer
        const tensor = proto.input[i]!
        const { kind, shape, data } = bound.constant
        if (kind !== 'float') return refuse(`operand \`${tensor}\` holds integers`)
        const weight = adopted.get(tensor) ?? addWeight(tensor, shape, data)
        adopted.set(tensor, weight)
        return weight
      },
      weight: addWeight,
      tensorName: (i) => proto.input[i] ?? '',
      add: (op, inputs, shape) => bind(0, addLayer(`${proto.output[0]}_${proto.opType}`, op, inputs, shape)),
      layer: (what, op, inputs, shape) => addLayer(`${proto.output[0]}_${proto.opType}_${what}`, op, inputs, shape),
      opOf: (layer) => nodes.get(layer)!.op,
      shapeOf: (layer) => nodes.get(layer)!.shape,
      addPart: (output, name, op, inputs) => bind(output, addLayer(name, op, inputs)),
      alias: (layer) => bind(0, layer),
    }
  }

  return {
    input(name: string, shape: Shape): void {
      bindings.set(name, { layer: addLayer(name, { type: 'Input' }, [], shape) })
    },
    convert(proto: NodeProto, opset: number): void {
      const node = view(proto, opset)
      const known = proto.input.every((tensor, i) => tensor === '' || node.constant(i))
      if (Object.hasOwn(folders, node.type) && (known || node.type === 'Shape' || node.type === 'Size'))
        bindings.set(proto.output[0] ?? '', { constant: folders[node.type]!(node) })
      else if (Object.hasOwn(converters, node.type)) converters[node.type]!(node)
      else throw unsupported(`${node.type} of a computed tensor`, proto, file, cut())
    },
    /** Whether a tensor is a value that was converted. */
    computed: (tensor: string): boolean => 'layer' in (bindingOf(tensor) ?? {}),
    result(outputs: readonly string[]): Omit<Graph, 'name'> {
      const layers = outputs.map((output) => {
        const bound = bindings.get(output)
        if (bound && 'layer' in bound) return bound.layer
        const fact = bound
          ? 'does not depend on the input'
          : 'is a further result of its operator, which is not supported'
        throw new QuantError('model', `output \`${output}\` of \`${file}\` ${fact}`, {
          hint: 'take it out of model.outputs',
        })
      })
      const twice = outputs.find((_, i) => layers.indexOf(layers[i]!) !== i)
      if (twice !== undefined)
        throw new QuantError('model', `output \`${twice}\` of \`${file}\` is the same value as another output`, {
          hint: 'name it once in model.outputs',
        })
      return { nodes: [...nodes.values()], weights, outputs: layers }
    },
  }
}
