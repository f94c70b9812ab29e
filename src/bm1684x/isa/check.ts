/**
 * Is a command one that the chip executes as meant? The vendor's model accepts much that its generator asserts against: misaligned
 * operands, operands in the wrong lane, sizes that do not follow. These are the conditions of the generator, and that everything
 * stays inside the memory it is in.
 */
import { bankBytes, cubeChannels, lanes, staticBase } from '../chip.js'
import { alignedStrides, channelGroups, compactStrides, lineStrides, type Shape4, type Strides } from '../layout.js'
import { checkDma } from './check-dma.js'
import { type Findings, findings, laneOf, type Operand, offsetOf } from './findings.js'
import { eu, type FormName, type Instruction, layoutCode, type Prec, prec, precBytes } from './forms.js'

/** What is wrong with a command's operands; empty when it is legal. Ids and dependencies are not looked at. */
export function checkInstruction(instruction: Instruction): readonly string[] {
  const found = findings(instruction.form, instruction.fields)
  checks[instruction.form](found)
  return found.list
}

const anyType = Object.keys(prec) as Prec[]
const floats = ['fp16', 'bf16', 'fp32'] as const
const resultSides = ['res0_n', 'res0_c', 'res0_h', 'res0_w'] as const

const checks: Readonly<Record<FormName, (found: Findings) => void>> = {
  conv: checkConv,
  pord: checkPord,
  mm2: checkMm2,
  ar: checkAr,
  rqdq: checkRqdq,
  trans: checkTrans,
  sg: checkGather,
  sfu: checkSfu,
  lin: checkLin,
  cmp: checkCmp,
  sys: ({ field, need }) => need(field('tsk_typ') === 15 || field('tsk_typ') === 0, 'no system command'),
  dma: checkDma,
  dmaSys: ({ field, need }) => need(field('cmd_special_function') <= 1, 'no system command'),
}

const known = ({ field, need }: Findings, units: Readonly<Record<string, number>>): void =>
  need(Object.values(units).includes(field('tsk_eu_typ')), `unit ${field('tsk_eu_typ')} is not supported`)

const resultShape = ({ field, atLeastOne }: Findings): Shape4 => {
  atLeastOne(resultSides)
  return [field('res0_n'), field('res0_c'), field('res0_h'), field('res0_w')]
}

/** The result's sides are those that input, window, padding, stride, dilation and insertion give. */
function checkWindow({ field, need, atLeastOne }: Findings, mostInserted: number): void {
  atLeastOne(['opd0_h', 'opd0_w', 'opd1_h', 'opd1_w'])
  atLeastOne(['res_op_y_str', 'res_op_x_str'], 15)
  need(
    field('opd0_x_ins0') <= mostInserted && field('opd0_y_ins0') <= mostInserted,
    `more than ${mostInserted} inserted`,
  )
  need(field('opd1_x_ins0') <= 14 && field('opd1_y_ins0') <= 14, 'a dilation beyond 15')
  for (const [axis, side, first, last] of [
    ['y', 'h', 'up', 'dn'],
    ['x', 'w', 'lf', 'rt'],
  ] as const) {
    const input = (field(`opd0_${side}`) - 1) * (field(`opd0_${axis}_ins0`) + 1) + 1
    const padded = input + field(`opd0_${first}_pad`) + field(`opd0_${last}_pad`)
    const window = (field(`opd1_${side}`) - 1) * (field(`opd1_${axis}_ins0`) + 1) + 1
    const expected = Math.floor((padded - window) / field(`res_op_${axis}_str`)) + 1
    need(
      field(`res0_${side}`) === expected,
      `res0_${side} = ${field(`res0_${side}`)}, but the window gives ${expected}`,
    )
  }
}

