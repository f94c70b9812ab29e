/** Detectors as Paddle2ONNX writes them: constants as nodes, biases apart, Identity nodes, functions spelled out. */
import { type Exporter, exporter, type Style } from './exporter.js'

/** A scale op with a bias is a Mul and an Add; with 1 and 0 they are written all the same. */
const scale = (e: Exporter, x: string, factor: number, shift: number): string =>
  e.add(e.mul(x, e.floats([factor])), e.floats([shift]))

/** Convolution without bias, normalisation behind it; depthwise ones carry their bias in an Add. */
function conv(e: Exporter, x: string, channels: number, kernel = 1, stride = 1, group = 1): string {
  const y = e.conv(x, channels, kernel, stride, { group, bias: false })
  return group === 1 ? e.batchNorm(y, 1e-5) : e.add(y, e.reshape(e.random([channels], 60, 1), [1, channels, 1, 1]))
}

function hardswish(e: Exporter, x: string): string {
  if (e.style.opset >= 14) return e.op('HardSwish', [x])
  const clipped = e.op('Clip', [e.add(x, e.floats([3])), e.scalar(0), e.scalar(6)])
  return e.div(e.mul(x, clipped), e.floats([6]))
}

const hardsigmoid = (e: Exporter, x: string): string => e.op('HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 })

/** Squeeze and excitation. */
function attend(e: Exporter, x: string): string {
  const c = e.shapeOf(x)[1]!
  const small = e.relu(e.conv(e.globalPool(x), c / 4))
  return e.mul(x, hardsigmoid(e, e.conv(small, c)))
}

/** To the size of another value, which the graph reads off it. */
function resizeTo(e: Exporter, x: string, like: string): string {
  const [n, c] = e.shapeOf(x) as [number, number]
  const [, , h, w] = e.shapeOf(like) as [number, number, number, number]
  const attributes = {
    coordinate_transformation_mode: 'asymmetric',
    mode: 'nearest',
    nearest_mode: 'floor',
  }
  const none = e.style.opset < 13 ? e.floats([], [0]) : ''
  const own = e.op('Slice', [e.op('Shape', [x], {}, [4]), e.ints([0]), e.ints([2]), e.ints([0])], {}, [2])
  const other = e.op('Slice', [e.op('Shape', [like], {}, [4]), e.ints([2]), e.ints([4]), e.ints([0])], {}, [2])
  const sizes = e.op('Concat', [own, other], { axis: 0 }, [4])
  return e.op('Resize', [x, none, none, sizes], attributes, [n, c, h, w])
}

const strides = [8, 16, 32, 64]

export function picodet(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const act = (y: string): string => hardswish(e, y)
  const dw = (y: string, kernel: number, stride = 1): string => {
    const c = e.shapeOf(y)[1]!
    return act(conv(e, y, c, kernel, stride, c))
  }
  const separable = (y: string, channels: number, kernel: number, stride = 1, se = false): string => {
    const z = dw(y, kernel, stride)
    return act(conv(e, se ? attend(e, z) : z, channels))
  }
  const x = e.op('Identity', [e.input('image', [1, 3, side, side])])
  const stem = act(conv(e, x, 8, 3, 2))
  const l3 = separable(separable(stem, 16, 3, 2), 24, 3, 2)
  const l4 = separable(l3, 32, 5, 2, true)
  const l5 = separable(l4, 48, 5, 2, true)
  const [p3, p4, p5] = [l3, l4, l5].map((level) => act(conv(e, level, 16))) as [string, string, string]
  const join = (a: string, b: string): string => separable(e.concat([a, b]), 16, 5)
  const n4 = join(resizeTo(e, p5, p4), p4)
  const n3 = join(resizeTo(e, n4, p3), p3)
  const m4 = join(separable(n3, 16, 5, 2), n4)
  const m5 = join(separable(m4, 16, 5, 2), p5)
  const m6 = e.add(separable(p5, 16, 5, 2), separable(m5, 16, 5, 2))
  const heads: string[] = []
  const outputs = [n3, m4, m5, m6].map((level, i) => {
    const y = separable(separable(level, 16, 5), 16, 5)
    const raw = e.conv(y, classes + 32, 1, 1, { gain: 2 })
    heads.push(raw)
    const [cls, box] = e.split(raw, [classes, 32]) as [string, string]
    const n = Math.ceil(side / strides[i]!)
    const score = e.reshape(e.op('Identity', [scale(e, e.sigmoid(cls), 1, 0)]), [1, classes, n * n])
    const distances = e.reshape(e.transpose(box, [0, 2, 3, 1]), [1, n * n, 32])
    return { score: e.transpose(score, [0, 2, 1]), distances }
  })
  return {
    bytes: e.file(
      Object.fromEntries([
        ...outputs.map(({ score }, i) => [`transpose_${2 * i}.tmp_0`, score] as const),
        ...outputs.map(({ distances }, i) => [`reshape_${i}.tmp_0`, distances] as const),
      ]),
    ),
    heads,
  }
}

/** PP-YOLOE; `nms`: with the suppression that the export leaves in unless told otherwise. */
export function ppyoloe(classes: number, side: number, style: Style, nms: boolean) {
  const e = exporter(style)
  const bins = 17
  const act = (y: string): string => e.mul(y, e.sigmoid(y))
  const x = e.input('image', [1, 3, side, side])
  // A RepVGG block that was not merged: two convolutions side by side.
  const rep = (y: string): string => {
    const c = e.shapeOf(y)[1]!
    return act(e.add(conv(e, y, c, 3), conv(e, y, c, 1)))
  }
  const stage = (y: string, channels: number): string => {
    const down = act(conv(e, y, channels, 3, 2))
    const [a, b] = [act(conv(e, down, channels / 2)), act(conv(e, down, channels / 2))]
    const all = e.concat([a, e.add(b, rep(rep(b)))])
    const mean = e.op('ReduceMean', [all], { axes: [2, 3], keepdims: 1 }, [1, channels, 1, 1])
    return act(conv(e, e.mul(all, hardsigmoid(e, e.conv(mean, channels))), channels))
  }
  const l2 = stage(act(conv(e, x, 8, 3, 2)), 16)
  const l3 = stage(l2, 24)
  const l4 = stage(l3, 32)
  const l5 = stage(l4, 40)
  const n4 = act(conv(e, e.concat([resizeTo(e, act(conv(e, l5, 16)), l4), l4]), 24))
  const n3 = act(conv(e, e.concat([resizeTo(e, act(conv(e, n4, 16)), l3), l3]), 16))
  const heads: string[] = []
  const levels = [l5, n4, n3].map((level) => {
    const [n, c, h, w] = e.shapeOf(level) as [number, number, number, number]
    const mean = e.globalPool(level)
    const gate = (): string => act(conv(e, e.mul(level, e.sigmoid(e.conv(mean, c))), c))
    const score = e.conv(e.add(gate(), level), classes, 3, 1, { gain: 2 })
    const box = e.conv(gate(), 4 * bins, 3)
    heads.push(score, box)
    const apart = e.transpose(e.reshape(box, [n, 4, bins, h * w]), [0, 2, 3, 1])
    const numbers = e.floats(
      Array.from({ length: bins }, (_, i) => i),
      [1, bins, 1, 1],
    )
    const sum = e.op('Conv', [e.softmax(apart, 1), numbers], { kernel_shape: [1, 1] }, [n, 1, h * w, 4])
    return {
      score: e.reshape(e.sigmoid(score), [n, classes, h * w]),
      distances: e.squeeze(sum, [1]),
      stride: side / w,
      cells: w,
    }
  })
  const scores = e.concat(
    levels.map(({ score }) => score),
    2,
  )
  const distances = e.concat(
    levels.map(({ distances: own }) => own),
    1,
  )
  const cells = levels.flatMap(({ stride, cells: n }) =>
    Array.from({ length: n * n }, (_, i) => ({ stride, at: [(i % n) + 0.5, Math.floor(i / n) + 0.5] })),
  )
  const points = e.floats(
    cells.flatMap(({ at }) => at),
    [cells.length, 2],
  )
  const [nearer, further] = e.split(distances, [2, 2], 2) as [string, string]
  // Away from the point in both directions: the nearer corner by a factor of -1.
  const corners = e.concat([e.add(scale(e, nearer, -1, 0), points), e.add(further, points)], 2)
  const boxes = e.mul(
    corners,
    e.floats(
      cells.map(({ stride }) => stride),
      [cells.length, 1],
    ),
  )
  // The size of the original picture, by which boxes are brought back to it, is an input of its own.
  if (!nms) return { bytes: e.file({ 'multiply.boxes': boxes, 'concat.scores': scores }), heads }
  const factors = e.input('scale_factor', [1, 2])
  const back = e.concat([factors, factors], 1)
  const whole = e.div(boxes, e.reshape(back, [1, 1, 4]))
  const kept = e.op('NonMaxSuppression', [whole, scores, e.ints([100]), e.floats([0.7]), e.floats([0.01])], {}, [10, 3])
  const picked = e.op('Gather', [whole, e.squeeze(e.slice(kept, 1, 2, 3), [1])], { axis: 1 }, [1, 10, 4])
  return { bytes: e.file({ 'multiclass_nms3_0.tmp_0': picked }), heads }
}
