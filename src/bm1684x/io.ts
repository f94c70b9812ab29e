/** Network inputs and outputs between what files hold (numbers) and what global memory holds (values of the tensor's type). */
import { QuantError } from '../errors.js'
import { sizeOf, type Tensor } from '../ir/graph.js'
import { halfToNumber, type NpyArray } from '../ir/npz.js'
import { typeBytes } from './bmodel/format.js'
import { toBf16, toF16 } from './layout.js'
import { type IoData, type ProgramTensor, storedArray } from './program.js'

export const tensorBytes = ({ type, shape }: Pick<ProgramTensor, 'type' | 'shape'>): number =>
  sizeOf(shape) * typeBytes[type]

/**
 * Arrays by name -> stored values by name. Floats become the tensor's type: 8 bit by its scale, ties away from zero, clamped. Arrays
 * that are of the stored type already are taken as they are.
 * @param file names the arrays in errors
 * @throws QuantError 'input' for an array that is missing, of another size, or of a type that cannot be taken
 */
export function storeInputs(
  tensors: readonly ProgramTensor[],
  arrays: ReadonlyMap<string, NpyArray>,
  file: string,
): Map<string, IoData> {
  return new Map(
    tensors.map((tensor) => {
      const refuse = (what: string, hint: string) =>
        new QuantError('input', `${file}: ${what}`, { place: { file }, hint })
      const array = arrays.get(tensor.name)
      if (array === undefined)
        throw refuse(
          `no array '${tensor.name}' (there is ${[...arrays.keys()].join(', ') || 'none'})`,
          'name the arrays like the inputs',
        )
      if (array.data.length !== sizeOf(tensor.shape))
        throw refuse(
          `array '${tensor.name}' is [${array.shape.join(', ')}], the input [${tensor.shape.join(', ')}]`,
          'store it in the shape of the input, preprocessed',
        )
      const stored = store(tensor, array.data)
      if (stored === undefined)
        throw refuse(
          `array '${tensor.name}' is no ${tensor.type} and no float array`,
          'give float32, or values as the input stores them',
        )
      return [tensor.name, stored]
    }),
  )
}

function store({ type, scale, zero = 0 }: ProgramTensor, data: NpyArray['data']): IoData | undefined {
  if (data instanceof storedArray[type]) return data
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return undefined
  const quantize = (least: number, most: number) => (real: number) =>
    Math.min(most, Math.max(least, Math.sign(real) * Math.floor(Math.abs(real) / scale + 0.5) + zero))
  switch (type) {
    case 'f32':
      return Float32Array.from(data)
    case 'f16':
      return toF16(Float32Array.from(data))
    case 'bf16':
      return toBf16(Float32Array.from(data))
    case 'i8':
      return Int8Array.from(data, quantize(-128, 127))
    case 'u8':
      return Uint8Array.from(data, quantize(0, 255))
  }
}

/** Real values of stored ones, float32: 8-bit types less their zero point, times their scale. */
export function loadOutput({ type, shape, scale, zero = 0 }: ProgramTensor, stored: IoData): Tensor {
  switch (type) {
    case 'f32':
      return { shape, data: Float32Array.from(stored) }
    case 'f16':
      return { shape, data: Float32Array.from(stored, halfToNumber) }
    case 'bf16':
      return { shape, data: new Float32Array(Uint32Array.from(stored, (bits) => bits << 16).buffer) }
    case 'i8':
    case 'u8':
      return { shape, data: Float32Array.from(stored, (value) => (value - zero) * scale) }
  }
}
