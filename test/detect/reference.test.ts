/** Real detectors and photos, our own example: decoded detections and mAP against published figures. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { classLists } from '../../src/detect/classes.js'
import { detect } from '../../src/detect/detect.js'
import { readYoloLabels, stem } from '../../src/detect/labels.js'
import { type Judged, meanPrecision } from '../../src/detect/map.js'
import type { DetectorSpec } from '../../src/detect/types.js'
import type { Preprocess, Tensor } from '../../src/ir/graph.js'
import type { Fit } from '../../src/preprocess/letterbox.js'
import { loadSample } from '../../src/preprocess/sample.js'
import { openSession } from '../../src/runtime/session.js'
import { shared } from '../shared.js'

interface Detector {
  readonly model: readonly string[]
  readonly input: string
  readonly size: number
  readonly preprocess: Preprocess
  readonly spec: DetectorSpec
}

const stretch: Preprocess = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [1 / 255, 1 / 255, 1 / 255],
  keepAspectRatio: false,
  padValue: 0,
  padType: 'center',
}
const liteAnchors = [[1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52].map((cells) => cells * 32)]
const lite = { kind: 'yolov2', anchors: liteAnchors, classScores: 'softmax', iou: 0.45 } as const

const detectors = {
  'yolo-lite-coco': {
    model: ['zoo', 'models', 'yolo-lite-coco.onnx'],
    input: 'data',
    size: 224,
    preprocess: stretch,
    spec: { ...lite, classes: classLists.coco },
  },
  'yolo-lite-voc-bn': {
    model: ['zoo', 'models', 'yolo-lite-voc-bn.onnx'],
    input: 'data',
    size: 224,
    preprocess: stretch,
    spec: { ...lite, classes: classLists.voc },
  },
  'yolo-fastest-1.1': {
    model: ['zoo', 'models', 'yolo-fastest-1.1.onnx'],
    input: 'data',
    size: 320,
    preprocess: stretch,
    spec: {
      kind: 'yolov3',
      anchors: [
        [115, 73, 119, 199, 242, 238],
        [12, 18, 37, 49, 52, 132],
      ],
      classes: classLists.coco,
      classScores: 'sigmoid',
      iou: 0.45,
    },
  },
  yolov5n: {
    model: ['zoo', 'models', 'yolov5n.onnx'],
    input: 'images',
    size: 640,
    preprocess: { ...stretch, keepAspectRatio: true, padValue: 114 },
    spec: {
      kind: 'yolov5',
      anchors: [
        [10, 13, 16, 30, 33, 23],
        [30, 61, 62, 45, 59, 119],
        [116, 90, 156, 198, 373, 326],
      ],
      classes: classLists.coco,
      classScores: 'sigmoid',
      iou: 0.6,
    },
  },
  street: {
    model: ['example', 'model', 'street-tiny.onnx'],
    input: 'input_1',
    size: 256,
    preprocess: { ...stretch, keepAspectRatio: true, padValue: 128 },
    spec: {
      kind: 'yolov3',
      anchors: [
        [19, 40, 40, 29, 76, 59],
        [7, 17, 11, 26, 19, 16],
      ],
      classes: ['person', 'car', 'bus', 'bicycle', 'traffic light'],
      classScores: 'sigmoid',
      iou: 0.45,
    },
  },
} satisfies Record<string, Detector>

interface Run {
  readonly file: string
  readonly outputs: Tensor[]
  readonly fit: Fit
}

async function run({ model, input, size, preprocess }: Detector, files: readonly string[]): Promise<Run[]> {
  const path = shared(...model)!
  const session = await openSession(readFileSync(path), path)
  const runs: Run[] = []
  for (const file of files) {
    const { feeds, fit } = await loadSample(readFileSync(file), file, [
      { name: input, shape: [1, 3, size, size], preprocess },
    ])
    runs.push({ file, outputs: [...(await session.run(feeds)).values()], fit: fit! })
  }
  await session.release()
  return runs
}

const boxesOf = ({ spec, size }: Detector, { outputs, fit }: Run, score: number) =>
  detect(outputs, spec, { inputShape: [1, 3, size, size], fit, score })

/** `class score x0 y0 x1 y1` a line. */
function listed(detector: Detector, result: Run, score: number): (string | number)[][] {
  return boxesOf(detector, result, score).map((box) => [
    detector.spec.classes[box.classId]!.replace(' ', '_'),
    box.score,
    box.x0,
    box.y0,
    box.x1,
    box.y1,
  ])
}

