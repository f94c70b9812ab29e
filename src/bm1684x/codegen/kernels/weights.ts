/** Weights as their bytes lie in memory. */
import type { QWeight } from '../../../quantize/qgraph.js'
import type { Prec } from '../../isa/forms.js'
import { type FilterData, toBf16, toF16 } from '../../layout.js'

const precs = { i8: 'int8', u8: 'int8', i32: 'int32', f32: 'fp32', f16: 'fp16', bf16: 'bf16' } as const

export const weightPrec = ({ kind }: Pick<QWeight, 'kind'>): Prec => precs[kind]

/** An 8-bit or float weight. */
export function weightBits({ kind, data }: QWeight): FilterData {
  if (kind === 'f16') return toF16(data as Float32Array)
  return kind === 'bf16' ? toBf16(data as Float32Array) : (data as FilterData)
}
