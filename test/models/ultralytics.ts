/** YOLOv8 and YOLO11 as Ultralytics exports them. */
import { type Exporter, exporter, type Style } from './exporter.js'

const widths = [8, 16, 24, 32, 40] as const
const bins = 16

const block = (e: Exporter, x: string, channels: number, kernel = 1, stride = 1, group = 1): string =>
  e.silu(e.conv(x, channels, kernel, stride, { group }))

const bottleneck = (e: Exporter, x: string, shortcut: boolean, hidden = e.shapeOf(x)[1]!): string => {
  const y = block(e, block(e, x, hidden, 3), e.shapeOf(x)[1]!, 3)
  return shortcut ? e.add(x, y) : y
}

function c2f(e: Exporter, x: string, channels: number, shortcut: boolean, inner = bottleneck): string {
  const parts = e.chunk(block(e, x, channels), 2)
  return block(e, e.concat([...parts, e.within('m.0', () => inner(e, parts[1]!, shortcut))]), channels)
}

/** YOLO11: a smaller CSP block within. */
function c3k(e: Exporter, x: string, shortcut: boolean): string {
  const channels = e.shapeOf(x)[1]!
  const one = bottleneck(e, block(e, x, channels / 2), shortcut)
  return block(e, e.concat([one, block(e, x, channels / 2)]), channels)
}

function sppf(e: Exporter, x: string): string {
  const levels = [block(e, x, e.shapeOf(x)[1]! / 2)]
  for (let i = 0; i < 3; i++) levels.push(e.pool('MaxPool', levels[i]!, 5, 1, 2))
  return block(e, e.concat(levels), e.shapeOf(x)[1]!)
}

/** Self-attention with a depthwise convolution of the values for places. */
function attention(e: Exporter, x: string, heads: number): string {
  const [, c, h, w] = e.shapeOf(x) as [number, number, number, number]
  const [head, key] = [c / heads, c / heads / 2]
  const qkv = e.reshape(e.conv(x, c + 2 * key * heads), [1, heads, 2 * key + head, h * w])
  const [q, k, v] = e.split(qkv, [key, key, head], 2) as [string, string, string]
  const product = e.op('MatMul', [e.transpose(q, [0, 1, 3, 2]), k], {}, [1, heads, h * w, h * w])
  const weights = e.softmax(e.mul(product, e.scalar(key ** -0.5)), 3)
  const mixed = e.op('MatMul', [v, e.transpose(weights, [0, 1, 3, 2])], {}, [1, heads, head, h * w])
  const place = e.conv(e.reshape(v, [1, c, h, w]), c, 3, 1, { group: c })
  return e.conv(e.add(e.reshape(mixed, [1, c, h, w]), place), c)
}

function c2psa(e: Exporter, x: string): string {
  const channels = e.shapeOf(x)[1]!
  const [a, b] = e.chunk(block(e, x, channels), 2) as [string, string]
  const attended = e.add(
    b,
    e.within('attn', () => attention(e, b, 2)),
  )
  const fed = e.within('ffn', () => e.conv(block(e, attended, channels), channels / 2))
  return block(e, e.concat([a, e.add(attended, fed)]), channels)
}

export interface UltralyticsNet {
  readonly bytes: Uint8Array
  /** The two convolutions of each level, box first. */
  readonly heads: readonly string[]
}

export function ultralytics(version: 8 | 11, classes: number, side: number, style: Style): UltralyticsNet {
  const e = exporter(style)
  let at = 0
  const layer = (make: () => string): string => e.within(`model.${at++}`, make)
  const [w0, w1, w2, w3, w4] = widths
  const csp = (x: string, channels: number, shortcut: boolean, deep = false): string =>
    version === 8
      ? c2f(e, x, channels, shortcut)
      : c2f(e, x, channels, true, deep ? c3k : (_, y) => bottleneck(e, y, true, e.shapeOf(y)[1]! / 2))
  const x = e.input('images', [1, 3, side, side])
  const stem = layer(() => block(e, x, w0, 3, 2))
  const p2 = layer(() => block(e, stem, w1, 3, 2))
  const c2 = layer(() => csp(p2, w1, true))
  const p3 = layer(() => block(e, c2, w2, 3, 2))
  const c3 = layer(() => csp(p3, w2, true))
  const p4 = layer(() => block(e, c3, w3, 3, 2))
  const c4 = layer(() => csp(p4, w3, true, true))
  const p5 = layer(() => block(e, c4, w4, 3, 2))
  const c5 = layer(() => csp(p5, w4, true, true))
  const pooled = layer(() => sppf(e, c5))
  const top = version === 11 ? layer(() => c2psa(e, pooled)) : pooled
  const join = (a: string, b: string): string => layer(() => e.concat([a, b]))
  const up4 = join(
    layer(() => e.nearest(top)),
    c4,
  )
  const n4 = layer(() => csp(up4, w3, false))
  const up3 = join(
    layer(() => e.nearest(n4)),
    c3,
  )
  const n3 = layer(() => csp(up3, w2, false))
  const down4 = join(
    layer(() => block(e, n3, w2, 3, 2)),
    n4,
  )
  const m4 = layer(() => csp(down4, w3, false))
  const down5 = join(
    layer(() => block(e, m4, w3, 3, 2)),
    top,
  )
  const m5 = layer(() => csp(down5, w4, false, true))
  const heads: string[] = []
  const output = layer(() => detect(e, version, [n3, m4, m5], classes, side, heads))
  return { bytes: e.file({ output0: output }), heads }
}

