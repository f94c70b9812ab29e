/**
 * The quantized graph: the float graph lowered for the chip. Its meaning is given by the executor (`execute.ts`): exact int32
 * accumulation, 64-bit requantisation, tables; the bm1684x machine gives the same bytes.
 */
import type { FunctionOp, OpOf, Pads, Pair } from '../ir/graph.js'

/** What an op may be computed in. */
export type Precision = 'INT8' | 'F16' | 'BF16' | 'F32'

/**
 * How a value is stored. real = scale * (stored - zero) for the 8-bit types. Without a zero point it is 0 (symmetric); only signed
 * values have one.
 */
export type QType =
  | { readonly kind: 'i8' | 'u8'; readonly scale: number; readonly zero?: number }
  | { readonly kind: 'f32' | 'f16' | 'bf16' }

/**
 * y = clamp(RSR(x * multiplier, shift)), RSR(v, s) = floor(v / 2^s + 1/2): ties go up. A shift may be negative: then v * 2^-s.
 * Clamped to the result's type. Where the result has a zero point, that is added before the clamp, and a relu cuts off below it.
 */
export interface Requant {
  readonly multiplier: number
  readonly shift: number
}

/** Float ops, besides the functions of single elements. */
export type FloatOpType =
  | 'Conv'
  | 'MatMul'
  | 'Scale'
  | 'Relu'
  | 'LeakyRelu'
  | 'PRelu'
  | 'Softmax'
  | 'AvgPool'
  | 'Add'
  | 'Mul'
  | 'Sub'
  | 'Div'

/** Bits that the terms of a SumInt have beyond those of the result. */
export const fractionBits = (operands: number): number => (operands > 1 ? 4 : 0)

export type QOp =
  | OpOf<'Input'>
  /** float -> 8 bit (round half away, clamp), 8 bit -> float, float -> float. From the operand's type to the node's. */
  | { readonly type: 'Cast' }
  /**
   * 8-bit conv: acc = sum x*w + bias in int32; relu before requant; requant per output channel. Operands: x, filter (int8 or
   * uint8 weight [oc,ic/group,kh,kw]), bias (int32 weight [1,oc,1,1], absent when there is none). Padding is the operand's zero
   * point, whose share of the sum the bias takes back. No input may take acc out
   * of int32: the chip would wrap around, the executor would not. Lowering sees to it.
   */
  | {
      readonly type: 'ConvInt'
      readonly kernel: Pair
      readonly strides: Pair
      readonly dilations: Pair
      readonly pads: Pads
      readonly group: number
      readonly relu: boolean
      readonly multipliers: readonly number[]
      readonly shifts: readonly number[]
    }
  /**
   * 8-bit fully connected, one requant for the tensor. Operands: x, filter int8 [k,n] (or [n,k] if rightTranspose), bias int32 [n]. Or
   * of two values [b,m,k] and [b,k,n], without a bias and not transposed.
   */
  | { readonly type: 'MatMulInt'; readonly relu: boolean; readonly rightTranspose: boolean; readonly requant: Requant }
  /** x >= 0 ? x : clamp(RSR(x * multiplier, shift)). Here and below, where no zero point is told of, there is none. */
  | { readonly type: 'LeakyReluInt'; readonly requant: Requant }
  /** clamp(max(0, x)) on 8 bit. */
  | { readonly type: 'ReluInt' }
  /** Each operand rounds by itself, then the sum is (relu'd and) clamped. A weight operand is int8 or uint8, at the result's scale. */
  | { readonly type: 'AddInt'; readonly requants: readonly Requant[]; readonly relu: boolean }
  /** clamp(RSR(a * m, s) - RSR(b * m', s')), relu'd first if asked. A weight operand is int8 or uint8, at the result's scale. */
  | { readonly type: 'SubInt'; readonly requants: readonly [Requant, Requant]; readonly relu: boolean }
  /** x >= 0 ? x : clamp(RSR(x * slope, shift)). Operands: x, slope (int8 weight [1, c, 1, ...]). */
  | { readonly type: 'PReluInt'; readonly shift: number }
  /** clamp(RSR(product of operands * multiplier, shift)), relu after. A weight operand is int8 or uint8. */
  | { readonly type: 'MulInt'; readonly requant: Requant; readonly relu: boolean }
  /** clamp(RSR(x * multiplier, shift)): the rescale in front of a Concat. */
  | { readonly type: 'MulShift'; readonly requant: Requant }
  /**
   * Where zero points play a part, in place of AddInt, SubInt and MulShift: clamp(RSR(sum of RSR((x - its zero) * m, s - f), f) + zero),
   * with 32-bit multipliers, negative ones for what is subtracted, and f = 4 bits more until the end, 0 for a single operand.
   */
  | { readonly type: 'SumInt'; readonly requants: readonly Requant[]; readonly relu: boolean }
  /** y = table[x & 255]; table: int8 or uint8 weight of 256 entries, second operand. */
  | { readonly type: 'Lut' }
  /** clamp(RSR(sum over the window * multiplier, shift)) */
  | {
      readonly type: 'AvgPoolInt'
      readonly kernel: Pair
      readonly strides: Pair
      readonly pads: Pads
      readonly keepDims: boolean
      readonly requant: Requant
    }
  /** Zeros between: out[y * scaleH][x * scaleW] = in[y][x], all others are 0. Type and scale are the operand's. */
  | { readonly type: 'Spread'; readonly scaleH: number; readonly scaleW: number }
  /** Data movement: the same on 8-bit and float values; result and operands share their type. */
  | OpOf<'MaxPool' | 'Concat' | 'Upsample' | 'Permute' | 'Reshape' | 'Slice' | 'Pad' | 'Min' | 'Max'>
  /**
   * Where the largest value is along an axis of `length` elements, the first one of equals; the axis becomes 1. The operand may be of
   * any type, for stored values stand in the order of what they mean; the result is F32.
   */
  | { readonly type: 'ArgMax'; readonly axis: number; readonly length: number }
  /** Float ops, computed in float32 and rounded once to the node's type (F16, BF16). */
  | FunctionOp
  | OpOf<FloatOpType>

export interface QNode {
  readonly name: string
  readonly op: QOp
  readonly inputs: readonly string[]
  readonly shape: readonly number[]
  readonly type: QType
  /** The float layer it comes from; undefined for casts and rescales that lowering put in. */
  readonly layer: string | undefined
}

export type QWeightData = Int8Array | Uint8Array | Int32Array | Float32Array

export interface QWeight {
  readonly shape: readonly number[]
  readonly data: QWeightData
  /** How it is stored in files and on the chip; f16 and bf16 weights hold rounded values in a Float32Array. */
  readonly kind: 'i8' | 'u8' | 'i32' | 'f32' | 'f16' | 'bf16'
}

/** Outputs are float32 nodes: lowering ends with casts, `NAME_f32`. */
export interface QGraph {
  readonly name: string
  readonly nodes: readonly QNode[]
  readonly weights: ReadonlyMap<string, QWeight>
  readonly outputs: readonly string[]
}
