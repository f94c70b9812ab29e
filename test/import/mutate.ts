/** Damaged ONNX files: one thing (or a few) wrong with a model that was right. The same seed gives the same bytes everywhere. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  ValueInfoProtoSchema,
} from '../../src/ir/onnx/onnx_pb.js'

/** Whole numbers in [0, n), the same for the same seed. */
export type Below = (n: number) => number

export function belowOf(seed: number): Below {
  let state = Math.imul(seed + 1, 2654435761) >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

const badNumbers = [0, -1, 1, 2, 3, 5, 7, 65536, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 40, 2 ** 53] as const
const badBigs = [...badNumbers.map(BigInt), 2n ** 63n - 1n, -(2n ** 63n)]
const badFloats = [0, -0, 1, -1, 0.5, 1e-30, 1e30, -1e30, Number.NaN, Number.POSITIVE_INFINITY, -1e-45]
const badNames = [
  '',
  'x',
  'y',
  '__proto__',
  'constructor',
  'a"b',
  'a\nb',
  '%0',
  'loc(1)',
  '\0',
  'ü',
  "it's",
  'a\\b',
  ' ',
]
const opTypes =
  'Add Abs ArgMax AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose DepthToSpace Div Dropout Equal Exp Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity If LeakyRelu Log Loop MatMul Max MaxPool Min Mod Mul Neg NonMaxSuppression PRelu Pad Pow Range ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Resize Round Shape Sigmoid Size Slice Softmax SpaceToDepth Split Sqrt Squeeze Sub Tanh Tile Transpose Unsqueeze Upsample Where constructor toString'.split(
    ' ',
  )
const attributeNames =
  'axis axes kernel_shape strides pads dilations group auto_pad ceil_mode perm alpha beta mode scales epsilon to value split keepdims output_shape output_padding blocksize allowzero min max transA transB start end value_int value_floats'.split(
    ' ',
  )

type Mutate = (model: ModelProto, graph: GraphProto, below: Below) => void

const one = <T>(list: readonly T[], below: Below): T | undefined => list[below(list.length)]
const bigOf = (below: Below): bigint => badBigs[below(badBigs.length)]!
const floatOf = (below: Below): number => badFloats[below(badFloats.length)]!
const tensorsOf = (graph: GraphProto): string[] => [
  ...graph.input.map(({ name }) => name),
  ...graph.initializer.map(({ name }) => name),
  ...graph.node.flatMap(({ output }) => output),
]

/** What is done to the message; kinds are named for the counts. */
const semantic: Readonly<Record<string, Mutate>> = {
  'initializer: dimension'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor) tensor.dims[below(tensor.dims.length + 1)] = bigOf(below)
  },
  'initializer: rank'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor) tensor.dims = below(2) ? [1n, ...tensor.dims] : tensor.dims.slice(1)
  },
  'initializer: zero size'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (!tensor) return
    tensor.dims[below(Math.max(1, tensor.dims.length))] = 0n
    tensor.rawData = new Uint8Array()
  },
  'initializer: huge and absent'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (!tensor) return
    tensor.dims = tensor.dims.map(() => 1n << BigInt(8 + below(24)))
    tensor.rawData = new Uint8Array()
  },
  'initializer: missing'(_, graph, below) {
    graph.initializer.splice(below(graph.initializer.length), 1)
  },
  'initializer: type'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor) tensor.dataType = below(25)
  },
  'initializer: bytes'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor) tensor.rawData = tensor.rawData.subarray(0, below(tensor.rawData.length + 1))
  },
  'initializer: strings'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (!tensor) return
    tensor.rawData = new Uint8Array()
    tensor.dataType = 8
  },
  'initializer: numbers'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (!tensor || tensor.rawData.length < 8) return
    const raw = tensor.rawData.slice()
    const view = new DataView(raw.buffer)
    for (let i = 0; i < 1 + below(8); i++)
      if (tensor.dataType === 1) view.setFloat32(4 * below(raw.length >> 2), floatOf(below), true)
      else view.setBigInt64(8 * below(raw.length >> 3), bigOf(below), true)
    tensor.rawData = raw
  },
  'initializer: all numbers'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor?.dataType !== 1) return
    tensor.rawData = new Uint8Array(new Float32Array(tensor.rawData.length >> 2).fill(floatOf(below)).buffer)
  },
  'initializer: external'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (!tensor) return
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
    tensor.rawData = new Uint8Array()
    tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: '../../etc/passwd' })]
  },
  'initializer: name'(_, graph, below) {
    const tensor = one(graph.initializer, below)
    if (tensor) rename(graph, tensor.name, `${one(badNames, below)}`, below(2) === 0)
  },
  'node: missing'(_, graph, below) {
    graph.node.splice(below(graph.node.length), 1)
  },
  'node: twice'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) graph.node.splice(below(graph.node.length), 0, node)
  },
  'node: moved'(_, graph, below) {
    const [node] = graph.node.splice(below(graph.node.length), 1)
    if (node) graph.node.splice(below(graph.node.length + 1), 0, node)
  },
  'node: type'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.opType = below(8) ? one(opTypes, below)! : one(badNames, below)!
  },
  'node: domain'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.domain = one(['com.microsoft', 'ai.onnx', 'ai.onnx.ml', '__proto__'], below)!
  },
  'node: reads itself'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.input[below(Math.max(1, node.input.length))] = node.output[0] ?? 'y'
  },
  'node: cycle'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.input[below(Math.max(1, node.input.length))] = graph.node.at(-1)!.output[0] ?? 'y'
  },
  'node: another operand'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.input[below(node.input.length + 1)] = one(tensorsOf(graph), below) ?? ''
  },
  'node: operands swapped'(_, graph, below) {
    one(graph.node, below)?.input.reverse()
  },
  'node: operand missing'(_, graph, below) {
    const node = one(graph.node, below)
    if (!node) return
    const at = below(node.input.length)
    if (below(2)) node.input[at] = below(2) ? '' : 'nowhere'
    else node.input.splice(at, 1)
  },
  'node: no operands'(_, graph, below) {
    const node = one(graph.node, below)
    if (node) node.input = []
  },
  'node: results'(_, graph, below) {
    const node = one(graph.node, below)
    if (!node) return
    if (below(3) === 0) node.output = []
    else if (below(2)) node.output.push(one(tensorsOf(graph), below) ?? 'more')
    else node.output[0] = one(tensorsOf(graph), below) ?? ''
  },
  'node: name'(_, graph, below) {
    const node = one(graph.node, below)
    if (node?.output[0] !== undefined) rename(graph, node.output[0], one(badNames, below)!, below(4) === 0)
  },
  'attribute: missing'(_, graph, below) {
    const node = one(graph.node, below)
    node?.attribute.splice(below(node.attribute.length), 1)
  },
  'attribute: number'(_, graph, below) {
    const attribute = attributeOf(graph, below)
    if (!attribute) return
    if (attribute.ints.length > 0) attribute.ints[below(attribute.ints.length)] = bigOf(below)
    else if (attribute.floats.length > 0) attribute.floats[below(attribute.floats.length)] = floatOf(below)
    else if (attribute.type === AttributeType.FLOAT) attribute.f = floatOf(below)
    else attribute.i = bigOf(below)
  },
  'attribute: length'(_, graph, below) {
    const attribute = attributeOf(graph, below)
    if (!attribute) return
    if (below(2)) attribute.ints.push(bigOf(below))
    else attribute.ints = attribute.ints.slice(0, below(attribute.ints.length + 1))
  },
  'attribute: type'(_, graph, below) {
    const attribute = attributeOf(graph, below)
    if (!attribute) return
    const { name } = attribute
    Object.assign(attribute, attributeOfType(name, below))
  },
  'attribute: string'(_, graph, below) {
    const attribute = graph.node.flatMap((node) => node.attribute).find(({ s }) => s.length > 0)
    if (attribute) attribute.s = Uint8Array.from({ length: below(8) }, () => below(256))
  },
  'attribute: more'(_, graph, below) {
    one(graph.node, below)?.attribute.push(attributeOfType(one(attributeNames, below)!, below))
  },
  'input: dimension'(_, graph, below) {
    const type = one(graph.input, below)?.type?.value
    const dim = type?.case === 'tensorType' ? one(type.value.shape?.dim ?? [], below) : undefined
    if (dim) dim.value = below(4) ? { case: 'dimValue', value: bigOf(below) } : { case: 'dimParam', value: 'N' }
  },
  'input: rank'(_, graph, below) {
    const type = one(graph.input, below)?.type?.value
    if (type?.case !== 'tensorType') return
    const dims = type.value.shape?.dim
    if (below(3) === 0) delete type.value.shape
    else if (below(2)) dims?.pop()
    else if (dims?.[0]) dims.unshift(dims[0])
  },
  'input: type'(_, graph, below) {
    const input = one(graph.input, below)
    if (!input) return
    const type = input.type?.value
    if (below(4) === 0) delete input.type
    else if (type?.case === 'tensorType') type.value.elemType = below(25)
  },
  'input: twice'(_, graph, below) {
    const input = one(graph.input, below)
    if (input)
      graph.input.push(below(2) ? input : create(ValueInfoProtoSchema, { name: one(tensorsOf(graph), below)! }))
  },
  'input: missing'(_, graph) {
    graph.input = []
  },
  'output: another'(_, graph, below) {
    const output = one(graph.output, below)
    if (output) output.name = below(4) ? (one(tensorsOf(graph), below) ?? '') : one(badNames, below)!
  },
  'output: missing'(_, graph, below) {
    graph.output.splice(below(graph.output.length), 1)
  },
  'output: twice'(_, graph, below) {
    const output = one(graph.output, below)
    if (output) graph.output.push(output)
  },
  'graph: name'(_, graph, below) {
    graph.name = one(badNames, below)!
  },
  'graph: missing'(model) {
    delete model.graph
  },
  'graph: opset'(model, _, below) {
    const version = [0n, -1n, 1n, 8n, 9n, 10n, 11n, 12n, 13n, 18n, 19n, 21n, 22n, 1000000n, 2n ** 63n - 1n][below(15)]!
    model.opsetImport = below(8) ? [create(OperatorSetIdProtoSchema, { domain: '', version })] : []
  },
  'graph: deep'(_, graph, below) {
    let inner = create(GraphProtoSchema, { name: 'inner' })
    for (let depth = 1 + below(200); depth > 0; depth--) {
      const attribute = create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: inner })
      inner = create(GraphProtoSchema, { node: [create(NodeProtoSchema, { opType: 'If', attribute: [attribute] })] })
    }
    const node = one(graph.node, below)
    node?.attribute.push(create(AttributeProtoSchema, { name: 'then_branch', type: AttributeType.GRAPH, g: inner }))
  },
  'graph: long'(_, graph, below) {
    let last = graph.output[0]?.name ?? 'y'
    const type = one(['Relu', 'Identity', 'Neg', 'Add', 'Sigmoid', 'Constant'], below)!
    for (let i = 0; i < 300; i++) {
      const input = type === 'Add' ? [last, last] : [last]
      graph.node.push(create(NodeProtoSchema, { opType: type, input, output: [`chain${i}`] }))
      last = `chain${i}`
    }
    if (graph.output[0]) graph.output[0].name = last
  },
}

