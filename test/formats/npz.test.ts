import { readFileSync } from 'node:fs'
import { deflateSync, unzipSync, zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { type NpyArray, readNpy, readNpz, writeNpy, writeNpz } from '../../src/ir/npz.js'

/**
 * NumPy 2.4.6: np.savez_compressed of one array per type, a Fortran-ordered one, a scalar, an empty one and a key with '/' and ':'.
 */
const everyType = readFileSync(new URL('every-type.npz', import.meta.url))
/** NumPy 2.4.6: np.save of np.arange(6, dtype=np.float32).reshape(2, 3). */
const saved = Buffer.from(
  'k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgIC' +
    'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAAoEA=',
  'base64',
)
/** NumPy 2.4.6: np.save of np.array([1 + 2j]). */
const complex = Buffer.from(
  'k05VTVBZAQB2AHsnZGVzY3InOiAnPGMxNicsICdmb3J0cmFuX29yZGVyJzogRmFsc2UsICdzaGFwZSc6ICgxLCksIH0gICAgICAgICAgICAgIC' +
    'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAADwPwAAAAAAAABA',
  'base64',
)

const failure = (act: () => unknown): QuantError => {
  try {
    act()
  } catch (error) {
    if (error instanceof QuantError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('reading what NumPy wrote', () => {
  const arrays = readNpz(everyType, 'every-type.npz')
  const expected: Record<string, NpyArray> = {
    f4: { shape: [2, 3], data: new Float32Array([1.5, -2, 0.1, 3e38, 1e-45, -0]) },
    f8: { shape: [2], data: new Float64Array([0.1, 1e300]) },
    i1: { shape: [2], data: new Int8Array([-128, 127]) },
    u1: { shape: [2, 1, 2], data: new Uint8Array([0, 1, 2, 3]) },
    i2: { shape: [2], data: new Int16Array([-32768, 32767]) },
    u2: { shape: [1], data: new Uint16Array([65535]) },
    i4: { shape: [2], data: new Int32Array([-(2 ** 31), 2 ** 31 - 1]) },
    u4: { shape: [1], data: new Uint32Array([2 ** 32 - 1]) },
    i8: { shape: [2], data: new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]) },
    u8: { shape: [1], data: new BigUint64Array([2n ** 64n - 1n]) },
    b1: { shape: [2], data: new Uint8Array([1, 0]) },
    // The nearest float16 numbers of 6e-8, 6.1e-5 (the largest subnormal but two) and 0.1.
    f2: { shape: [7], data: new Float32Array([1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, Infinity, 1638 / 16384]) },
    scalar: { shape: [], data: new Int32Array([7]) },
    empty: { shape: [0, 3], data: new Float32Array(0) },
    fortran: { shape: [2, 3, 4], data: Float32Array.from({ length: 24 }, (_, i) => i) },
    'conv1/kernel:0': { shape: [1], data: new Int32Array([9]) },
  }

  it('has every array in the order of the file', () => {
    expect([...arrays.keys()]).toEqual(Object.keys(expected))
  })
  it.each(Object.entries(expected))('%s', (key, array) => {
    expect(arrays.get(key)).toEqual(array)
  })
  it('takes a Buffer, and copies it', () => {
    const bytes = Buffer.from(saved)
    const { data } = readNpy(bytes, 'x.npy')
    bytes.fill(0)
    expect(data).toEqual(new Float32Array([0, 1, 2, 3, 4, 5]))
  })
  it('takes bytes at odd addresses', () => {
    const shifted = new Uint8Array(saved.length + 3)
    shifted.set(saved, 3)
    expect(readNpy(shifted.subarray(3), 'x.npy').data).toEqual(new Float32Array([0, 1, 2, 3, 4, 5]))
  })
})

describe('writing', () => {
  it('gives the same .npy bytes as numpy.save', () => {
    const bytes = writeNpy({ shape: [2, 3], data: new Float32Array([0, 1, 2, 3, 4, 5]) })
    expect(Buffer.from(bytes).toString('base64')).toBe(saved.toString('base64'))
  })
  it('keeps every type, shape and key through an .npz', () => {
    const arrays = readNpz(everyType, 'every-type.npz')
    const back = readNpz(writeNpz(arrays), 'back.npz')
    expect([...back]).toEqual([...arrays])
  })
  it('stores members uncompressed, named KEY.npy, in the given order', () => {
    const bytes = writeNpz([
      ['b/w:0', { shape: [3], data: new Int8Array([1, 2, 3]) }],
      ['a', { shape: [1], data: new Float32Array([0.5]) }],
    ])
    const members: { name: string; compression: number }[] = []
    unzipSync(bytes, { filter: ({ name, compression }) => members.push({ name, compression }) > 0 })
    expect(members).toEqual([
      { name: 'b/w:0.npy', compression: 0 },
      { name: 'a.npy', compression: 0 },
    ])
  })
  it('gives the same bytes in any time zone', () => {
    const zone = process.env.TZ
    const inZone = (name: string) => {
      process.env.TZ = name
      return Buffer.from(writeNpz([['a', { shape: [1], data: new Int8Array([1]) }]])).toString('hex')
    }
    try {
      expect(inZone('Asia/Tokyo')).toBe(inZone('America/Los_Angeles'))
    } finally {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    }
  })
})

describe('bad files', () => {
  it.each([
    ['nothing', new Uint8Array(0), 'not a .npy file'],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n0000000000'), 'not a .npy file'],
    ['half a header', saved.subarray(0, 40), 'the header is cut off'],
    ['half the data', saved.subarray(0, 140), 'needs 24 bytes of data, there are 12'],
    ['complex numbers', complex, "element type '<c16' is not supported"],
  ])('%s', (_, bytes, message) => {
    const error = failure(() => readNpy(bytes, 'x.npy'))
    expect(error.code).toBe('input')
    expect(error.message).toContain('x.npy: ')
    expect(error.message).toContain(message)
    expect(error.hint).toBeDefined()
  })
  it('a shape that lies is no reason to allocate', () => {
    const lying = Buffer.from(
      saved.toString('latin1').replace('(2, 3), }   ', '(9999999, 9999999), }').padEnd(152),
      'latin1',
    )
    expect(failure(() => readNpy(lying, 'x.npy')).message).toContain('needs')
  })
  it('a zip that claims gigabytes is refused before they are allocated', () => {
    const zip = Buffer.from(zipSync({ 'a.npy': writeNpy({ shape: [4], data: new Float32Array(4) }) }))
    const directory = zip.indexOf('PK\x01\x02')
    zip.writeUInt32LE(0xfffffff0, directory + 24)
    expect(failure(() => readNpz(zip, 'x.npz')).message).toBe(
      "x.npz: member 'a.npy' claims more bytes than the file has",
    )
  })
  it('names file and member', () => {
    const zip = zipSync({ 'conv.npy': deflateSync(new Uint8Array(100)) })
    expect(failure(() => readNpz(zip, 'w.npz')).message).toBe("w.npz: member 'conv.npy': not a .npy file")
    expect(failure(() => readNpz(new Uint8Array(10), 'w.npz')).message).toBe('w.npz: not a whole .npz file')
  })
  it('cut anywhere or with any byte turned, it is read or refused, never worse', () => {
    let refused = 0
    for (let i = 0; i < everyType.length; i += 7) {
      const flipped = Buffer.from(everyType)
      flipped[i] = flipped[i]! ^ 0xff
      for (const bytes of [everyType.subarray(0, i), flipped]) {
        try {
          readNpz(bytes, 'x.npz')
        } catch (error) {
          expect(error).toBeInstanceOf(QuantError)
          refused++
        }
      }
    }
    expect(refused).toBeGreaterThan(everyType.length / 7)
  })
})
