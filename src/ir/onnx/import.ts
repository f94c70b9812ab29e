/**
 * ONNX -> Graph: the nodes that the wanted outputs need are converted one by one, in the file's order (see `convert/`), what is
 * known is computed at once (`fold.ts`), then the passes make the graph canonical.
 *
 * A layer is called `<first ONNX output>_<ONNX type>`, as the vendor's importer does, whatever op it becomes.
 */
import { QuantError } from '../../errors.js'
import { nearestNames } from '../../nearest.js'
import { type Graph, inputsOf, type Node, type Preprocess } from '../graph.js'
import { canonicalise } from '../passes/index.js'
import { isPositive, type Shape, showShape } from '../shapes.js'
import { type Cut, cutOf, describeCut } from './advice.js'
import { converters, unsupported } from './convert/index.js'
import { folders } from './fold.js'
import { TensorProto_DataType as DataType, type GraphProto, type NodeProto, type ValueInfoProto } from './onnx_pb.js'
import { declaredShape, opsetOf, parseOnnx, trueInputs } from './read.js'
import { graphReader } from './reader.js'
import { kindOf } from './tensor.js'

export interface ImportOptions {
  /** Names the bytes in errors. */
  readonly file: string
  /** The graph's name. */
  readonly name: string
  /** Shapes of inputs whose dimensions are dynamic, NCHW; fixed dimensions must agree. */
  readonly inputs?: Readonly<Record<string, readonly number[]>> | undefined
  /** ONNX tensors to end at, in the order of the graph's outputs; the file's outputs otherwise. */
  readonly outputs?: readonly string[] | undefined
  /** Becomes part of the inputs that are pictures. */
  readonly preprocess?: Preprocess | undefined
}

/** Opsets whose operators are known. */
const opsets = { least: 9, most: 21 }

/**
 * @returns a canonical graph, legal by `checkGraph`. Weights are float32; unchanged ones keep the initializer's name.
 * @throws QuantError 'input' for bytes that are no usable ONNX file (see `parseOnnx`), 'model' for a network that cannot be taken:
 * unknown outputs, dynamic dimensions, unsupported operators or attributes, weights that are not finite.
 */
export function importOnnx(bytes: Uint8Array, options: ImportOptions): Graph {
  const { file, name } = options
  const model = parseOnnx(bytes, file)
  const onnx = model.graph!
  const opset = opsetOf(model)
  if (opset < opsets.least || opset > opsets.most)
    throw new QuantError('model', `\`${file}\` has opset ${opset}, known are ${opsets.least} to ${opsets.most}`, {
      hint: 'export it with opset 13',
    })
  const outputs = options.outputs ?? onnx.output.map((output) => output.name)
  const { nodes, inputs } = needed(onnx, outputs, file)
  const cut = (): string | undefined => {
    const found = whereToCut(onnx, nodes, inputs, outputs, opset, options)
    return found && describeCut(found)
  }
  checkSupported(nodes, file, cut)
  const reader = graphReader(onnx, file, cut)
  checkInputNames(onnx, options)
  for (const input of inputs) reader.input(input.name, inputShape(input, nodes, options))
  for (const node of nodes) reader.convert(node, opset)
  const graph = canonicalise({ name, ...reader.result(outputs) })
  return options.preprocess ? withPictures(graph, inFloat32(options.preprocess), file) : graph
}

/** Inputs that take pictures get to know how those are prepared. */
function withPictures(graph: Graph, preprocess: Preprocess, file: string): Graph {
  const channels = preprocess.pixelFormat === 'gray' ? 1 : 3
  const takes = ({ op, shape }: Node): boolean => op.type === 'Input' && shape.length === 4 && shape[1] === channels
  if (graph.nodes.some(takes))
    return {
      ...graph,
      nodes: graph.nodes.map((node) => (takes(node) ? { ...node, op: { type: 'Input', preprocess } } : node)),
    }
  const last = inputsOf(graph).find(({ shape }) => shape.length === 4 && shape[3] === channels)
  throw new QuantError('model', `no input of \`${file}\` takes ${preprocess.pixelFormat} pictures`, {
    hint: last
      ? `\`${last.name}\` takes them as ${showShape(last.shape)}, channels last, and the network does not turn them at once; export it with channels first (tf2onnx: --inputs-as-nchw ${last.name})`
      : `inputs: ${inputsOf(graph).map((input) => `${input.name} ${showShape(input.shape)}`)}; see preprocess.pixel_format`,
  })
}

/**
 * The raw heads of a network, whether import takes it or not: ONNX tensors, in the file's order; none where it ends in them already.
 * @throws QuantError 'input' for bytes that are no usable ONNX file, 'model' for outputs that it has not
 */
export function headsOf(bytes: Uint8Array, options: ImportOptions): readonly string[] {
  const model = parseOnnx(bytes, options.file)
  const onnx = model.graph!
  const outputs = options.outputs ?? onnx.output.map((output) => output.name)
  const { nodes, inputs } = needed(onnx, outputs, options.file)
  return whereToCut(onnx, nodes, inputs, outputs, opsetOf(model), options)?.heads ?? []
}

