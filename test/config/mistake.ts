/** A quant.yaml that is right, and edits of it that are not. */
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.js'
import { QuantError } from '../../src/errors.js'
import { formatError } from '../../src/show/error.js'

/** Nothing is wrong with it. */
export const right = `model:
  name: m
  path: m.onnx
  outputs: [a, b]
preprocess: { pixel_format: rgb, mean: [0, 0, 0] }
calibration:
  dataset: pics
  method: kl
variants:
  int8: { quantize: INT8 }
  mix: { quantize: INT8, mix: { min_improvement: 5% } }
verify:
  detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coco }
  images: [x.jpg]
  require: { mix: { sqnr: ">= 20" } }
`

/** What is told of a quant.yaml. */
export function complaints(text: string): string {
  try {
    parseConfig(text, 'quant.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(QuantError)
    return formatError(error)
  }
  return 'no complaints'
}

/** One edit of the file that is right, and what is told of it, line by line. */
export function mistake(title: string, was: string, now: string, expected: string[]) {
  test(title, () => {
    expect(right.split(was).length, 'the edit must change something').toBeGreaterThan(1)
    expect(complaints(right.replace(was, () => now)).split('\n')).toEqual(expected)
  })
}
