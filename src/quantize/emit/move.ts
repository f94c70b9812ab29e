/** Layers that move data: the same for 8-bit and float values. */
import { type Emit, float32, int64, type NodeOf } from './context.js'
import { activate } from './float.js'

type Move = 'Spread' | 'MaxPool' | 'Concat' | 'Upsample' | 'Permute' | 'Reshape' | 'Slice' | 'Pad' | 'Min' | 'Max'

export const emitMove: Emit<Move> = (emission, { op, inputs, shape }: NodeOf<Move>) => {
  const x = emission.value(inputs[0]!)
  switch (op.type) {
    case 'MaxPool':
      return emission.step('MaxPool', [x], { kernel_shape: op.kernel, strides: op.strides, pads: op.pads })
    case 'Concat': {
      const whole = emission.step('Concat', inputs.map(emission.value), { axis: op.axis })
      return activate(emission, whole, op)
    }
    case 'Upsample': {
      const scales = emission.constant(Float32Array.of(1, 1, op.scaleH, op.scaleW), [4])
      const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
      return emission.step('Resize', [x, '', scales], nearest)
    }
    case 'Spread': {
      const [n, c, h, w] = emission.shapeOf(inputs[0]!) as [number, number, number, number]
      const apart = emission.step('Reshape', [x, int64(emission, [n, c, h, 1, w, 1])])
      const paddings = [0, 0, 0, 0, 0, 0, 0, 0, 0, op.scaleH - 1, 0, op.scaleW - 1]
      const padded = emission.step('Pad', [apart, int64(emission, paddings), float32(emission, 0)])
      return emission.step('Reshape', [padded, int64(emission, shape)])
    }
    case 'Min':
    case 'Max':
      return emission.step(op.type, inputs.map(emission.value))
    case 'Permute':
      return emission.step('Transpose', [x], { perm: op.order })
    case 'Reshape':
      return emission.step('Reshape', [x, int64(emission, shape)])
    case 'Slice': {
      const axes = op.offsets.map((_, axis) => axis)
      const operands = [op.offsets, op.ends, axes, op.steps].map((values) => int64(emission, values))
      return emission.step('Slice', [x, ...operands])
    }
    case 'Pad':
      return emission.step('Pad', [x, int64(emission, op.paddings), float32(emission, op.value)])
  }
}
