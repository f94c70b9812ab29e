/**
 * Throws away what the store holds for nobody. It stays
 *
 *   - what the state log of a project needs that builds into this store: the outputs as they are now, and the actions that gave them;
 *   - the memo's pieces of those actions' stages, from the oldest of them on: one picture more must cost one picture;
 *   - what a build used within the last days (mtime of actions and pieces, see store.ts), with the objects of such actions;
 *   - what is younger than an hour: another project may be building into the same store right now.
 *
 * Over a size, what was not used for longest goes as well, except the first, second and last of these. Nothing here can break a build: an
 * action without all its objects is as good as absent, and so is a piece that is gone.
 */
import * as disk from '../disk.js'
import { hashFile } from './hash.js'
import { isPiece, usedGraceMs } from './memo.js'
import { openState } from './state.js'
import { readAction, type StoredAction } from './store.js'

export interface GcOptions {
  readonly days: number
  /** Bytes that the store may hold; undefined: any. */
  readonly size?: number | undefined
  /** Only tells. */
  readonly dryRun: boolean
  /** Reads every object and every piece. */
  readonly verify: boolean
  /** Folders in which killed writes may have left something, besides the store. */
  readonly folders: readonly string[]
}

export interface Amount {
  /** Actions, pieces, or files. */
  count: number
  bytes: number
  /** How long they took to make; 0 where nobody knows. */
  ms: number
}

export interface GcGroup {
  /** `outputs` of a stage, `pieces` of a family of the memo, objects of `nobody` and `leftovers` of killed writes. */
  readonly kind: 'outputs' | 'pieces' | 'nobody' | 'leftovers'
  /** The stage, or the family. */
  readonly name: string
  readonly stays: Amount
  readonly goes: Amount
  /** Since the last use of any of them. */
  unusedDays: number
}

