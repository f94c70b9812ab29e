/** Lookup in tables (tsk_typ 6), within a lane. */
import { roundUp, vectorBytes } from '../chip.js'
import { eu, type InstructionOf, layoutCode, prec } from '../isa/forms.js'
import {
  eachRow,
  type Memory,
  type Operand,
  operandAt,
  rawView,
  refuse,
  type Shape,
  type Strides,
  separate,
  sizeOf,
} from './memory.js'

/**
 * gather: result[n, c, 0, w] = table[n, c, 0, index[n, c, 0, w]]; scatter: result[.., index] = table[.., w]. The index is uint8 or
 * uint16. @throws QuantError for an index outside
 */
export function gather({ local, loops }: Memory, { fields }: InstructionOf<'sg'>): void {
  const unit = fields.tsk_eu_typ ?? -1
  const scatter = unit === eu.sg.peSScatterD1coor || unit === eu.sg.peSScatterHzd
  if (!scatter && unit !== eu.sg.peSGatherD1coor && unit !== eu.sg.peSGatherHzd)
    throw refuse(`table operation ${unit} is not modelled`)
  if (fields.opd2_const === 1) throw refuse('filling is not modelled')
  const type = fields.res0_prec ?? 0
  if (sizeOf(type) !== sizeOf(fields.opd0_prec ?? 0)) throw refuse('table and result differ in width')
  const [n, c, w] = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_w ?? 0]
  const indexType = fields.opd1_prec ?? 0
  if (indexType !== prec.int8 && indexType !== prec.int16) throw refuse(`an index of type ${indexType} is not taken`)
  const tableWidth = fields.opd0_w ?? 0
  const indexShape: Shape = [n, c, 1, fields.opd1_w ?? 0]
  const shared = fields.opd0_str === layoutCode.perLaneTable
  const tableStrides: Strides | 'aligned' = shared
    ? [0, 0, roundUp(tableWidth, vectorBytes / sizeOf(type)), 1]
    : 'aligned'
  const table = operandAt(fields.opd0_addr ?? 0, [1, c, 1, tableWidth], type, false, tableStrides)
  const index = operandAt(fields.opd1_addr ?? 0, indexShape, indexType, false, 'aligned')
  const result = operandAt(fields.res0_addr ?? 0, [n, c, 1, w], type, false, 'aligned')
  if (table.lane !== result.lane || index.lane !== result.lane) throw refuse('operands begin in different lanes')
  // All images use the table of the first.
  const tableAt: Operand = { ...table, strides: [0, table.strides[1], 0, 1] }
  const view = rawView(local, type)
  const indices = rawView(local, indexType)
  const limit = scatter ? w : tableWidth
  // With tables of 256 bytes no index is outside.
  const apart = separate(indexShape, result, index) && separate(indexShape, result, table, [1, c, 1, tableWidth])
  if (sizeOf(type) === 1 && indexType === prec.int8 && !scatter && tableWidth >= 256 && w >= indexShape[3] && apart) {
    const { lookup } = loops.functions
    eachRow(indexShape, [result, tableAt, index], ([to, from, at]) => lookup(to!, at!, indexShape[3], from!))
    return
  }
  eachRow(indexShape, [result, tableAt, index], ([to, from, at]) => {
    for (let i = 0; i < indexShape[3]; i++) {
      const which = indices[at! + i]!
      if (which >= limit) throw refuse(`index ${which} lies outside ${limit} entries`)
      if (scatter) view[to! + which] = view[from! + i]!
      else view[to! + i] = view[from! + which]!
    }
  })
}
