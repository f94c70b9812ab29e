/** Matrix product on the cube (tsk_typ 2, mm2). */
import { cubeChannels } from '../chip.js'
import { eu, type InstructionOf, prec } from '../isa/forms.js'
import {
  compactStrides,
  elementAt,
  immediate,
  isFloat,
  load,
  type Memory,
  operandAt,
  refuse,
  type Shape,
  store,
} from './memory.js'
import { alignedSum } from './numbers.js'

/**
 * nn: R = A B, nt: R = A B^T, tt: R = B A, where the field called operand 1 is B. Each matrix of R rows and K columns is an aligned
 * tensor [1, R, 1, K]. int8 to int32 (sums wrap), B less a zero point. 16-bit floats: blocks of 32 products are added as `alignedSum`
 * does, the blocks in float32; the model adds no bias, so one is refused.
 */
export function matrixProduct({ local }: Memory, { fields }: InstructionOf<'mm2'>): void {
  const unit = fields.tsk_eu_typ ?? 0
  const { nn, nt, tt } = eu.mm2
  if (unit !== nn && unit !== nt && unit !== tt) throw refuse(`matrix product ${unit} does not exist`)
  const type = fields.opd0_prec ?? 0
  const float = isFloat(type)
  if (type === prec.fp32) throw refuse('matrices are int8, fp16 or bf16')
  if (float && (fields.opd2_const !== 1 || fields.opd2_addr)) throw refuse('a product of floats adds no bias')
  const [m, n] = [fields.res0_c ?? 0, fields.res0_w ?? 0]
  const [k, other] = unit === nn ? [fields.opd1_c ?? 0, fields.opd1_w ?? 0] : [fields.opd1_w ?? 0, fields.opd1_c ?? 0]
  if (other !== (unit === tt ? m : n)) throw refuse(`operands of ${other} rows or columns do not give ${m}x${n}`)
  const a = rowsOf(fields.opd0_addr, unit === tt ? [1, k, 1, n] : [1, m, 1, k], fields.opd0_sign, fields.opd0_const)
  const bShape: Shape = unit === nn ? [1, k, 1, n] : [1, unit === tt ? m : n, 1, k]
  const b = rowsOf(fields.opd1_addr, bShape, fields.opd1_sign, fields.opd1_const)
  if (!float) takeOffZeros(b)
  const left = unit === tt ? b : a
  const right = unit === tt ? a : b
  const result = operandAt(fields.res0_addr ?? 0, [1, m, 1, n], fields.res0_prec ?? 0, true, 'aligned')
  const sums = new Float64Array(n)
  const products = new Float64Array(k)
  for (let row = 0; row < m; row++) {
    const at = elementAt(result, 0, row)
    if (fields.res_add === 1) load(local, result.prec, true, at, 1, n, sums)
    else sums.fill(0)
    for (let column = 0; column < n; column++) {
      for (let i = 0; i < k; i++) products[i] = left[row]![i]! * (unit === nt ? right[column]![i]! : right[i]![column]!)
      sums[column] = float ? floatSum(sums[column]!, products) : products.reduce((x, y) => x + y, sums[column]!)
    }
    store(local, result.prec, at, 1, n, sums)
  }

  function rowsOf(
    address: number | undefined,
    shape: Shape,
    sign: number | undefined,
    constant: number | undefined,
  ): Float64Array[] {
    const operand = constant === 1 ? undefined : operandAt(address ?? 0, shape, type, sign === 1, 'aligned')
    return Array.from({ length: shape[1] }, (_, row) => {
      const values = new Float64Array(shape[3])
      if (operand) load(local, type, sign === 1, elementAt(operand, 0, row), 1, shape[3], values)
      else values.fill(immediate(address ?? 0, type, sign === 1))
      return values
    })
  }

  /** nn, nt: a zero point per result column, the same in every lane, used beside the rows of B there. tt: one per row of B. */
  function takeOffZeros(rows: Float64Array[]): void {
    const address = fields.opd2_addr ?? 0
    const signed = fields.opd1_sign === 1
    const shape: Shape = unit === tt ? [1, m, 1, 1] : [1, 64, 1, n]
    const vector =
      fields.opd2_const === 1
        ? undefined
        : operandAt(address, shape, prec.int8, signed, unit === tt ? compactStrides(shape, 0) : 'aligned')
    const zeros = new Float64Array(n).fill(immediate(address, prec.int8, signed))
    rows.forEach((values, row) => {
      if (vector) load(local, prec.int8, signed, elementAt(vector, 0, unit === tt ? row : row % 64), 1, shape[3], zeros)
      for (let i = 0; i < values.length; i++)
        values[i] = values[i]! - (unit === nn ? zeros[i]! : unit === nt ? zeros[row]! : zeros[0]!)
    })
  }
}

function floatSum(start: number, products: Float64Array): number {
  const block = cubeChannels[2]
  let sum = start
  for (let i = 0; i < products.length; i += block)
    sum = Math.fround(sum + alignedSum(products.subarray(i, i + block), Math.min(block, products.length - i)))
  return sum
}
