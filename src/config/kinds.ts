/**
 * The kinds of detectors, and which settings of `verify.detector` each has beside those that all have. One table: the schema, the
 * contradictions and the list in quant.yaml.example come from it. `must`: it cannot do without; `may`: it has a default.
 */
export interface DetectorKind {
  /** What the outputs are, and how a box is read, in one line. */
  readonly reads: string
  readonly settings: Readonly<Partial<Record<KindSetting, 'must' | 'may'>>>
  /** `anchors` has a list per output, in their order; else per grid, the finest first. */
  readonly anchorsPerOutput?: true
}

export type KindSetting = (typeof kindSettings)[number]

export const kindSettings = ['anchors', 'scale_x_y', 'class_scores', 'strides'] as const

export const detectorKinds = {
  yolov2: {
    reads: 'a head per output, a * (5 + classes) numbers per cell; YOLO-Lite',
    settings: { anchors: 'must', class_scores: 'may' },
    anchorsPerOutput: true,
  },
  yolov3: {
    reads: 'the same with sigmoid; YOLO-Fastest',
    settings: { anchors: 'must', class_scores: 'may' },
    anchorsPerOutput: true,
  },
  yolov4: {
    reads: 'the same with centres that may leave their cells',
    settings: { anchors: 'must', scale_x_y: 'must', class_scores: 'may' },
    anchorsPerOutput: true,
  },
  yolov5: {
    reads: 'its heads; without anchors the one output [1, n, 5 + classes] that is decoded, of any YOLO',
    settings: { anchors: 'may', class_scores: 'may' },
    anchorsPerOutput: true,
  },
  yolov7: {
    reads: 'as yolov5',
    settings: { anchors: 'may', class_scores: 'may' },
    anchorsPerOutput: true,
  },
  yolov8: {
    reads: 'per grid 4 * bins + classes (also of YOLOv11), or the one output [1, 4 + classes, n] that is decoded',
    settings: { class_scores: 'may', strides: 'may' },
  },
  yolox: {
    reads: 'per grid 5 + classes, or the one output [1, n, 5 + classes] whose boxes are not decoded',
    settings: { class_scores: 'may', strides: 'may' },
  },
  nanodet: {
    reads: 'per grid classes + 4 * bins, or the one output [1, n, classes + 4 * bins]',
    settings: { class_scores: 'may', strides: 'may' },
  },
  'nanodet-plus': {
    reads: 'the same, counted from the corner of the cell',
    settings: { class_scores: 'may', strides: 'may' },
  },
  ssd: {
    reads: 'scores, background first, and boxes: corners, 0 to 1; with anchors offsets to them; UltraFace',
    settings: { anchors: 'may', class_scores: 'may', strides: 'may' },
  },
  blazeface: { reads: 'regressors [1, 896, 16] and logits [1, 896, 1]', settings: {} },
  fastestdet: { reads: 'one grid: objectness, box, classes', settings: { class_scores: 'may' } },
  'yolo-fastestv2': {
    reads: 'per grid a box and an objectness for each anchor, and classes for all of them',
    settings: { anchors: 'must', class_scores: 'may', strides: 'may' },
  },
} as const satisfies Record<string, DetectorKind>

export type Kind = keyof typeof detectorKinds

/** Their names, in the order of the table. */
export const kindNames = Object.keys(detectorKinds) as Kind[]

/** @returns for `detector.kind`, as quant.yaml.example shows it: a line per kind with what it reads and its settings, a `*` at those it needs */
export function kindLines(): string[] {
  const longest = Math.max(...kindNames.map((name) => name.length))
  return kindNames.map((name) => {
    const { reads, settings }: DetectorKind = detectorKinds[name]
    const has = Object.entries(settings).map(([setting, need]) => (need === 'must' ? `${setting}*` : setting))
    return `${name.padEnd(longest)}  ${reads}${has.length > 0 ? ` (${has.join(', ')})` : ''}`
  })
}

/** The kinds that have a setting, for messages. */
export const kindsWith = (setting: KindSetting): Kind[] =>
  kindNames.filter((name) => setting in detectorKinds[name].settings)
