/** Estimated time: against the vendor backend's own listings where they are, and against figures worked out by hand. */
import { readFileSync } from 'node:fs'
import { describe, expect, it, test } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { globalBase, localBase } from '../../src/bm1684x/chip.js'
import { prec } from '../../src/bm1684x/isa/forms.js'
import { cyclesOf } from '../../src/bm1684x/timing/cycles.js'
import { estimate, lowerBound } from '../../src/bm1684x/timing/simulate.js'
import { shared } from '../shared.js'
import { conv3x3, copy, dmaEnd, scaling, tiuEnd } from './programs.js'

describe("against the vendor's simulation", () => {
  const cases = [
    ['small', 'int8'],
    ['small', 'mixed'],
    ['street_tiny', 'int8'],
    ['street_tiny', 'mixed'],
  ] as const
  for (const [net, variant] of cases) {
    const bmodel = shared('golden', net, `${net}_${variant}.bmodel`)
    const listing = shared('golden', net, `compiler_profile_${variant}.txt`)
    it.skipIf(!bmodel || !listing)(`${net} ${variant}: total and single commands`, () => {
      const program = programOf(readBmodel(new Uint8Array(readFileSync(bmodel!)), bmodel!).nets[0]!)
      const profile = readFileSync(listing!, 'utf8')
      const total = Number(/^TCYC : (\d+)/m.exec(profile)![1])
      const found = estimate(program)
      expect(Math.abs(found.cycles / total - 1)).toBeLessThan(0.005)
      expect(lowerBound(program)).toBeLessThan(found.cycles)

      const [read, written] = [/S2L:(\d+)/, /L2S:(\d+)/].map((pattern) => Number(pattern.exec(profile)![1]))
      expect([found.bytesIn, found.bytesOut]).toEqual([read, written])

      // One line has a command of each engine or of one: `name|kind|s:..|b:ID|g:ID|e:..|t:CYCLES`, dr and sz behind it for DMA.
      const listed = { tiu: new Map<number, number>(), dma: new Map<number, number>() }
      for (const match of profile.matchAll(/\|s:\d+\|b:(\d+)\|g:(\d+)\|e:\d+\|t:(\d+)(\|dr)?/g))
        if (match[4] === undefined) listed.tiu.set(Number(match[1]), Number(match[3]))
        else listed.dma.set(Number(match[2]), Number(match[3]))
      const differing = (['tiu', 'dma'] as const).flatMap((engine) => {
        const commands = program[engine].slice(0, -1)
        expect(listed[engine].size).toBe(commands.length)
        return commands.filter((command) => cyclesOf(command) !== listed[engine].get(command.fields.cmd_id!))
      })
      // A broadcast of a few bytes, which later backends count per lane.
      expect(differing.map(({ form }) => form)).toEqual(net === 'small' ? ['dma'] : [])
    })
  }
})

test('a convolution at full peak takes its multiply-accumulates over 16384', () => {
  const size = { ic: 64, oc: 128, h: 40, w: 40 }
  expect(cyclesOf(conv3x3(size, { id: 1, dep: 0 }))).toBe((64 * 128 * 9 * 1600) / 16384)
  // Half precision has half the input channels at once, float32 one, but 16 pixels.
  expect(cyclesOf(conv3x3(size, { id: 1, dep: 0 }, prec.fp16))).toBe(14400)
  expect(cyclesOf(conv3x3(size, { id: 1, dep: 0 }, prec.fp32))).toBe(2 * 64 * 9 * 100)
  // 3 input channels waste the other 61.
  expect(cyclesOf(conv3x3({ ...size, ic: 3 }, { id: 1, dep: 0 }))).toBe(7200)
})

test('long rows load at 54 bytes a cycle, rows of a few bytes take 256 bytes of time each', () => {
  const load = (shape: readonly [number, number, number, number]) =>
    cyclesOf(copy(shape, { from: globalBase, to: localBase, id: 1, dep: 0 }))
  const long = load([1, 64, 64, 64])
  expect((64 * 64 * 64 * 4) / long).toBeCloseTo(54, 1)
  expect(load([1, 64, 1, 1])).toBe(load([1, 64, 8, 8]))
  const store = cyclesOf(copy([1, 64, 64, 64], { from: localBase, to: globalBase, id: 1, dep: 0 }))
  expect((64 * 64 * 64 * 4) / store).toBeCloseTo(41, 1)
})

const conv = conv3x3({ ic: 64, oc: 64, h: 40, w: 40 }, { id: 1, dep: 1 })
const tile = [1, 64, 40, 40] as const
const load = (id: number, dep: number) => copy(tile, { from: globalBase, to: localBase, id, dep }, prec.int8)
const [convCycles, loadCycles] = [cyclesOf(conv), cyclesOf(load(1, 0))]

test('what does not wait runs at the same time; the critical path says who is waited for', () => {
  const next = conv3x3({ ic: 64, oc: 64, h: 40, w: 40 }, { id: 2, dep: 2 })
  const spans = [
    { layer: 'a', tiu: [0, 1], dma: [0, 1] },
    { layer: 'b', tiu: [1, 3], dma: [1, 3] },
  ] as const
  const ahead = { tiu: [conv, next, tiuEnd(3)], dma: [load(1, 0), load(2, 0), dmaEnd(3)], spans }
  // The second load hides behind the first conv.
  const overlapped = estimate(ahead)
  expect(convCycles).toBeGreaterThan(loadCycles)
  expect(overlapped.cycles).toBe(loadCycles + 2 * convCycles)
  expect(overlapped.boundBy).toBe('compute')
  const each = {
    tiu: convCycles,
    dma: loadCycles,
    macs: 9 * 64 * 64 * 1600,
    macUtilisation: 1,
    bytesIn: 64 * 1600,
    bytesOut: 0,
  }
  expect(overlapped.layers).toEqual([
    // The first waits for its load, then computes: both count. 64 channels in and out fill the cube.
    { layer: 'a', cycles: loadCycles + convCycles, boundBy: 'dependency', ...each },
    { layer: 'b', cycles: convCycles, boundBy: 'compute', ...each },
  ])
  expect(overlapped.macUtilisation).toBeCloseTo((2 * convCycles) / overlapped.cycles)

  const serial = estimate({ ...ahead, dma: [load(1, 0), load(2, 1), dmaEnd(3)] })
  expect(serial.cycles).toBe(2 * (loadCycles + convCycles))
  expect(serial.layers.reduce((sum, { cycles }) => sum + cycles, 0)).toBe(serial.cycles)
  expect(serial.classes).toEqual([
    { kind: 'conv', commands: 2, cycles: 2 * convCycles },
    { kind: 'load', commands: 2, cycles: 2 * loadCycles },
  ])
})

test('a program that only moves data is bound by memory, and its bound is the bytes', () => {
  const program = scaling(2)
  const found = estimate(program)
  expect(found.boundBy).toBe('memory')
  expect([found.bytesIn, found.bytesOut]).toEqual([384, 384])
  expect(lowerBound(program)).toBe(Math.ceil(384 / 54.017 + 384 / 40.98))
  expect(lowerBound({ ...program, coefficients: new Uint8Array(1 << 20) })).toBeGreaterThan(19400)
})

test('streams that wait for each other for ever are no program', () => {
  expect(() => estimate({ tiu: [conv, tiuEnd(2)], dma: [load(1, 1), dmaEnd(2)] })).toThrow('waits for ever')
})
