/**
 * Functions of single elements in fp32, of e^-x, logarithm, quotient, root and polynomials; values of 16 bit are widened and rounded
 * once. Most are right to a few units in the last place of 1 or of the result, whichever is larger. Logarithms take what is below
 * 2^-126 for that.
 */
import { tanhGelu } from '../../../ir/functions.js'
import type { FunctionOp, OpOf } from '../../../ir/graph.js'
import type { Shape4 } from '../../layout.js'
import { absolute, addShifted, binary, cast, divide, type Operand, polynomial, reciprocalRoot } from '../commands.js'
import type { Kernel, KernelSink, Local } from '../kernel.js'
import { define } from './define.js'
import {
  divisionSteps,
  eachPiece,
  exponential,
  exponentialTerms,
  number,
  type Piece,
  pieceBytes,
  pieceScratch,
  polynomialTable,
  spreadTable,
} from './exponential.js'
import { inFloat32, oneGroup, widenedBytes } from './widen.js'

/** ln((1 + s) / (1 - s)) = 2 s (1 + s^2 / 3 + s^4 / 5 + ...): in s^2, and enough where |s| < 0.172. */
const logarithmTerms = Float32Array.of(2, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11)

/** 1 - erf(x) = (a1 t + ... + a5 t^5) e^(-x^2), t = 1 / (1 + p x), x >= 0, within 1.5e-7: Abramowitz and Stegun 7.1.26. */
const errorTerms = Float32Array.of(0, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
const errorP = 0.3275911

const tables = { exponential: exponentialTerms, logarithm: logarithmTerms, error: errorTerms } as const
type TableName = keyof typeof tables

/** A piece, what is computed on it, and where its tables are. */
interface Work {
  readonly shape: Shape4
  readonly x: Local
  readonly y: Local
  readonly scratch: readonly [Local, Local, Local, Local]
  readonly sink: KernelSink
  table(name: TableName): number
}

interface Recipe<O extends FunctionOp> {
  readonly tables?: readonly TableName[]
  /** How many of the scratch tensors it uses. */
  readonly scratch: number
  compute(op: O, work: Work): void
}

/** Commands over the whole piece. */
const steps = ({ shape, sink }: Work) => ({
  of: (op: 'add' | 'sub' | 'mul' | 'max' | 'min', to: Local, a: Operand, b: Operand | number): void =>
    sink.emit(binary(op, shape, to, a, typeof b === 'number' ? number(b) : b)),
  abs: (to: Local, a: Local): void => sink.emit(absolute(shape, to, a)),
  quotient: (to: Local, a: Operand, b: Local): void => sink.emit(divide(shape, to, a, b, divisionSteps)),
})

/** e = e^-x; e may be x. */
function negativePower(
  work: Work,
  e: Local,
  x: Local,
  between: readonly [Local, Local],
  limits?: [number, number],
): void {
  exponential(work.shape, e, x, between, work.table('exponential'), work.sink, limits)
}

const asInteger = (local: Local): Local => ({ ...local, prec: 'int32' })
const whole = (constant: number) => ({ constant, prec: 'int32', signed: true }) as const
/** The bits of sqrt(1/2): from there on to its double a fraction has the exponent 0. */
const rootOfHalf = 0x3f3504f3

/** to = ln x. x = 2^k m with m within sqrt 2 of 1, by its bits; then ln m from s = (m - 1) / (m + 1). x may be the first scratch. */
function logarithm(work: Work, to: Local, x: Local, [m, k, other]: readonly [Local, Local, Local]): void {
  const { shape, sink } = work
  const { of, quotient } = steps(work)
  of('max', m, x, 2 ** -126)
  sink.emit(addShifted(shape, asInteger(k), asInteger(m), whole(-rootOfHalf), -23))
  sink.emit(addShifted(shape, asInteger(other), asInteger(k), whole(0), 23))
  sink.emit(binary('sub', shape, asInteger(m), asInteger(m), asInteger(other)))
  sink.emit(cast(shape, other, asInteger(k), 'halfEven'))
  of('mul', other, other, Math.LN2)
  of('add', k, m, 1)
  of('sub', m, m, 1)
  quotient(m, m, k)
  of('mul', k, m, m)
  sink.emit(polynomial(shape, to.address, k.address, work.table('logarithm'), logarithmTerms.length))
  of('mul', to, to, m)
  of('add', to, to, other)
}

/** to = 1 - erf(size * factor). Takes all scratch but the first, which may be `size`. */
function errorComplement(work: Work, to: Local, size: Local, factor: number): void {
  const { shape, sink } = work
  const [, t, e, other] = work.scratch
  const { of, quotient } = steps(work)
  of('mul', e, size, size)
  of('mul', e, e, factor * factor)
  negativePower(work, e, e, [t, other])
  of('mul', t, size, errorP * factor)
  of('add', t, t, 1)
  quotient(t, number(1), t)
  sink.emit(polynomial(shape, to.address, t.address, work.table('error'), errorTerms.length))
  of('mul', to, to, e)
}

/** numerator / (1 + e^-x) */
const logistic = (numerator: 'one' | 'x'): Recipe<FunctionOp> => ({
  tables: ['exponential'],
  scratch: 3,
  compute(_, work) {
    const { x, y, scratch } = work
    const [e, k, power] = scratch
    const { of, quotient } = steps(work)
    negativePower(work, e, x, [k, power])
    of('add', e, e, 1)
    quotient(y, numerator === 'one' ? number(1) : x, e)
  },
})

const rounded = (mode: 'floor' | 'ceil' | 'halfEven'): Recipe<FunctionOp> => ({
  scratch: 0,
  compute: (_, { shape, x, y, sink }) => sink.emit(cast(shape, y, x, mode)),
})

function hardSigmoid(work: Work, alpha: number, beta: number): void {
  const { of } = steps(work)
  of('mul', work.y, work.x, alpha)
  of('add', work.y, work.y, beta)
  of('max', work.y, work.y, 0)
  of('min', work.y, work.y, 1)
}

/** Whole exponents up to here are products. */
const mostProducts = 8

const recipes: { readonly [T in FunctionOp['type']]: Recipe<OpOf<T>> } = {
  Abs: { scratch: 0, compute: (_, work) => steps(work).abs(work.y, work.x) },
  Ceil: rounded('ceil'),
  Clip: {
    scratch: 0,
    compute({ min, max }, work) {
      const { of } = steps(work)
      of('max', work.y, work.x, min)
      of('min', work.y, work.y, max)
    },
  },
  Elu: {
    tables: ['exponential'],
    scratch: 3,
    compute({ alpha }, work) {
      const { x, y, scratch } = work
      const [e, k, power] = scratch
      const { of } = steps(work)
      of('min', e, x, 0)
      of('mul', e, e, -1)
      negativePower(work, e, e, [k, power])
      of('sub', e, e, 1)
      of('mul', e, e, alpha)
      of('max', y, x, 0)
      of('add', y, y, e)
    },
  },
  Erf: {
    tables: ['exponential', 'error'],
    scratch: 4,
    compute(_, work) {
      const { x, y, scratch } = work
      const [size] = scratch
      const { of, abs } = steps(work)
      abs(size, x)
      errorComplement(work, y, size, 1)
      of('sub', y, number(1), y)
      // The sign: whatever is not next to nothing leaves -1 to 1.
      of('mul', size, x, 2 ** 100)
      of('max', size, size, -1)
      of('min', size, size, 1)
      of('mul', y, y, size)
    },
  },
  Exp: {
    tables: ['exponential'],
    scratch: 2,
    compute(_, work) {
      const { x, y, scratch } = work
      steps(work).of('mul', y, x, -1)
      negativePower(work, y, y, [scratch[0], scratch[1]])
    },
  },
  Floor: rounded('floor'),
  GELU: {
    tables: ['exponential', 'error'],
    scratch: 4,
    compute({ approximation }, work) {
      const { x, y, scratch } = work
      const [size, k, power] = scratch
      const { of, abs, quotient } = steps(work)
      if (approximation === 'tanh') {
        // x / (1 + e^-2z), 2z = x (2c + 2c cubic x^2)
        of('mul', size, x, x)
        of('mul', size, size, 2 * tanhGelu.factor * tanhGelu.cubic)
        of('add', size, size, 2 * tanhGelu.factor)
        of('mul', size, size, x)
        negativePower(work, size, size, [k, power])
        of('add', size, size, 1)
        return quotient(y, x, size)
      }
      // max(x, 0) - |x| / 2 * (1 - erf(|x| / sqrt 2))
      abs(size, x)
      errorComplement(work, y, size, Math.SQRT1_2)
      of('mul', y, y, size)
      of('mul', y, y, 0.5)
      of('max', size, x, 0)
      of('sub', y, size, y)
    },
  },
  HardSigmoid: { scratch: 0, compute: ({ alpha, beta }, work) => hardSigmoid(work, alpha, beta) },
  HardSwish: {
    scratch: 0,
    compute(_, work) {
      hardSigmoid(work, 1 / 6, 0.5)
      steps(work).of('mul', work.y, work.y, work.x)
    },
  },
  Log: {
    tables: ['logarithm'],
    scratch: 3,
    compute: (_, work) => logarithm(work, work.y, work.x, [work.scratch[0], work.scratch[1], work.scratch[2]]),
  },
  // x (1 + 2e) / (1 + 2e + 2e^2) with e = e^-x, whose square must not become infinite.
  Mish: {
    tables: ['exponential'],
    scratch: 3,
    compute(_, work) {
      const { x, y, scratch } = work
      const [e, above, below] = scratch
      const { of, quotient } = steps(work)
      negativePower(work, e, x, [above, below], [-40, 87.3])
      of('mul', above, e, 2)
      of('add', above, above, 1)
      of('mul', below, e, e)
      of('mul', below, below, 2)
      of('add', below, below, above)
      of('mul', above, above, x)
      quotient(y, above, below)
    },
  },
  Pow: {
    tables: ['exponential', 'logarithm'],
    scratch: 4,
    compute({ exponent }, work) {
      const { x, y, scratch } = work
      const [a, b, c, power] = scratch
      const { of, quotient } = steps(work)
      const count = Math.abs(exponent)
      if (Number.isInteger(exponent) && count > 0 && count <= mostProducts) {
        of('mul', y, x, count === 1 ? 1 : x)
        for (let i = 2; i < count; i++) of('mul', y, y, x)
        if (exponent < 0) quotient(y, number(1), y)
        return
      }
      logarithm(work, power, x, [a, b, c])
      of('mul', power, power, -exponent)
      negativePower(work, y, power, [a, b])
    },
  },
  Reciprocal: { scratch: 0, compute: (_, work) => steps(work).quotient(work.y, number(1), work.x) },
  Round: rounded('halfEven'),
  SiLU: logistic('x'),
  Sigmoid: logistic('one'),
  // max(x, 0) + ln(1 + e^-|x|)
  Softplus: {
    tables: ['exponential', 'logarithm'],
    scratch: 3,
    compute(_, work) {
      const { x, y, scratch } = work
      const [e, k, power] = scratch
      const { of, abs } = steps(work)
      abs(e, x)
      negativePower(work, e, e, [k, power])
      of('add', e, e, 1)
      logarithm(work, y, e, [e, k, power])
      of('max', e, x, 0)
      of('add', y, y, e)
    },
  },
  Softsign: {
    scratch: 1,
    compute(_, work) {
      const [size] = work.scratch
      const { of, abs, quotient } = steps(work)
      abs(size, work.x)
      of('add', size, size, 1)
      quotient(work.y, work.x, size)
    },
  },
  Sqrt: {
    scratch: 0,
    compute(_, work) {
      const { shape, x, y, sink } = work
      sink.emit(reciprocalRoot(shape, y.address, x.address, 4))
      steps(work).of('mul', y, y, x)
    },
  },
  // (1 - e^-2x) / (1 + e^-2x)
  Tanh: {
    tables: ['exponential'],
    scratch: 3,
    compute(_, work) {
      const { x, y, scratch } = work
      const [e, k, power] = scratch
      const { of, quotient } = steps(work)
      of('mul', e, x, 2)
      negativePower(work, e, e, [k, power], [-40, 40])
      of('add', k, e, 1)
      of('sub', e, number(1), e)
      quotient(y, e, k)
    },
  },
}

const kernel = ({ tables: names = [], scratch, compute }: Recipe<FunctionOp>): Kernel =>
  define<FunctionOp['type']>({
    coefficients: ({ name }) => names.map((table) => polynomialTable(`${name} ${table}`, tables[table])),
    scratchBytes: ({ type }, [input], output) =>
      type.kind === 'f32'
        ? pieceBytes(output, scratch)
        : pieceBytes(oneGroup(output), scratch) + widenedBytes(input!, output),
    compute({ op }, { inputs: [input], output, coefficients }, sink) {
      for (const [i, name] of names.entries()) sink.emit(spreadTable(coefficients[i]!, tables[name].length))
      const pieces = pieceScratch(output.prec === 'fp32' ? output.shape : oneGroup(output.shape), scratch, sink)
      const table = (name: TableName): number => coefficients[names.indexOf(name)]!
      inFloat32(input!, output, sink, (result, x) =>
        eachPiece(x, result, pieces, (piece) => compute(op, { ...(piece as Work & Piece), sink, table })),
      )
    },
  })

export const functionKernels = Object.fromEntries(
  Object.entries(recipes).map(([type, recipe]) => [type, kernel(recipe as Recipe<FunctionOp>)]),
) as Readonly<Record<FunctionOp['type'], Kernel>>
