/** Uniform numbers in [0, 1) by a linear congruential generator, the same that made the constants in these tests with NumPy. */
export function uniforms(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Laplace-distributed values: heavy tails, as activations have. */
export function laplace(n: number, seed: number): Float32Array {
  const next = uniforms(seed)
  return Float32Array.from({ length: n }, () => {
    const u = next() - 0.5
    return -Math.sign(u) * Math.log(Math.max(1 - 2 * Math.abs(u), 2 ** -31))
  })
}
