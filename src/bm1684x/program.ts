/** What code generation makes and everything behind it reads: two command streams and the memory they work in. */
import type { Instruction } from './isa/forms.js'

export type IoType = 'f32' | 'f16' | 'bf16' | 'i8' | 'u8'

/** What stored values of a type lie in; f16 and bf16 as bits. */
export const storedArray = {
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
} as const satisfies Record<IoType, unknown>

/** Stored values: f16 and bf16 as bits in a Uint16Array. */
export type IoData = Float32Array | Uint16Array | Int8Array | Uint8Array

/** A network input or output in global memory: plain NCHW, no padding. */
export interface ProgramTensor {
  readonly name: string
  readonly type: IoType
  readonly shape: readonly number[]
  /** Global address. */
  readonly address: number
  /** Of 8-bit tensors: real = (stored - zero) * scale; 1 for floats. */
  readonly scale: number
  /** Absent: 0. */
  readonly zero?: number
}

/** Which commands belong to a layer, for views: half-open ranges of stream positions. */
export interface ProgramSpan {
  readonly layer: string
  readonly tiu: readonly [from: number, to: number]
  readonly dma: readonly [from: number, to: number]
}

export interface Program {
  readonly name: string
  /** With ids 1, 2, 3 ... and the ids of the other engine's commands that each one waits for; the last is the end command. */
  readonly tiu: readonly Instruction[]
  readonly dma: readonly Instruction[]
  /** Image of the coefficients from `globalBase` on; a multiple of 4096 bytes. */
  readonly coefficients: Uint8Array
  /** Right behind the coefficients: activations, inputs and outputs. A multiple of 4096 bytes. */
  readonly neuronBytes: number
  readonly inputs: readonly ProgramTensor[]
  readonly outputs: readonly ProgramTensor[]
  readonly spans: readonly ProgramSpan[]
}
