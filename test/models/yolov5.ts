/** YOLOv5 and YOLOv7 with anchors, with and without the decoding that their export scripts leave in. */
import { type Exporter, exporter, type Style } from './exporter.js'

/** Width, height of three anchors per level. */
export const anchors = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
]

interface Net {
  readonly bytes: Uint8Array
  /** The convolutions that a decoder reads, the finest first. */
  readonly heads: readonly string[]
}

type Activation = (x: string) => string

const conv = (e: Exporter, act: Activation, x: string, channels: number, kernel = 1, stride = 1): string =>
  act(e.conv(x, channels, kernel, stride))

/** The bottleneck of YOLOv5: with three convolutions, and one of them beside it. */
function c3(e: Exporter, act: Activation, x: string, channels: number, shortcut: boolean): string {
  const a = conv(e, act, x, channels / 2)
  const inner = conv(e, act, conv(e, act, a, channels / 2), channels / 2, 3)
  return conv(e, act, e.concat([shortcut ? e.add(a, inner) : inner, conv(e, act, x, channels / 2)]), channels)
}

/** YOLOv5 up to 4: four pictures of half the size, one of each pixel in a square of four. */
export function focus(e: Exporter, x: string): string {
  const half = (y: string, axis: number, from: number): string => e.slice(y, axis, from, 2 ** 31 - 1, 2)
  const parts = [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ].map(([row, column]) => half(half(x, 2, row!), 3, column!))
  return e.concat(parts)
}

/** `x * hardtanh(x + 3, 0, 6) / 6`: how YOLOv5 3 spells its Hardswish for export. */
const hardswish =
  (e: Exporter): Activation =>
  (x) =>
    e.div(e.mul(x, e.op('Clip', [e.add(x, e.scalar(3)), e.scalar(0), e.scalar(6)])), e.scalar(6))

export function yolov5(version: 3 | 4 | 6, classes: number, side: number, style: Style, decode = true): Net {
  const e = exporter(style)
  const act = version === 3 ? hardswish(e) : e.silu
  const x = e.input('images', [1, 3, side, side])
  let at = 0
  const layer = (make: () => string): string => e.within(`model.${at++}`, make)
  const stem = layer(() => (version === 6 ? act(e.conv(x, 8, 6, 2, { pad: 2 })) : conv(e, act, focus(e, x), 8, 3)))
  const p2 = layer(() => conv(e, act, stem, 16, 3, 2))
  const c2 = layer(() => c3(e, act, p2, 16, true))
  const p3 = layer(() => conv(e, act, c2, 24, 3, 2))
  const l3 = layer(() => c3(e, act, p3, 24, true))
  const p4 = layer(() => conv(e, act, l3, 32, 3, 2))
  const l4 = layer(() => c3(e, act, p4, 32, true))
  const p5 = layer(() => conv(e, act, l4, 40, 3, 2))
  const l5 = layer(() => {
    const y = conv(e, act, p5, 20)
    if (version !== 6)
      return conv(e, act, e.concat([y, ...[5, 9, 13].map((k) => e.pool('MaxPool', y, k, 1, (k - 1) / 2))]), 40)
    const one = e.pool('MaxPool', y, 5, 1, 2)
    const two = e.pool('MaxPool', one, 5, 1, 2)
    return conv(e, act, e.concat([y, one, two, e.pool('MaxPool', two, 5, 1, 2)]), 40)
  })
  const t5 = layer(() => conv(e, act, l5, 32))
  const n4 = layer(() => c3(e, act, e.concat([e.nearest(t5), l4]), 32, false))
  const t4 = layer(() => conv(e, act, n4, 24))
  const n3 = layer(() => c3(e, act, e.concat([e.nearest(t4), l3]), 24, false))
  const m4 = layer(() => c3(e, act, e.concat([conv(e, act, n3, 24, 3, 2), t4]), 32, false))
  const m5 = layer(() => c3(e, act, e.concat([conv(e, act, m4, 32, 3, 2), t5]), 40, false))
  return e.within('model.24', () => detect(e, [n3, m4, m5], classes, side, decode))
}

