/** Networks of darknet's configuration files, as converters write them: numbered layers, normalisations folded or not. */
import { type Exporter, exporter, type Style } from './exporter.js'

type Activation = (x: string) => string

/** x * tanh(log(1 + e^x)) */
const mish =
  (e: Exporter): Activation =>
  (x) =>
    e.mul(x, e.op('Tanh', [e.op('Softplus', [x])]))

/** The second half of the channels goes its own way. */
function routed(e: Exporter, x: string): string {
  const c = e.shapeOf(x)[1]!
  const half = e.split(x, [c / 2, c / 2])[1]!
  const a = e.leaky(e.conv(half, c / 2, 3))
  const b = e.leaky(e.conv(a, c / 2, 3))
  const c1 = e.leaky(e.conv(e.concat([b, a]), c))
  return e.concat([x, c1])
}

export const tinyAnchors = [
  [81, 82, 135, 169, 344, 319],
  [23, 27, 37, 58, 81, 82],
]

export function yolov4Tiny(classes: number, side: number, style: Style) {
  const e = exporter(style)
  const x = e.input('000_net', [1, 3, side, side])
  let y = e.leaky(e.conv(e.leaky(e.conv(x, 8, 3, 2)), 16, 3, 2))
  const before: string[] = []
  for (const channels of [16, 24, 32]) {
    const route = routed(e, e.leaky(e.conv(y, channels, 3)))
    before.push(route)
    y = e.pool('MaxPool', route, 2, 2)
  }
  const top = e.leaky(e.conv(e.leaky(e.conv(y, 40, 3)), 24))
  const coarse = e.conv(e.leaky(e.conv(top, 40, 3)), 3 * (5 + classes), 1, 1, { gain: 1.5 })
  const up = e.concat([e.nearest(e.leaky(e.conv(top, 16))), before.at(-1)!])
  const fine = e.conv(e.leaky(e.conv(up, 32, 3)), 3 * (5 + classes), 1, 1, { gain: 1.5 })
  return { bytes: e.file({ '030_convolutional': coarse, '037_convolutional': fine }), heads: [coarse, fine] }
}

/** The trunk of YOLOv4, one head: Mish in CSP blocks, then pools side by side. */
export function yolov4(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const act = mish(e)
  const block = (x: string, channels: number, kernel = 1, stride = 1): string =>
    act(e.batchNorm(e.conv(x, channels, kernel, stride, { bias: false }), 1e-5))
  const csp = (x: string, channels: number): string => {
    const down = block(x, channels, 3, 2)
    const a = block(down, channels / 2)
    const b = block(down, channels / 2)
    return block(e.concat([block(e.add(b, block(block(b, channels / 2), channels / 2, 3)), channels / 2), a]), channels)
  }
  const x = e.input('input', [1, 3, side, side])
  let y = block(x, 8, 3)
  for (const channels of [16, 24, 32, 40]) y = csp(y, channels)
  y = csp(y, 48)
  const narrow = e.leaky(e.conv(y, 24))
  const spp = e.concat([...[13, 9, 5].map((k) => e.pool('MaxPool', narrow, k, 1, (k - 1) / 2)), narrow])
  return e.file({ output: e.conv(e.leaky(e.conv(spp, 32)), 3 * (5 + classes)) })
}
