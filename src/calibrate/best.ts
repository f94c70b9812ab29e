/**
 * Thresholds by what they do to the layers that read them, out of those that the single methods propose.
 *
 * Values that share one scale are judged as one group, since only one threshold of them counts: they are rounded where lowering will
 * round them, and what is measured is how far the layers that read the group end from their float results. All else stays float,
 * so that a group's error does not depend on what is chosen elsewhere.
 */
import { emitOnnx } from '../ir/emit.js'
import { type Graph, type Node, nodesByName, type Tensor, usersOf } from '../ir/graph.js'
import { openSession, type Session } from '../runtime/session.js'
import type { Threshold, Thresholds } from './threshold.js'

/** Values that are stored with one scale. */
export interface ScaleGroup {
  /**
   * Whose threshold becomes that scale. Mostly a member, but a Concat whose operands took its range may itself have taken that of
   * the MaxPool that reads it: then it is a member of the MaxPool's group.
   */
  readonly layer: string
  /** In graph order. */
  readonly members: readonly string[]
  /** Stored with 127 levels on each side of 0; else with 255 above it. */
  readonly signed: boolean
}

/** A group and the thresholds to try for it, different ones, the first of equally good ones is taken. */
export interface Choice {
  readonly group: ScaleGroup
  readonly thresholds: readonly number[]
}

/** What there is to decide: groups for which the sets of thresholds differ, with what they propose, in the order of the sets. */
export function choicesOf(groups: readonly ScaleGroup[], sets: readonly Thresholds[]): Choice[] {
  return groups.flatMap((group) => {
    const proposed = sets.flatMap((set) => set.get(group.layer)?.threshold ?? [])
    const thresholds = [...new Set(proposed)]
    return thresholds.length > 1 ? [{ group, thresholds }] : []
  })
}

export interface Judge {
  /**
   * Runs the float network once and every choice's neighbourhood once per threshold.
   * @returns per choice and threshold the noise power in the results of the layers that read the group, each as a share of the
   *   layer's own power, summed over those layers
   */
  errors(feeds: Readonly<Record<string, Tensor>>): Promise<number[][]>
  release(): Promise<void>
}

/** Sessions for all choices: together they hold each reader's weights about once. One picture's values are alive at a time. */
export async function openJudge(graph: Graph, choices: readonly Choice[]): Promise<Judge> {
  const probes = choices.map(({ group }) => probeOf(graph, group))
  const sessions: Session[] = []
  for (const { graph: net, group } of probes) sessions.push(await openSession(emitOnnx(net), group.layer))
  const inputs = new Set(graph.nodes.flatMap(({ name, op }) => (op.type === 'Input' ? [name] : [])))
  const wanted = new Set(probes.flatMap(({ fed, judged }) => [...fed, ...judged.map(({ exact }) => exact)]))
  const outputs = [...wanted].filter((name) => !inputs.has(name))
  const float = await openSession(emitOnnx(graph, { outputs }), graph.name)
  return {
    async errors(feeds) {
      const values = await float.run(feeds)
      const exactly = (name: string): Tensor => values.get(name) ?? feeds[name]!
      const all: number[][] = []
      for (const [i, { group, thresholds }] of choices.entries()) {
        const { fed, judged } = probes[i]!
        const given = Object.fromEntries(fed.map((name) => [name, exactly(name)]))
        const errors: number[] = []
        for (const threshold of thresholds) {
          const step = threshold / (group.signed ? 127 : 255)
          const scales = { [STEP]: scalar(step), [PER_STEP]: scalar(1 / step) }
          const results = await sessions[i]!.run({ ...given, ...scales })
          errors.push(
            judged.reduce((sum, { exact, rounded }) => sum + noise(exactly(exact).data, results.get(rounded)!.data), 0),
          )
        }
        all.push(errors)
      }
      return all
    },
    async release() {
      for (const session of [...sessions, float]) await session.release()
    },
  }
}

/**
 * The thresholds of the smallest errors, added up over pictures, for the layers whose thresholds count. All others keep those of `base`,
 * also members of a group: they may be what counts in another one.
 * @param errors per picture what `Judge.errors` gave for `choices`
 */
export function pickThresholds(
  choices: readonly Choice[],
  errors: readonly (readonly (readonly number[])[])[],
  base: Thresholds,
): Thresholds {
  const picked = new Map<string, Threshold>(base)
  for (const [i, { group, thresholds }] of choices.entries()) {
    const sums = thresholds.map((_, k) => errors.reduce((sum, picture) => sum + picture[i]![k]!, 0))
    const threshold = thresholds[sums.indexOf(Math.min(...sums))] ?? thresholds[0]!
    picked.set(group.layer, { ...base.get(group.layer)!, threshold })
  }
  return picked
}

