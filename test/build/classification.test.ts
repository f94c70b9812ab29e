/** A classifier instead of a detector: names, agreement with the float network, accuracy where there are labels. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import type { Verification } from '../../src/stages/verification.js'
import { type BuildRig, buildRig, picture, seeded, tinyYaml } from './rig.js'

/** Input `x` [1, 3, 32, 32], output `logits` [1, 4]. */
function tinyClassifier(): Uint8Array {
  const b = onnxBuilder('tiny')
  const random = seeded(5)
  const weight = (name: string, shape: number[]) =>
    b.weight(
      name,
      shape,
      Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, () => random() * 2),
    )
  b.input('x', [1, 3, 32, 32])
  const conv = b.node('Conv', ['x', weight('w0', [8, 3, 3, 3])], 'conv', { kernel_shape: [3, 3], strides: [2, 2] })
  const relu = b.node('Relu', [conv], 'relu')
  const head = b.node('Conv', [relu, weight('w1', [4, 8, 1, 1])], 'head', { kernel_shape: [1, 1] })
  const pool = b.node('GlobalAveragePool', [head], 'pool')
  b.node('Reshape', [pool, b.weight('shape', [2], BigInt64Array.of(1n, 4n))], 'logits')
  b.output('logits', [1, 4])
  return b.finish()
}

const classes = ['ash', 'beech', 'cedar', 'date palm']
const yaml = (verify: Record<string, unknown>) => ({
  ...tinyYaml,
  verify: { classifier: { classes, top: 2 }, ...verify },
})

let p: BuildRig
const verified = (): Verification => JSON.parse(p.read('build/verify.json'))
beforeAll(async () => {
  p = await buildRig({ 'tiny.onnx': tinyClassifier() }, yaml({ images: ['pictures'] }))
})

describe('without labels', () => {
  test('each variant is held against what the float network says', async () => {
    expect((await p.build()).failed).toEqual([])
    const { variants, score, top, labelled, pictures } = verified()
    expect({ score, top, labelled }).toEqual({ score: null, top: 2, labelled: 0 })
    expect(variants.float).toEqual({ pictures: 4, sqnr: null, top1_agreement: 1, topk_agreement: 1 })
    const seen = Object.values(pictures)
    expect(seen).toHaveLength(4)
    const first = (names: readonly { text: string }[]) => names[0]!.text.replace(/:.*/, '')
    const same = seen.filter(({ float, int8 }) => first(float!) === first(int8!)).length / 4
    expect(variants.int8!.top1_agreement).toBe(same)
    for (const { float } of seen) {
      expect(float).toHaveLength(2)
      expect(float![0]!.text).toMatch(/^(ash|beech|cedar|date palm):\d+\.\d%$/)
      expect(float![0]!.score).toBeGreaterThanOrEqual(float![1]!.score)
    }
    for (const variant of ['onnx', 'int8', 'mix'])
      expect(existsSync(join(p.root, `build/detect/${variant}/p1.jpg`))).toBe(true)
  })

  test('another number of names needs no inference', async () => {
    p.ran()
    p.yaml = yaml({ classifier: { classes, top: 3 }, images: ['pictures'] })
    expect((await p.build()).failed).toEqual([])
    expect(p.ran()).toEqual(['verify'])
    expect(Object.values(verified().pictures)[0]!.int8).toHaveLength(3)
  })
})

/** The class that the float network likes most, and the one it likes second, on a picture. */
const liked = (name: string): [string, string] =>
  verified().pictures[`pictures/${name}.png`]!.float!.map(({ text }) => text.replace(/:.*/, '')) as [string, string]

describe('with labels', () => {
  test('in a text file: two right, one second, one picture without a line', async () => {
    const labels = `p1.png ${liked('p1')[0]}\np2 ${classes.indexOf(liked('p2')[0])}\np3.png ${liked('p3')[1]}\n`
    p.write('val.txt', labels)
    p.yaml = yaml({ images: ['pictures'], validation: { images: 'pictures', labels: 'val.txt' } })
    expect((await p.build()).failed).toEqual([])
    const { variants, labelled } = verified()
    expect(labelled).toBe(3)
    expect(variants.float).toMatchObject({ top1: 0.6667, topk: 1 })
    for (const one of [variants.int8!, variants.mix!]) {
      expect(one.top1_drop).toBeCloseTo(0.6667 - one.top1!, 4)
      expect(one.topk_drop).toBeCloseTo(1 - one.topk!, 4)
    }
  })

  test('by folders that are called as the classes', async () => {
    const [best] = liked('p1')
    const other = classes.find((name) => name !== best)!
    for (const [folder, file] of [
      [best, 'a'],
      [other, 'b'],
    ] as const)
      p.write(`sorted/${folder}/${file}.png`, await picture(1))
    p.yaml = yaml({ validation: { images: 'sorted' } })
    expect((await p.build()).failed).toEqual([])
    expect(verified().variants.float).toMatchObject({ top1: 0.5 })
  })

  test('gates hold or fail by name', async () => {
    p.yaml = yaml({
      validation: { images: 'sorted' },
      require: { int8: { top1: '> 0.5', top1_drop: '<= 1', topk_agreement: '>= 0' } },
    })
    const { failed } = await p.build()
    expect(failed.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(/^int8: top1 is 0(\.5)?, required is > 0.5$/),
    ])
  })

  test('mistakes have their places', async () => {
    p.write('bad/wolf/a.png', await picture(1))
    p.yaml = yaml({ validation: { images: 'bad' } })
    expect((await p.build()).failed[0]!.error.message).toContain('the folder `wolf` is called like none of 4 classes')
    p.write('val.txt', 'p1.png oak\n')
    p.yaml = yaml({ validation: { images: 'pictures', labels: 'val.txt' } })
    expect((await p.build()).failed[0]!.error.message).toContain(':1: `oak` is none of 4 classes')
    p.yaml = yaml({ validation: { images: 'pictures', labels: 'pictures' } })
    expect(() => p.build()).toThrow('the labels pictures are a folder')
    p.yaml = yaml({ classifier: { classes: 5 }, images: ['pictures'] })
    expect((await p.build()).failed[0]!.error.message).toContain('are not one number for each of 5 classes')
  })
})
