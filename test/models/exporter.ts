/**
 * Writes ONNX files the way exporters do: names with scopes, shapes that are computed or constant, constants as initializers or
 * as nodes, attributes or operands as the opset wants them. Weights are seeded and scaled so that activations keep their size.
 */
import { create } from '@bufbuild/protobuf'
import { sizeOf } from '../../src/ir/graph.js'
import { type AttributeValue, DataType, float, onnxBuilder } from '../../src/ir/onnx/builder.js'
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  NodeProtoSchema,
} from '../../src/ir/onnx/onnx_pb.js'
import { edited, numbers } from '../import/helper.js'

export interface Style {
  readonly opset: number
  /** Constants that are no weights stand in Constant nodes, as PyTorch and Paddle leave them. */
  readonly constantNodes?: boolean
  /** Shapes are worked out in the graph: Shape, Gather, Unsqueeze, Concat in front of Reshape. */
  readonly computedShapes?: boolean
}

type Attributes = Record<string, AttributeValue>
type Dims = readonly number[]

export interface ConvOptions {
  readonly group?: number
  readonly pad?: number
  readonly bias?: boolean
  readonly dilation?: number
  /** Times the usual size of the weights. */
  readonly gain?: number
}

export type Exporter = ReturnType<typeof exporter>

export function exporter(style: Style) {
  const { opset } = style
  const builder = onnxBuilder('main_graph')
  const shapes = new Map<string, Dims>()
  const further = new Map<string, readonly string[]>()
  const constants = new Set<string>()
  const taken = new Map<string, number>()
  let scope = ''
  let seed = 1

  const fresh = (type: string): string => {
    const base = `${scope}/${type}`
    const count = taken.get(base) ?? 0
    taken.set(base, count + 1)
    return count === 0 ? base : `${base}_${count}`
  }
  const shapeOf = (x: string): Dims => {
    const shape = shapes.get(x)
    if (shape === undefined) throw new Error(`the shape of ${x} is not known`)
    return shape
  }
  /** Uniform numbers of variance 2 / fan. */
  const random = (shape: Dims, fan: number, gain = 1): string => {
    const limit = gain * Math.sqrt(6 / fan)
    const data = numbers(sizeOf(shape), seed++ * 7919).map((x) => x * limit)
    const name = builder.weight(fresh('weight').slice(1), shape, data)
    shapes.set(name, shape)
    return name
  }
  const constant = (name: string): string => {
    constants.add(name)
    return name
  }
  const floats = (values: readonly number[], shape: Dims = [values.length]): string => {
    const name = constant(builder.weight(fresh('Constant_output'), shape, Float32Array.from(values)))
    shapes.set(name, shape)
    return name
  }
  const ints = (values: readonly number[], shape: Dims = [values.length]): string => {
    const name = constant(builder.weight(fresh('Constant_output'), shape, BigInt64Array.from(values, BigInt)))
    shapes.set(name, shape)
    return name
  }
  const scalar = (value: number): string => floats([value], [])

  /** Any node; its result has the given shape, or that of the first operand. */
  const op = (type: string, inputs: readonly string[], attributes: Attributes = {}, shape?: Dims): string => {
    const name = builder.node(type, inputs, `${fresh(type)}_output_0`, attributes)
    const own = shape ?? shapes.get(inputs[0]!)
    if (own) shapes.set(name, own)
    return name
  }
  const broadcast = (a: Dims, b: Dims): number[] => {
    const rank = Math.max(a.length, b.length)
    const at = (shape: Dims, axis: number): number => shape[axis - rank + shape.length] ?? 1
    return Array.from({ length: rank }, (_, axis) => Math.max(at(a, axis), at(b, axis)))
  }
  const both =
    (type: string) =>
    (a: string, b: string): string =>
      op(type, [a, b], {}, broadcast(shapeOf(a), shapeOf(b)))

  const axisOperand = (type: string, x: string, axes: readonly number[], shape: Dims, more: Attributes = {}): string =>
    opset < 13 ? op(type, [x], { axes: [...axes], ...more }, shape) : op(type, [x, ints(axes)], more, shape)

  const unsqueeze = (x: string, axes: readonly number[]): string => {
    const shape = [...shapeOf(x)]
    for (const axis of axes) shape.splice(axis, 0, 1)
    return axisOperand('Unsqueeze', x, axes, shape)
  }
  const squeeze = (x: string, axes: readonly number[]): string =>
    axisOperand(
      'Squeeze',
      x,
      axes,
      shapeOf(x).filter((_, axis) => !axes.includes(axis)),
    )
  const concat = (xs: readonly string[], axis = 1): string => {
    const [first] = xs
    const at = axis < 0 ? axis + shapeOf(first!).length : axis
    const length = xs.reduce((sum, x) => sum + shapeOf(x)[at]!, 0)
    return op('Concat', xs, { axis }, shapeOf(first!).with(at, length))
  }
  /** The size along an axis as PyTorch's tracer leaves it: one number in a list. */
  const sizeAlong = (x: string, axis: number): string =>
    unsqueeze(
      op('Gather', [op('Shape', [x], {}, [shapeOf(x).length]), constant(ints([axis], []))], { axis: 0 }, []),
      [0],
    )
  /** `to` may hold a -1. With computed shapes, the first dimension is the operand's own. */
  const reshape = (x: string, to: Dims): string => {
    const rest = sizeOf(shapeOf(x)) / sizeOf(to.filter((n) => n !== -1))
    const shape = to.map((n) => (n === -1 ? rest : n))
    if (!style.computedShapes || to[0] !== shapeOf(x)[0]) return op('Reshape', [x, ints(to)], {}, shape)
    const parts = [sizeAlong(x, 0), ...to.slice(1).map((n) => unsqueeze(ints([n], []), [0]))]
    return op('Reshape', [x, op('Concat', parts, { axis: 0 }, [to.length])], {}, shape)
  }
  const transpose = (x: string, perm: readonly number[]): string =>
    op(
      'Transpose',
      [x],
      { perm },
      perm.map((axis) => shapeOf(x)[axis]!),
    )
  const slice = (x: string, axis: number, from: number, to: number, step = 1): string => {
    const length = Math.ceil((Math.min(to, shapeOf(x)[axis]!) - from) / step)
    const operands = [ints([from]), ints([to]), ints([axis]), ints([step])]
    return op('Slice', [x, ...operands], {}, shapeOf(x).with(axis, length))
  }
  const split = (x: string, sizes: readonly number[], axis = 1): string[] => {
    const base = fresh('Split')
    const outputs = sizes.map((_, i) => `${base}_output_${i}`)
    if (opset < 13) builder.node('Split', [x], outputs[0]!, { axis, split: [...sizes] })
    else builder.node('Split', [x, ints(sizes)], outputs[0]!, { axis })
    further.set(outputs[0]!, outputs.slice(1))
    for (const [i, output] of outputs.entries()) shapes.set(output, shapeOf(x).with(axis, sizes[i]!))
    return outputs
  }
  /**
   * `chunk` in equal parts: a Split, or with computed shapes the ends of Slices worked out from the size, as PyTorch does when a
   * dimension may vary.
   */
  const chunk = (x: string, parts: number, axis = 1): string[] => {
    const size = shapeOf(x)[axis]! / parts
    if (!style.computedShapes) return split(x, new Array<number>(parts).fill(size), axis)
    const length = op(
      'Gather',
      [op('Shape', [x], {}, [shapeOf(x).length]), constant(ints([axis], []))],
      { axis: 0 },
      [],
    )
    const each = op('Div', [op('Add', [length, ints([parts - 1], [])], {}, []), ints([parts], [])], {}, [])
    const at = (i: number): string => unsqueeze(op('Mul', [each, ints([i], [])], {}, []), [0])
    return Array.from({ length: parts }, (_, i) =>
      op('Slice', [x, i === 0 ? ints([0]) : at(i), at(i + 1), ints([axis])], {}, shapeOf(x).with(axis, size)),
    )
  }
  const conv = (x: string, channels: number, kernel = 1, stride = 1, options: ConvOptions = {}): string => {
    const { group = 1, dilation = 1, bias = true, gain = 1 } = options
    const { pad = Math.floor(kernel / 2) * dilation } = options
    const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
    const size = (length: number): number => Math.floor((length + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1
    const fan = (c / group) * kernel * kernel
    const weights = [random([channels, c / group, kernel, kernel], fan, gain)]
    if (bias) weights.push(random([channels], 60))
    return op(
      'Conv',
      [x, ...weights],
      {
        dilations: [dilation, dilation],
        group,
        kernel_shape: [kernel, kernel],
        pads: [pad, pad, pad, pad],
        strides: [stride, stride],
      },
      [n, channels, size(h), size(w)],
    )
  }
  const deconv = (x: string, channels: number, kernel = 2, stride = 2, pad = 0, group = 1): string => {
    const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
    const size = (length: number): number => (length - 1) * stride - 2 * pad + kernel
    const fan = (c / group) * (kernel / stride) ** 2
    return op(
      'ConvTranspose',
      [x, random([c, channels / group, kernel, kernel], fan), random([channels], 60)],
      { group, kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [stride, stride] },
      [n, channels, size(h), size(w)],
    )
  }
  /** A normalisation that the exporter did not fold. */
  const batchNorm = (x: string, epsilon = 1e-3): string => {
    const c = shapeOf(x)[1]!
    const positive = (from: number): string =>
      builder.weight(
        fresh('bn').slice(1),
        [c],
        numbers(c, seed++ * 7919).map((v) => from + v / 4),
      )
    return op('BatchNormalization', [x, positive(1), random([c], 60), random([c], 60), positive(1)], { epsilon })
  }
  const pool = (type: 'MaxPool' | 'AveragePool', x: string, kernel: number, stride: number, pad = 0): string => {
    const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
    const size = (length: number): number => Math.floor((length + 2 * pad - kernel) / stride) + 1
    const counted = type === 'AveragePool' ? { count_include_pad: 1 } : {}
    const attributes = { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [stride, stride] }
    return op(type, [x], { ...attributes, ...counted }, [n, c, size(h), size(w)])
  }
  const resize = (x: string, factor: number, attributes: Attributes): string => {
    const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
    const shape = [n, c, h * factor, w * factor]
    return op('Resize', [x, opset < 13 ? floats([], [0]) : '', floats([1, 1, factor, factor])], attributes, shape)
  }
  const globalPool = (x: string): string => op('GlobalAveragePool', [x], {}, [...shapeOf(x).slice(0, 2), 1, 1])
  const softmax = (x: string, axis: number): string => {
    const last = shapeOf(x).length - 1
    if (opset >= 13 || axis === last) return op('Softmax', [x], { axis })
    // Before opset 13 PyTorch turns the axis to the end, and back.
    const perm = shapeOf(x).map((_, i) => (i === axis ? last : i === last ? axis : i))
    return transpose(op('Softmax', [transpose(x, perm)], { axis: last }), perm)
  }
  const gemm = (x: string, channels: number): string => {
    const [n, k] = shapeOf(x) as [number, number]
    return op(
      'Gemm',
      [x, random([channels, k], k), random([channels], 60)],
      { alpha: float(1), beta: float(1), transB: 1 },
      [n, channels],
    )
  }
  const sigmoid = (x: string): string => op('Sigmoid', [x])

  return {
    ...{ style, op, floats, ints, scalar, shapeOf, random, unsqueeze, squeeze, concat, sizeAlong, reshape, transpose },
    ...{ slice, split, chunk, conv, deconv, batchNorm, pool, resize, globalPool, softmax, gemm, sigmoid },
    add: both('Add'),
    sub: both('Sub'),
    mul: both('Mul'),
    div: both('Div'),
    silu: (x: string): string => op('Mul', [x, sigmoid(x)]),
    relu: (x: string): string => op('Relu', [x]),
    relu6: (x: string): string => op('Clip', [x, scalar(0), scalar(6)]),
    leaky: (x: string): string => op('LeakyRelu', [x], { alpha: 0.1 }),
    nearest: (x: string, factor = 2): string =>
      resize(x, factor, {
        coordinate_transformation_mode: 'asymmetric',
        cubic_coeff_a: -0.75,
        mode: 'nearest',
        nearest_mode: 'floor',
      }),
    linear: (x: string, factor = 2): string =>
      resize(x, factor, { coordinate_transformation_mode: 'pytorch_half_pixel', cubic_coeff_a: -0.75, mode: 'linear' }),
    input(name: string, shape: Dims): string {
      shapes.set(name, shape)
      return builder.input(name, shape)
    },
    /** Names made within have this prefix. */
    within<T>(name: string, make: () => T): T {
      const outer = scope
      scope = `${outer}/${name}`
      try {
        return make()
      } finally {
        scope = outer
      }
    },
    /** The file's bytes. Results that are to be outputs get their names. */
    file(outputs: Readonly<Record<string, string>>, type = DataType.FLOAT): Uint8Array {
      for (const name of Object.keys(outputs)) builder.output(name, [], type)
      const renamed = new Map(Object.entries(outputs).map(([name, tensor]) => [tensor, name]))
      return edited(builder.finish(), (proto) => {
        proto.opsetImport[0]!.version = BigInt(opset)
        const graph = proto.graph!
        for (const output of graph.output) if (output.type?.value.case) delete output.type.value.value.shape
        for (const node of graph.node) node.output.push(...(further.get(node.output[0]!) ?? []))
        for (const node of graph.node) {
          node.input = node.input.map((name) => renamed.get(name) ?? name)
          node.output = node.output.map((name) => renamed.get(name) ?? name)
        }
        if (!style.constantNodes) return
        const moved = new Map(graph.initializer.flatMap((t) => (constants.has(t.name) ? [[t.name, t] as const] : [])))
        graph.initializer = graph.initializer.filter(({ name }) => !moved.has(name))
        graph.node = graph.node.flatMap((node) => {
          const own = [...new Set(node.input)].flatMap((name) => moved.get(name) ?? [])
          for (const { name } of own) moved.delete(name)
          return [
            ...own.map((t) =>
              create(NodeProtoSchema, {
                opType: 'Constant',
                output: [t.name],
                attribute: [create(AttributeProtoSchema, { name: 'value', type: AttributeType.TENSOR, t })],
              }),
            ),
            node,
          ]
        })
      })
    },
  }
}