const STEP = 'quant:step'
const PER_STEP = 'quant:per_step'
const scalar = (value: number): Tensor => ({ shape: [1], data: Float32Array.of(value) })

interface Probe {
  readonly group: ScaleGroup
  /** The neighbourhood of the group with rounding in it; STEP and PER_STEP are inputs. */
  readonly graph: Graph
  /** Values that it takes from the float network. */
  readonly fed: readonly string[]
  /** Results that count: names in the float network and in the probe. */
  readonly judged: readonly { readonly exact: string; readonly rounded: string }[]
}

/**
 * Values come into the group where a layer outside gives them, and are rounded there. Within it LeakyRelu and PRelu round once more;
 * what else shares a scale moves values or takes maxima, which rounding may as well precede.
 */
function probeOf(graph: Graph, group: ScaleGroup): Probe {
  const members = new Set(group.members)
  const nodes = nodesByName(graph)
  const users = usersOf(graph)
  const inside = ({ inputs }: Node): boolean => {
    const values = inputs.filter((name) => nodes.has(name))
    return values.length > 0 && values.every((name) => members.has(name))
  }
  const readers = new Set<string>()
  for (const member of members)
    for (const user of users.get(member)!) if (!members.has(user.name) && !isArgMax(user)) readers.add(user.name)

  const made: Node[] = [
    { name: STEP, op: { type: 'Input' }, inputs: [], shape: [1] },
    { name: PER_STEP, op: { type: 'Input' }, inputs: [], shape: [1] },
  ]
  const fed = new Set<string>()
  const roundedAs = new Map<string, string>()
  const feed = (name: string): void => {
    if (fed.has(name) || !nodes.has(name)) return
    fed.add(name)
    made.push({ name, op: { type: 'Input' }, inputs: [], shape: nodes.get(name)!.shape })
  }
  const round = ({ name, shape }: Node): void => {
    const [low, high] = group.signed ? [-128, 127] : [0, 255]
    const chain = (suffix: string, op: Node['op'], ...inputs: string[]): string => {
      made.push({ name: `quant:${suffix}:${name}`, op, inputs, shape })
      return made.at(-1)!.name
    }
    const steps = chain('steps', { type: 'Mul', relu: false, reluLimit: -1 }, name, PER_STEP)
    const whole = chain('round', { type: 'Round' }, steps)
    const clipped = chain('clip', { type: 'Clip', min: low, max: high }, whole)
    roundedAs.set(name, chain('value', { type: 'Mul', relu: false, reluLimit: -1 }, clipped, STEP))
  }
  const compute = (node: Node): void => {
    for (const name of node.inputs) if (!members.has(name)) feed(name)
    made.push({ ...node, inputs: node.inputs.map((name) => (members.has(name) && roundedAs.get(name)) || name) })
  }
  for (const node of graph.nodes) {
    if (members.has(node.name)) {
      if (inside(node)) compute(node)
      else feed(node.name)
      if (!inside(node) || node.op.type === 'LeakyRelu' || node.op.type === 'PRelu') round(node)
    } else if (readers.has(node.name)) {
      // Another reader may take its exact result: that one has the plain name.
      compute({ ...node, name: `quant:result:${node.name}` })
      roundedAs.set(node.name, made.at(-1)!.name)
    }
  }
  const ends = group.members.filter((member) => graph.outputs.includes(member) || users.get(member)!.some(isArgMax))
  const judged = [...readers, ...ends].map((name) => ({ exact: name, rounded: roundedAs.get(name) ?? name }))
  return {
    group,
    graph: { ...graph, nodes: made, outputs: judged.map(({ rounded }) => rounded) },
    fed: [...fed],
    judged,
  }
}

/** How far one index is from another says nothing: what an ArgMax reads is judged itself. */
const isArgMax = ({ op }: Node): boolean => op.type === 'ArgMax'

/** sum (a - b)^2 / sum a^2; 0 for a layer that is zero: it says nothing. */
function noise(a: Float32Array, b: Float32Array): number {
  let power = 0
  let wrong = 0
  for (let i = 0; i < a.length; i++) {
    power += a[i]! * a[i]!
    wrong += (a[i]! - b[i]!) ** 2
  }
  return power > 0 ? wrong / power : 0
}
