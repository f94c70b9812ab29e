/** How pictures are prepared for the families that do it another way than most: x / 255 in RGB, on a letterbox. As they were published. */

export interface Habit {
  readonly format: 'rgb' | 'bgr'
  /** Of each channel, in that order: y = (x - mean) * scale. */
  readonly mean: readonly number[]
  readonly scale: readonly number[]
  /** Resized without a border. */
  readonly stretched: boolean
  /** The picture lies at the top left of the letterbox. */
  readonly corner?: true
}

const each = (value: number): number[] => [value, value, value]
/** To what quant.yaml and the vendor's tools are usually given. */
const toOne = 0.0039216

/** Mean and deviation of ImageNet's pictures. */
const imageNet = {
  format: 'rgb',
  mean: [123.675, 116.28, 103.53],
  scale: [0.0171248, 0.017507, 0.0174292],
  stretched: true,
} as const

export const habits = {
  imageNet,
  imageNetBgr: {
    ...imageNet,
    format: 'bgr',
    mean: imageNet.mean.toReversed(),
    scale: imageNet.scale.toReversed(),
  },
  /** As OpenCV reads it, not scaled. */
  yolox: { format: 'bgr', mean: each(0), scale: each(1), stretched: false, corner: true },
  stretched: { format: 'rgb', mean: each(0), scale: each(toOne), stretched: true },
  stretchedBgr: { format: 'bgr', mean: each(0), scale: each(toOne), stretched: true },
  /** -1 to 1. */
  blazeFace: { format: 'rgb', mean: each(127.5), scale: each(0.0078431), stretched: false },
  ultraFace: { format: 'rgb', mean: each(127), scale: each(0.0078125), stretched: true },
  usual: { format: 'rgb', mean: each(0), scale: each(toOne), stretched: false },
} as const satisfies Record<string, Habit>