function expected(text: string): unknown[][] {
  const rows = text.trim().split('\n')
  return rows.map((row) => {
    const [name, score, ...corners] = row.trim().split(/\s+/)
    return [
      name,
      expect.toSatisfy((got: number) => Math.abs(got - Number(score)) < 0.002),
      ...corners.map((corner) => expect.toSatisfy((got: number) => Math.abs(got - Number(corner)) < 0.5)),
    ]
  })
}

const LISTED: [keyof typeof detectors, string, number, string][] = [
  [
    'yolo-lite-coco',
    '000000000885',
    0.5,
    `tennis_racket 0.908 356.8 240.3 445.6 300.7
     person 0.907 258.9 150.4 425.4 382.1
     sports_ball 0.759 234.6 204.5 267.7 234.7
     person 0.708 492.0 4.4 532.1 15.7
     person 0.622 593.1 13.8 619.5 35.0`,
  ],
  [
    'yolo-lite-voc-bn',
    '000000124798',
    0.3,
    `car 0.892 548.3 324.7 622.2 377.5
     car 0.865 19.8 281.3 103.9 371.8
     car 0.830 475.0 330.4 534.8 364.0
     car 0.690 376.5 307.2 455.5 353.9
     car 0.539 79.5 288.9 153.8 361.6
     bus 0.537 288.2 282.6 370.1 355.5
     car 0.488 556.4 334.0 624.9 422.1`,
  ],
  [
    'yolo-fastest-1.1',
    '000000124798',
    0.3,
    `car 0.843 533.7 308.6 592.3 342.2
     car 0.814 557.3 322.9 640.0 420.4
     bus 0.740 197.5 241.7 381.9 368.8
     car 0.667 398.0 295.6 481.1 356.8
     car 0.651 17.3 286.4 143.4 376.0
     car 0.620 501.3 311.4 544.7 340.9
     car 0.584 478.0 312.8 515.8 339.6
     truck 0.388 8.9 285.1 157.2 370.0
     bus 0.387 8.9 285.1 157.2 370.0
     car 0.343 588.1 304.6 635.1 407.3
     car 0.325 572.0 314.3 604.0 344.8
     truck 0.323 398.0 295.6 481.1 356.8`,
  ],
  // 640 wide: the letterbox neither scales nor rounds, so every rule gives the same input.
  [
    'yolov5n',
    '000000124798',
    0.3,
    `bus 0.879 166.3 236.3 400.5 365.0
     car 0.826 576.4 312.2 639.0 421.8
     car 0.721 496.7 314.2 530.9 338.1
     car 0.711 44.8 298.6 137.4 369.2
     car 0.693 546.3 313.0 589.0 344.7
     car 0.656 408.3 298.9 474.4 354.4
     car 0.636 470.7 313.8 495.6 336.2
     car 0.577 0.1 290.0 54.2 374.2
     car 0.549 529.3 313.3 546.3 335.5
     traffic_light 0.529 528.6 135.7 544.3 164.7
     person 0.438 246.7 268.7 271.2 296.2
     truck 0.358 0.0 290.1 53.1 374.3`,
  ],
]

describe('a real detector finds on a photo what is published', () => {
  for (const [name, photo, score, lines] of LISTED) {
    const detector: Detector = detectors[name]
    const file = shared('zoo', 'images', 'coco100', `${photo}.jpg`)
    it.skipIf(!file || !shared(...detector.model))(`${name}, ${photo}`, async () => {
      const [result] = await run(detector, [file!])
      expect(listed(detector, result!, score)).toEqual(expected(lines))
    })
  }
})

function judge(
  detector: Detector,
  runs: readonly Run[],
  labels: string,
  change = (fit: Fit): Fit => fit,
  classMap?: readonly number[],
): Judged[] {
  return runs.map((result) => {
    const file = join(labels, `${stem(result.file)}.txt`)
    const truth = readYoloLabels(readFileSync(file, 'utf8'), file, result.fit, detector.spec.classes, classMap)
    return { found: boxesOf(detector, { ...result, fit: change(result.fit) }, 0.001), truth }
  })
}

const picturesIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))

describe('mean average precision on 88 photos is the published one', () => {
  const photos = shared('zoo', 'images', 'coco128', 'images')
  const labels = shared('zoo', 'images', 'coco128', 'labels')
  const absent = !photos || !labels || !shared(...detectors['yolo-lite-coco'].model)

  it.skipIf(absent)('yolo-lite-coco', async () => {
    const detector = detectors['yolo-lite-coco']
    const runs = await run(detector, picturesIn(photos!))
    const { map50 } = meanPrecision(judge(detector, runs, labels!), 80)
    expect(map50).toBeCloseTo(0.1762, 4)
  })

  it.skipIf(absent)('yolo-lite-voc-bn, 20 of the 80 classes by a class map', async () => {
    const detector = detectors['yolo-lite-voc-bn']
    const classMap = [4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62]
    const runs = await run(detector, picturesIn(photos!))
    const { map50 } = meanPrecision(judge(detector, runs, labels!, undefined, classMap), 20)
    expect(map50).toBeCloseTo(0.2336, 4)
  })
})

describe('our own example', () => {
  const demo = shared('example', 'demo')
  const images = shared('example', 'validation', 'images')
  const labels = shared('example', 'validation', 'labels')

  it.skipIf(!demo)('shows the detections of its page', async () => {
    const runs = await run(detectors.street, picturesIn(demo!))
    const [day, dusk, night] = runs.map((result) => listed(detectors.street, result, 0.5))
    expect(day).toEqual(
      expected(`bicycle 1.000 174.0 222.6 217.2 262.2
        car 1.000 267.9 219.5 430.4 347.6
        bicycle 0.995 370.1 197.5 416.5 225.1
        bus 0.986 242.2 148.3 311.5 203.3
        person 0.976 383.5 175.2 402.9 226.2
        traffic_light 0.974 290.4 95.7 301.9 120.9
        car 0.955 0.0 216.5 83.0 297.7
        bus 0.901 8.2 147.5 122.4 261.4
        person 0.852 187.7 195.8 206.0 256.4`),
    )
    expect(dusk).toEqual(
      expected(`bicycle 0.999 82.5 228.6 113.5 259.1
        car 0.999 349.0 214.6 452.1 282.8
        traffic_light 0.999 20.1 137.4 48.1 207.6
        bicycle 0.997 226.5 283.9 280.2 343.9
        traffic_light 0.990 465.9 140.3 479.9 202.7
        bicycle 0.936 161.2 258.9 240.6 315.5
        person 0.587 230.3 239.0 262.8 346.5
        person 0.578 175.1 243.6 229.0 313.3`),
    )
    expect(night).toEqual(
      expected(`traffic_light 0.986 43.4 123.6 70.3 186.9
        car 0.980 346.2 186.2 379.2 216.9
        bus 0.874 40.2 172.1 247.6 325.0
        car 0.616 6.0 244.0 144.4 360.0
        bicycle 0.522 386.9 248.2 442.7 307.1`),
    )
  })

  it.skipIf(!images || !labels)('has the precision of its page, as the area under the curve', async () => {
    const runs = await run(detectors.street, picturesIn(images!))
    expect(runs).toHaveLength(60)
    // The page maps boxes back by one scale for both axes, as if the letterbox had not cut the height to whole pixels.
    const oneScale = (fit: Fit): Fit => ({ ...fit, scaleX: 256 / fit.width, scaleY: 256 / fit.width })
    const asPublished = meanPrecision(judge(detectors.street, runs, labels!, oneScale), 5)
    expect(asPublished.classes.map(({ objects }) => objects)).toEqual([138, 115, 38, 64, 60])
    const published = [0.5832, 0.9088, 0.9057, 0.7558, 0.9428]
    for (const [i, { area50 }] of asPublished.classes.entries()) expect(area50).toBeCloseTo(published[i]!, 4)
    expect(asPublished.area50).toBeCloseTo(0.8193, 4)
    // With the scales of both axes, 0.001 less.
    const own = meanPrecision(judge(detectors.street, runs, labels!), 5)
    expect(own.area50).toBeCloseTo(0.8183, 3)
  })
})