export interface GcReport {
  readonly groups: readonly GcGroup[]
  /** Damaged objects, actions and pieces: found by reading all only. */
  readonly damaged: number
  readonly projects: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Something that goes or stays as a whole. */
interface Item {
  readonly kind: 'outputs' | 'pieces'
  readonly name: string
  readonly path: string
  readonly ageMs: number
  readonly ms: number
  readonly bytes: number
  readonly digests: readonly string[]
  readonly spared: boolean
}

interface Found {
  readonly path: string
  readonly bytes: number
  readonly ageMs: number
}

export async function collect(store: string, options: GcOptions): Promise<GcReport> {
  const now = Number(disk.now() / 1_000_000n)
  const age = ({ mtimeNs }: disk.FileStat): number => now - Number(mtimeNs / 1_000_000n)
  const remove = (path: string): void => {
    if (!options.dryRun) disk.remove(path)
  }
  /** Looked at again right before it would go: another project may have used it since. */
  const isYoung = (path: string): boolean => {
    const at = disk.stat(path)
    return at !== undefined && age(at) <= hourMs
  }
  const groups = new Map<string, GcGroup>()
  const needs = needsOf(store, remove)
  const objects = new Map<string, Found>()
  /** By path: the store may lie in one of the folders. */
  const leftovers = new Map<string, Found>()
  let damaged = 0

  /** Files of a part of the store that are not asides, by their path in it. */
  function each(part: string, take: (path: string, at: disk.FileStat, name: string) => void): void {
    const folder = `${store}/${part}`
    disk.walk(folder, (path, at) => {
      if (!disk.isAside(path)) take(path, at, path.slice(folder.length + 1))
    })
  }
  for (const folder of new Set([store, ...options.folders]))
    disk.walk(folder, (path, at) => {
      if (disk.isAside(path)) leftovers.set(path, { path, bytes: at.size, ageMs: age(at) })
    })
  // Before the objects: of an action that was recorded meanwhile they all stand there.
  const actions: { path: string; ageMs: number; bytes: number; key: string; action: StoredAction | undefined }[] = []
  each('actions', (path, at, name) => {
    actions.push({ path, ageMs: age(at), bytes: at.size, key: name.replace('/', ''), action: readAction(path) })
  })
  each('objects', (path, at, name) => {
    objects.set(name.replace('/', ''), { path, bytes: at.size, ageMs: age(at) })
  })
  if (options.verify)
    for (const [digest, { path }] of [...objects]) {
      if (await isWhole(path, digest)) continue
      damaged++
      objects.delete(digest)
      remove(path)
    }

  const items: Item[] = []
  /** Family of pieces -> since when its present actions may have used them, ms since the epoch. */
  const since = new Map<string, number>()
  for (const { path, ageMs, bytes, key, action } of actions) {
    if (!action || !Object.values(action.outputs).every((digest) => objects.has(digest))) {
      if (!action && disk.exists(path)) damaged++
      remove(path)
      continue
    }
    const { stage, memo, ms, made, outputs } = action
    const spared = needs.keys.has(key)
    // Pieces that were there before were touched then.
    if (spared) since.set(memo, Math.min(since.get(memo) ?? Infinity, made - ms - usedGraceMs))
    items.push({ kind: 'outputs', name: stage, path, ageMs, ms, bytes, digests: Object.values(outputs), spared })
  }
  each('memo', (path, at, name) => {
    const family = name.split('/')[0]!
    const ageMs = age(at)
    if (options.verify && !isPiece(path) && disk.exists(path)) {
      damaged++
      remove(path)
      return
    }
    const spared = now - ageMs >= (since.get(family) ?? Infinity)
    items.push({ kind: 'pieces', name: family, path, ageMs, ms: 0, bytes: at.size, digests: [], spared })
  })

  /** How many actions that are still there, and how many states, need an object. */
  const users = new Map<string, number>()
  const use = (digest: string, by: number): number => {
    const count = (users.get(digest) ?? 0) + by
    users.set(digest, count)
    return count
  }
  for (const digest of needs.digests) use(digest, 1)
  for (const { digests } of items) for (const digest of new Set(digests)) use(digest, 1)
  /** Objects are counted with the action that is met first. */
  const counted = new Set<string>()
  const own = (digests: readonly string[]): number => {
    let bytes = 0
    for (const digest of digests) {
      if (!counted.has(digest)) bytes += objects.get(digest)?.bytes ?? 0
      counted.add(digest)
    }
    return bytes
  }

  for (const [digest, { path, bytes, ageMs }] of objects) {
    if (users.has(digest)) continue
    const goes = ageMs > hourMs
    tell('nobody', '', goes, bytes, 0, ageMs)
    if (!goes) continue
    objects.delete(digest)
    remove(path)
  }
  for (const { path, bytes, ageMs } of leftovers.values()) {
    const goes = ageMs > hourMs
    tell('leftovers', '', goes, bytes, 0, ageMs)
    if (goes) remove(path)
  }

  let total = [...objects.values(), ...items].reduce((sum, { bytes }) => sum + bytes, 0)
  const staying: Item[] = []
  for (const item of items.sort((a, b) => b.ageMs - a.ageMs || (a.path < b.path ? -1 : 1))) {
    const over = options.size !== undefined && total > options.size
    if (item.spared || item.ageMs <= hourMs || isYoung(item.path) || !(over || item.ageMs > options.days * dayMs)) {
      staying.push(item)
      continue
    }
    // The action first: killed in between, objects without one are found the next time.
    remove(item.path)
    let freed = item.bytes
    for (const digest of new Set(item.digests)) {
      const object = objects.get(digest)
      if (use(digest, -1) > 0 || !object || object.ageMs <= hourMs || isYoung(object.path)) continue
      objects.delete(digest)
      remove(object.path)
      freed += object.bytes
    }
    total -= freed
    tell(item.kind, item.name, true, freed, item.ms, item.ageMs)
  }
  for (const { kind, name, digests, bytes, ms, ageMs } of staying)
    tell(kind, name, false, bytes + own(digests), ms, ageMs)
  // A state needs them, and their action was lost.
  for (const [digest, { bytes, ageMs }] of objects)
    if (users.has(digest) && !counted.has(digest)) tell('nobody', '', false, bytes, 0, ageMs)

  return {
    groups: [...groups.values()].sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1)),
    damaged,
    projects: needs.projects,
  }

  function tell(kind: GcGroup['kind'], name: string, goes: boolean, bytes: number, ms: number, ageMs: number): void {
    const id = `${kind} ${name}`
    const group = groups.get(id) ?? { kind, name, stays: nothing(), goes: nothing(), unusedDays: Infinity }
    groups.set(id, group)
    const amount = goes ? group.goes : group.stays
    amount.count++
    amount.bytes += bytes
    amount.ms += ms
    group.unusedDays = Math.min(group.unusedDays, Math.max(0, Math.floor(ageMs / dayMs)))
  }
}

async function isWhole(path: string, digest: string): Promise<boolean> {
  try {
    return (await hashFile(path)).sha256 === digest
  } catch (error) {
    if (disk.exists(path)) throw error
    return true // Another gc was here.
  }
}

const nothing = (): Amount => ({ count: 0, bytes: 0, ms: 0 })
const kinds: readonly GcGroup['kind'][] = ['outputs', 'pieces', 'nobody', 'leftovers']
const order = ({ kind }: GcGroup): number => kinds.indexOf(kind)

/** What the states of all projects need that build into this store; projects that are gone are forgotten. */
function needsOf(store: string, remove: (path: string) => void) {
  const keys = new Set<string>()
  const digests = new Set<string>()
  let projects = 0
  disk.walk(`${store}/projects`, (path) => {
    if (disk.isAside(path)) return
    const state = disk.ifThere(path, () => disk.readText(path).trim())
    if (state === undefined) return
    if (!disk.exists(`${state}/state.log`)) return remove(path)
    projects++
    for (const { key, outputs } of openState(state).stages()) {
      keys.add(key)
      for (const digest of Object.values(outputs)) digests.add(digest)
    }
  })
  return { keys, digests, projects }
}
