/** Division and reciprocal roots by Newton's method, step by step as the vendor's model takes them. */
import { prec } from '../isa/forms.js'
import { type Elementwise, eachPair } from './arith.js'
import { refuse } from './memory.js'
import { flush } from './numbers.js'

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** 1 / sqrt(x) in float32: the well-known first guess from the bits of x, then so many steps. */
export function reciprocalRoot(x: number, steps: number): number {
  float[0] = x
  bits[0] = 0x5f3759df - (bits[0]! >> 1)
  let y = float[0]!
  const half = Math.fround(x / 2)
  for (let i = 0; i < steps; i++) y = Math.fround(y * Math.fround(1.5 - Math.fround(Math.fround(half * y) * y)))
  return y
}

/** a / b = a * r * r with r = 1 / sqrt|b|, and the sign of b; fp32 only. */
export function divide(op: Elementwise): void {
  const { a, b, result, fields } = op
  if (a.prec !== prec.fp32 || b?.prec !== prec.fp32 || result.prec !== prec.fp32) throw refuse('division is fp32 only')
  const steps = ((fields.opd2_n_str ?? 0) & 3) + 1
  eachPair(op, (x, y, count) => {
    flush(x, count)
    flush(y, count)
    for (let i = 0; i < count; i++) {
      const root = reciprocalRoot(Math.abs(y[i]!), steps)
      x[i] = Math.fround(x[i]! * Math.fround(root * root)) * (y[i]! < 0 ? -1 : 1)
    }
    flush(x, count)
  })
}
