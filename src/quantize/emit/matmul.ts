/**
 * 8-bit convolution as an integer matrix product: filter [oc, kh*kw*ic] times the windows of x side by side [n, kh*kw*ic, oh*ow].
 * One to three times as fast as float32 where sums are long, and exact in int32, but only on processors whose kernels do not
 * saturate on the way: `execute.ts` tries that out before it asks for this form.
 */
import { DataType } from '../../ir/onnx/builder.js'
import { zeroOf } from '../rounding.js'
import { type Emission, int64, type NodeOf, paddedRange } from './context.js'
import { reach } from './sum.js'

/** From how many output channels on putting the windows side by side pays: what stands in memory one after the other is copied fast. */
const paysFrom = ({ kernel, strides }: NodeOf<'ConvInt'>['op']): number => {
  if (strides.some((n) => n > 1)) return 128
  return kernel.some((n) => n > 1) ? 24 : 8
}

/** int32 has room for the whole sum, and the product is worth it. */
export function suitsMatMul(emission: Emission, { op, inputs }: NodeOf<'ConvInt'>): boolean {
  const [x, filterName, biasName] = inputs as [string, string, string | undefined]
  const { data, shape } = emission.weightOf(filterName)!
  const products = data.length / shape[0]!
  if (op.group !== 1 || shape[0]! < paysFrom(op)) return false
  // The kernels first sum bytes as they are stored, 0 to 255 times -128 to 127, and correct by the zero points afterwards.
  if (products * 255 * 128 * 4 >= 2 ** 31) return false
  const bias = biasName === undefined ? undefined : emission.weightOf(biasName)!.data
  for (let channel = 0; channel < shape[0]!; channel++) {
    const sum = reach(data, paddedRange(emission, x), channel * products, (channel + 1) * products)
    if (sum + Math.abs(bias?.[channel] ?? 0) >= 2 ** 31) return false
  }
  return true
}

/** The accumulators, int32 [n, oc, oh, ow]. */
export function accumulateByMatMul(emission: Emission, node: NodeOf<'ConvInt'>): string {
  const { step, constant } = emission
  const [x, filterName, biasName] = node.inputs as [string, string, string | undefined]
  const filter = emission.weightOf(filterName)!
  const [n, channels, height, width] = node.shape as [number, number, number, number]
  // The fast kernels want the left side unsigned and the right side signed.
  const weightZero = filter.kind === 'u8' ? 0 : 128
  const valueZero = emission.typeOf(x).kind === 'u8' ? -128 : 0
  const value = emission.value(x)
  const signed = valueZero === 0 ? value : step('Add', [value, constant(Float32Array.of(valueZero))])
  const padding = zeroOf(emission.typeOf(x)) + valueZero
  const columns = windows(emission, node, step('Cast', [signed], { to: DataType.INT8 }), padding)
  const depth = filter.data.length / channels
  const product = step('MatMulInteger', [
    constant(rows(filter.data, filter.shape, weightZero), [channels, depth]),
    step('Reshape', [columns, int64(emission, [n, depth, height * width])]),
    constant(Uint8Array.of(weightZero)),
    constant(Int8Array.of(valueZero)),
  ])
  const bias = biasName === undefined ? undefined : emission.weightOf(biasName)!.data
  const sum = bias === undefined ? product : step('Add', [product, constant(new Int32Array(bias), [channels, 1])])
  return step('Reshape', [sum, int64(emission, [n, channels, height, width])])
}

/** The filter as [oc, kh*kw*ic], the input channels of a tap together. */
function rows(data: ArrayLike<number>, shape: readonly number[], zero: number): Uint8Array {
  const [channels, depth, height, width] = shape as [number, number, number, number]
  const taps = height * width
  const out = new Uint8Array(channels * depth * taps)
  let at = 0
  for (let channel = 0; channel < channels; channel++)
    for (let tap = 0; tap < taps; tap++)
      for (let c = 0; c < depth; c++) out[at++] = data[(channel * depth + c) * taps + tap]! + zero
  return out
}

/** What each tap of the kernel sees, one after the other along the channels: [n, kh*kw*ic, oh, ow]. */
function windows(emission: Emission, { op, shape }: NodeOf<'ConvInt'>, value: string, zero: number): string {
  const { step } = emission
  const [top, left, bottom, right] = op.pads
  const padding = [0, 0, top, left, 0, 0, bottom, right]
  const padded = padding.some((n) => n > 0)
    ? step('Pad', [value, int64(emission, padding), emission.constant(Int8Array.of(zero))])
    : value
  if (op.kernel.every((n) => n === 1) && op.strides.every((n) => n === 1)) return padded
  const seen: string[] = []
  for (let y = 0; y < op.kernel[0]; y++)
    for (let z = 0; z < op.kernel[1]; z++) {
      const from = [y * op.dilations[0], z * op.dilations[1]]
      const to = from.map((start, axis) => start + (shape[2 + axis]! - 1) * op.strides[axis]! + 1)
      seen.push(step('Slice', [padded, ...[from, to, [2, 3], op.strides].map((list) => int64(emission, list))]))
    }
  return seen.length === 1 ? seen[0]! : step('Concat', seen, { axis: 1 })
}
