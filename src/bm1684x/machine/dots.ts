/**
 * The inner loops of convolution: for each place of an image, the sum of its products with a few filters, each in the very order and
 * precision of the chip's model. WebAssembly SIMD, assembled here since it is little and nothing else would be as exact and as fast.
 *
 * Common parameters, all byte addresses or counts: `places` -> int32 addresses of the places in the image, `count` of them;
 * `runs` -> what the sum consists of, as offsets from a place.
 */
import {
  add,
  advance,
  type Code,
  constant,
  get,
  i32,
  loadI32,
  loadVector,
  loopBelow,
  type Routine,
  set,
  shiftLeft,
  simd,
  storeVector,
  subtract,
  v128,
  words,
} from './wasm.js'

const four = (of: (i: number) => Code): Code => [0, 1, 2, 3].flatMap(of)
const zeroVector = simd(0x0c, ...new Array<number>(16).fill(0))
/** From and to the address behind `count` words. */
const behind = (words: number, count: number): Code => [...get(words), ...get(count), ...constant(2), shiftLeft, add]

/**
 * int16 factors, int32 sums that wrap; two filters. `count` is a multiple of 4; a run is `vectors` times 8 factors, and what it reads
 * too much has to meet zeros in the filters. Results: int32, one array for each filter.
 */
function integerDots(): Routine {
  const [places, count, runs, runCount, vectors, filter0, filter1, result0, result1] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const [run, runEnd, vector0, vector1, vectorEnd, place] = [9, 10, 11, 12, 13, 14] // place + 0..3
  const [sum, factor0, factor1, value] = [18, 26, 27, 28] // sum + 2 * place + filter
  const total = (vector: number) => four((lane) => [...get(vector), ...simd(0x1b, lane), ...(lane === 0 ? [] : [add])]) // i32x4.extract_lane
  const multiplyAdd = (to: number, factor: number) =>
    set(to, ...get(value), ...get(factor), ...simd(0xba), ...get(to), ...simd(0xae)) // i32x4.dot_i16x8_s, i32x4.add
  // Four places and two filters at a time: eight sums stay in registers.
  return {
    parameters: 9,
    locals: [
      [place + 4 - run, i32],
      [value + 1 - sum, v128],
    ],
    body: [
      ...set(count, ...behind(places, count)),
      ...loopBelow(
        places,
        count,
        ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => set(sum + i, ...zeroVector)),
        ...set(run, ...get(runs)),
        ...set(runEnd, ...behind(runs, runCount)),
        ...set(vector0, ...get(filter0)),
        ...set(vector1, ...get(filter1)),
        ...loopBelow(
          run,
          runEnd,
          ...four((i) => set(place + i, ...get(places), ...loadI32(4 * i), ...get(run), ...loadI32(), add)),
          ...set(vectorEnd, ...get(vector0), ...get(vectors), ...constant(4), shiftLeft, add),
          ...loopBelow(
            vector0,
            vectorEnd,
            ...set(factor0, ...loadVector(vector0)),
            ...set(factor1, ...loadVector(vector1)),
            ...four((i) => [
              ...set(value, ...loadVector(place + i)),
              ...multiplyAdd(sum + 2 * i, factor0),
              ...multiplyAdd(sum + 2 * i + 1, factor1),
              ...advance(place + i, 16),
            ]),
            ...advance(vector0, 16),
            ...advance(vector1, 16),
          ),
          ...advance(run, 4),
        ),
        ...four((i) => [...get(result0), ...total(sum + 2 * i), 0x36, 2, 4 * i]),
        ...four((i) => [...get(result1), ...total(sum + 2 * i + 1), 0x36, 2, 4 * i]),
        ...advance(result0, 16),
        ...advance(result1, 16),
        ...advance(places, 16),
      ),
    ],
  }
}

/**
 * Products of 16-bit floats, which float32 holds exactly; four filters, interleaved: factor k of filter i at 4 * k + i. A run is
 * {offset, fours of factors}: up to 32 channels of one tap. Its products are aligned to the largest, cut off 24 bits below its leading
 * bit, added exactly and rounded to float32, which is added to the sum in float32. Parameters: places, count, runs, runCount, filters,
 * start (four float32 for each place, what the sums begin with), results (the same). Numbers that are not finite are not modelled.
 */
