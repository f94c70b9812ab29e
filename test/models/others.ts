/** Networks that go up by transposed convolutions, and dense heads: YOLOv6, RetinaNet, CenterNet, a segmenting U-Net. */
import { DataType } from '../../src/ir/onnx/builder.js'
import { type Exporter, exporter, type Style } from './exporter.js'

const block = (e: Exporter, x: string, channels: number, kernel = 3, stride = 1): string =>
  e.relu(e.conv(x, channels, kernel, stride))

/** A trunk of RepVGG blocks, merged; from stride 8 to 32. */
function repvgg(e: Exporter, x: string): [string, string, string] {
  const l2 = block(e, block(e, x, 8, 3, 2), 16, 3, 2)
  const l3 = block(e, block(e, l2, 24, 3, 2), 24)
  const l4 = block(e, block(e, l3, 32, 3, 2), 32)
  return [l3, l4, block(e, block(e, l4, 40, 3, 2), 40)]
}

const centres = (side: number, offset: number) =>
  [8, 16, 32].flatMap((stride) => {
    const n = side / stride
    return Array.from({ length: n * n }, (_, i) => ({ stride, at: [(i % n) + offset, Math.floor(i / n) + offset] }))
  })

/** The export ends in rows of box, 1 (no objectness is predicted), class scores. */
export function yolov6(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const [l3, l4, l5] = repvgg(e, e.input('images', [1, 3, side, side]))
  const t5 = block(e, l5, 16, 1)
  const n4 = block(e, e.concat([e.deconv(t5, 16), l4]), 24)
  const t4 = block(e, n4, 12, 1)
  const n3 = block(e, e.concat([e.deconv(t4, 12), l3]), 16)
  const m4 = block(e, e.concat([block(e, n3, 16, 3, 2), t4]), 24)
  const m5 = block(e, e.concat([block(e, m4, 16, 3, 2), t5]), 32)
  const heads: string[] = []
  const levels = [n3, m4, m5].map((level) => {
    const stem = e.silu(e.conv(level, 16))
    const cls = e.conv(e.silu(e.conv(stem, 16, 3)), classes, 1, 1, { gain: 2 })
    const box = e.conv(e.silu(e.conv(stem, 16, 3)), 4)
    heads.push(cls, box)
    return { cls: e.reshape(e.sigmoid(cls), [1, classes, -1]), box: e.reshape(box, [1, 4, -1]) }
  })
  const rows = (parts: readonly string[]): string => e.transpose(e.concat(parts, 2), [0, 2, 1])
  const scores = rows(levels.map(({ cls }) => cls))
  const distances = rows(levels.map(({ box }) => box))
  const cells = centres(side, 0.5)
  const points = e.floats(
    cells.flatMap(({ at }) => at),
    [cells.length, 2],
  )
  const [nearer, further] = e.split(distances, [2, 2], 2) as [string, string]
  const [low, high] = [e.sub(points, nearer), e.add(points, further)]
  const boxes = e.concat([e.div(e.add(low, high), e.scalar(2)), e.sub(high, low)], 2)
  const strides = e.floats(
    cells.map(({ stride }) => stride),
    [cells.length, 1],
  )
  const ones = e.floats(
    cells.map(() => 1),
    [1, cells.length, 1],
  )
  return { bytes: e.file({ outputs: e.concat([e.mul(boxes, strides), ones, scores], 2) }), heads }
}

/** The same head, with the same weights, at every level. */
export function retinaNet(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const [l3, l4, l5] = repvgg(e, e.input('input', [1, 3, side, side]))
  const p5 = e.conv(l5, 24)
  const p4 = e.add(e.conv(l4, 24), e.nearest(p5))
  const p3 = e.add(e.conv(l3, 24), e.nearest(p4))
  const levels = [p3, p4, p5].map((level) => e.conv(level, 24, 3))
  const head = (channels: number) => {
    const weights = [
      [e.random([24, 24, 3, 3], 216), e.random([24], 60)],
      [e.random([channels, 24, 3, 3], 216), e.random([channels], 60)],
    ]
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
    return (x: string): string => {
      const inner = e.relu(e.op('Conv', [x, ...weights[0]!], attributes))
      return e.op('Conv', [inner, ...weights[1]!], attributes, e.shapeOf(x).with(1, channels))
    }
  }
  const [scoreHead, boxHead] = [head(9 * classes), head(36)]
  const rows = (x: string, fields: number): string => {
    const [, , h, w] = e.shapeOf(x) as [number, number, number, number]
    const table = e.transpose(e.reshape(x, [1, 9, fields, h, w]), [0, 3, 4, 1, 2])
    return e.reshape(table, [1, -1, fields])
  }
  const scores = e.sigmoid(
    e.concat(
      levels.map((level) => rows(scoreHead(level), classes)),
      1,
    ),
  )
  return {
    bytes: e.file({
      cls_logits: scores,
      bbox_regression: e.concat(
        levels.map((level) => rows(boxHead(level), 4)),
        1,
      ),
    }),
  }
}

/** Up by depthwise transposed convolutions, as in DLA. `peaks`: with the comparison to the largest neighbour that finds them. */
export function centerNet(classes: number, side: number, style: Style, peaks: boolean) {
  const e = exporter(style)
  const [l3, l4, l5] = repvgg(e, e.input('input', [1, 3, side, side]))
  const up = (x: string, like: string): string => {
    const c = e.shapeOf(like)[1]!
    return block(e, e.add(e.deconv(block(e, x, c), c, 4, 2, 1, c), like), c)
  }
  const y = up(up(l5, l4), l3)
  const head = (channels: number): string => e.conv(block(e, y, 16), channels, 1)
  const [hm, wh, reg] = [head(classes), head(2), head(2)]
  const heat = e.sigmoid(hm)
  if (!peaks) return { bytes: e.file({ hm: heat, wh, reg }), heads: [hm, wh, reg] }
  const same = e.op('Equal', [e.pool('MaxPool', heat, 3, 1, 1), heat])
  const kept = e.mul(heat, e.op('Cast', [same], { to: 1 }))
  return { bytes: e.file({ hm: kept, wh, reg }), heads: [hm, wh, reg] }
}

/** Segmentation: the class of each pixel, counted from 0. */
export function unet(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const double = (x: string, channels: number): string => block(e, block(e, x, channels), channels)
  const half = (x: string): string => e.pool('MaxPool', x, 2, 2)
  const l1 = double(e.input('input', [1, 3, side, side]), 8)
  const l2 = double(half(l1), 16)
  const l3 = double(half(l2), 24)
  const n2 = double(e.concat([l2, e.deconv(l3, 16)]), 16)
  const n1 = double(e.concat([l1, e.deconv(n2, 8)]), 8)
  const index = e.op('ArgMax', [e.conv(n1, classes, 1, 1, { gain: 3 })], { axis: 1, keepdims: 0 }, [1, side, side])
  return e.file({ output: index }, DataType.INT64)
}
