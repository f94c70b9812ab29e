/**
 * Real projects, small: a seeded three-layer detector, generated pictures, and a quant.yaml from an object literal. Builds go through the
 * engine with real workers; what was done is read from the events.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterAll } from 'vitest'
import { stringify } from 'yaml'
import { parseConfig } from '../../src/config/load.js'
import { type BuildResult, build } from '../../src/engine/build.js'
import { type Planned, plan } from '../../src/engine/plan.js'
import type { Event } from '../../src/events.js'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { openPool } from '../../src/runtime/pool.js'
import type { jobs } from '../../src/stages/jobs/index.js'
import { pipeline } from '../../src/stages/pipeline.js'
import { temporaryFolder } from '../engine/rig.js'

const pool = openPool<typeof jobs>(new URL('../../src/stages/worker.ts', import.meta.url), 2)
afterAll(() => pool.close())

/** Numbers in [-1, 1), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
}

/** A detector of three convolutions: input `x` [1, 3, 32, 32], output `head` [1, 21, 8, 8] = 3 anchors x (5 + 2 classes). */
export function tinyDetector({ seed = 1, poison }: { seed?: number; poison?: number } = {}): Uint8Array {
  const b = onnxBuilder('tiny')
  const random = seeded(seed)
  const weights = (name: string, shape: number[], size: number) => {
    const data = Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, () => random() * size)
    if (poison !== undefined) data[0] = poison
    return b.weight(name, shape, data)
  }
  const conv = (from: string, to: string, ic: number, oc: number, k: number, size: number) =>
    b.node('Conv', [from, weights(`${to}_w`, [oc, ic, k, k], size), weights(`${to}_b`, [oc], size)], to, {
      kernel_shape: [k, k],
      pads: k === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
    })
  const block = (from: string, n: number, ic: number, oc: number) => {
    const leaky = b.node('LeakyRelu', [conv(from, `conv${n}`, ic, oc, 3, 1)], `leaky${n}`, { alpha: 0.1 })
    return b.node('MaxPool', [leaky], `pool${n}`, { kernel_shape: [2, 2], strides: [2, 2] })
  }
  b.input('x', [1, 3, 32, 32])
  conv(block(block('x', 1, 3, 8), 2, 8, 16), 'head', 16, 21, 1, 0.5)
  b.output('head', [1, 21, 8, 8])
  return b.finish()
}

/** A PNG of soft blobs, the same for the same seed. */
export function picture(seed: number, width = 48, height = 40): Promise<Buffer> {
  const random = seeded(seed * 7919 + 1)
  const [a, b, c] = [random() * 3, random() * 3, random() * 3]
  const data = Buffer.alloc(width * height * 3)
  for (let i = 0; i < width * height; i++)
    for (let k = 0; k < 3; k++)
      data[3 * i + k] = 128 + 127 * Math.sin(a! + (k + 1) * (b! * (i % width) + c! * Math.floor(i / width)) * 0.3)
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

export const tinyYaml = {
  model: { name: 'tiny', path: 'tiny.onnx' },
  preprocess: {
    pixel_format: 'rgb',
    scale: [0.0039216, 0.0039216, 0.0039216],
    keep_aspect_ratio: true,
    pad_value: 128,
  },
  calibration: { dataset: 'pictures', tune_num: 2 },
  variants: { int8: { quantize: 'INT8' }, mix: { quantize: 'INT8', mix: { input_num: 2, min_improvement: 0.0001 } } },
  verify: {
    detector: { kind: 'yolov3', anchors: [[4, 4, 8, 8, 16, 16]], classes: ['dot', 'ring'], score: 0.3, iou: 0.5 },
    images: ['pictures/p1.png'],
  },
} as const

export type Yaml = Record<string, unknown>

export interface BuildRig {
  readonly root: string
  readonly events: Event[]
  yaml: Yaml
  write(path: string, content: Uint8Array | string): void
  read(path: string): string
  build(targets?: string[]): Promise<BuildResult>
  plan(): Promise<Planned[]>
  /** Finished stages since the last look, sorted. */
  ran(): string[]
  /** Of the last build: [done by work, all], from a stage's progress in pictures or runs. */
  pieces(stage: string): [worked: number, all: number]
}

export async function buildRig(
  files: Record<string, Uint8Array | string> = {},
  yaml: Yaml = tinyYaml,
): Promise<BuildRig> {
  const root = temporaryFolder()
  const events: Event[] = []
  let looked = 0
  const self: BuildRig = {
    root,
    events,
    yaml,
    write(path, content) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), content)
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    build: (targets) => {
      const opened = project()
      const wanted = targets?.map((name) => opened.stages.find((stage) => stage.name === name)!)
      return build(opened, {
        parallel: 2,
        signal: new AbortController().signal,
        emit: (event) => events.push(event),
        ...(wanted ? { wanted } : {}),
      })
    },
    plan: () => plan(project()),
    ran() {
      const ran = events.slice(looked).flatMap((event) => (event.type === 'finished' ? [event.stage] : []))
      looked = events.length
      return ran.sort()
    },
    pieces(stage) {
      const last = events.findLast(
        (event) => event.type === 'progress' && event.stage === stage && ['pictures', 'runs'].includes(event.unit),
      )
      return last?.type === 'progress' ? [last.done - last.reused, last.of] : [0, 0]
    },
  }
  function project() {
    const { config, places } = parseConfig(stringify(self.yaml), 'quant.yaml')
    return pipeline({ config, places, root, file: join(root, 'quant.yaml'), pool })
  }
  self.write('tiny.onnx', tinyDetector())
  for (let n = 1; n <= 4; n++) self.write(`pictures/p${n}.png`, await picture(n))
  for (const [path, content] of Object.entries(files)) self.write(path, content)
  return self
}
