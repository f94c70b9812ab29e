/**
 * What the planner (which tensor lies where, in which slices) and the kernels (which commands compute a slice) say to each other.
 *
 * A kernel computes one slice of one node from local memory to local memory. All its tensors lie in the aligned layout: channel c in
 * lane c mod 64, group floor(c / 64) at `groups stride`, rows packed. Slices are along h; a kernel gets the rows of its operands that the
 * slice needs, and the padding that is left at its upper and lower edge.
 *
 * Shapes of other ranks become [n, c, h, w] by `shape4` of view.ts: [a, b] is [a, b, 1, 1], [a, b, c] is [a, b, 1, c], and of more than
 * four dimensions the first ones are n. The planner may hand a kernel a node made out of another: with fewer output channels (their
 * part of the weights), or with several strips of the picture side by side as channels (block-diagonal weights), so a kernel takes
 * sizes from the slice and from the weights, never from `node.shape`. Ops that act on single elements may also come flattened to other
 * shapes. Permute, Reshape, Slice and Pad need no kernel: the planner does them with views and DMA, as it does a Concat whose parts
 * are not in local memory.
 */
import type { QNode, QType, QWeight } from '../../quantize/qgraph.js'
import type { Instruction, Prec } from '../isa/forms.js'

/** A tensor (or a slice of one) in local memory, start lane 0, aligned layout. */
export interface Local {
  /** Byte offset in the lane, a multiple of 64. */
  readonly address: number
  readonly prec: Prec
  /** Of integers. */
  readonly signed: boolean
  /** [n, c, h, w] of what is here. */
  readonly shape: readonly [number, number, number, number]
}

/** Coefficients as the kernel wants them in local memory: `rows` lanes with `rowBytes` each, lane after lane. */
export interface Packed {
  readonly name: string
  readonly rows: number
  readonly rowBytes: number
  /** rows * rowBytes */
  readonly data: Uint8Array
}

export interface Slice {
  /** Of the node's operands that are values, in order. */
  readonly inputs: readonly Local[]
  readonly output: Local
  /** Where the node's `Packed` coefficients lie in local memory, in the order of `coefficients`. */
  readonly coefficients: readonly number[]
  /** Rows of padding that this slice still needs above and below (windows only); left and right are the op's own. */
  readonly padTop: number
  readonly padBottom: number
  /** Of each input and of the output: index of the first row in the whole tensor. Only ops with position-dependent work need it. */
  readonly inputRows: readonly number[]
  readonly outputRow: number
}

/** Where a kernel puts its commands. */
export interface KernelSink {
  /** Appends a TIU command. Ids and dependencies are filled in behind it. */
  emit(instruction: Instruction): void
  /** Scratch of that many bytes per lane, 64-byte aligned; free again when the kernel returns. */
  scratch(bytes: number): number
}

/** What commands depend on besides the node and where its tensors lie. */
export interface Known {
  /** Types and shapes of constants; their values lie in local memory already. */
  readonly weights: ReadonlyMap<string, QWeight>
  /** The type of a node's value: the scale of what a cast reads. */
  typeOf(node: string): QType
}

export interface Kernel {
  /** Constants of the node in local layout; loaded once per use of the node. Empty for most ops. */
  coefficients(node: QNode, weights: ReadonlyMap<string, QWeight>): readonly Packed[]
  /** Scratch bytes per lane for a slice of these shapes: what `compute` will ask for at most. */
  scratchBytes(node: QNode, inputs: readonly Local['shape'][], output: Local['shape']): number
  compute(node: QNode, slice: Slice, sink: KernelSink, known: Known): void
}
