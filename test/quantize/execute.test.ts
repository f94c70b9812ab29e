import { afterAll, describe, expect, it } from 'vitest'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import { conv1, graphOf, none, pool, thresholdsOf, weight } from './float-graph.js'
import { random } from './reference.js'

const next = random(31)
const values = (n: number): number[] => Array.from({ length: n }, () => next() - 0.5)
const graph = graphOf(
  [
    ['x', { type: 'Input' }],
    ['a', conv1, ['x', 'w']],
    ['l', { type: 'LeakyRelu', alpha: 0.1 }, ['a']],
    ['b', conv1, ['l', 'v']],
    ['g', { type: 'SiLU' }, ['b']],
    ['s', { ...none, type: 'Add' }, ['g', 'l']],
    ['p', pool, ['s'], [1, 2, 2, 2]],
  ],
  { w: weight([2, 2, 1, 1], ...values(4)), v: weight([2, 2, 1, 1], ...values(4)) },
  ['p', 'b'],
)
const thresholds = thresholdsOf({ x: 1, a: 0.8, l: 0.8, b: 0.5, g: 0.3, s: 0.9, p: 0.9 })
const x = { shape: [1, 2, 4, 4], data: Float32Array.from(values(32), (v) => 2 * v) }

describe('a session', () => {
  const quantized = lower(graph, thresholds, (layer) => (layer === 'b' ? 'F16' : 'INT8'))
  const all = quantized.nodes.map((node) => node.name)
  const sessions: { release(): Promise<void> }[] = []
  const open = async (options?: Parameters<typeof openQuantized>[1]) => {
    const session = await openQuantized(quantized, options)
    sessions.push(session)
    return session
  }
  afterAll(() => Promise.all(sessions.map((session) => session.release())))

  it('gives the graph’s outputs in their order, or any value asked for', async () => {
    const outputs = await (await open()).run({ x })
    expect([...outputs.keys()]).toEqual(['p_f32', 'b_f32'])
    const everything = await (await open({ outputs: all })).run({ x })
    expect([...everything.keys()]).toEqual(all)
    for (const [name, tensor] of outputs) expect(everything.get(name)).toEqual(tensor)
    const stored = everything.get('s')!
    expect(stored.data.every(Number.isInteger)).toBe(true)
    expect(new Set(stored.data).size).toBeGreaterThan(10)
    expect(everything.get('x')!.data).toEqual(x.data)
  })

  it('goes on from kept values without what lies before them', async () => {
    const whole = await (await open({ outputs: all })).run({ x })
    const from = ['l', 'b_si8']
    const rest = await open({ from })
    const feeds = Object.fromEntries(from.map((name) => [name, whole.get(name)!]))
    // b is an output and lies before the cut b_si8, but behind l.
    const outputs = await rest.run(feeds)
    for (const [name, tensor] of outputs) expect(tensor).toEqual(whole.get(name))
    const changed = { ...feeds, l: { ...feeds.l!, data: feeds.l!.data.map((v) => -v) } }
    expect((await rest.run(changed)).get('p_f32')).not.toEqual(whole.get('p_f32'))
  })

  it('returns a fed value when asked for it, and runs twice alike', async () => {
    const session = await open({ from: ['l'], outputs: ['l', 's'] })
    const l = { shape: [1, 2, 4, 4], data: new Float32Array(32).fill(5) }
    const [first, second] = [await session.run({ l }), await session.run({ l })]
    expect(first.get('l')).toEqual(l)
    expect(first).toEqual(second)
  })

  it('says what is missing, unknown or of the wrong size', async () => {
    const session = await open()
    await expect(session.run({})).rejects.toThrow('net was run without a value for x')
    await expect(session.run({ x: { shape: [1], data: new Float32Array(1) } })).rejects.toMatchObject({
      code: 'runtime',
    })
    await expect(openQuantized(quantized, { outputs: ['y'] })).rejects.toThrow('net has no value y')
    await expect(openQuantized(quantized, { from: ['z'] })).rejects.toThrow('net has no value z')
  })
})
