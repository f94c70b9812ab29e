/** Classifiers of torchvision and timm. */
import { float } from '../../src/ir/onnx/builder.js'
import { type Exporter, exporter, type Style } from './exporter.js'

const dw = (e: Exporter, x: string, kernel: number, stride: number): string =>
  e.conv(x, e.shapeOf(x)[1]!, kernel, stride, { group: e.shapeOf(x)[1]! })

const flatten = (e: Exporter, x: string): string =>
  e.op('Flatten', [x], { axis: 1 }, [
    1,
    e
      .shapeOf(x)
      .slice(1)
      .reduce((a, b) => a * b, 1),
  ])

/** PyTorch writes hardswish as an operator since opset 14, before as x * HardSigmoid(x). */
function hardswish(e: Exporter, x: string): string {
  if (e.style.opset >= 14) return e.op('HardSwish', [x])
  return e.mul(x, e.op('HardSigmoid', [x], { alpha: 1 / 6 }))
}

export function mobileNetV3(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const block = (x: string, channels: number, kernel: number, stride: number, hard: boolean, se: boolean): string => {
    const act = (y: string): string => (hard ? hardswish(e, y) : e.relu(y))
    let y = act(dw(e, act(e.conv(x, 2 * e.shapeOf(x)[1]!)), kernel, stride))
    if (se) {
      const c = e.shapeOf(y)[1]!
      const gate = e.conv(e.relu(e.conv(e.globalPool(y), 8)), c)
      y = e.mul(e.op('HardSigmoid', [gate], { alpha: 1 / 6 }), y)
    }
    const narrow = e.conv(y, channels)
    return stride === 1 && channels === e.shapeOf(x)[1] ? e.add(x, narrow) : narrow
  }
  let y = hardswish(e, e.conv(e.input('input', [1, 3, side, side]), 8, 3, 2))
  y = block(y, 8, 3, 2, false, true)
  y = block(y, 16, 5, 2, true, true)
  y = block(y, 16, 5, 1, true, true)
  const pooled = flatten(e, e.globalPool(hardswish(e, e.conv(y, 48))))
  return e.file({ output: e.gemm(hardswish(e, e.gemm(pooled, 64)), classes) })
}

export function resNet(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const basic = (x: string, channels: number, stride: number): string => {
    const inner = e.conv(e.relu(e.conv(x, channels, 3, stride)), channels, 3)
    return e.relu(e.add(inner, stride === 1 ? x : e.conv(x, channels, 1, stride)))
  }
  let y = e.pool('MaxPool', e.relu(e.conv(e.input('input', [1, 3, side, side]), 16, 7, 2)), 3, 2, 1)
  y = basic(basic(basic(y, 16, 1), 32, 2), 48, 2)
  return e.file({ output: e.gemm(flatten(e, e.globalPool(y)), classes) })
}

/** Normalisation and Relu in front of the convolutions, behind concatenations: nothing to fold them into. */
export function denseNet(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const layer = (x: string): string => {
    const narrow = e.conv(e.relu(e.batchNorm(x)), 16, 1, 1, { bias: false })
    return e.concat([x, e.conv(e.relu(e.batchNorm(narrow)), 8, 3, 1, { bias: false })])
  }
  let y = e.relu(e.batchNorm(e.conv(e.input('input', [1, 3, side, side]), 16, 7, 2, { bias: false })))
  y = e.pool('MaxPool', y, 3, 2, 1)
  y = layer(layer(y))
  y = e.pool('AveragePool', e.conv(e.relu(e.batchNorm(y)), 16, 1, 1, { bias: false }), 2, 2)
  y = e.relu(e.batchNorm(layer(layer(y))))
  return e.file({ output: e.gemm(flatten(e, e.globalPool(y)), classes) })
}

/** TensorFlow's padding in Pads, means by ReduceMean. */
export function efficientNetLite(classes: number, side: number, style: Style): Uint8Array {
  const e = exporter(style)
  const block = (x: string, channels: number, stride: number): string => {
    const wide = e.relu6(e.conv(x, 3 * e.shapeOf(x)[1]!))
    const [n, c, h, w] = e.shapeOf(wide) as [number, number, number, number]
    const padded =
      stride === 1
        ? wide
        : e.op('Pad', [wide, e.ints([0, 0, 0, 0, 0, 0, 1, 1]), e.scalar(0)], { mode: 'constant' }, [n, c, h + 1, w + 1])
    const middle = e.conv(padded, c, 3, stride, { group: c, pad: stride === 1 ? 1 : 0 })
    const y = e.conv(e.relu6(middle), channels)
    return stride === 1 && channels === e.shapeOf(x)[1] ? e.add(y, x) : y
  }
  let y = e.relu6(e.conv(e.input('images', [1, 3, side, side]), 8, 3, 2))
  y = block(block(block(y, 16, 2), 16, 1), 24, 2)
  y = e.relu6(e.conv(y, 64))
  const mean = e.op('ReduceMean', [y], { axes: [2, 3], keepdims: 0 }, [1, 64])
  const product = e.op('Gemm', [mean, e.random([64, classes], 64), e.random([classes], 60)], { alpha: float(1) }, [
    1,
    classes,
  ])
  return e.file({ Softmax: e.softmax(product, 1) })
}