function checkConv(found: Findings): void {
  const { field, need, atLeastOne, type } = found
  known(found, eu.conv)
  const input = type('opd0_prec', ['int8', 'fp16', 'bf16', 'fp32'])
  const normal = field('tsk_eu_typ') === eu.conv.normal
  const result = type('res0_prec', convResults(normal, input))
  need(normal || input === 'int8', 'the forms with requantisation are for int8')
  const shape = resultShape(found)
  const [n, oc] = shape
  atLeastOne(['opd0_c'])
  checkWindow(found, 14)

  const inputShape: Shape4 = [n, field('opd0_c'), field('opd0_h'), field('opd0_w')]
  const layout = field('opd0_str')
  need(layout === layoutCode.aligned || layout === layoutCode.free, `opd0_str = ${layout}`)
  const x =
    layout === layoutCode.free
      ? found.strided('opd0_addr', inputShape, input, stridesIn(found, 'opd0'))
      : found.aligned('opd0_addr', inputShape, input)
  need(input === 'fp32' || laneOf(x.address) === 0, 'the input must start in lane 0')
  const y = found.aligned('res0_addr', shape, result)

  let filter: Operand | undefined
  if (field('opd1_const') === 0) {
    const block = cubeChannels[precBytes[input] as 1 | 2 | 4]
    const channel = Math.ceil(field('opd0_c') / block) * block * field('opd1_h') * field('opd1_w') * precBytes[input]
    filter = found.place('opd1_addr', input === 'fp32' ? 4 : 64, channel * channelGroups(oc, laneOf(y.address)))
  }
  const second = normal ? (input === 'int8' ? 1 : 4) : 2 // zero points, bias, 16-bit bias
  const bias = field('opd2_const') === 0 ? found.perChannel('opd2_addr', oc, second) : undefined
  need(field('res_add') === 0 || input === 'int8' || result === 'fp32', 'adding to the result needs an fp32 result')
  found.sameLane([y, filter, bias])
  found.apart(y, [x, filter, bias])
}

const convResults = (normal: boolean, input: Prec): readonly Prec[] => {
  if (!normal) return ['int8', 'int16']
  return input === 'int8' ? ['int16', 'int32'] : [input, 'fp32']
}

function checkPord(found: Findings): void {
  const { field, need, type } = found
  const unit = field('tsk_eu_typ')
  const depthwise = unit === eu.pord.depthwise || unit === eu.pord.depthwiseRelu
  known(found, eu.pord)
  const input = type('opd0_prec', ['int8', 'fp16', 'bf16', 'fp32'])
  const sums = input === 'int8' ? (['int8', 'int16', 'int32'] as const) : ([input, 'fp32'] as const)
  const result = type('res0_prec', unit === eu.pord.max ? [input] : sums)
  const shape = resultShape(found)
  const [n, c] = shape
  checkWindow(found, 7)
  const x = found.aligned('opd0_addr', [n, c, field('opd0_h'), field('opd0_w')], input)
  const y = found.aligned('res0_addr', shape, result)

  let filter: Operand | undefined
  let bias: Operand | undefined
  if (depthwise) {
    if (field('opd1_const') === 0) {
      const taps: Shape4 = [1, c, field('opd1_h'), field('opd1_w')]
      filter = found.strided('opd1_addr', taps, input, compactStrides(taps))
    }
    if (field('opd2_const') === 0) bias = found.perChannel('opd2_addr', c, input === 'int8' ? 4 : precBytes[input])
  }
  need(unit !== eu.pord.avg || field('opd1_const') === 1, 'average pooling takes its factor as an immediate')
  found.sameLane([y, x, filter, bias])
  found.apart(y, [x, filter, bias])
}

function checkMm2(found: Findings): void {
  const { field, need, atLeastOne, type } = found
  known(found, eu.mm2)
  atLeastOne(['res0_c', 'res0_w', 'opd1_c', 'opd1_w'])
  const input = type('opd0_prec', ['int8', 'fp16', 'bf16'])
  const result = type('res0_prec', input === 'int8' ? ['int32'] : [input, 'fp32'])
  const [rows, columns] = [field('res0_c'), field('res0_w')]
  const [rightRows, rightColumns] = [field('opd1_c'), field('opd1_w')]
  const unit = field('tsk_eu_typ')
  const outer = unit === eu.mm2.nn ? rightColumns : rightRows
  const inner = unit === eu.mm2.nn ? rightRows : rightColumns
  need(outer === (unit === eu.mm2.tt ? rows : columns), 'opd1 does not fit the result')
  const left: Shape4 = unit === eu.mm2.tt ? [1, inner, 1, columns] : [1, rows, 1, inner]

  const y = found.aligned('res0_addr', [1, rows, 1, columns], result)
  const a = field('opd0_const') === 0 ? found.aligned('opd0_addr', left, input) : undefined
  const b = field('opd1_const') === 0 ? found.aligned('opd1_addr', [1, rightRows, 1, rightColumns], input) : undefined
  for (const one of [y, a, b]) need(!one || laneOf(one.address) === 0, `${one?.name} must start in lane 0`)
  found.apart(y, [a, b])
}

