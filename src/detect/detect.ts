/** Raw outputs of a detection network to boxes in the picture: the same for float, INT8 and mixed runs. */
import type { Tensor } from '../ir/graph.js'
import type { Fit } from '../preprocess/letterbox.js'
import { candidates } from './decode/candidates.js'
import { toPicture } from './fit.js'
import { nms } from './nms.js'
import type { Box, DetectorSpec } from './types.js'

/**
 * @param outputs raw heads in the order of `spec.anchors`, of the picture that `fit` belongs to
 * @param inputShape [n, c, height, width] of the network's input
 * @param score only boxes above it, 0..1
 * @returns at most 300 boxes in picture pixels, best first
 * @throws QuantError 'model' when the outputs do not fit the detector
 */
export function detect(
  outputs: readonly Tensor[],
  spec: DetectorSpec,
  { inputShape, fit, score }: { inputShape: readonly number[]; fit: Fit; score: number },
): Box[] {
  const inPicture = candidates(outputs, spec, inputShape, score)
    .map((box) => toPicture(box, fit))
    .filter((box) => box !== undefined)
  return nms(inPicture, spec.iou)
}
