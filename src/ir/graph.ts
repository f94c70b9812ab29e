/**
 * The float graph: what an ONNX file becomes, and what everything behind it reads.
 *
 * Every node has exactly one result, so a node's name is also the name of its value and of the layer (naming rule:
 * first ONNX output name + '_' + ONNX op type; see `onnx/import.ts`). A result that ONNX splits in several is several nodes.
 * Operands are names: of another node or of a weight. Nodes stand in topological order, weights in no order that matters.
 */

/** How a picture becomes the network's input. Attribute of the Input op: the one place where preprocessing is kept. */
export interface Preprocess {
  readonly pixelFormat: 'rgb' | 'bgr' | 'gray'
  /** In the order of `pixelFormat`: y = (x - mean) * scale, in float32. */
  readonly mean: readonly number[]
  readonly scale: readonly number[]
  /** true: letterbox; false: stretch. */
  readonly keepAspectRatio: boolean
  /** Fills the letterbox's border: an 8-bit value, before mean and scale. */
  readonly padValue: number
  readonly padType: 'center' | 'normal'
}

/** [top, left, bottom, right], as ONNX orders them. */
export type Pads = readonly [number, number, number, number]
/** [height, width] */
export type Pair = readonly [number, number]

/** A fused relu: `limit` -1 means none, else the upper bound (6 for Relu6). */
export interface Relu {
  readonly relu: boolean
  readonly reluLimit: number
}

type PlainFunction =
  | 'Abs'
  | 'Ceil'
  | 'Erf'
  | 'Exp'
  | 'Floor'
  | 'HardSwish'
  | 'Log'
  | 'Mish'
  | 'Reciprocal'
  | 'Round'
  | 'SiLU'
  | 'Sigmoid'
  | 'Softplus'
  | 'Softsign'
  | 'Sqrt'
  | 'Tanh'

/** A function of every element by itself, y = f(x): what they are is told in `functions.ts`. */
export type FunctionOp =
  | { readonly [T in PlainFunction]: { readonly type: T } }[PlainFunction]
  /** Both bounds are finite. */
  | { readonly type: 'Clip'; readonly min: number; readonly max: number }
  | { readonly type: 'Elu'; readonly alpha: number }
  | { readonly type: 'GELU'; readonly approximation: 'none' | 'tanh' }
  /** clip(alpha * x + beta, 0, 1) */
  | { readonly type: 'HardSigmoid'; readonly alpha: number; readonly beta: number }
  | { readonly type: 'Pow'; readonly exponent: number }

