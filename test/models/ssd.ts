/** SSD on MobileNetV2 as two exporters write it: PyTorch's, and tf2onnx from a Keras or TensorFlow graph in NHWC. */
import { type Exporter, exporter, type Style } from './exporter.js'

function inverted(e: Exporter, x: string, channels: number, stride: number, expand = 2): string {
  const c = e.shapeOf(x)[1]!
  const hidden = c * expand
  const wide = e.relu6(e.conv(x, hidden))
  const y = e.conv(e.relu6(e.conv(wide, hidden, 3, stride, { group: hidden })), channels)
  return stride === 1 && c === channels ? e.add(x, y) : y
}

/** Per level, strides 16 and 32: width and height of the priors in pixels. */
export const priors = [
  [20, 20, 28, 28],
  [48, 48, 64, 32],
]

/** Class scores and boxes with the priors applied. */
export function ssdPytorch(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const x = e.input('input', [1, 3, side, side])
  let y = e.relu6(e.conv(x, 8, 3, 2))
  for (const [channels, stride] of [
    [8, 1],
    [12, 2],
    [12, 1],
    [16, 2],
    [24, 2],
    [24, 1],
  ] as const)
    y = inverted(e, y, channels, stride)
  const levels = [y, inverted(e, y, 32, 2)]
  const heads: string[] = []
  const separable = (level: string, channels: number): string => {
    const c = e.shapeOf(level)[1]!
    const head = e.conv(e.relu6(e.conv(level, c, 3, 1, { group: c })), channels)
    heads.push(head)
    return head
  }
  const rows = (level: string, fields: number): string =>
    e.reshape(e.transpose(separable(level, 2 * fields), [0, 2, 3, 1]), [1, -1, fields])
  const pairs = levels.map((level) => [rows(level, classes + 1), rows(level, 4)] as const)
  const scores = e.softmax(
    e.concat(
      pairs.map(([score]) => score),
      1,
    ),
    2,
  )
  const offsets = e.concat(
    pairs.map(([, box]) => box),
    1,
  )
  const boxes = priors.flatMap((sizes, level) => {
    const cells = side / 16 / 2 ** level
    return Array.from({ length: cells * cells * 2 }, (_, i) => {
      const cell = Math.floor(i / 2)
      const at = [((cell % cells) + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells]
      return [...at, sizes[2 * (i % 2)]! / side, sizes[2 * (i % 2) + 1]! / side]
    })
  })
  const constant = (from: number): string =>
    e.floats(
      boxes.flatMap((p) => p.slice(from, from + 2)),
      [1, boxes.length, 2],
    )
  const centre = e.add(e.mul(e.mul(e.slice(offsets, 2, 0, 2), e.scalar(0.1)), constant(2)), constant(0))
  const size = e.mul(e.op('Exp', [e.mul(e.slice(offsets, 2, 2, 4), e.scalar(0.2))]), constant(2))
  const centred = e.concat([centre, size], 2)
  const half = (): string => e.div(e.slice(centred, 2, 2, 2 ** 31 - 1), e.scalar(2))
  const corners = e.concat([e.sub(e.slice(centred, 2, 0, 2), half()), e.add(e.slice(centred, 2, 0, 2), half())], 2)
  return { bytes: e.file({ scores, boxes: corners }), heads }
}

/**
 * The picture is NHWC and turned at once; padding as SAME stands in Pads of its own where it is uneven; normalisations are not folded;
 * the limit of Relu6 is a Min of a Max; shapes come through Casts.
 */
export function ssdTensorflow(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const picture = e.input('input_1:0', [1, side, side, 3])
  const x = e.transpose(picture, [0, 3, 1, 2])
  const act = (y: string): string =>
    style.opset < 12 ? e.op('Min', [e.op('Max', [y, e.scalar(0)]), e.scalar(6)]) : e.relu6(y)
  const same = (y: string, channels: number, kernel: number, stride: number, group = 1): string => {
    if (stride === 1) return e.conv(y, channels, kernel, 1, { group, bias: false })
    const [n, c, h, w] = e.shapeOf(y) as [number, number, number, number]
    const pads = e.ints([0, 0, 0, 0, 0, 0, 1, 1])
    const padded = e.op('Pad', [y, pads], {}, [n, c, h + 1, w + 1])
    return e.conv(padded, channels, kernel, stride, { group, bias: false, pad: 0 })
  }
  const block = (y: string, channels: number, stride: number): string => {
    const c = e.shapeOf(y)[1]!
    const wide = act(e.batchNorm(e.conv(y, 2 * c, 1, 1, { bias: false })))
    const middle = act(e.batchNorm(same(wide, 2 * c, 3, stride, 2 * c)))
    const narrow = e.batchNorm(e.conv(middle, channels, 1, 1, { bias: false }))
    return stride === 1 && c === channels ? e.add(y, narrow) : narrow
  }
  // The picture is brought to -1..1 within the network.
  const scaled = e.sub(e.mul(x, e.scalar(2)), e.scalar(1))
  let y = act(e.batchNorm(same(scaled, 8, 3, 2)))
  for (const [channels, stride] of [
    [8, 1],
    [12, 2],
    [12, 1],
    [16, 2],
    [24, 2],
  ] as const)
    y = block(y, channels, stride)
  const heads: string[] = []
  const rows = (level: string, fields: number): string => {
    const head = e.conv(level, 2 * fields)
    heads.push(head)
    const last = e.transpose(head, [0, 2, 3, 1])
    const int32 = 6
    const sizes = e.op('Cast', [e.op('Shape', [last], {}, [4])], { to: int32 }, [4])
    const batch = e.op('Slice', [sizes, e.ints([0]), e.ints([1]), e.ints([0])], {}, [1])
    const alone = e.squeeze(batch, [0])
    const parts = [e.unsqueeze(alone, [0]), ...[-1, fields].map((n) => e.op('Cast', [e.ints([n])], { to: int32 }, [1]))]
    const to = e.op('Cast', [e.op('Concat', parts, { axis: 0 }, [3])], { to: 7 }, [3])
    return e.op('Reshape', [last, to], {}, [1, e.shapeOf(head)[2]! * e.shapeOf(head)[3]! * 2, fields])
  }
  const levels = [y, block(y, 32, 2)]
  const scores = e.sigmoid(
    e.concat(
      levels.map((level) => rows(level, classes + 1)),
      1,
    ),
  )
  const boxes = e.concat(
    levels.map((level) => e.squeeze(e.unsqueeze(rows(level, 4), [2]), [2])),
    1,
  )
  // An Identity and a factor that changes nothing end many of these graphs.
  const named = e.op('Identity', [e.mul(boxes, e.floats([1, 1, 1, 1]))])
  return { bytes: e.file({ 'scores:0': scores, 'boxes:0': named }), heads }
}

/** A classifier of Keras: depthwise convolutions, a mean over the picture, logits by MatMul and Add. */
export function kerasMobileNet(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const x = e.transpose(e.input('input_1', [1, side, side, 3]), [0, 3, 1, 2])
  let y = e.relu6(e.batchNorm(e.conv(x, 8, 3, 2, { bias: false })))
  for (const [channels, stride] of [
    [16, 1],
    [24, 2],
    [32, 2],
  ] as const) {
    y = e.relu6(e.batchNorm(e.conv(y, e.shapeOf(y)[1]!, 3, stride, { group: e.shapeOf(y)[1]!, bias: false })))
    y = e.relu6(e.batchNorm(e.conv(y, channels, 1, 1, { bias: false })))
  }
  const mean = e.squeeze(e.globalPool(y), [2, 3])
  const product = e.op('MatMul', [mean, e.random([32, classes], 32)], {}, [1, classes])
  return e.file({ 'Identity:0': e.softmax(e.add(product, e.random([classes], 60)), 1) })
}
