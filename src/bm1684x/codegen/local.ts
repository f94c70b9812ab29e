/**
 * Which bytes of the lanes each buffer gets. Everything is known beforehand, so buffers are placed as rectangles in time and space.
 * Loads are issued as long before they are needed as the transfers take, where there is room; where there is not, later.
 */
import { laneBytes } from '../chip.js'
import type { Buffer, StoredRows, Transfer } from './moves.js'
import type { Group, Step } from './steps.js'

/** Steps of all groups in one row, and when each load is issued. */
export interface Schedule {
  readonly steps: readonly Step[]
  /** Step -> the loads that are issued before it computes, in order. */
  readonly loads: readonly (readonly Transfer[])[]
}

/** Steps that a stored buffer is left alone for beyond the one beside which it is stored. */
const storeSlack = 2

interface Taken {
  readonly from: number
  readonly to: number
  readonly first: number
  readonly last: number
}

interface Load {
  readonly transfer: Transfer
  /** Step that needs it. */
  readonly needed: number
  /** First step at which it may be issued: behind what it reads. */
  readonly earliest: number
  /** Where it would be issued if there is room. */
  readonly wanted: number
}

/**
 * Places the buffers of all groups, in order.
 * @param eagerness how much time is allowed for a load, in multiples of what its transfer takes
 * @returns undefined where one does not fit; what `fits` by itself fits behind others too
 */
export function placeGroups(groups: readonly Group[], eagerness = 1): Schedule | undefined {
  const steps = groups.flatMap((group) => group.steps)
  const loads = planLoads(steps, eagerness)
  const issued: Transfer[][] = steps.map(() => [])
  let taken: Taken[] = []
  let base = 0
  for (const group of groups) {
    const own = new Map<Buffer, Load>()
    for (const load of loads)
      if (load.needed >= base && load.needed < base + group.steps.length) own.set(load.transfer.buffer, load)
    // Where it is tight, what earlier groups store is not spared beyond their end: overwriting it waits for the transfer.
    const ended = taken.map((one) => ({ ...one, last: Math.min(one.last, base - 1) }))
    const placed = place(group, base, own, taken, true) ?? place(group, base, own, ended, false)
    if (placed === undefined) return undefined
    taken.push(...placed.taken)
    for (const load of own.values()) issued[placed.issue.get(load)!]!.push(load.transfer)
    base += group.steps.length
    // Loads of later groups are not issued before this.
    const oldest = loads.reduce((least, { needed, wanted }) => (needed >= base ? Math.min(least, wanted) : least), base)
    taken = taken.filter(({ last }) => last >= oldest)
  }
  return { steps, loads: issued }
}

/** @returns whether a group fits when it has local memory for itself */
export const fits = (group: Group): boolean => placeGroups([group]) !== undefined

/** When loads would have to be issued so that computations never wait: as late as possible, as if room were no question. */
function planLoads(steps: readonly Step[], eagerness: number): Load[] {
  const start: number[] = []
  let clock = 0
  for (const { cycles } of steps) {
    start.push(clock)
    clock += cycles
  }
  const stores = new Map<string, { readonly rows: StoredRows; readonly step: number }[]>()
  const earliest = new Map<Transfer, number>()
  const written = (root: string, rows: StoredRows, step: number): void => {
    stores.set(root, [...(stores.get(root) ?? []), { rows, step }])
  }
  steps.forEach((step, index) => {
    for (const load of step.loads) {
      // Behind the stores of what it reads; a store is issued at its step behind the loads.
      const before = typeof load.root === 'string' ? (stores.get(load.root) ?? []) : []
      earliest.set(
        load,
        Math.max(0, ...before.filter(({ rows }) => sharesRows(rows, load.rows)).map(({ step }) => step + 1)),
      )
    }
    for (const { root, rows } of step.stores) if (typeof root === 'string') written(root, rows, index)
    for (const { to } of step.moves) written(to, undefined, index)
  })
  const plan: Load[] = []
  let free = Infinity
  for (let step = steps.length - 1; step >= 0; step--) {
    const { loads, stores: out, moves } = steps[step]!
    for (const { cycles } of [...out, ...moves]) free -= cycles
    for (const transfer of loads.toReversed()) {
      free = Math.min(free, start[step]!) - transfer.cycles * eagerness
      let wanted = step
      while (wanted > 0 && start[wanted]! > free) wanted--
      const least = earliest.get(transfer)!
      plan.push({
        transfer,
        needed: step,
        earliest: least,
        wanted: Math.max(least, Math.min(wanted, Math.max(0, step - 1))),
      })
    }
  }
  return plan.reverse()
}

function place(group: Group, base: number, loads: ReadonlyMap<Buffer, Load>, before: readonly Taken[], ahead: boolean) {
  const taken: Taken[] = []
  const issue = new Map<Load, number>()
  const free = (bytes: number, first: number, last: number): number | undefined => {
    const inTheWay = [...before, ...taken]
      .filter((other) => other.first <= last && first <= other.last)
      .sort((a, b) => a.from - b.from)
    let at = 0
    for (const { from, to } of inTheWay) {
      if (from - at >= bytes) break
      at = Math.max(at, to)
    }
    return at + bytes <= laneBytes ? at : undefined
  }
  const stored = new Set(group.steps.flatMap(({ stores }) => stores.map(({ buffer }) => buffer)))
  // What is being stored may still wait for its transfer; a computation that overwrote it would wait too.
  const lastOf = (buffer: Buffer): number => base + buffer.last + (ahead && stored.has(buffer) ? storeSlack : 0)
  const take = (buffer: Buffer, address: number, first: number): void => {
    buffer.address = address
    taken.push({ from: address, to: address + buffer.bytes, first, last: lastOf(buffer) })
  }
  // Large ones first pack best; in order of time there is more room in front of loads.
  const inTime = (a: Buffer, b: Buffer): number => a.first - b.first || a.last - b.last
  const order = [...group.buffers].sort(ahead ? inTime : (a, b) => b.bytes - a.bytes || inTime(a, b))
  for (const buffer of order) {
    const load = loads.get(buffer)
    const needed = base + buffer.first
    let done = false
    for (let first = load === undefined || !ahead ? needed : load.wanted; first <= needed && !done; first++) {
      const address = free(buffer.bytes, first, lastOf(buffer))
      if (address === undefined) continue
      take(buffer, address, first)
      if (load !== undefined) issue.set(load, first)
      done = true
    }
    if (!done) return undefined
  }
  if (ahead) return { taken, issue }
  // All have a place; now loads go back in time as far as theirs is free.
  for (const [buffer, load] of loads) {
    const own = { from: buffer.address, to: buffer.address + buffer.bytes }
    const index = taken.findIndex(
      (one) =>
        one.from === own.from &&
        one.to === own.to &&
        one.last === base + buffer.last &&
        one.first === base + buffer.first,
    )
    const blocked = [...before, ...taken].filter(
      (other, i) =>
        i !== before.length + index && other.from < own.to && own.from < other.to && other.first < load.needed,
    )
    const first = Math.max(load.wanted, ...blocked.map(({ last }) => last + 1))
    if (first >= load.needed) continue
    issue.set(load, first)
    taken[index] = { ...taken[index]!, first }
  }
  return { taken, issue }
}

/** Rows of different values are not compared: of one tensor they may be seen under different shapes. */
const sharesRows = (some: StoredRows, others: StoredRows): boolean =>
  some === undefined ||
  others === undefined ||
  some.value !== others.value ||
  (some.item < others.item + others.count &&
    others.item < some.item + some.count &&
    some.from < others.to &&
    others.from < some.to)