function detect(
  e: Exporter,
  version: 8 | 11,
  levels: readonly string[],
  classes: number,
  side: number,
  heads: string[],
): string {
  const rows = levels.map((x, i) => {
    const box = e.within(`cv2.${i}`, () => e.conv(block(e, block(e, x, 16, 3), 16, 3), 4 * bins))
    const score = e.within(`cv3.${i}`, () => {
      const separable = (y: string): string => block(e, block(e, y, e.shapeOf(y)[1]!, 3, 1, e.shapeOf(y)[1]!), 16)
      const two = version === 8 ? block(e, block(e, x, 16, 3), 16, 3) : separable(separable(x))
      return e.conv(two, classes, 1, 1, { gain: 2 })
    })
    heads.push(box, score)
    return e.reshape(e.concat([box, score]), [1, 4 * bins + classes, -1])
  })
  const all = e.concat(rows, 2)
  const [box, score] = e.split(all, [4 * bins, classes]) as [string, string]
  const count = e.shapeOf(all)[2]!
  const distances = e.within('dfl', () => {
    const apart = e.transpose(e.reshape(box, [1, 4, bins, count]), [0, 2, 1, 3])
    const numbers = e.floats(
      Array.from({ length: bins }, (_, i) => i),
      [1, bins, 1, 1],
    )
    const sum = e.op('Conv', [e.softmax(apart, 1), numbers], { kernel_shape: [1, 1] }, [1, 1, 4, count])
    return e.reshape(sum, [1, 4, count])
  })
  const [nearer, further] = e.chunk(distances, 2) as [string, string]
  const { centres, strides } = e.style.computedShapes ? computedAnchors(e, levels) : knownAnchors(e, side, count)
  const low = e.sub(centres, nearer)
  const high = e.add(centres, further)
  const boxes = e.concat([e.div(e.add(low, high), e.scalar(2)), e.sub(high, low)])
  return e.concat([e.mul(boxes, strides), e.sigmoid(score)])
}

interface Anchors {
  /** [1, 2, n] */
  readonly centres: string
  /** [1, n] */
  readonly strides: string
}

function knownAnchors(e: Exporter, side: number, count: number): Anchors {
  const cells = [8, 16, 32].flatMap((stride) => {
    const n = side / stride
    return Array.from({ length: n * n }, (_, i) => ({ stride, x: (i % n) + 0.5, y: Math.floor(i / n) + 0.5 }))
  })
  return {
    centres: e.floats([...cells.map(({ x }) => x), ...cells.map(({ y }) => y)], [1, 2, count]),
    strides: e.floats(
      cells.map(({ stride }) => stride),
      [1, count],
    ),
  }
}

/** `make_anchors` of a network whose picture may have any size: ranges and meshes of what Shape says. */
function computedAnchors(e: Exporter, levels: readonly string[]): Anchors {
  const parts = levels.map((level, i) => {
    const [, , h, w] = e.shapeOf(level) as [number, number, number, number]
    const length = (axis: number): string =>
      e.op('Gather', [e.op('Shape', [level], {}, [4]), e.ints([axis], [])], { axis: 0 }, [])
    const middles = (axis: number, n: number): string => {
      const range = e.op('Range', [e.ints([0], []), length(axis), e.ints([1], [])], {}, [n])
      return e.add(e.op('Cast', [range], { to: 1 }), e.scalar(0.5))
    }
    const mesh = e.op('Concat', [e.sizeAlong(level, 2), e.sizeAlong(level, 3)], { axis: 0 }, [2])
    const rows = e.op('Expand', [e.unsqueeze(middles(2, h), [1]), mesh], {}, [h, w])
    const columns = e.op('Expand', [e.unsqueeze(middles(3, w), [0]), mesh], {}, [h, w])
    const both = e.op('Concat', [e.unsqueeze(columns, [2]), e.unsqueeze(rows, [2])], { axis: -1 }, [h, w, 2])
    const area = e.unsqueeze(e.op('Mul', [length(2), length(3)], {}, []), [0])
    const full = e.op('Concat', [area, e.ints([1])], { axis: 0 }, [2])
    return {
      points: e.op('Reshape', [both, e.ints([-1, 2])], {}, [h * w, 2]),
      strides: e.op('Expand', [e.scalar(8 * 2 ** i), full], {}, [h * w, 1]),
    }
  })
  const joined = (what: 'points' | 'strides'): string =>
    e.transpose(
      e.concat(
        parts.map((part) => part[what]),
        0,
      ),
      [1, 0],
    )
  return { centres: e.unsqueeze(joined('points'), [0]), strides: joined('strides') }
}
