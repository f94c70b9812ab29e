/** Float layers that work on each element by itself. Those of 16 bit round after every command. */
import type { Relu } from '../../../ir/graph.js'
import { alignedBytes, packVector } from '../../layout.js'
import { binary, divide, type Place, scaleChannels } from '../commands.js'
import type { Kernel, KernelSink, Local } from '../kernel.js'
import { define, scratchTensor } from './define.js'
import { divisionSteps } from './exponential.js'
import { operandsOf, packConstants, spreadBytes } from './operands.js'
import { weightBits } from './weights.js'

const constant = (value: number, { prec, signed }: Local) => ({ constant: value, prec, signed }) as const

/** The fused relu, in place, of any type. */
export function activate({ relu, reluLimit }: Relu, output: Local, sink: KernelSink): void {
  if (!relu) return
  sink.emit(binary('max', output.shape, output, output, constant(0, output)))
  if (reluLimit > 0) sink.emit(binary('min', output.shape, output, output, constant(reluLimit, output)))
}

export const relu = define<'Relu'>({
  compute({ op }, { inputs: [x], output }, sink) {
    sink.emit(binary('max', output.shape, output, x!, constant(0, output)))
    if (op.limit > 0) sink.emit(binary('min', output.shape, output, output, constant(op.limit, output)))
  },
})

export const leakyRelu = define<'LeakyRelu'>({
  scratchBytes: ({ op }, _, output) => (isFlat(op.alpha) ? 0 : alignedBytes(output, 'fp32')),
  compute({ op }, { inputs: [x], output }, sink) {
    const { shape } = output
    if (isFlat(op.alpha)) {
      sink.emit(binary('mul', shape, output, x!, constant(op.alpha, output)))
      return sink.emit(binary('max', shape, output, output, x!))
    }
    const below = scratchTensor(sink, shape, output.prec)
    sink.emit(binary('min', shape, below, x!, constant(0, output)))
    sink.emit(binary('mul', shape, below, below, constant(op.alpha, output)))
    sink.emit(binary('max', shape, output, x!, constant(0, output)))
    sink.emit(binary('add', shape, output, output, below))
  },
})

/** alpha * x is the larger one exactly where x is negative. */
const isFlat = (alpha: number): boolean => alpha >= 0 && alpha <= 1

/** One operand after the other. The smallest and the largest are of any type: nothing is rounded. */
const combined = (op: 'add' | 'sub' | 'mul' | 'min' | 'max'): Kernel =>
  define<'Add' | 'Sub' | 'Mul' | 'Min' | 'Max'>({
    coefficients: packConstants,
    scratchBytes: (_, inputs, output) => spreadBytes(inputs, output, 'fp32'),
    compute(node, slice, sink, known) {
      const { output } = slice
      const [first, ...others] = operandsOf(node, slice, sink, known)
      let soFar = first!
      for (const other of others) {
        sink.emit(binary(op, output.shape, output, soFar, other))
        soFar = output
      }
      if ('relu' in node.op) activate(node.op, output, sink)
    },
  })

export const add = combined('add')
export const sub = combined('sub')
export const mul = combined('mul')

/** fp32: lowering sees to it. */
export const div = define<'Div'>({
  coefficients: packConstants,
  scratchBytes: (_, inputs, output) => spreadBytes(inputs, output, 'fp32'),
  compute(node, slice, sink, known) {
    const { output } = slice
    const [a, b] = operandsOf(node, slice, sink, known) as [Place, Place]
    sink.emit(divide(output.shape, output, a, b, divisionSteps))
    activate(node.op, output, sink)
  },
})

export const min = combined('min')
export const max = combined('max')

/** The halves below and above 0 by themselves, one of which is 0. */
export const pRelu = define<'PRelu'>({
  coefficients: packConstants,
  scratchBytes: (_, __, output) => alignedBytes(output, 'fp32'),
  compute(node, slice, sink, known) {
    const { output } = slice
    const { shape } = output
    const [x, slope] = operandsOf(node, slice, sink, known) as [Place, Place]
    const below = scratchTensor(sink, shape, output.prec)
    sink.emit(binary('min', shape, below, x, constant(0, output)))
    sink.emit(binary('mul', shape, below, below, slope))
    sink.emit(binary('max', shape, output, x, constant(0, output)))
    sink.emit(binary('add', shape, output, output, below))
  },
})

/** y = x * scale[c] + bias[c] */
export const scale = define<'Scale'>({
  coefficients: ({ name, inputs }, weights) =>
    inputs.slice(1).map((input) => packVector(`${name} ${input}`, weightBits(weights.get(input)!))),
  compute({ op }, { inputs: [x], output, coefficients: [factor, bias] }, sink) {
    sink.emit(scaleChannels(output.shape, output, x!, factor!, bias!))
    activate(op, output, sink)
  },
})
