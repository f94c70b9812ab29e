/** TensorProto -> Constant. */
import { QuantError } from '../../errors.js'
import { sizeOf } from '../graph.js'
import { showShape } from '../shapes.js'
import { type Constant, constant, type Kind } from './constant.js'
import { type TensorProto, TensorProto_DataType as Type } from './onnx_pb.js'

interface Encoding {
  readonly kind: Kind
  readonly bytes: number
  readonly read: (view: DataView, offset: number) => number
  /** The typed field that holds the numbers when `raw_data` does not. */
  readonly list: (tensor: TensorProto) => readonly (number | bigint)[]
}

const int32 = (tensor: TensorProto): number[] => tensor.int32Data

// raw_data is little-endian on every machine; the 16-bit float types in int32_data are bit patterns.
const encodings: Partial<Record<number, Encoding>> = {
  [Type.FLOAT]: { kind: 'float', bytes: 4, read: (v, i) => v.getFloat32(i, true), list: (t) => t.floatData },
  [Type.DOUBLE]: { kind: 'float', bytes: 8, read: (v, i) => v.getFloat64(i, true), list: (t) => t.doubleData },
  [Type.FLOAT16]: {
    kind: 'float',
    bytes: 2,
    read: (v, i) => halfToNumber(v.getUint16(i, true)),
    list: (t) => t.int32Data.map(halfToNumber),
  },
  [Type.INT64]: { kind: 'int', bytes: 8, read: (v, i) => Number(v.getBigInt64(i, true)), list: (t) => t.int64Data },
  [Type.INT32]: { kind: 'int', bytes: 4, read: (v, i) => v.getInt32(i, true), list: int32 },
  [Type.INT16]: { kind: 'int', bytes: 2, read: (v, i) => v.getInt16(i, true), list: int32 },
  [Type.INT8]: { kind: 'int', bytes: 1, read: (v, i) => v.getInt8(i), list: int32 },
  [Type.UINT16]: { kind: 'int', bytes: 2, read: (v, i) => v.getUint16(i, true), list: int32 },
  [Type.UINT8]: { kind: 'int', bytes: 1, read: (v, i) => v.getUint8(i), list: int32 },
  [Type.BOOL]: { kind: 'int', bytes: 1, read: (v, i) => v.getUint8(i), list: int32 },
}

/** Which kind of constant an ONNX element type becomes; undefined for strings and the like. */
export const kindOf = (dataType: number): Kind | undefined => encodings[dataType]?.kind

/** @throws QuantError 'input' when the type is none of ours or the data does not fit the shape. */
export function decodeTensor(tensor: TensorProto, name: string, file: string): Constant {
  const encoding = encodings[tensor.dataType]
  if (!encoding)
    throw new QuantError('model', `tensor \`${name}\` of \`${file}\` has element type ${tensor.dataType}`, {
      hint: 'weights are float32, float16 or double, shapes are integers',
    })
  const shape = tensor.dims.map(Number)
  const size = sizeOf(shape)
  const raw = tensor.rawData
  const listed = raw.length === 0 ? encoding.list(tensor) : undefined
  if ((listed ? listed.length : raw.length / encoding.bytes) !== size || shape.some((n) => n < 0))
    throw new QuantError(
      'input',
      `tensor \`${name}\` of \`${file}\` has ${listed ? `${listed.length} numbers` : `${raw.length} bytes`}, too many or too few for shape ${showShape(shape)}`,
      { hint: 'the file is damaged: export or download it again' },
    )
  if (listed) return constant(encoding.kind, shape, Array.from(listed, Number))
  // Weights are large: a copy of the bytes (raw_data may stand at any offset) instead of number by number.
  if (tensor.dataType === Type.FLOAT)
    return { kind: 'float', shape, data: new Float32Array(new Uint8Array(raw).buffer) }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  return constant(
    encoding.kind,
    shape,
    Array.from({ length: size }, (_, i) => encoding.read(view, i * encoding.bytes)),
  )
}

/** IEEE 754 binary16 bits -> number, exact. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}
