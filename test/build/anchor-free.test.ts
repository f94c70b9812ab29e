/** A detector without anchors, its boxes and classes in outputs of their own, from ONNX to figures: also through the search. */
import { expect, test } from 'vitest'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { decodedWarning } from '../../src/stages/decoded.js'
import type { Verification } from '../../src/stages/verification.js'
import { buildRig, seeded, tinyYaml } from './rig.js'

/** Input `x` [1, 3, 32, 32]; per stride 8 and 16: `box` [1, 4 * 4, h, w], `class` [1, 2, h, w]. */
function tinyAnchorFree(): Uint8Array {
  const b = onnxBuilder('tiny')
  const random = seeded(3)
  const conv = (from: string, to: string, ic: number, oc: number, stride: number, size: number) =>
    b.node(
      'Conv',
      [
        from,
        b.weight(
          `${to}_w`,
          [oc, ic, stride, stride],
          Float32Array.from({ length: oc * ic * stride ** 2 }, () => random() * size),
        ),
      ],
      to,
      { kernel_shape: [stride, stride], strides: [stride, stride] },
    )
  b.input('x', [1, 3, 32, 32])
  const fine = b.node('Relu', [conv('x', 'c8', 3, 16, 8, 0.3)], 'p8')
  const coarse = b.node('Relu', [conv(fine, 'c16', 16, 16, 2, 0.3)], 'p16')
  for (const [level, side] of [
    [fine, 4],
    [coarse, 2],
  ] as const) {
    b.output(conv(level, `class${side}`, 16, 2, 1, 1), [1, 2, side, side])
    b.output(conv(level, `box${side}`, 16, 16, 1, 1), [1, 16, side, side])
  }
  return b.finish()
}

const detector = { kind: 'yolov8', classes: ['dot', 'ring'], score: 0.3, iou: 0.7 }

test('it is built, searched by its boxes, and judged', async () => {
  const yaml = { ...tinyYaml, verify: { detector, images: ['pictures'] } }
  const p = await buildRig({ 'tiny.onnx': tinyAnchorFree() }, yaml)
  expect((await p.build()).failed).toEqual([])
  const { pictures, variants } = JSON.parse(p.read('build/verify.json')) as Verification
  const boxes = Object.values(pictures).flatMap(({ float }) => float!)
  expect(boxes.length).toBeGreaterThan(3)
  for (const { text, box } of boxes) {
    expect(text).toMatch(/^(dot|ring):/)
    expect(box).toHaveLength(4)
  }
  expect(variants.int8!.recall).toBeGreaterThan(0.5)
  expect(JSON.parse(p.read('build/tiny_selection.json')).all_int8.loss).toBeGreaterThan(0)

  p.yaml = { ...yaml, verify: { ...yaml.verify, detector: { ...detector, classes: ['dot', 'ring', 'arc'] } } }
  const { failed } = await p.build()
  expect(failed[0]!.error.message).toMatch(/are not those of yolov8 for an input of 32 x 32: .*3 \(detector.classes\)/)
})

test('one that goes on and decodes its boxes is warned of, with the heads to end at', () => {
  const b = onnxBuilder('decoded')
  b.input('x', [1, 3, 32, 32])
  const weight = b.weight('w', [6, 3, 8, 8], new Float32Array(6 * 3 * 64))
  const head = b.node('Conv', ['x', weight], 'head.0', { kernel_shape: [8, 8], strides: [8, 8] })
  const rows = b.node('Reshape', [head, b.weight('s', [3], BigInt64Array.of(1n, 6n, 16n))], 'rows')
  b.output(b.node('Sigmoid', [rows], 'boxes'), [1, 6, 16])
  const bytes = b.finish()
  const warning = (kind: 'yolov8' | 'yolox', outputs: string[]) =>
    decodedWarning(importOnnx(bytes, { file: 'm.onnx', name: 'm', outputs }), { kind, classes: ['a', 'b'], iou: 0.5 })
  expect(warning('yolov8', ['boxes'])).toMatch(/end it at its raw heads: model.outputs: \[head.0\]$/)
  expect(warning('yolov8', ['head.0'])).toBeUndefined()
  expect(warning('yolox', ['boxes'])).toBeUndefined()
})
