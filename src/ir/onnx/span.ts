/** Slice, with its operands of any opset made plain: one offset, end and step per axis. */
import type { Shape } from '../shapes.js'
import { integers, type OnnxNode, wholeAxis } from './node.js'

export interface Span {
  readonly offsets: readonly number[]
  /** Exclusive. */
  readonly ends: readonly number[]
  readonly steps: readonly number[]
}

/** Negative starts and ends count from the end; both are clamped. Backward steps are refused. */
export function spanOf(node: OnnxNode, shape: Shape): Span {
  const starts = integers(node, 'starts', 1) ?? node.refuse('has no `starts`')
  const ends = integers(node, 'ends', 2) ?? node.refuse('has no `ends`')
  const axes = integers(node, 'axes', 3) ?? starts.map((_, i) => i)
  const steps = integers(node, 'steps', 4) ?? starts.map(() => 1)
  if ([ends, axes, steps].some((list) => list.length !== starts.length))
    node.refuse('starts, ends, axes and steps differ in length')
  if (steps.some((step) => step < 1)) node.refuse(`steps [${steps}] must be positive`)

  const span = { offsets: shape.map(() => 0), ends: [...shape], steps: shape.map(() => 1) }
  for (const [i, given] of axes.entries()) {
    const axis = wholeAxis(node, given, shape.length)
    const n = shape[axis]!
    const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + n : at, 0), n)
    span.offsets[axis] = clamp(starts[i]!)
    span.ends[axis] = clamp(ends[i]!)
    span.steps[axis] = steps[i]!
  }
  return span
}
