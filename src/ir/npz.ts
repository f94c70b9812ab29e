/**
 * NumPy's array files.
 *
 * .npy: `\x93NUMPY`, version (u8 major, u8 minor), header length (u16; u32 from version 2 on), header, data. The header is a Python
 * dict, `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, filled with blanks and ended by a newline so that the data
 * start at a multiple of 64. .npz: a zip of .npy files; an array's key is its member's name without `.npy`.
 */
import { unzipSync, type Zippable, zipSync } from 'fflate'
import { QuantError } from '../errors.js'
import { sizeOf } from './graph.js'

export type NpyData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** A dense array, C order. */
export interface NpyArray {
  readonly shape: readonly number[]
  readonly data: NpyData
}

const MAGIC = '\x93NUMPY'
const ALIGNMENT = 64
/** What deflate can win at most is 1032:1; a member that claims more lies, and is not worth the memory. */
const MAX_DEFLATE_RATIO = 1040

const KINDS = {
  '<f4': Float32Array,
  '<f8': Float64Array,
  '|i1': Int8Array,
  '|u1': Uint8Array,
  '|b1': Uint8Array,
  '<i2': Int16Array,
  '<u2': Uint16Array,
  '<i4': Int32Array,
  '<u4': Uint32Array,
  '<i8': BigInt64Array,
  '<u8': BigUint64Array,
} as const

type Descr = keyof typeof KINDS

const isDescr = (text: string): text is Descr => Object.hasOwn(KINDS, text)

/**
 * Reads one .npy file. `<f2` becomes float32, bool uint8; Fortran order becomes C order.
 * @param file names the bytes in errors
 * @throws QuantError 'input' when the bytes are no .npy file, are cut off, or hold what has no typed array
 */
export function readNpy(bytes: Uint8Array, file: string): NpyArray {
  const bad = (what: string, hint = 'write it again with numpy.save') =>
    new QuantError('input', `${file}: ${what}`, { place: { file }, hint })
  if (bytes.length < 12 || latin1(bytes.subarray(0, 6)) !== MAGIC) throw bad('not a .npy file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint8(6)
  if (version < 1 || version > 3) throw bad(`unknown .npy version ${version}`)
  const headerAt = version === 1 ? 10 : 12
  const dataAt = headerAt + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true))
  if (dataAt > bytes.length) throw bad('the header is cut off')
  const header = latin1(bytes.subarray(headerAt, dataAt))
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1]
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1]
  const dims = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header)?.[1]
  if (descr === undefined || order === undefined || dims === undefined) throw bad('the header cannot be read')
  const shape = (dims.match(/\d+/g) ?? []).map(Number)

  const half = descr === '<f2'
  if (!half && !isDescr(descr))
    throw bad(`element type '${descr}' is not supported`, 'convert it with astype(numpy.float32)')
  const Kind = half ? Uint16Array : KINDS[descr]
  const need = sizeOf(shape) * Kind.BYTES_PER_ELEMENT
  const have = bytes.length - dataAt
  if (need !== have) throw bad(`shape (${shape.join(', ')}) needs ${need} bytes of data, there are ${have}`)
  // A copy: the bytes may stand at any address, and they are the caller's. Not slice(): a Buffer's does not copy.
  const stored = new Kind(new Uint8Array(bytes.subarray(dataAt)).buffer)
  const data = half ? Float32Array.from(stored as Uint16Array, halfToNumber) : stored
  return { shape, data: order === 'True' ? fromFortran(data, shape) : data }
}

/** The .npy file (version 1) of an array, C order, little endian. */
export function writeNpy(array: NpyArray): Uint8Array {
  const { shape, data } = array
  const descr = (Object.keys(KINDS) as Descr[]).find((key) => data instanceof KINDS[key])
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`
  const dataAt = Math.ceil((10 + dict.length + 1) / ALIGNMENT) * ALIGNMENT
  const bytes = new Uint8Array(dataAt + data.byteLength)
  bytes.set(Buffer.from(`${MAGIC}\x01\x00`, 'latin1'))
  new DataView(bytes.buffer).setUint16(8, dataAt - 10, true)
  bytes.set(Buffer.from(`${dict.padEnd(dataAt - 11)}\n`, 'latin1'), 10)
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), dataAt)
  return bytes
}

/**
 * Reads all arrays of an .npz file, stored or deflated, in the file's order.
 * @throws QuantError 'input' naming the file, and the member where it is one
 */
export function readNpz(bytes: Uint8Array, file: string): Map<string, NpyArray> {
  const bad = (what: string, cause?: unknown) =>
    new QuantError('input', `${file}: ${what}`, { place: { file }, hint: 'write it again with numpy.savez', cause })
  let packed = 0
  let members: Record<string, Uint8Array>
  try {
    members = unzipSync(bytes, {
      // The directory's sizes are what fflate allocates: none may be more than the file can hold.
      filter: ({ name, size, originalSize, compression }) => {
        packed += size
        const most = compression === 0 ? size : size * MAX_DEFLATE_RATIO
        if (packed > bytes.length || originalSize > most)
          throw bad(`member '${name}' claims more bytes than the file has`)
        return true
      },
    })
  } catch (error) {
    if (error instanceof QuantError) throw error
    throw bad('not a whole .npz file', error)
  }
  const arrays = new Map<string, NpyArray>()
  for (const [name, member] of Object.entries(members)) {
    arrays.set(name.replace(/\.npy$/, ''), readNpy(member, `${file}: member '${name}'`))
  }
  return arrays
}

/**
 * The .npz file of some arrays: stored, in the given order, with fixed dates, so that equal arrays give equal bytes.
 * Keys may hold any characters, ':' and '/' too, and must differ.
 */
export function writeNpz(entries: Iterable<readonly [string, NpyArray]>): Uint8Array {
  const members: Zippable = {}
  for (const [key, array] of entries) members[`${key}.npy`] = writeNpy(array)
  // fflate writes local time: this is 1980-01-01 00:00 in the file, whatever the time zone.
  return zipSync(members, { level: 0, mtime: new Date(1980, 0, 1) })
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** The value of float16 bits. */
export function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** Column-major data as row-major: walks the result in order, and through the source by the strides of its first-axis-fastest order. */
function fromFortran<D extends NpyData>(data: D, shape: readonly number[]): D {
  const out = data.slice() as D
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)))
  const index = shape.map(() => 0)
  for (let to = 0, from = 0; to < out.length; to++) {
    out[to] = data[from]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      from -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return out
}
