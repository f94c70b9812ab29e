/**
 * Which detector a network is, guessed from the shapes of its raw heads. A guess: two families may have the same shapes (YOLO-Fastest and
 * tiny YOLOv3 do), and anchors are never in the file. Another kind is another entry of `families`, or of `forms` when it has no anchors.
 */
import type { Detector } from '../../config/config.js'
import { guessForm } from './forms.js'
import { type Habit, habits } from './habits.js'

export interface Net {
  /** [n, c, height, width] of the picture's input. */
  readonly input: readonly number[]
  /** Shapes of the outputs. */
  readonly outputs: readonly (readonly number[])[]
  /** Types of its layers, of import's graph. */
  readonly layers: ReadonlySet<string>
  /** Types of those behind the last ones with weights. */
  readonly behind: ReadonlySet<string>
  /** What the file's own outputs were, when these are the heads before them. */
  readonly decoded?: Guess | undefined
}

export interface Guess {
  readonly kind: Detector['kind'] | 'classifier'
  /** Family and why it is thought to be it, in one line. */
  readonly because: string
  /** Per output, in pixels of the input; undefined where it has none. */
  readonly anchors: readonly (readonly number[])[] | undefined
  /** What else it may be, a line each. */
  readonly others: readonly string[]
  readonly classes: number
  /** Of the letterbox, where the family has a habit. */
  readonly padValue: number | undefined
  readonly habit: Habit
  /** Boxes are decoded in the network: its heads would be better ends. */
  readonly decoded: boolean
}

interface Head {
  /** Pixels of the input per cell. */
  readonly stride: number
  readonly channels: number
}

interface Family {
  readonly name: string
  readonly kind: Detector['kind']
  /** One anchor list per stride. */
  readonly anchors: Readonly<Record<number, readonly number[]>>
  readonly padValue: number
  readonly others?: readonly string[]
  /** What the layers must hold, where shapes alone do not tell. */
  readonly layer?: string
  /** Number of classes that these anchors go with; other families may follow with the same shapes. */
  readonly classes?: number
}

/** YOLOv3's, which YOLOv5 kept. */
const cocoAnchors = {
  8: [10, 13, 16, 30, 33, 23],
  16: [30, 61, 62, 45, 59, 119],
  32: [116, 90, 156, 198, 373, 326],
}

/** The first that fits is it. Anchors of the networks as they were published; those of YOLOv2 are cells times 32. */
const families: readonly Family[] = [
  {
    name: 'YOLOv5',
    kind: 'yolov5',
    layer: 'SiLU',
    anchors: cocoAnchors,
    padValue: 114,
  },
  {
    name: 'YOLOv3',
    kind: 'yolov3',
    anchors: cocoAnchors,
    padValue: 128,
  },
  {
    name: 'tiny YOLOv3',
    kind: 'yolov3',
    anchors: { 16: [10, 14, 23, 27, 37, 58], 32: [81, 82, 135, 169, 344, 319] },
    padValue: 128,
    others: [
      "darknet's own tiny YOLOv3 has 23, 27, 37, 58, 81, 82 for the head of stride 16",
      'YOLO-Fastest 1.1 has 12, 18, 37, 49, 52, 132 (stride 16) and 115, 73, 119, 199, 242, 238 (stride 32)',
    ],
  },
  {
    name: 'YOLOv2 for VOC',
    kind: 'yolov2',
    classes: 20,
    anchors: { 32: cells([1.3221, 1.73145, 3.19275, 4.00944, 5.05587, 8.09892, 9.47112, 4.84053, 11.2364, 10.0071]) },
    padValue: 128,
    others: [
      `tiny YOLOv2 for VOC and YOLO-Lite have ${cells([1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52]).join(', ')}`,
    ],
  },
  {
    name: 'YOLOv2',
    kind: 'yolov2',
    anchors: {
      32: cells([0.57273, 0.677385, 1.87446, 2.06253, 3.33843, 5.47434, 7.88282, 3.52778, 9.77052, 9.16828]),
    },
    padValue: 128,
  },
]

/** Pixels from cells of stride 32, to a hundredth. */
function cells(sizes: readonly number[]): number[] {
  return sizes.map((size) => Math.round(3200 * size) / 100)
}

/** Before the classes: x, y, width, height, objectness. */
const fields = 5

/** Families with anchors first, then the forms without, unless such a form gives COCO's 80 classes: 144 channels are 64 + 80, not 3 x (5 + 43). */
export function guessNetwork(net: Net): Guess | undefined {
  const form = guessForm(net)
  return form?.classes === 80 ? form : (guessAnchors(net) ?? form)
}

function guessAnchors(net: Net): Guess | undefined {
  const heads = net.outputs.map((shape) => headOf(shape, net.input))
  if (heads.length === 0 || !heads.every((head) => head !== undefined)) return undefined
  const strides = heads.map(({ stride }) => stride)
  if (new Set(strides).size < strides.length) return undefined
  for (const family of families) {
    const known = Object.keys(family.anchors).map(Number)
    if (known.length !== strides.length || !strides.every((stride) => known.includes(stride))) continue
    // What decodes as YOLOv5 and v7 do is one of them, whatever its activations.
    if (net.decoded?.kind === 'yolov5' && family.kind !== 'yolov5') continue
    if (family.layer !== undefined && !net.decoded && !net.layers.has(family.layer)) continue
    const anchors = strides.map((stride) => family.anchors[stride]!)
    const counts = new Set(heads.map(({ channels }, index) => channels / (anchors[index]!.length / 2) - fields))
    const [classes] = counts
    if (counts.size > 1 || classes === undefined || classes < 1 || !Number.isInteger(classes)) continue
    if (family.classes !== undefined && family.classes !== classes) continue
    const perCell = anchors[0]!.length / 2
    return {
      kind: family.kind,
      because: `${family.name}: ${heads.length === 1 ? 'one head' : `${heads.length} heads`} of ${heads[0]!.channels} = ${perCell} anchors x (5 + ${classes} classes), stride ${strides.join(', ')}`,
      anchors,
      others: family.others ?? [],
      classes,
      padValue: family.padValue,
      habit: habits.usual,
      decoded: false,
    }
  }
  return undefined
}

/** A head by its shape: [n, channels, h, w], [n, h, w, channels] or [n, anchors, h, w, fields], with square cells of 8, 16 or 32 pixels. */
function headOf(shape: readonly number[], [, , height = 0, width = 0]: readonly number[]): Head | undefined {
  const [, d1 = 0, d2 = 0, d3 = 0, d4 = 0] = shape
  const layouts =
    shape.length === 4
      ? [
          { rows: d2, columns: d3, channels: d1 },
          { rows: d1, columns: d2, channels: d3 },
        ]
      : shape.length === 5
        ? [{ rows: d2, columns: d3, channels: d1 * d4 }]
        : []
  for (const { rows, columns, channels } of layouts) {
    const stride = height / rows
    if (stride === width / columns && [8, 16, 32].includes(stride)) return { stride, channels }
  }
  return undefined
}