/** What is done to the bytes. */
const bytewise: Readonly<Record<string, (bytes: Uint8Array, below: Below) => Uint8Array>> = {
  'bytes: cut off': (bytes, below) => bytes.slice(0, below(bytes.length)),
  'bytes: changed'(bytes, below) {
    const copy = bytes.slice()
    for (let i = 0; i < 1 + below(16); i++) copy[below(copy.length)] = below(256)
    return copy
  },
  'bytes: changed at the end'(bytes, below) {
    // Most of a file is weights: names and shapes stand at its ends.
    const copy = bytes.slice()
    const near = Math.min(copy.length, 400)
    for (let i = 0; i < 1 + below(4); i++) copy[below(2) ? below(near) : copy.length - 1 - below(near)] = below(256)
    return copy
  },
  'bytes: taken out'(bytes, below) {
    const at = below(bytes.length)
    const until = Math.min(bytes.length, at + 1 + below(64))
    return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(until)])
  },
  'bytes: put in'(bytes, below) {
    const at = below(bytes.length)
    const more = Array.from({ length: 1 + below(16) }, () => below(256))
    return Uint8Array.from([...bytes.subarray(0, at), ...more, ...bytes.subarray(at)])
  },
  'bytes: another file': (_, below) => Uint8Array.from({ length: below(500) }, () => below(256)),
}

