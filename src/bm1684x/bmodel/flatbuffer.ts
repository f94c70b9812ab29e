/**
 * Reading FlatBuffers that nobody vouches for: every offset is checked before it is followed, and what is visited altogether is
 * limited, since tables that share parts could be unfolded without end.
 */
import { QuantError } from '../../errors.js'

/** A table. Fields are named by their ids in the schema; absent ones have their default. */
export interface Table {
  u32(id: number): number
  i32(id: number): number
  f32(id: number, absent: number): number
  /** Throws where it is beyond 2^53. */
  u64(id: number): number
  text(id: number): string
  bytes(id: number): Uint8Array
  /** A vector of u64. */
  numbers(id: number): number[]
  table(id: number): Table | undefined
  tables(id: number): Table[]
  /** The struct Binary { start: u64, size: u64 }. */
  range(id: number): { readonly start: number; readonly size: number }
}

/** The root table. `name` is what errors call the data; every fault is a QuantError('input'). */
export function rootTable(data: Uint8Array, name: string): Table {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  // A sound buffer holds each part once and we look at none more than a few times.
  let budget = data.length * 4

  function checked(at: number, size: number): number {
    budget -= size
    if (at < 0 || at + size > data.length || budget < 0)
      throw new QuantError('input', `${name}: damaged description of the nets`, {
        hint: 'the file is cut off or was changed; make it again',
      })
    return at
  }
  const u16 = (at: number): number => view.getUint16(checked(at, 2), true)
  const u32 = (at: number): number => view.getUint32(checked(at, 4), true)
  const u64 = (at: number): number => {
    const value = view.getBigUint64(checked(at, 8), true)
    if (value > Number.MAX_SAFE_INTEGER) throw new QuantError('input', `${name}: the number ${value} is too large`)
    return Number(value)
  }
  const follow = (at: number): number => at + u32(at)

  /** Where a vector's elements begin, and how many there are. */
  function vector(at: number, elementBytes: number): readonly [start: number, count: number] {
    const start = follow(at)
    const count = u32(start)
    return [checked(start + 4, count * elementBytes), count]
  }

  function tableAt(position: number): Table {
    const fieldTable = position - view.getInt32(checked(position, 4), true)
    const fieldTableBytes = u16(fieldTable)
    /** Where a field is, or undefined where it is absent. */
    const find = (id: number): number | undefined => {
      const slot = 4 + 2 * id
      const offset = slot + 2 <= fieldTableBytes ? u16(fieldTable + slot) : 0
      return offset === 0 ? undefined : position + offset
    }
    const read = <T>(id: number, absent: T, get: (at: number) => T): T => {
      const at = find(id)
      return at === undefined ? absent : get(at)
    }
    return {
      u32: (id) => read(id, 0, u32),
      i32: (id) => read(id, 0, (at) => view.getInt32(checked(at, 4), true)),
      f32: (id, absent) => read(id, absent, (at) => view.getFloat32(checked(at, 4), true)),
      u64: (id) => read(id, 0, u64),
      text: (id) => new TextDecoder().decode(read(id, new Uint8Array(), bytesAt)),
      bytes: (id) => read(id, new Uint8Array(), bytesAt),
      numbers: (id) =>
        read(id, [] as number[], (at) => {
          const [start, count] = vector(at, 8)
          return Array.from({ length: count }, (_, i) => u64(start + 8 * i))
        }),
      table: (id) => read<Table | undefined>(id, undefined, (at) => tableAt(follow(at))),
      tables: (id) =>
        read(id, [] as Table[], (at) => {
          const [start, count] = vector(at, 4)
          return Array.from({ length: count }, (_, i) => tableAt(follow(start + 4 * i)))
        }),
      range: (id) => read(id, { start: 0, size: 0 }, (at) => ({ start: u64(at), size: u64(at + 8) })),
    }
  }
  const bytesAt = (at: number): Uint8Array => {
    const [start, count] = vector(at, 1)
    return data.subarray(start, start + count)
  }

  return tableAt(follow(0))
}