/** ELAN networks. `implicit`: what YOLOv7 learns beside its heads is still added and multiplied, as before `fuse()`. */
export function yolov7Tiny(classes: number, side: number, style: Style, implicit: boolean): Net {
  const e = exporter(style)
  const act = e.leaky
  const elan = (x: string, hidden: number, channels: number): string => {
    const a = conv(e, act, x, hidden)
    const b = conv(e, act, x, hidden)
    const c = conv(e, act, b, hidden, 3)
    return conv(e, act, e.concat([conv(e, act, c, hidden, 3), c, b, a]), channels)
  }
  const half = (x: string): string => e.pool('MaxPool', x, 2, 2)
  const x = e.input('images', [1, 3, side, side])
  const p2 = conv(e, act, conv(e, act, x, 8, 3, 2), 16, 3, 2)
  const l3 = elan(half(elan(p2, 8, 16)), 16, 24)
  const l4 = elan(half(l3), 16, 32)
  const l5 = elan(half(l4), 24, 40)
  // SPPCSP
  const a = conv(e, act, l5, 20)
  const b = conv(e, act, l5, 20)
  const pooled = e.concat([...[13, 9, 5].map((k) => e.pool('MaxPool', b, k, 1, (k - 1) / 2)), b])
  const t5 = conv(e, act, e.concat([conv(e, act, pooled, 20), a]), 20)
  const n4 = elan(e.concat([conv(e, act, l4, 16), e.nearest(conv(e, act, t5, 16))]), 12, 16)
  const n3 = elan(e.concat([conv(e, act, l3, 12), e.nearest(conv(e, act, n4, 12))]), 8, 12)
  // The larger YOLOv7 goes down twice, pooled and by strides.
  const down = (y: string, channels: number): string =>
    implicit
      ? e.concat([conv(e, act, half(y), channels / 2), conv(e, act, conv(e, act, y, channels / 2), channels / 2, 3, 2)])
      : conv(e, act, y, channels, 3, 2)
  const m4 = elan(e.concat([down(n3, 16), n4]), 12, 16)
  const m5 = elan(e.concat([down(m4, 20), t5]), 16, 20)
  const levels = [conv(e, act, n3, 24, 3), conv(e, act, m4, 32, 3), conv(e, act, m5, 40, 3)]
  return e.within('model.77', () => detect(e, levels, classes, side, true, implicit))
}

function detect(
  e: Exporter,
  levels: readonly string[],
  classes: number,
  side: number,
  decode: boolean,
  implicit = false,
): Net {
  const fields = 5 + classes
  const heads: string[] = []
  const rows = levels.map((level, i) => {
    const before = implicit ? e.add(level, e.random([1, e.shapeOf(level)[1]!, 1, 1], 600)) : level
    const raw = e.within(`m.${i}`, () => e.conv(before, 3 * fields, 1, 1, { gain: 1.5 }))
    const head = implicit
      ? e.mul(
          raw,
          e.floats(
            Array.from({ length: 3 * fields }, (_, c) => 1 + (c % 5) / 50),
            [1, 3 * fields, 1, 1],
          ),
        )
      : raw
    heads.push(head)
    if (!decode) return head
    const n = side / 8 / 2 ** i
    const table = e.sigmoid(e.transpose(e.reshape(head, [1, 3, fields, n, n]), [0, 1, 3, 4, 2]))
    const [xy, wh, rest] = e.split(table, [2, 2, fields - 4], 4) as [string, string, string]
    const cells = Array.from({ length: 3 * n * n }, (_, k) => [(k % n) - 0.5, (Math.floor(k / n) % n) - 0.5])
    const sizes = Array.from({ length: 3 * n * n }, (_, k) => {
      const anchor = Math.floor(k / n / n)
      return anchors[i]!.slice(2 * anchor, 2 * anchor + 2)
    })
    const grid = e.floats(cells.flat(), [1, 3, n, n, 2])
    const centre = e.mul(e.add(e.mul(xy, e.scalar(2)), grid), e.scalar(side / n))
    const size = e.mul(e.op('Pow', [e.mul(wh, e.scalar(2)), e.scalar(2)]), e.floats(sizes.flat(), [1, 3, n, n, 2]))
    return e.reshape(e.concat([centre, size, rest], 4), [1, 3 * n * n, fields])
  })
  const outputs = decode ? { output0: e.concat(rows, 1) } : { output: rows[0]!, '345': rows[1]!, '346': rows[2]! }
  return { bytes: e.file(outputs), heads: decode ? heads : Object.keys(outputs) }
}
