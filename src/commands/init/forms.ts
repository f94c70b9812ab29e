/** Detectors without anchors and classifiers, by the shapes of their outputs: each form gives the number of classes, if it is that. */
import type { Detector } from '../../config/config.js'
import type { Guess, Net } from './guess.js'
import { type Habit, habits } from './habits.js'

interface Form {
  readonly name: string
  readonly kind: Detector['kind'] | 'classifier'
  readonly padValue?: number
  readonly habit?: Habit
  /** The network goes on behind its heads: where these are known, it had better end there. */
  readonly decoded?: true
  classes(net: Net): number | undefined
}

type Shape = readonly number[]

/** Boxes of grids with these strides, one per cell. */
const boxes = ({ input: [, , height = 0, width = 0] }: Net, strides: readonly number[]): number =>
  strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0)

const three = [8, 16, 32]
const four = [8, 16, 32, 64]

/** Channels of the maps at each stride, in the order of the outputs; undefined where something else is among the outputs. */
function channelsPerGrid(
  { input: [, , height = 0, width = 0], outputs }: Net,
  strides: readonly number[],
): number[][] | undefined {
  const grids = strides.map((): number[] => [])
  for (const { length, 1: channels, 2: rows, 3: columns } of outputs) {
    const at = strides.findIndex((s) => Math.ceil(height / s) === rows && Math.ceil(width / s) === columns)
    if (length !== 4 || at < 0) return undefined
    grids[at]!.push(channels!)
  }
  return grids
}

/** The same maps in every grid: so many, of which all but the classes are known. */
function classesOfMaps(net: Net, strides: readonly number[], known: readonly number[]): number | undefined {
  const grids = channelsPerGrid(net, strides)?.map((channels) => channels.toSorted((a, b) => a - b))
  const [first] = grids ?? []
  if (!grids || !first || grids.some((channels) => channels.join() !== first.join())) return undefined
  if (first.length === 1) return positive(first[0]! - known.reduce((sum, one) => sum + one, 0))
  const rest = [...first]
  for (const one of known) {
    const at = rest.indexOf(one)
    if (at < 0) return undefined
    rest.splice(at, 1)
  }
  return rest.length === 1 ? rest[0] : undefined
}

/** Boxes are brought to pixels in the network. */
const inPixels = ({ behind }: Net): boolean => behind.has('Mul')

/** The only output has rows of so many boxes. */
function classesOfRows({ outputs }: Net, count: number, known: number): number | undefined {
  const [only] = outputs
  return outputs.length === 1 && only?.length === 3 && only[1] === count ? positive(only[2]! - known) : undefined
}

const positive = (count: number): number | undefined => (count > 0 ? count : undefined)

/** Two outputs with a row per box: those that hold. */
function pair({ outputs }: Net, fits: (one: Shape, other: Shape) => boolean): [Shape, Shape] | undefined {
  const [a, b] = outputs
  if (outputs.length !== 2 || a?.length !== 3 || b?.length !== 3 || a[1] !== b[1]) return undefined
  return fits(a, b) ? [a, b] : fits(b, a) ? [b, a] : undefined
}

const one = (number: number | undefined, wanted: number): number | undefined => (number === wanted ? number : undefined)

/** Three heads a grid are enough to know it by, when the network decodes them. */
function classesOfYolox(net: Net): number | undefined {
  const count = classesOfMaps(net, three, [4, 1])
  return net.decoded && net.outputs.length === 9 ? count : one(count, 80)
}

