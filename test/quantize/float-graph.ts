/** Small float graphs by hand, with numbers that are easy to follow. */
import type { Thresholds } from '../../src/calibrate/threshold.js'
import type { Graph, Node, Op, Weight } from '../../src/ir/graph.js'

export const none = { relu: false, reluLimit: -1 } as const
export const relu = { relu: true, reluLimit: -1 } as const
export const conv1 = {
  ...none,
  type: 'Conv',
  kernel: [1, 1],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [0, 0, 0, 0],
  group: 1,
} as const
export const pool = { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] } as const

export const weight = (shape: readonly number[], ...data: number[]): Weight => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => data[i % data.length]!),
})

/** Lines of [name, op, inputs, shape]; without a shape [1, 2, 4, 4]. */
export function graphOf(
  lines: readonly (readonly [name: string, op: Op, inputs?: readonly string[], shape?: readonly number[]])[],
  weights: Record<string, Weight> = {},
  outputs: readonly string[] = [lines.at(-1)![0]],
): Graph {
  const nodes = lines.map(([name, op, inputs = [], shape = [1, 2, 4, 4]]): Node => ({ name, op, inputs, shape }))
  return { name: 'net', nodes, weights: new Map(Object.entries(weights)), outputs }
}

/** name -> threshold; a leading '+' in the name: never negative. */
export const thresholdsOf = (values: Record<string, number>): Thresholds =>
  new Map(
    Object.entries(values).map(([key, threshold]) => {
      const positive = key.startsWith('+')
      return [positive ? key.slice(1) : key, { threshold, min: positive ? 0 : -threshold, max: threshold }]
    }),
  )
