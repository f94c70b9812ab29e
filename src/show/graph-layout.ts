/**
 * Where the boxes of a layered drawing lie (Sugiyama, Tagawa and Toda 1981): a node's layer is its longest path from the beginning; an arrow
 * over several layers passes a point in each; the order within a layer follows the mean of the neighbours' positions; then every layer is
 * moved as near to its neighbours as the order and the distances allow.
 */

export interface Layout {
  readonly width: number
  readonly layers: number
  /** Centre of each node, and its layer from 0. */
  readonly nodes: readonly { readonly x: number; readonly layer: number }[]
  /** One per arrow: where it passes each layer, from the box it leaves to the box it enters. */
  readonly arrows: readonly (readonly { readonly x: number; readonly layer: number }[])[]
}

/** The longest path to each node, in arrows. @param before the nodes that each waits for; all stand before it */
export function layersOf(before: readonly (readonly number[])[]): number[] {
  const layers: number[] = []
  for (const nodes of before) layers.push(Math.max(-1, ...nodes.map((node) => layers[node]!)) + 1)
  return layers
}

/**
 * @param before the nodes that each waits for; all stand before it
 * @param box width of a node; `gap` is left between two in a layer
 */
export function layOut(before: readonly (readonly number[])[], { box, gap }: { box: number; gap: number }): Layout {
  const layerOf = layersOf(before)
  const count = Math.max(-1, ...layerOf) + 1
  /** Nodes first, then the points that long arrows pass. */
  const width = before.map(() => box)
  const layer = [...layerOf]
  const neighbours: Record<'above' | 'below', number[][]> = { above: before.map(() => []), below: before.map(() => []) }
  const join = (upper: number, lower: number): void => {
    neighbours.above[lower]!.push(upper)
    neighbours.below[upper]!.push(lower)
  }
  const routes = before.flatMap((froms, to) =>
    froms.map((from) => {
      const route = [from]
      for (let at = layerOf[from]! + 1; at < layerOf[to]!; at++) {
        route.push(width.length)
        width.push(0)
        layer.push(at)
        neighbours.above.push([])
        neighbours.below.push([])
      }
      route.push(to)
      for (const [i, lower] of route.slice(1).entries()) join(route[i]!, lower)
      return route
    }),
  )

  const rows: number[][] = Array.from({ length: count }, () => [])
  for (const [point, at] of layer.entries()) rows[at]!.push(point)
  const x = width.map(() => 0)
  const mean = (points: readonly number[], otherwise: number): number =>
    points.length === 0 ? otherwise : points.reduce((sum, point) => sum + x[point]!, 0) / points.length
  const place = (row: readonly number[], wanted: readonly number[]): void => {
    const at = nearest(
      wanted,
      row.slice(1).map((point, i) => (width[row[i]!]! + width[point]!) / 2 + gap),
    )
    for (const [i, point] of row.entries()) x[point] = at[i]!
  }

  for (const row of rows)
    place(
      row,
      row.map((_, i) => i * (box + gap)),
    )
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const down = sweep % 2 === 0
    const side = down ? neighbours.above : neighbours.below
    for (const row of down ? rows : rows.toReversed()) {
      const wish = new Map(row.map((point) => [point, mean(side[point]!, x[point]!)]))
      row.sort((a, b) => wish.get(a)! - wish.get(b)! || a - b)
      place(
        row,
        row.map((point) => wish.get(point)!),
      )
    }
  }
  // At last with both sides in view, the order as it is: arrows become straight where they can.
  for (let sweep = 0; sweep < 5 * sweeps; sweep++)
    for (const row of sweep % 2 === 0 ? rows : rows.toReversed())
      place(
        row,
        row.map((point) => mean([...neighbours.above[point]!, ...neighbours.below[point]!], x[point]!)),
      )
  // A chain then hangs straight down from its first box.
  for (const row of rows)
    place(
      row,
      row.map((point) => mean(neighbours.above[point]!, x[point]!)),
    )

  const left = Math.min(...x.map((at, point) => at - width[point]! / 2))
  const right = Math.max(...x.map((at, point) => at + width[point]! / 2))
  const placed = (point: number) => ({ x: x[point]! - left, layer: layer[point]! })
  return {
    width: count === 0 ? 0 : right - left,
    layers: count,
    nodes: before.map((_, node) => placed(node)),
    arrows: routes.map((route) => route.map(placed)),
  }
}

const sweeps = 12

/**
 * Positions nearest to the wanted ones (least squares) that keep the order and the distances: pool adjacent violators.
 * @param apart least distance between each and the next
 */
function nearest(wanted: readonly number[], apart: readonly number[]): number[] {
  const offset = [0]
  for (const distance of apart) offset.push(offset.at(-1)! + distance)
  const blocks: { sum: number; count: number }[] = []
  for (const [i, want] of wanted.entries()) {
    let block = { sum: want - offset[i]!, count: 1 }
    for (let last = blocks.at(-1); last && last.sum / last.count > block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: last.sum + block.sum, count: last.count + block.count }
      blocks.pop()
    }
    blocks.push(block)
  }
  return blocks.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count)).map((at, i) => at + offset[i]!)
}
