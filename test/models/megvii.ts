/** YOLOX-nano: focus, depthwise convolutions, a head in three parts; with and without `--decode_in_inference`. */
import { type Exporter, exporter, type Style } from './exporter.js'
import { focus } from './yolov5.js'

const base = (e: Exporter, x: string, channels: number, kernel = 1, stride = 1): string =>
  e.silu(e.conv(x, channels, kernel, stride))

const depthwise = (e: Exporter, x: string, channels: number, kernel: number, stride = 1): string =>
  base(e, e.silu(e.conv(x, e.shapeOf(x)[1]!, kernel, stride, { group: e.shapeOf(x)[1]! })), channels)

function csp(e: Exporter, x: string, channels: number, shortcut: boolean): string {
  const a = base(e, x, channels / 2)
  const b = base(e, x, channels / 2)
  const inner = depthwise(e, base(e, a, channels / 2), channels / 2, 3)
  return base(e, e.concat([shortcut ? e.add(inner, a) : inner, b]), channels)
}

export function yolox(classes: number, side: number, style: Style, decode: boolean) {
  const e = exporter(style)
  const x = e.input('images', [1, 3, side, side])
  const [l3, l4, l5] = e.within('backbone', () => {
    const stem = base(e, focus(e, x), 16, 3)
    const dark2 = csp(e, depthwise(e, stem, 16, 3, 2), 16, true)
    const dark3 = csp(e, depthwise(e, dark2, 24, 3, 2), 24, true)
    const dark4 = csp(e, depthwise(e, dark3, 32, 3, 2), 32, true)
    const down = base(e, depthwise(e, dark4, 48, 3, 2), 24)
    const spp = e.concat([down, ...[5, 9, 13].map((k) => e.pool('MaxPool', down, k, 1, (k - 1) / 2))])
    return [dark3, dark4, csp(e, base(e, spp, 48), 48, false)]
  }) as [string, string, string]
  const t5 = base(e, l5, 32)
  const t4 = base(e, csp(e, e.concat([e.nearest(t5), l4]), 32, false), 24)
  const n3 = csp(e, e.concat([e.nearest(t4), l3]), 24, false)
  const n4 = csp(e, e.concat([depthwise(e, n3, 24, 3, 2), t4]), 32, false)
  const n5 = csp(e, e.concat([depthwise(e, n4, 32, 3, 2), t5]), 48, false)

  const heads: string[] = []
  const maps = e.within('head', () =>
    [n3, n4, n5].map((level) => {
      const y = base(e, level, 16)
      const cls = e.conv(depthwise(e, depthwise(e, y, 16, 3), 16, 3), classes, 1, 1, { gain: 2 })
      const shared = depthwise(e, depthwise(e, y, 16, 3), 16, 3)
      const box = e.conv(shared, 4)
      const object = e.conv(shared, 1, 1, 1, { gain: 2 })
      heads.push(box, object, cls)
      return e.concat([box, e.sigmoid(object), e.sigmoid(cls)])
    }),
  )
  const rows = e.transpose(
    e.concat(
      maps.map((map) => e.reshape(map, [1, 5 + classes, -1])),
      2,
    ),
    [0, 2, 1],
  )
  if (!decode) return { bytes: e.file({ output: rows }), heads }
  const cells = [8, 16, 32].flatMap((stride) => {
    const n = side / stride
    return Array.from({ length: n * n }, (_, i) => ({ at: [i % n, Math.floor(i / n)], stride }))
  })
  const grids = e.floats(
    cells.flatMap(({ at }) => at),
    [1, cells.length, 2],
  )
  const strides = e.floats(
    cells.map(({ stride }) => stride),
    [1, cells.length, 1],
  )
  const centre = e.mul(e.add(e.slice(rows, 2, 0, 2), grids), strides)
  const size = e.mul(e.op('Exp', [e.slice(rows, 2, 2, 4)]), strides)
  return { bytes: e.file({ output: e.concat([centre, size, e.slice(rows, 2, 4, 2 ** 31 - 1)], -1) }), heads }
}
