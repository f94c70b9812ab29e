/**
 * Grouped convolution as dense ones. The cube makes 64 output channels from 64 input channels at once, so a block is 64 output channels
 * with all input channels that any of them reads, from a multiple of 64 on (a convolution's operand starts in lane 0); a weight that
 * the groups do not have is 0. Without groups, the blocks are the channel groups of an ordinary convolution, in the ordinary layout.
 */
import { cubeChannels, lanes, roundUp } from '../../chip.js'
import { channelGroups, type FilterData, type Shape4 } from '../../layout.js'

/** Output channels [from, to) and the input channels [inputFrom, inputTo) that they are computed from. */
interface Block {
  readonly from: number
  readonly to: number
  readonly inputFrom: number
  readonly inputTo: number
}

export function blocksOf(ic: number, oc: number, group: number): Block[] {
  const [groupInputs, groupOutputs] = [ic / group, oc / group]
  return Array.from({ length: Math.ceil(oc / lanes) }, (_, block) => {
    const from = block * lanes
    const to = Math.min(oc, from + lanes)
    const first = Math.floor(from / groupOutputs) * groupInputs
    const inputFrom = Math.floor(first / lanes) * lanes
    return { from, to, inputFrom, inputTo: Math.ceil(to / groupOutputs) * groupInputs }
  })
}

/** Bytes of a lane that the filter of a block takes, a multiple of 64 for 1- and 2-byte weights. */
function blockBytes({ inputFrom, inputTo }: Block, taps: number, bytes: 1 | 2 | 4): number {
  return roundUp(inputTo - inputFrom, cubeChannels[bytes]) * taps * bytes
}

/** The dense filter of a block out of [oc, ic / group, kh, kw]. */
export function blockFilter<D extends FilterData>(
  filter: D,
  [oc, depth, kh, kw]: Shape4,
  group: number,
  { from, to, inputFrom, inputTo }: Block,
): { readonly data: D; readonly shape: Shape4 } {
  const taps = kh * kw
  const inputs = inputTo - inputFrom
  const data = new (filter.constructor as new (length: number) => D)((to - from) * inputs * taps)
  const groupOutputs = oc / group
  for (let o = from; o < to; o++) {
    const first = Math.floor(o / groupOutputs) * depth - inputFrom
    const weights = filter.subarray(o * depth * taps, (o + 1) * depth * taps)
    data.set(weights, ((o - from) * inputs + first) * taps)
  }
  return { data, shape: [to - from, inputs, kh, kw] }
}

/** A filter for each channel by itself: a command of its own. */
export const isDepthwise = (ic: number, oc: number, group: number): boolean => group > 1 && group === ic && ic === oc

export interface Run extends Block {
  /** Where in a lane's row its filters begin, behind those of the runs before it. */
  readonly filter: number
}

/** One command each: neighbouring blocks with the same operand together, `most` of them at most. */
export function runsOf(ic: number, oc: number, group: number, taps: number, bytes: 1 | 2 | 4, most: number): Run[] {
  if (isDepthwise(ic, oc, group))
    return Array.from({ length: Math.ceil(channelGroups(oc) / most) }, (_, i) => {
      const [from, to] = [i * most * lanes, Math.min(oc, (i + 1) * most * lanes)]
      return { from, to, inputFrom: from, inputTo: to, filter: i * most * taps * bytes }
    })
  const runs: Run[] = []
  let filter = 0
  for (const block of blocksOf(ic, oc, group)) {
    const last = runs.at(-1)
    const same = last?.inputFrom === block.inputFrom && last.inputTo === block.inputTo
    if (last !== undefined && same && block.from - last.from < most * lanes)
      runs.splice(-1, 1, { ...last, to: block.to })
    else runs.push({ ...block, filter })
    filter += blockBytes(block, taps, bytes)
  }
  return runs
}