/** Nodes and inputs that the outputs need, in the file's order. */
function needed(onnx: GraphProto, outputs: readonly string[], file: string) {
  const maker = new Map<string, NodeProto>()
  for (const node of onnx.node)
    for (const output of node.output) {
      if (output !== '' && maker.has(output))
        throw new QuantError('model', `tensor \`${output}\` of \`${file}\` is made by two nodes`)
      maker.set(output, node)
    }
  maker.delete('')
  const inputs = trueInputs(onnx)
  const known = new Set([...maker.keys(), ...inputs.map((input) => input.name)])
  if (outputs.length === 0)
    throw new QuantError('model', `\`${file}\` has no outputs`, { hint: 'name some in model.outputs' })
  for (const output of outputs) {
    if (known.has(output)) continue
    const near = nearestNames(output, known).map((name) => `\`${name}\``)
    throw new QuantError('model', `\`${file}\` has no tensor \`${output}\``, {
      hint: `${near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''}model.outputs names tensors of the ONNX file`,
    })
  }
  const wanted = new Set<NodeProto>()
  const tensors = new Set<string>()
  const open = [...outputs]
  for (let tensor = open.pop(); tensor !== undefined; tensor = open.pop()) {
    if (tensors.has(tensor)) continue
    tensors.add(tensor)
    const node = maker.get(tensor)
    if (!node || wanted.has(node)) continue
    wanted.add(node)
    // One by one: a node may have more operands than a call may have arguments.
    for (const input of node.input) open.push(input)
  }
  return {
    nodes: onnx.node.filter((node) => wanted.has(node)),
    inputs: inputs.filter((input) => tensors.has(input.name)),
  }
}

/** Converts what can be converted, to tell where the network can end. */
function whereToCut(
  onnx: GraphProto,
  nodes: readonly NodeProto[],
  inputs: readonly ValueInfoProto[],
  outputs: readonly string[],
  opset: number,
  options: ImportOptions,
): Cut | undefined {
  const reader = graphReader(onnx, options.file, () => undefined)
  const converted = new Set<NodeProto>()
  try {
    for (const input of inputs) reader.input(input.name, inputShape(input, nodes, options))
  } catch {
    // The input's own error comes first, once the network is known.
    return undefined
  }
  for (const node of nodes) {
    try {
      if (node.domain !== '' && node.domain !== 'ai.onnx') continue
      reader.convert(node, opset)
      converted.add(node)
    } catch (error) {
      if (!(error instanceof QuantError)) throw error
    }
  }
  return cutOf(nodes, outputs, converted, reader.computed)
}

/** All that is missing is told at once, each operator where it stands first. */
function checkSupported(nodes: readonly NodeProto[], file: string, cut: () => string | undefined): void {
  const errors = new Map<string, QuantError>()
  for (const node of nodes) {
    const standard = node.domain === '' || node.domain === 'ai.onnx'
    const type = standard ? node.opType : `${node.domain}.${node.opType}`
    if (errors.has(type) || (standard && (Object.hasOwn(converters, type) || Object.hasOwn(folders, type)))) continue
    errors.set(type, unsupported(type, node, file, errors.size === 0 ? cut() : undefined))
  }
  const [first, ...more] = errors.values()
  if (first) throw new QuantError('model', first.message, { hint: first.hint, more })
}

function checkInputNames(onnx: GraphProto, { file, inputs = {} }: ImportOptions): void {
  const known = trueInputs(onnx).map((input) => input.name)
  for (const name of Object.keys(inputs))
    if (!known.includes(name))
      throw new QuantError('model', `\`${file}\` has no input \`${name}\``, { hint: `its inputs: ${known.join(', ')}` })
}

/** Mean and scale as float32: what the arithmetic uses and what a .mlir file can hold. */
const inFloat32 = (preprocess: Preprocess): Preprocess => ({
  ...preprocess,
  mean: preprocess.mean.map(Math.fround),
  scale: preprocess.scale.map(Math.fround),
})

/** Pictures may come as 8-bit integers, when all that the network does with these is to make floats of them. */
function inputShape(input: ValueInfoProto, nodes: readonly NodeProto[], { file, inputs = {} }: ImportOptions): Shape {
  const what = `input \`${input.name}\` of \`${file}\``
  const type = input.type?.value
  const elements = type?.case === 'tensorType' ? type.value.elemType : undefined
  const readers = nodes.filter((node) => node.input.includes(input.name))
  const cast = elements === DataType.UINT8 && readers.every(({ opType }) => opType === 'Cast')
  if (!cast && kindOf(elements ?? DataType.UNDEFINED) !== 'float')
    throw new QuantError('model', `${what} is no float tensor`, {
      hint: 'end or begin the network elsewhere: model.outputs',
    })
  const declared = declaredShape(input)
  const given = Object.hasOwn(inputs, input.name) ? inputs[input.name] : undefined
  const shown = declared ? showShape(declared.map((n) => n ?? Number.NaN)).replaceAll('NaN', '?') : 'of unknown rank'
  if (given) {
    const fits = declared === undefined || declared.length === given.length
    if (!fits || !given.every((n, axis) => isPositive(n) && (declared?.[axis] ?? n) === n))
      throw new QuantError('model', `${what} is ${shown}, model.inputs says ${showShape(given)}`)
    return given
  }
  if (!declared?.every((n) => n !== undefined))
    throw new QuantError('model', `${what} is ${shown}: its size is not fixed`, {
      hint: `give it: model.inputs: { ${input.name}: [1, 3, 416, 416] }`,
    })
  return declared as number[]
}