export type Op =
  | FunctionOp
  /** No operands. NCHW. `preprocess` is absent for inputs that are no pictures. */
  | { readonly type: 'Input'; readonly preprocess?: Preprocess }
  /** x [n,ic,h,w], weight [oc,ic/group,kh,kw], bias [oc] (optional third operand). */
  | ({
      readonly type: 'Conv'
      readonly kernel: Pair
      readonly strides: Pair
      readonly dilations: Pair
      readonly pads: Pads
      readonly group: number
    } & Relu)
  /**
   * The transpose of a Conv: x [n,ic,h,w], weight [oc,ic/group,kh,kw] (ONNX has the first two exchanged), bias [oc] (optional third
   * operand). out[y * stride - pad + i * dilation] += in[y] * w[i]; `outputPadding` more rows and columns at the end.
   */
  | ({
      readonly type: 'Deconv'
      readonly kernel: Pair
      readonly strides: Pair
      readonly dilations: Pair
      readonly pads: Pads
      readonly outputPadding: Pair
      readonly group: number
    } & Relu)
  /** x [..., k], weight or value [k, n] or one per leading axes [..., k, n], bias [n] (optional). */
  | ({ readonly type: 'MatMul'; readonly rightTranspose: boolean } & Relu)
  /** y = x * scale + bias per channel (axis 1); scale and bias are weights [c]. A BatchNormalization without conv. */
  | ({ readonly type: 'Scale' } & Relu)
  | { readonly type: 'Relu'; readonly limit: number }
  | { readonly type: 'LeakyRelu'; readonly alpha: number }
  /** x >= 0 ? x : x * slope; slope is a weight [1, c, 1, ...] of as many dimensions as x. */
  | { readonly type: 'PRelu' }
  | { readonly type: 'Softmax'; readonly axis: number }
  /**
   * Where along the axis the largest value is, the first one of equals; the result has 1 in place of the axis, or drops it. Whole
   * numbers as float32, which ONNX gives as int64: all of them are exact, since an axis has 2^24 elements at most.
   */
  | { readonly type: 'ArgMax'; readonly axis: number; readonly keepDims: boolean }
  | { readonly type: 'MaxPool'; readonly kernel: Pair; readonly strides: Pair; readonly pads: Pads }
  /** `keepDims` false: [n,c,1,1] is written as [n,c] (ReduceMean without keepdims). */
  | {
      readonly type: 'AvgPool'
      readonly kernel: Pair
      readonly strides: Pair
      readonly pads: Pads
      readonly countIncludePad: boolean
      readonly keepDims: boolean
    }
  /** Two or more operands, numpy broadcasting; an operand may be a weight. */
  | ({ readonly type: 'Add' } & Relu)
  | ({ readonly type: 'Mul' } & Relu)
  /** Two operands, numpy broadcasting; one of them may be a weight. */
  | ({ readonly type: 'Sub' } & Relu)
  | ({ readonly type: 'Div' } & Relu)
  /** Two or more operands, numpy broadcasting; an operand may be a weight. */
  | { readonly type: 'Min' }
  | { readonly type: 'Max' }
  | ({ readonly type: 'Concat'; readonly axis: number } & Relu)
  /** Nearest, whole factors: out[y][x] = in[floor(y / scaleH)][floor(x / scaleW)]. */
  | { readonly type: 'Upsample'; readonly scaleH: number; readonly scaleW: number }
  | { readonly type: 'Permute'; readonly order: readonly number[] }
  /** To the node's own shape. */
  | { readonly type: 'Reshape' }
  /** One entry per axis; ends are exclusive, steps positive. */
  | {
      readonly type: 'Slice'
      readonly offsets: readonly number[]
      readonly steps: readonly number[]
      readonly ends: readonly number[]
    }
  /** Constant padding: paddings[axis] and paddings[rank + axis] as in ONNX. */
  | { readonly type: 'Pad'; readonly paddings: readonly number[]; readonly value: number }

export type OpType = Op['type']
export type OpOf<T extends OpType> = Extract<Op, { type: T }>

export interface Node {
  readonly name: string
  readonly op: Op
  /** Names of nodes or weights. */
  readonly inputs: readonly string[]
  readonly shape: readonly number[]
}

export interface Weight {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly Node[]
  readonly weights: ReadonlyMap<string, Weight>
  /** Names of nodes, in the order the caller asked for. */
  readonly outputs: readonly string[]
}

/** A dense tensor, C order. */
export interface Tensor<D = Float32Array> {
  readonly shape: readonly number[]
  readonly data: D
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** Import calls a layer by its tensor, `_` and its operator; the tensor is what the user knows. */
export const tensorOf = (layer: string): string => layer.replace(/_[A-Za-z0-9]+$/, '')

/** The graph's Input nodes, in order. */
export const inputsOf = (graph: Graph): Node[] => graph.nodes.filter((node) => node.op.type === 'Input')

/** name -> node. */
export const nodesByName = (graph: Graph): Map<string, Node> => new Map(graph.nodes.map((node) => [node.name, node]))

/** name of a node -> the nodes that read it, in order; a node that reads it twice stands twice. */
export function usersOf(graph: Graph): Map<string, Node[]> {
  const users = new Map<string, Node[]>(graph.nodes.map((node) => [node.name, []]))
  for (const node of graph.nodes) for (const input of node.inputs) users.get(input)?.push(node)
  return users
}
