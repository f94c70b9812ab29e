/**
 * A transposed convolution comes as a Spread, which puts zeros between pixels, and a convolution over all of it. Of the products most
 * are by zeros: with a stride of 2, three of four. What is left for the rows y = s * i + p of the result is a convolution of the operand
 * itself by every s-th tap: s * s small convolutions make all pixels, and a Spread of s * s operands puts them side by side.
 *
 *   y[s i + p] = sum over t of f[k + s t] x[i + t + (p + k - P) / s],  k = (P - p) mod s,  P = zeros in front of the picture
 */
import type { Pair } from '../../ir/graph.js'
import type { QGraph, QNode, QWeight } from '../../quantize/qgraph.js'

/** So many convolutions and their Spread are still one group. */
const mostPhases = 16

/** One side of the convolution of a phase, all sizes in pixels of the operand. */
interface Side {
  /** The first tap that counts; every s-th follows, `taps` of them. */
  readonly first: number
  readonly taps: number
  readonly before: number
  readonly after: number
  readonly results: number
}

/** @returns the same nodes with phases instead of zeros where there are taps for each, and the filters that are new */
export function inPhases(
  nodes: readonly QNode[],
  weights: QGraph['weights'],
  outputs: ReadonlySet<string>,
): { readonly nodes: readonly QNode[]; readonly weights: QGraph['weights'] } {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const readers = new Map<string, number>()
  for (const { inputs } of nodes) for (const input of inputs) readers.set(input, (readers.get(input) ?? 0) + 1)
  const constants = new Map(weights)
  const gone = new Set<string>()

  const made = nodes.map((node): readonly QNode[] => {
    const { op, name, inputs } = node
    const filter = weights.get(inputs[1] ?? '')
    if ((op.type !== 'Conv' && op.type !== 'ConvInt') || filter === undefined) return [node]
    if ([...op.strides, ...op.dilations].some((step) => step > 1)) return [node]
    const operand = byName.get(inputs[0]!)!
    const cut =
      operand.op.type === 'Slice' && operand.op.steps.every((step) => step === 1) ? operand.op.offsets : undefined
    const spread = cut === undefined ? operand : byName.get(operand.inputs[0]!)!
    if (spread.op.type !== 'Spread') return [node]
    const between = cut === undefined ? [spread.name] : [spread.name, operand.name]
    if (between.some((name) => readers.get(name) !== 1 || outputs.has(name))) return [node]
    const { scaleH, scaleW } = spread.op
    const x = byName.get(spread.inputs[0]!)!
    const sides = ([0, 1] as const).map((axis) => {
      const scale = [scaleH, scaleW][axis]!
      const zeros = op.pads[axis] - (cut?.[axis + 2] ?? 0)
      return Array.from({ length: scale }, (_, phase) =>
        sideOf(phase, scale, op.kernel[axis], zeros, x.shape[axis + 2]!, node.shape[axis + 2]!),
      )
    })
    const possible = sides
      .flat()
      .every(({ taps, before, after, results }) => Math.min(taps, results) > 0 && before >= 0 && after >= 0)
    if (!possible || scaleH * scaleW > mostPhases) return [node]

    for (const name of between) gone.add(name)
    const phases = sides[0]!.flatMap((down, i) =>
      sides[1]!.map((across, j): QNode => {
        const own = `${inputs[1]}_phase${i}_${j}`
        constants.set(own, everyTap(filter, [down, across], [scaleH, scaleW]))
        const kernel: Pair = [down.taps, across.taps]
        const pads = [down.before, across.before, down.after, across.after] as const
        return {
          ...node,
          name: `${name}_phase${i}_${j}`,
          op: { ...op, kernel, pads },
          inputs: [x.name, own, ...inputs.slice(2)],
          shape: [node.shape[0]!, node.shape[1]!, down.results, across.results],
        }
      }),
    )
    const joined = { type: 'Spread', scaleH, scaleW } as const
    return [...phases, { ...node, op: joined, inputs: phases.map(({ name }) => name) }]
  })
  return { nodes: made.flat().filter(({ name }) => !gone.has(name)), weights: constants }
}

/** @param zeros in front of the first pixel; negative where pixels are cut off */
function sideOf(phase: number, scale: number, kernel: number, zeros: number, size: number, results: number): Side {
  const first = (((zeros - phase) % scale) + scale) % scale
  const taps = Math.ceil((kernel - first) / scale)
  const own = Math.ceil((results - phase) / scale)
  const before = (zeros - phase - first) / scale
  return { first, taps, before, after: own - 1 + taps - 1 - before - (size - 1), results: own }
}

/** Of a filter [oc, ic, kh, kw], the taps of a phase. */
function everyTap({ shape, data, kind }: QWeight, [down, across]: readonly Side[], [scaleH, scaleW]: Pair): QWeight {
  const [oc, ic, kh, kw] = shape as [number, number, number, number]
  const [rows, columns] = [down!.taps, across!.taps]
  const own = data.slice(0, oc * ic * rows * columns) as QWeight['data']
  let at = 0
  for (let plane = 0; plane < oc * ic; plane++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        own[at++] = data[(plane * kh + down!.first + y * scaleH) * kw + across!.first + x * scaleW]!
  return { shape: [oc, ic, rows, columns], data: own, kind }
}
