/** Detectors on ShuffleNetV2: NanoDet-Plus, FastestDet, Yolo-FastestV2. */
import { type Exporter, exporter, type Style } from './exporter.js'

type Activation = (x: string) => string
const dw = (e: Exporter, x: string, kernel: number, stride = 1): string =>
  e.conv(x, e.shapeOf(x)[1]!, kernel, stride, { group: e.shapeOf(x)[1]! })

function shuffle(e: Exporter, x: string): string {
  const [n, c, h, w] = e.shapeOf(x) as [number, number, number, number]
  return e.reshape(e.transpose(e.reshape(x, [n, 2, c / 2, h, w]), [0, 2, 1, 3, 4]), [n, c, h, w])
}

/** `view` and `[:, 0]`, `[:, 1]` instead of a split: Megvii's own code, in FastestDet and Yolo-FastestV2. */
function evenAndOdd(e: Exporter, x: string): [string, string] {
  const [n, c, h, w] = e.shapeOf(x) as [number, number, number, number]
  const pairs = e.transpose(e.reshape(x, [(n * c) / 2, 2, h * w]), [1, 0, 2])
  const halves = e.reshape(pairs, [2, -1, c / 2, h, w])
  const pick = (i: number): string => e.op('Gather', [halves, e.ints([i], [])], { axis: 0 }, [n, c / 2, h, w])
  return [pick(0), pick(1)]
}

function unit(e: Exporter, act: Activation, x: string, channels: number, stride: number, own: boolean): string {
  const half = channels / 2
  const branch = (y: string): string => act(e.conv(dw(e, act(e.conv(y, half)), 3, stride), half))
  if (stride === 2) {
    const both = e.concat([act(e.conv(dw(e, x, 3, 2), half)), branch(x)])
    return own ? both : shuffle(e, both)
  }
  if (own) {
    const [a, b] = evenAndOdd(e, x)
    return e.concat([a, branch(b)])
  }
  const [a, b] = e.chunk(x, 2) as [string, string]
  return shuffle(e, e.concat([a, branch(b)]))
}

function backbone(e: Exporter, act: Activation, x: string, own: boolean): string[] {
  const stem = e.pool('MaxPool', act(e.conv(x, 8, 3, 2)), 3, 2, 1)
  const levels: string[] = []
  let y = stem
  for (const channels of [16, 32, 48]) {
    y = unit(e, act, unit(e, act, y, channels, 2, own), channels, 1, own)
    levels.push(y)
  }
  return levels
}

/** Half of the channels are made from the other half, one by one. */
function ghost(e: Exporter, act: Activation, x: string, channels: number): string {
  const primary = act(e.conv(x, channels / 2))
  return e.concat([primary, act(dw(e, primary, 3))])
}

export function nanodetPlus(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const act = e.leaky
  const x = e.input('data', [1, 3, side, side])
  const [l3, l4, l5] = backbone(e, act, x, false).map((level) => act(e.conv(level, 16))) as [string, string, string]
  const block = (y: string): string =>
    e.add(
      ghost(e, (z) => z, dw(e, ghost(e, act, y, 24), 5), 16),
      e.conv(dw(e, y, 5), 16),
    )
  const n4 = block(e.concat([e.linear(l5), l4]))
  const n3 = block(e.concat([e.linear(n4), l3]))
  const down = (y: string): string => act(e.conv(act(dw(e, y, 5, 2)), 16))
  const m4 = block(e.concat([down(n3), n4]))
  const m5 = block(e.concat([down(m4), l5]))
  const m6 = e.add(down(l5), down(m5))
  const heads: string[] = []
  const rows = [n3, m4, m5, m6].map((level) => {
    let y = level
    for (let i = 0; i < 2; i++) y = act(e.conv(act(dw(e, y, 5)), 16))
    const head = e.conv(y, classes + 32, 1, 1, { gain: 2 })
    heads.push(head)
    const [cls, box] = e.split(head, [classes, 32]) as [string, string]
    return e.reshape(e.concat([e.sigmoid(cls), box]), [1, classes + 32, -1])
  })
  return { bytes: e.file({ output: e.transpose(e.concat(rows, 2), [0, 2, 1]) }), heads }
}

export function fastestDet(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const act = e.relu
  const x = e.input('input.1', [1, 3, side, side])
  const [l3, l4, l5] = backbone(e, act, x, true) as [string, string, string]
  const fused = act(e.conv(e.concat([e.pool('AveragePool', l3, 3, 2, 1), l4, e.nearest(l5)]), 24))
  const levels = [1, 2, 3].map((depth) => {
    let y = fused
    for (let i = 0; i < depth; i++) y = act(dw(e, y, 5))
    return y
  })
  const spp = act(e.add(act(e.conv(fused, 24)), e.conv(e.concat(levels), 24)))
  const head = (y: string, channels: number): string => e.conv(act(dw(e, y, 5)), channels, 1, 1, { gain: 2 })
  const heads = [head(spp, 1), head(spp, 4), head(spp, classes)]
  const [object, box, cls] = heads as [string, string, string]
  return { bytes: e.file({ '759': e.concat([e.sigmoid(object), box, e.softmax(cls, 1)]) }), heads }
}

/** Two levels of three anchors; the classes of a cell are those of all its boxes. */
export function yoloFastestV2(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const act = e.relu
  const x = e.input('input.1', [1, 3, side, side])
  const [, l4, l5] = backbone(e, act, x, true) as [string, string, string]
  const s5 = act(e.conv(l5, 24))
  const s4 = act(e.conv(e.concat([e.nearest(l5), l4]), 24))
  const tower = (y: string): string => e.conv(dw(e, act(e.conv(dw(e, y, 5), 24)), 5), 24)
  const heads: string[] = []
  const rows = [s4, s5].map((level) => {
    const [cls, box] = [tower(level), tower(level)]
    const raw = [e.conv(box, 12), e.conv(box, 3), e.conv(cls, classes, 1, 1, { gain: 2 })] as const
    heads.push(...raw)
    const parts = [e.sigmoid(raw[0]), e.sigmoid(raw[1]), e.softmax(raw[2], 1)]
    return e.transpose(e.concat(parts), [0, 2, 3, 1])
  })
  return { bytes: e.file({ '794': rows[0]!, '796': rows[1]! }), heads }
}