/** The strides of an operand in free layout; those of `ar` are put together from two fields. */
function stridesIn({ field }: Findings, operand: string): Strides {
  const [h, w] = [field(`${operand}_h_str`), field(`${operand}_w_str`)]
  const high = (stride: number): number => Math.floor(stride / 2 ** 18) * 2 ** 16
  return {
    n: field(`${operand}_n_str`) + high(h),
    c: field(`${operand}_c_str`) + high(w),
    h: h % 2 ** 18,
    w: w % 2 ** 18,
  }
}

const unary: readonly number[] = [
  eu.ar.not,
  eu.ar.cast,
  eu.ar.copy,
  eu.ar.abs,
  eu.ar.copyMb,
  eu.ar.getFirstOne,
  eu.ar.getFirstZero,
]
const alike: readonly number[] = [eu.ar.max, eu.ar.min]
const selects: readonly number[] = [eu.ar.selectGt, eu.ar.selectEq, eu.ar.selectLt]

function checkAr(found: Findings): void {
  const { field, need, type } = found
  const unit = field('tsk_eu_typ')
  known(found, eu.ar)
  const shape = resultShape(found)
  const operand = (name: string): { readonly type: Prec; readonly at: Operand } => {
    const kind = type(`${name}_prec`, anyType)
    const layout = field(`${name}_str`)
    need(layout === layoutCode.aligned || layout === layoutCode.free, `${name}_str = ${layout}`)
    return {
      type: kind,
      at:
        layout === layoutCode.free
          ? found.strided(`${name}_addr`, shape, kind, stridesIn(found, name))
          : found.aligned(`${name}_addr`, shape, kind),
    }
  }
  const y = operand('res0')
  const a = field('opd0_const') === 0 ? operand('opd0') : undefined
  const b = unary.includes(unit) || field('opd1_const') === 1 ? undefined : operand('opd1')

  if (field('res0_str') === layoutCode.free) {
    const strides = stridesIn(found, 'res0')
    const [n, , h, w] = shape
    const groups = channelGroups(shape[1], laneOf(y.at.address))
    for (const [side, length] of Object.entries({ n, c: groups, h, w }))
      need(length === 1 || strides[side as keyof Strides] > 0, `the result's ${side} stride is 0`)
  }
  if (unit === eu.ar.div) {
    const kinds = [field('res0_prec'), field('opd0_prec'), field('opd1_prec')]
    need(
      kinds.every((kind) => kind === prec.fp32),
      'division is for fp32 only',
    )
  }
  if (unit === eu.ar.copy && a) need(precBytes[a.type] === precBytes[y.type], 'a copy between types of other widths')
  if (alike.includes(unit)) need(field('opd0_prec') === field('opd1_prec'), 'operands of max and min are of one type')
  if (selects.includes(unit) && a)
    need(precBytes[y.type] <= precBytes[a.type], 'what is selected is wider than what is compared')
  if (unit === eu.ar.cast) need(field('opd2_n_str') <= 4, 'casts round by the codes 0 to 4')

  const shift = field('tsk_opd_num') === 3 && unit !== eu.ar.mac && field('opd2_const') === 0
  const c = shift ? found.perChannel('opd2_addr', shape[1], 1) : undefined
  found.sameLane([y.at, a?.at, b?.at, c])
}

