/** From a path in quant.yaml such as ['calibration', 'method'] to its place in the text. */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml'
import type { Place } from '../errors.js'

export type Path = readonly (string | number)[]

/** The place of a value, or of the nearest section above it that the file has. Any path is allowed. */
export type Places = (path: Path) => Place

export interface Source {
  readonly text: string
  readonly file: string
  readonly lines: LineCounter
  readonly doc: Document
}

/** The place of characters `from` to `to`, cut at the end of the line. */
export function placeAt({ text, file, lines }: Source, from: number, to: number): Place {
  const start = Math.min(from, text.length)
  const { line, col } = lines.linePos(start)
  const lineStart = start - (col - 1)
  const rest = text.indexOf('\n', lineStart)
  const content = text.slice(lineStart, rest < 0 ? text.length : rest).replace(/\r$/, '')
  const room = Math.max(1, content.length - (col - 1))
  return { file, line, column: col, length: Math.max(1, Math.min(to - from, room)), text: content }
}

/**
 * Points at a scalar or a flow collection itself, at the key of anything that is written over several lines. Where the path
 * leads to nothing, at the last thing on the way; for the file as a whole at its beginning, without a line to show.
 */
export const placesOf =
  (source: Source): Places =>
  (path) => {
    let node: unknown = source.doc.contents
    let range: [number, number] = [0, 0]
    for (const step of path) {
      node = isAlias(node) ? node.resolve(source.doc) : node
      if (isMap(node)) {
        const pair = pairOf(node.items, step)
        if (!pair) break
        const key = rangeOf(pair.key, range)
        range = isInline(pair.value, source.text) ? rangeOf(pair.value, key) : key
        node = pair.value
      } else if (isSeq(node)) {
        const item = node.items[Number(step)]
        if (item === undefined) break
        range = rangeOf(item, range)
        node = item
      } else break
    }
    return range[1] === 0 ? { file: source.file, line: 1, column: 1 } : placeAt(source, ...range)
  }

/**
 * From a setting as reasons name it, `variants.mix.quantize`, to its path. Names in the file may have dots themselves (`model.inputs.x.1`),
 * so each step takes the longest key that is there. What is not in the file stays as it is, one step per dot.
 */
export function pathOfSetting({ doc }: Source, at: string): Path {
  const walk = (from: Path, parts: readonly string[]): Path => {
    const node = nodeAt(doc, from)
    for (let count = parts.length; count > 0 && isMap(node); count--) {
      const key = parts.slice(0, count).join('.')
      if (pairOf(node.items, key)) return walk([...from, key], parts.slice(count))
    }
    return [...from, ...parts]
  }
  return walk([], at.split('.'))
}

/** The key under which something stands, for mistakes in the key itself. */
export const keyPlaceOf =
  (source: Source) =>
  (path: Path): Place => {
    const parent = nodeAt(source.doc, path.slice(0, -1))
    const pair = isMap(parent) ? pairOf(parent.items, path.at(-1)!) : undefined
    return pair ? placeAt(source, ...rangeOf(pair.key, [0, 1])) : placesOf(source)(path)
  }

function nodeAt(doc: Document, path: Path): unknown {
  let node: unknown = doc.contents
  for (const step of path) {
    node = isAlias(node) ? node.resolve(doc) : node
    node = isMap(node) ? pairOf(node.items, step)?.value : isSeq(node) ? node.items[Number(step)] : undefined
  }
  return isAlias(node) ? node.resolve(doc) : node
}

/** Keys are compared as the strings that they become: a YAML key may be a number. */
const pairOf = (items: readonly Pair[], key: string | number): Pair | undefined =>
  items.find((pair) => String(isScalar(pair.key) ? (pair.key.value ?? '') : pair.key) === String(key))

function rangeOf(node: unknown, otherwise: [number, number]): [number, number] {
  const range = (node as Node | null)?.range
  return range && range[1] > range[0] ? [range[0], range[1]] : otherwise
}

function isInline(node: unknown, text: string): boolean {
  const [from, to] = rangeOf(node, [0, 0])
  return to > from && !text.slice(from, to).trimEnd().includes('\n')
}
