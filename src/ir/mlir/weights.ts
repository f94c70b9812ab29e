/** The weights that nodes read, in the order in which the text names them. Weights that no layer reads are left out. */
export function usedWeights<W>({
  nodes,
  weights,
}: {
  readonly nodes: readonly { readonly inputs: readonly string[] }[]
  readonly weights: ReadonlyMap<string, W>
}): [string, W][] {
  const used = new Map<string, W>()
  for (const name of nodes.flatMap((node) => node.inputs)) {
    const weight = weights.get(name)
    if (weight !== undefined) used.set(name, weight)
  }
  return [...used]
}