function halfDots(): Routine {
  const [places, count, runs, runCount, filters, start, result] = [0, 1, 2, 3, 4, 5, 6]
  const [run, runEnd, weights, weightsEnd, from, at] = [7, 8, 9, 10, 11, 12]
  const [sum, most, scale, total, exponent] = [13, 14, 15, 16, 17]
  const runBytes: Code = [...get(run), ...loadI32(4), ...constant(6), shiftLeft]
  const rewind: Code = [...set(at, ...get(from)), ...set(weights, ...get(weightsEnd), ...runBytes, subtract)]
  const eachProduct = (body: (product: Code) => Code): Code =>
    loopBelow(
      weights,
      weightsEnd,
      ...four(
        (i) => body([...get(at), ...simd(0x09, 2, 4 * i), ...loadVector(weights, 16 * i), ...simd(0xe6)]), // v128.load32_splat, f32x4.mul
      ),
      ...advance(at, 16),
      ...advance(weights, 64),
    )
  /** 2^n for the biased exponents on the stack, held within 1..254 so that they stay numbers. */
  const power = (biased: Code): Code => [
    ...[...biased, ...words(1), ...simd(0xb8), ...words(254), ...simd(0xb6)],
    ...[...constant(23), ...simd(0xab)],
  ]
  return {
    parameters: 7,
    locals: [
      [6, i32],
      [5, v128],
    ],
    body: [
      ...set(count, ...behind(places, count)),
      ...loopBelow(
        places,
        count,
        ...set(sum, ...loadVector(start)),
        ...set(weightsEnd, ...get(filters)),
        ...set(run, ...get(runs)),
        ...set(runEnd, ...get(runs), ...get(runCount), ...constant(3), shiftLeft, add),
        ...loopBelow(
          run,
          runEnd,
          ...set(from, ...get(places), ...loadI32(), ...get(run), ...loadI32(), add),
          ...set(weightsEnd, ...get(weightsEnd), ...runBytes, add),
          ...rewind,
          ...set(most, ...zeroVector),
          ...eachProduct((product) => set(most, ...get(most), ...product, ...simd(0xe0), ...simd(0xe9))), // f32x4.abs, f32x4.max
          // Biased exponents of the largest products; 0 where all are 0, whose sums stay as they are.
          ...set(exponent, ...get(most), ...constant(23), ...simd(0xad)),
          // 2^(24 - exponent): its biased exponent is 278 less that of the product.
          ...set(scale, ...power([...words(278), ...get(exponent), ...simd(0xb1)])),
          ...set(total, ...zeroVector),
          ...rewind,
          ...eachProduct(
            (product) =>
              set(total, ...product, ...get(scale), ...simd(0xe6), ...simd(0xf8), ...get(total), ...simd(0xae)), // trunc_sat, add
          ),
          ...set(
            sum,
            ...get(sum),
            ...get(sum),
            ...[...get(total), ...simd(0xfa)], // f32x4.convert_i32x4_s rounds to even
            ...power([...get(exponent), ...words(24), ...simd(0xb1)]),
            ...[...simd(0xe6), ...simd(0xe4)],
            ...[...get(exponent), ...zeroVector, ...simd(0x37), ...simd(0x52)], // where the exponent is 0, the first
          ),
          ...advance(run, 8),
        ),
        ...storeVector(result, 0, ...get(sum)),
        ...advance(result, 16),
        ...advance(start, 16),
        ...advance(places, 4),
      ),
    ],
  }
}

/**
 * float32; four filters, interleaved: factor k of filter i at 4 * k + i. Products are rounded, even ones added to one sum, odd ones to
 * another; the result is the sum of both. An even number of offsets. Parameters: places, count, offsets (int32, one for each factor),
 * offsetCount, filters, evenStart (four float32 that the even sums begin with), oddStart and result (four float32 for each place).
 */
function singleDots(): Routine {
  const [places, count, offsets, offsetCount, filters, evenStart, oddStart, result] = [0, 1, 2, 3, 4, 5, 6, 7]
  const [offset, offsetEnd, weights, place] = [8, 9, 10, 11]
  const [even, odd] = [12, 13]
  const step = (sum: number, which: 0 | 1): Code =>
    set(
      sum,
      ...get(sum),
      ...[...get(place), ...get(offset), ...loadI32(4 * which), add, ...simd(0x09, 2, 0)], // v128.load32_splat
      ...[...get(weights), ...simd(0x00, 0, 16 * which)],
      ...[...simd(0xe6), ...simd(0xe4)], // f32x4.mul, f32x4.add
    )
  return {
    parameters: 8,
    locals: [
      [4, i32],
      [2, v128],
    ],
    body: [
      ...set(count, ...behind(places, count)),
      ...loopBelow(
        places,
        count,
        ...set(even, ...loadVector(evenStart)),
        ...set(odd, ...loadVector(oddStart)),
        ...set(place, ...get(places), ...loadI32()),
        ...set(weights, ...get(filters)),
        ...set(offset, ...get(offsets)),
        ...set(offsetEnd, ...behind(offsets, offsetCount)),
        ...loopBelow(
          offset,
          offsetEnd,
          ...step(even, 0),
          ...step(odd, 1),
          ...advance(weights, 32),
          ...advance(offset, 8),
        ),
        ...[...get(result), ...get(even), ...get(odd), ...simd(0xe4), ...simd(0x0b, 0, 0)], // f32x4.add, v128.store
        ...advance(result, 16),
        ...advance(oddStart, 16),
        ...advance(places, 4),
      ),
    ],
  }
}

export const dotRoutines = { integerDots: integerDots(), halfDots: halfDots(), singleDots: singleDots() } as const