/** Bytes of any kind with something wrong, by chance. */
export const damagedBytes = (bytes: Uint8Array, below: Below): Uint8Array =>
  bytewise[byteKinds[below(byteKinds.length)]!]!(bytes, below)

const semanticKinds = Object.keys(semantic)
const byteKinds = Object.keys(bytewise)

/** @returns the damaged bytes and what was done to them. A sixth is damaged as bytes, a third at several places. */
export function mutated(bytes: Uint8Array, seed: number): { kind: string; bytes: Uint8Array } {
  const below = belowOf(seed)
  if (below(6) === 0) {
    const kind = byteKinds[below(byteKinds.length)]!
    return { kind, bytes: bytewise[kind]!(bytes, below) }
  }
  const model = fromBinary(ModelProtoSchema, bytes)
  const kind = semanticKinds[below(semanticKinds.length)]!
  semantic[kind]!(model, model.graph!, below)
  if (below(3) === 0)
    for (let more = 1 + below(3); more > 0 && model.graph; more--)
      semantic[semanticKinds[below(semanticKinds.length)]!]!(model, model.graph, below)
  return { kind, bytes: toBinary(ModelProtoSchema, model) }
}

/** Gives a tensor another name; with `everywhere`, to its readers as well. */
function rename(graph: GraphProto, from: string, to: string, everywhere: boolean): void {
  const renamed = (list: string[]): string[] => list.map((name) => (name === from ? to : name))
  for (const tensor of graph.initializer) if (tensor.name === from) tensor.name = to
  for (const node of graph.node) {
    node.output = renamed(node.output)
    if (everywhere) node.input = renamed(node.input)
  }
  if (everywhere) for (const output of graph.output) if (output.name === from) output.name = to
}

function attributeOf(graph: GraphProto, below: Below): AttributeProto | undefined {
  const nodes: NodeProto[] = graph.node.filter(({ attribute }) => attribute.length > 0)
  return one(one(nodes, below)?.attribute ?? [], below)
}

function attributeOfType(name: string, below: Below): AttributeProto {
  const s = new TextEncoder().encode(one(['SAME_UPPER', 'linear', 'cubic', 'reflect', '\u{1F4A5}', ''], below)!)
  const values = [
    { type: AttributeType.INT, i: bigOf(below) },
    { type: AttributeType.FLOAT, f: floatOf(below) },
    { type: AttributeType.STRING, s },
    { type: AttributeType.INTS, ints: Array.from({ length: below(9) }, () => bigOf(below)) },
    { type: AttributeType.FLOATS, floats: Array.from({ length: below(9) }, () => floatOf(below)) },
    { type: AttributeType.TENSOR, t: { dims: [bigOf(below)], dataType: below(17) } },
    { type: AttributeType.UNDEFINED },
  ]
  return create(AttributeProtoSchema, { name, ...one(values, below)! })
}
