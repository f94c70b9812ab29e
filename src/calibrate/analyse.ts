import { QuantError } from '../errors.js'
import type { Tensor } from '../ir/graph.js'
import type { Session } from '../runtime/session.js'
import { observe, type TensorStatistics } from './statistics.js'

/**
 * Runs one picture and looks at every layer's values. One picture's tensors are alive at a time.
 * @param session a float model whose outputs are all `layers` (`emitOnnx` with all node names); an Input layer may be missing
 *   among them, its values are the feed.
 * @returns statistics in the order of `layers`.
 */
export async function analysePicture(
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  layers: readonly string[],
): Promise<Map<string, TensorStatistics>> {
  const values = await session.run(feeds)
  return new Map(
    layers.map((layer) => {
      const value = values.get(layer) ?? feeds[layer]
      if (value === undefined)
        throw new QuantError('runtime', `the calibration model does not give layer ${JSON.stringify(layer)}`, {
          hint: 'every layer must be among its outputs',
        })
      return [layer, observe(value.data)]
    }),
  )
}