function checkRqdq(found: Findings): void {
  const { field, need, type } = found
  const unit = field('tsk_eu_typ')
  known(found, eu.rqdq)
  const requant = unit === eu.rqdq.rq0 || unit === eu.rqdq.rq1
  const input = type('opd0_prec', requant ? ['int16', 'int32'] : ['int8', 'int16'])
  const dequant: readonly Prec[] = unit === eu.rqdq.dq0 ? ['fp32'] : ['int16', 'int32']
  const result = type('res0_prec', requant ? ['int8', 'int16'] : dequant)
  const shape = resultShape(found)
  const x = found.aligned('opd0_addr', shape, input)
  const y = found.aligned('res0_addr', shape, result)
  const words = unit === eu.rqdq.rq1 || unit === eu.rqdq.dq1 ? 3 : 2
  const table = field('opd1_const') === 0 ? found.aligned('opd1_addr', [1, shape[1], 1, words], 'int32') : undefined
  found.sameLane([x, y, table])
  if (table) found.apart(y, [table])
  const rounding = field('opd2_n_str')
  if (unit === eu.rqdq.rq0) need(rounding % 8 <= 4 && Math.floor(rounding / 8) <= 4, 'rq0 rounds by the codes 0 to 4')
  else need(rounding <= 6, `the rounding code ${rounding}`)
}

function checkTrans(found: Findings): void {
  const { field, need, type } = found
  const unit = field('tsk_eu_typ')
  known(found, eu.trans)
  const kind = type('res0_prec', anyType)
  const shape = resultShape(found)
  const [n, c, h, w] = shape
  const laneNow = laneOf(field('res0_addr'))
  if (unit === eu.trans.staticBroadcast || unit === eu.trans.staticDistribute) {
    const source = field('opd0_addr')
    need(source >= staticBase && source < staticBase + 16 * 1024, 'the source is not in static memory')
    need(source % 64 === 0, 'the source is not a multiple of 64')
    const spread = unit === eu.trans.staticDistribute
    if (spread) need(laneNow === 0 && h === 1 && w === 1, 'distributes values to lanes from 0 on, one in each row')
    else need(laneNow + c <= lanes, 'goes beyond the last lane')
    found.strided('res0_addr', shape, kind, compactStrides(shape, laneNow))
    return
  }
  const transposed = unit === eu.trans.cwTs || unit === eu.trans.wcTs
  const source: Shape4 = transposed ? [n, w, h, c] : unit === eu.trans.laneBroadcast ? [n, 1, h, w] : shape
  need(field('opd0_c') === source[1], `opd0_c = ${field('opd0_c')} does not follow from the result`)
  need(field('opd0_w') === source[3], `opd0_w = ${field('opd0_w')} does not follow from the result`)
  const x = found.aligned('opd0_addr', source, kind)
  const rows = unit === eu.trans.cwTs ? lineStrides(shape, kind, laneNow) : alignedStrides(shape, kind, laneNow)
  const y = found.strided('res0_addr', shape, kind, rows)
  need(y.address % 64 === 0, 'the result is not at a multiple of 64')
  if (unit === eu.trans.cwTs) need(laneOf(x.address) === 0, 'the source must start in lane 0')
  if (unit === eu.trans.wcTs) need(laneNow === 0, 'the result must start in lane 0')
  if (unit === eu.trans.laneBroadcast) need(laneNow + c <= lanes, 'goes beyond the last lane')
  if (unit === eu.trans.laneCopy) need(x.address !== y.address, 'a copy onto itself')
  if (transposed) found.apart(y, [x])
}

