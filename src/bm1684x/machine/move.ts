/** Moves between lanes (tsk_typ 5). Types matter by their width only. */
import { lanes } from '../chip.js'
import { eu, type InstructionOf } from '../isa/forms.js'
import {
  alignedStrides,
  compactStrides,
  eachRow,
  elementAt,
  lineStrides,
  type Memory,
  operandAt,
  rawView,
  refuse,
  type Shape,
  sizeOf,
} from './memory.js'
import { staticMemory } from './static.js'

export function move({ local }: Memory, { fields }: InstructionOf<'trans'>): void {
  const unit = fields.tsk_eu_typ ?? -1
  const type = fields.res0_prec ?? 0
  const view = rawView(local, type)
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const [n, c, h, w] = shape
  const to = fields.res0_addr ?? 0
  const from = fields.opd0_addr ?? 0
  const aligned = (address: number, of: Shape) => operandAt(address, of, type, false, 'aligned')

  switch (unit) {
    case eu.trans.laneCopy: {
      const source = aligned(from, shape)
      const result = aligned(to, shape)
      if (to === from) throw refuse('a lane copy onto itself')
      eachRow(shape, [result, source], ([at, start], length) => view.copyWithin(at!, start!, start! + length))
      return
    }
    case eu.trans.laneBroadcast: {
      const source = aligned(from, [n, 1, h, w])
      const result = aligned(to, shape)
      if (result.lane + c > lanes) throw refuse(`a broadcast to ${c} lanes from lane ${result.lane} on`)
      for (let image = 0; image < n; image++) {
        // Source and result may be the same place.
        const row = view.slice(elementAt(source, image, 0), elementAt(source, image, 0) + h * w)
        for (let channel = 0; channel < c; channel++) view.set(row, elementAt(result, image, channel))
      }
      return
    }
    case eu.trans.cwTs:
    case eu.trans.wcTs: {
      const cw = unit === eu.trans.cwTs
      const source = aligned(from, [n, w, h, c])
      const strides = cw ? lineStrides : alignedStrides
      const lane = Math.floor(to / (256 * 1024))
      const result = operandAt(to, shape, type, false, strides(shape, type, lane))
      if ((cw ? source : result).lane !== 0) throw refuse('a transposition has to begin in lane 0')
      // The whole source first: the result may lie over it.
      const rows = new Map<number, typeof view>()
      eachRow([n, w, h, c], [source], ([at], length) => {
        rows.set(at!, view.slice(at!, at! + length))
      })
      const read = (image: number, channel: number, y: number, x: number) => {
        const at = elementAt(source, image, channel)
        return (rows.get(at) ?? view).at(y * c + x)!
      }
      for (let image = 0; image < n; image++)
        for (let channel = 0; channel < c; channel++)
          for (let y = 0; y < h; y++)
            for (let x = 0, at = elementAt(result, image, channel) + y * result.strides[2]; x < w; x++)
              view[at + x] = read(image, x, y, channel)
      return
    }
    case eu.trans.staticBroadcast:
    case eu.trans.staticDistribute: {
      const spread = unit === eu.trans.staticDistribute
      const result = operandAt(to, shape, type, false, spread ? compactStrides(shape, 0) : 'aligned')
      if (result.lane + (spread ? 0 : c) > lanes || (spread && result.lane !== 0))
        throw refuse('static memory does not go to these lanes')
      const size = sizeOf(type)
      const bytes = staticMemory(from, (spread ? c : h * w) * size)
      const values = size === 1 ? bytes : size === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer)
      for (let channel = 0; channel < c; channel++) {
        if (spread) view[elementAt(result, 0, channel)] = values[channel]!
        else view.set(values, elementAt(result, 0, channel))
      }
      return
    }
    default:
      throw refuse(`lane move ${unit} does not exist`)
  }
}