/** The first that fits is it. Where the number of classes alone decides between two, it is the one that has COCO's. */
const forms: readonly Form[] = [
  {
    name: 'BlazeFace',
    kind: 'blazeface',
    padValue: 0,
    habit: habits.blazeFace,
    classes: (net) => pair(net, (a, b) => a[1] === 896 && a[2]! >= 16 && b[2] === 1) && 1,
  },
  {
    name: 'SSD, boxes decoded',
    kind: 'ssd',
    habit: habits.ultraFace,
    // Without an exponential they are offsets still, to priors that the file does not tell.
    classes: (net) =>
      net.behind.has('Exp')
        ? positive((pair(net, (boxes, scores) => boxes[2] === 4 && scores[2]! > 1)?.[1][2] ?? 0) - 1)
        : undefined,
  },
  {
    // Points lie in the middle of cells, as in NanoDet; NanoDet-Plus has LeakyRelu.
    name: 'PP-PicoDet',
    kind: 'nanodet',
    habit: habits.imageNet,
    classes: (net) => (net.layers.has('HardSwish') ? classesOfMaps(net, four, [32]) : undefined),
  },
  {
    name: 'NanoDet-Plus',
    kind: 'nanodet-plus',
    habit: habits.imageNetBgr,
    classes: (net) => classesOfRows(net, boxes(net, four), 32) ?? classesOfMaps(net, four, [32]),
  },
  {
    name: 'NanoDet',
    kind: 'nanodet',
    habit: habits.imageNetBgr,
    classes: (net) => one(classesOfRows(net, boxes(net, three), 32), 80) ?? one(classesOfMaps(net, three, [32]), 80),
  },
  { name: 'YOLOX', kind: 'yolox', padValue: 114, habit: habits.yolox, classes: (net) => classesOfYolox(net) },
  { name: 'YOLOv8 or 11', kind: 'yolov8', padValue: 114, classes: (net) => classesOfMaps(net, three, [64]) },
  { name: 'PP-YOLOE', kind: 'yolov8', habit: habits.stretched, classes: (net) => classesOfMaps(net, three, [68]) },
  {
    name: 'YOLOv6',
    kind: 'yolov8',
    padValue: 114,
    classes: (net) => (net.decoded?.kind === 'yolov5' ? classesOfMaps(net, three, [4]) : undefined),
  },
  {
    name: 'YOLOX or v6, decoded',
    kind: 'yolov5',
    padValue: 114,
    decoded: true,
    classes: (net) => (inPixels(net) ? classesOfRows(net, boxes(net, three), 5) : undefined),
  },
  {
    name: 'YOLOX',
    kind: 'yolox',
    padValue: 114,
    habit: habits.yolox,
    classes: (net) => classesOfRows(net, boxes(net, three), 5),
  },
  {
    name: 'FastestDet',
    kind: 'fastestdet',
    habit: habits.stretchedBgr,
    classes: (net) => one(classesOfMaps(net, [16], [1, 4]), 80),
  },
  {
    name: 'YOLOv8 or 11, decoded',
    kind: 'yolov8',
    padValue: 114,
    decoded: true,
    classes: (net) => classesOfRows(transposed(net), boxes(net, three), 4),
  },
  {
    name: 'YOLOv5 or v7, decoded',
    kind: 'yolov5',
    padValue: 114,
    decoded: true,
    classes: (net) => classesOfRows(net, 3 * boxes(net, three), 5),
  },
  {
    name: 'Classifier',
    kind: 'classifier',
    habit: habits.imageNet,
    // A flattened head has this form, too.
    decoded: true,
    classes: ({ outputs }) => {
      const [batch = 0, count = 0, ...others] = outputs[0] ?? []
      return outputs.length === 1 && batch === 1 && count > 1 && others.every((size) => size === 1) ? count : undefined
    },
  },
]

const transposed = (net: Net): Net => ({ ...net, outputs: net.outputs.map(([n = 0, a = 0, b = 0]) => [n, b, a]) })

export function guessForm(net: Net): Guess | undefined {
  for (const { name, kind, padValue, habit, decoded, classes } of forms) {
    const count = classes(net)
    if (count === undefined) continue
    const shapes = net.outputs.map((shape) => shape.join(' x ')).join(', ')
    return {
      kind,
      because: `${name}: ${count} ${count === 1 ? 'class' : 'classes'} by outputs of ${shapes}`,
      anchors: undefined,
      others: [],
      classes: count,
      padValue,
      habit: habit ?? habits.usual,
      decoded: decoded ?? false,
    }
  }
  return undefined
}