/** Lookup in tables: the only scatters and gathers that we know the operands of; of the others the alignment. */
function checkGather(found: Findings): void {
  const { field, need, atLeastOne, type } = found
  const unit = field('tsk_eu_typ')
  const kind = type('res0_prec', anyType)
  const shape = resultShape(found)
  const [n, c, , w] = shape
  if (unit !== eu.sg.peSGatherD1coor && unit !== eu.sg.peSGatherHzd) {
    for (const name of ['res0_addr', 'opd0_addr', 'opd1_addr']) found.place(name, 64, 1)
    return
  }
  atLeastOne(['opd0_w', 'opd1_w', 'opd1_c'])
  need(shape[2] === 1, 'the rows of a lookup are laid side by side in w')
  need(field('opd0_prec') === prec[kind], 'table and result are of one type')
  need(field('opd1_c') === c && field('opd1_w') === w, 'index and result have one shape')
  const layout = field('opd0_str')
  need(layout === layoutCode.aligned || layout === layoutCode.perLaneTable, `opd0_str = ${layout}`)
  const tables: Shape4 = [1, layout === layoutCode.perLaneTable ? 1 : c, 1, field('opd0_w')]
  const index = type('opd1_prec', ['int8', 'int16'])
  const operands = [
    found.aligned('opd0_addr', tables, kind),
    found.aligned('opd1_addr', [n, c, 1, w], index),
    found.aligned('res0_addr', shape, kind),
  ]
  found.sameLane(operands)
  if (unit === eu.sg.peSGatherHzd) return
  const sorted = [...operands].sort((a, b) => offsetOf(a.address) - offsetOf(b.address))
  sorted.slice(1).forEach((next, i) => {
    const before = sorted[i]!
    const lastBank = Math.floor((offsetOf(before.address) + before.bytes - 1) / bankBytes)
    const bank = Math.floor(offsetOf(next.address) / bankBytes)
    need(bank > lastBank, `${before.name} and ${next.name} share bank ${bank}`)
  })
}

function checkSfu(found: Findings): void {
  const { field, type } = found
  const unit = field('tsk_eu_typ')
  known(found, eu.sfu)
  const input = type('opd0_prec', unit === eu.sfu.rsqrt ? ['fp32'] : floats)
  const exponents: readonly Prec[] = [input, input === 'fp32' ? 'int32' : 'int16']
  const result = type('res0_prec', unit === eu.sfu.norm ? exponents : [input])
  const shape = resultShape(found)
  const y = found.aligned('res0_addr', shape, result)
  const x = found.aligned('opd0_addr', shape, input)
  let table: Operand | undefined
  if (unit === eu.sfu.taylor || unit === eu.sfu.taylor4x) {
    found.need(field('opd1_n') >= 2, 'a series has two coefficients at least')
    table = found.aligned('opd1_addr', [1, 1, 1, field('opd1_n')], input)
  }
  found.sameLane([y, x, table])
}

function checkLin(found: Findings): void {
  const { field, type } = found
  known(found, eu.lin)
  const kind = type('res0_prec', floats)
  const shape = resultShape(found)
  const perChannel = (name: string): Operand | undefined =>
    field(`${name}_const`) === 1 ? undefined : found.perChannel(`${name}_addr`, shape[1], precBytes[kind])
  found.sameLane([
    found.aligned('res0_addr', shape, kind),
    found.aligned('opd0_addr', shape, kind),
    perChannel('opd1'),
    field('tsk_eu_typ') === eu.lin.mac ? perChannel('opd2') : undefined,
  ])
}

function checkCmp(found: Findings): void {
  const { field, need, type } = found
  const unit = field('tsk_eu_typ')
  known(found, eu.cmp)
  const compared = type('opd0_prec', anyType)
  const chosen = type('opd2_prec', anyType)
  const shape = resultShape(found)
  const both = unit === eu.cmp.gtAndSelGt || unit === eu.cmp.ltAndSelLt
  const operand = (name: 'opd0' | 'opd1' | 'opd2' | 'opd3', kind: Prec): Operand | undefined => {
    if (field(`${name}_const`) === 1) return undefined
    const layout = field(`${name}_str`)
    need(layout === layoutCode.aligned || layout === layoutCode.free, `${name}_str = ${layout}`)
    return layout === layoutCode.free
      ? found.place(`${name}_addr`, precBytes[kind], precBytes[kind])
      : found.aligned(`${name}_addr`, shape, kind)
  }
  found.sameLane([
    found.aligned('res0_addr', shape, both ? compared : chosen),
    both ? found.aligned('res1_addr', shape, chosen) : undefined,
    operand('opd0', compared),
    operand('opd1', compared),
    operand('opd2', chosen),
    operand('opd3', chosen),
  ])
}
