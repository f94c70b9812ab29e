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
  f32,
  get,
  i32,
  loadF32,
  loadI32,
  loadVector,
  loopBelow,
  type Routine,
  routine,
  set,
  shiftLeft,
  simd,
  v128,
  when,
} from './wasm.js'

const four = (of: (i: number) => Code): Code => [0, 1, 2, 3].flatMap(of)
const zeroVector = simd(0x0c, ...new Array<number>(16).fill(0))
/** From and to the address behind `count` words. */
const behind = (words: number, count: number): Code => [...get(words), ...get(count), ...constant(2), shiftLeft, add]

/**
 * int16 factors, int32 sums that wrap; two filters. `count` is a multiple of 4; a run is `vectors` times 8 factors, and what it reads
 * too much has to meet zeros in the filters. Results: int32, one array for each filter.
 */
export const createIntegerDots = (): Routine => {
  const [places, count, runs, runCount, vectors, filter0, filter1, result0, result1] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const [run, runEnd, vector0, vector1, vectorEnd, place] = [9, 10, 11, 12, 13, 14] // place + 0..3
  const [sum, factor0, factor1, value] = [18, 26, 27, 28] // sum + 2 * place + filter
  const total = (vector: number) => four((lane) => [...get(vector), ...simd(0x1b, lane), ...(lane === 0 ? [] : [add])]) // i32x4.extract_lane
  const multiplyAdd = (to: number, factor: number) =>
    set(to, ...get(value), ...get(factor), ...simd(0xba), ...get(to), ...simd(0xae)) // i32x4.dot_i16x8_s, i32x4.add
  // Four places and two filters at a time: eight sums stay in registers.
  return routine(
    9,
    [
      [place + 4 - run, i32],
      [value + 1 - sum, v128],
    ],
    [
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
  )
}

/**
 * Products of 16-bit floats, which float32 holds exactly; one filter. A run is {offset, vectors of 4 factors}: up to 32 channels of one
 * tap. Its products are aligned to the largest, cut off 24 bits below its leading bit, added exactly and rounded to float32, which is
 * added to the sum in float32. Parameters: places, count, runs, runCount, filter, start (float32 for each place, what its sum begins
 * with), result (float32). Numbers that are not finite are not modelled.
 */
export const createHalfDots = (): Routine => {
  const [places, count, runs, runCount, filter, start, result] = [0, 1, 2, 3, 4, 5, 6]
  const [run, runEnd, weights, weightsEnd, from, at, exponent] = [7, 8, 9, 10, 11, 12, 13]
  const sum = 14
  const [most, scale, total] = [15, 16, 17]
  const product: Code = [...loadVector(at), ...loadVector(weights), ...simd(0xe6)] // f32x4.mul
  const rewind: Code = [...set(at, ...get(from)), ...set(weights, ...get(weightsEnd), ...runBytes())]
  function runBytes(): Code {
    return [...get(run), ...loadI32(4), ...constant(4), shiftLeft, 0x6b]
  }
  const eachVector = (...body: Code): Code =>
    loopBelow(weights, weightsEnd, ...body, ...advance(at, 16), ...advance(weights, 16))
  const largest: Code = set(most, ...get(most), ...product, ...simd(0xe0), ...simd(0xe9)) // f32x4.abs, f32x4.max
  const lane = (vector: number, i: number): Code => [...get(vector), ...simd(0x1f, i)] // f32x4.extract_lane
  const max = 0x97 // f32.max
  const float = 0xbe // f32.reinterpret_i32
  return routine(
    7,
    [
      [7, i32],
      [1, f32],
      [3, v128],
    ],
    [
      ...set(count, ...behind(places, count)),
      ...loopBelow(
        places,
        count,
        ...set(sum, ...get(start), ...loadF32()),
        ...set(weightsEnd, ...get(filter)),
        ...set(run, ...get(runs)),
        ...set(runEnd, ...get(runs), ...get(runCount), ...constant(3), shiftLeft, add),
        ...loopBelow(
          run,
          runEnd,
          ...set(from, ...get(places), ...loadI32(), ...get(run), ...loadI32(), add),
          ...set(weightsEnd, ...get(weightsEnd), ...get(run), ...loadI32(4), ...constant(4), shiftLeft, add),
          ...rewind,
          ...set(most, ...zeroVector),
          ...eachVector(...largest),
          // Biased exponent of the largest product; 0 where all are 0.
          ...set(
            exponent,
            ...[...lane(most, 0), ...lane(most, 1), max, ...lane(most, 2), max, ...lane(most, 3), max],
            ...[0xbc, ...constant(23), 0x76], // i32.reinterpret_f32, >> 23
          ),
          ...get(exponent),
          ...when(
            // 2^(24 - exponent) as a float: its biased exponent is 278 less that of the product, at most 254.
            ...set(scale, ...power([...wide(278), ...get(exponent), 0x6b]), ...simd(0x13)), // f32x4.splat
            ...set(total, ...zeroVector),
            ...rewind,
            ...eachVector(
              ...set(total, ...product, ...get(scale), ...simd(0xe6), ...simd(0xf8), ...get(total), ...simd(0xae)),
            ), // trunc_sat, add
            ...set(
              sum,
              ...get(sum),
              ...four((i) => [...get(total), ...simd(0x1b, i), ...(i === 0 ? [] : [add])]),
              0xb2, // f32.convert_i32_s rounds to even
              ...power([...get(exponent), ...constant(24), 0x6b]),
              0x94,
              0x92,
            ),
          ),
          ...advance(run, 8),
        ),
        ...[...get(result), ...get(sum), 0x38, 2, 0],
        ...advance(result, 4),
        ...advance(start, 4),
        ...advance(places, 4),
      ),
    ],
  )

  /** 2^n for the biased exponent on the stack, held within 1..254 so that it stays a number. */
  function power(biased: Code): Code {
    return [...set(at, ...biased), ...clampAt(), ...get(at), ...constant(23), shiftLeft, float]
  }

  function clampAt(): Code {
    const below: Code = [...get(at), ...constant(1), 0x48, ...when(...set(at, ...constant(1)))]
    const above: Code = [...get(at), ...wide(254), 0x4a, ...when(...set(at, ...wide(254)))]
    return [...below, ...above]
  }

  /** i32.const of two bytes. */
  function wide(whole: number): Code {
    return [0x41, (whole & 127) | 128, whole >> 7]
  }
}

/**
 * float32; four filters, interleaved: factor k of filter i at 4 * k + i. Products are rounded, even ones added to one sum, odd ones to
 * another; the result is the sum of both. An even number of offsets. Parameters: places, count, offsets (int32, one for each factor),
 * offsetCount, filters, evenStart (four float32 that the even sums begin with), oddStart and result (four float32 for each place).
 */
export const createSingleDots = (): Routine => {
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
  return routine(
    8,
    [
      [4, i32],
      [2, v128],
    ],
    [
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
  )
}
