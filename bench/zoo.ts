/**
 * What is left of each network of the zoo (test/shared.ts) and of the example after quantization: by every way to calibrate, and with the
 * layers in F16 that the search keeps.
 *
 *     npm run bench zoo                            all, half an hour and more; rows as they come on the error output, the table at the end
 *     npm run bench zoo yolo-fastest street        only these
 *     npx tsx bench/zoo.ts --json > FILE           figures instead of the table (dist/ must be built: `npm run setup`)
 *
 * Pictures that calibrate and that are searched on (coco100, the first 10 of them) never judge (coco128: 88 labelled photos; faces, classes and
 * random weights: agreement with the float network there and on `misc`). The example has sets of its own.
 *
 * Projects and their store stay in the folder `quant-zoo` of temporary files: a run that was killed goes on, another one has little to do.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { artifactsIn } from '../src/commands/artifacts.js'
import { table } from '../src/show/table.js'
import { readResults } from '../src/stages/results.js'
import type { Figures } from '../src/stages/verification.js'
import { shared, yolov3Tiny } from '../test/shared.js'
import { example } from './networks.js'
import { program } from './project.js'

const home = join(tmpdir(), 'quant-zoo')

/** The parts of a quant.yaml in which networks differ. */
interface Project {
  readonly model: Readonly<Record<string, unknown>>
  readonly preprocess: Readonly<Record<string, unknown>>
  readonly verify: Readonly<Record<string, unknown>>
  /** Folder of pictures that calibrate. */
  readonly dataset: string
}

interface Row extends Partial<Omit<Figures, 'classes'>> {
  readonly network: string
  readonly variant: string
  readonly float_layers?: number
  /** Estimated. */
  readonly microseconds?: number
  /** Of the time of INT8 with the same thresholds. */
  readonly ratio?: number
}

/** The search goes with the last, the default. */
const methods = ['max', 'mse', 'best', 'kl'] as const
const search = { mode: 'F16', min_improvement: '1%', max_latency: '1.5x' }

const args = process.argv.slice(2)
const wanted = args.filter((arg) => arg !== '--json' && arg !== '')
const all = projects()
const unknown = wanted.filter((name) => !(name in all))
if (unknown.length > 0) {
  console.error(`no network \`${unknown[0]}\`; there are ${Object.keys(all).join(', ')}`)
  process.exit(2)
}
const chosen = Object.entries(all).filter(([name]) => wanted.length === 0 || wanted.includes(name))
const rows = chosen.flatMap(([name, project]) => measured(name, project))
console.log(args.includes('--json') ? JSON.stringify(rows, undefined, 2) : shown(rows))

/** The rows of a network: float, INT8 by each method, and mixed on the thresholds of the default method. */
function measured(network: string, project: Project): Row[] {
  const objectives = 'classifier' in project.verify ? ['sqnr'] : ['sqnr', 'detection']
  const found: Row[] = []
  for (const method of methods) {
    const mixed = method === 'kl' ? objectives : []
    const results = built(`${network}-${method}`, project, {
      calibration: { dataset: project.dataset, method },
      variants: {
        int8: { quantize: 'INT8' },
        ...Object.fromEntries(
          mixed.map((objective) => [`by_${objective}`, { quantize: 'INT8', mix: { ...search, objective } }]),
        ),
      },
    })
    if (!results) continue
    const { variants } = results
    const row = (variant: string, name: string): Row => {
      const { figures, microseconds } = variants[name]!
      const { classes: _, ...rest } = figures!
      const layers = results.chosen[mixed.length > 1 ? name : '']?.layers
      return {
        network,
        variant,
        ...rest,
        ...(name.startsWith('by_') ? { float_layers: Object.keys(layers!).length } : {}),
        ...(microseconds === undefined ? {} : { microseconds, ratio: microseconds / variants.int8!.microseconds! }),
      }
    }
    const made = [
      ...(method === methods[0] ? [row('float', 'float')] : []),
      row(`INT8 ${method}`, 'int8'),
      ...mixed.map((objective) => row(`F16 by ${objective}`, `by_${objective}`)),
    ]
    process.stderr.write(`${shown(made)}\n`)
    found.push(...made)
  }
  return found
}

/** Builds a project, or finds it built. A build that fails is told and ends the whole with 1, but not at once. */
function built(name: string, { model, preprocess, verify }: Project, rest: object): ReturnType<typeof readResults> {
  const folder = join(home, name)
  mkdirSync(folder, { recursive: true })
  // JSON is YAML. Written only where it is other, so that nothing looks changed.
  const yaml = `${JSON.stringify({ model, preprocess, ...rest, verify }, undefined, 2)}\n`
  const file = join(folder, 'quant.yaml')
  if (!existsSync(file) || readFileSync(file, 'utf8') !== yaml) writeFileSync(file, yaml)
  const begun = performance.now()
  const { status, stderr, stdout } = spawnSync(process.execPath, [program, 'build', '-C', folder], {
    encoding: 'utf8',
    env: { ...process.env, QUANT_STORE: join(home, 'store'), NO_COLOR: '1' },
  })
  process.stderr.write(`\n${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s\n`)
  if (status === 0) return readResults(artifactsIn(join(folder, 'build')))
  process.stderr.write(`${stdout}${stderr}`)
  process.exitCode = 1
  return undefined
}

function shown(rows: readonly Row[]): string {
  const fixed = (value: number | null | undefined, digits: number): string => value?.toFixed(digits) ?? '-'
  const columns: readonly [title: string, cell: (row: Row) => string][] = [
    ['network', ({ network }) => network],
    ['', ({ variant }) => variant],
    ['mAP@0.5', ({ map50 }) => fixed(map50, 4)],
    ['0.5:0.95', ({ map }) => fixed(map, 4)],
    ['boxes', ({ matched, missed }) => fixed(matched === undefined ? undefined : matched + missed!, 0)],
    ['recall', ({ recall, variant }) => (variant === 'float' ? '-' : fixed(recall, 4))],
    ['extra', ({ extra, variant }) => (variant === 'float' ? '-' : fixed(extra, 0))],
    ['score diff', ({ score_difference, variant }) => (variant === 'float' ? '-' : fixed(score_difference, 4))],
    ['top-1', ({ top1_agreement }) => fixed(top1_agreement, 3)],
    ['top-5', ({ topk_agreement }) => fixed(topk_agreement, 3)],
    ['SQNR dB', ({ sqnr }) => fixed(sqnr, 2)],
    ['float layers', ({ float_layers }) => fixed(float_layers, 0)],
    ['chip us', ({ microseconds }) => fixed(microseconds, 1)],
    ['of INT8', ({ ratio }) => (ratio === undefined ? '-' : `${ratio.toFixed(2)}x`)],
  ]
  return table([columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))], {
    align: 'llrrrrrrrrrrrr',
  })
}

/** Quick ones first. Settings are those of the zoo's README. */
function projects(): Record<string, Project> {
  const unit = [0.0039216, 0.0039216, 0.0039216]
  const photos = shared('zoo', 'images')
  const street: Project = {
    model: {
      name: 'street',
      path: join(example, 'model/street-tiny.onnx'),
      inputs: { input_1: [1, 3, 256, 256] },
      outputs: ['transpose_output1', 'transpose_output'],
    },
    preprocess: { pixel_format: 'rgb', scale: unit, keep_aspect_ratio: true, pad_value: 128 },
    dataset: join(example, 'calibration'),
    verify: {
      detector: {
        kind: 'yolov3',
        anchors: [
          [19, 40, 40, 29, 76, 59],
          [7, 17, 11, 26, 19, 16],
        ],
        classes: join(example, 'classes.txt'),
        iou: 0.45,
      },
      images: [join(example, 'demo')],
      validation: { images: join(example, 'validation/images'), labels: join(example, 'validation/labels') },
    },
  }
  if (photos === undefined) return { street }

  const dataset = join(photos, 'coco100')
  const judges = join(photos, 'coco128/images')
  const stretched = { pixel_format: 'rgb', scale: unit }
  const letterbox = (pad_value: number) => ({ ...stretched, keep_aspect_ratio: true, pad_value })
  const onnx = (name: string) => ({ name: 'network', path: shared('zoo', 'models', `${name}.onnx`)! })
  const labelled = (detector: object, classMap?: readonly number[]) => ({
    detector,
    images: ['000000000009', '000000000042', '000000000074'].map((name) => join(judges, `${name}.jpg`)),
    validation: {
      images: judges,
      labels: join(photos, 'coco128/labels'),
      ...(classMap ? { class_map: classMap } : {}),
    },
  })
  const agreeing = (how: object) => ({ ...how, images: [judges, join(photos, 'misc')] })
  const face = { classes: ['face'], iou: 0.3 }
  const rfb = onnx('version-RFB-320')
  const rfbInput = { pixel_format: 'rgb', mean: [127, 127, 127], scale: [0.0078125, 0.0078125, 0.0078125] }
  const lite = {
    kind: 'yolov2',
    anchors: [[1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52].map((cells) => 32 * cells)],
    iou: 0.45,
  }
  const v5 = {
    kind: 'yolov5',
    anchors: [
      [10, 13, 16, 30, 33, 23],
      [30, 61, 62, 45, 59, 119],
      [116, 90, 156, 198, 373, 326],
    ],
    classes: 'coco',
    iou: 0.6,
  }
  const voc = [4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62]
  return {
    street,
    blazeface: {
      model: onnx('blazeface'),
      preprocess: {
        pixel_format: 'rgb',
        mean: [127.5, 127.5, 127.5],
        scale: [0.00784314, 0.00784314, 0.00784314],
        keep_aspect_ratio: true,
        pad_value: 0,
      },
      dataset,
      verify: agreeing({ detector: { kind: 'blazeface', ...face, score: 0.75 } }),
    },
    'squeezenet1.1': {
      model: onnx('squeezenet1.1'),
      preprocess: { pixel_format: 'bgr', mean: [104, 117, 123] },
      dataset,
      verify: agreeing({ classifier: { classes: 1000 } }),
    },
    'yolo-lite-coco': {
      model: onnx('yolo-lite-coco'),
      preprocess: stretched,
      dataset,
      verify: labelled({ ...lite, classes: 'coco' }),
    },
    'yolo-lite-voc-bn': {
      model: onnx('yolo-lite-voc-bn'),
      preprocess: stretched,
      dataset,
      verify: labelled({ ...lite, classes: 'voc' }, voc),
    },
    'RFB-320-heads': {
      model: { ...rfb, outputs: ['317', '331', '363', '377', '403', '417', '435', '447'] },
      preprocess: rfbInput,
      dataset,
      verify: agreeing({
        detector: {
          kind: 'ssd',
          anchors: [
            [10, 10, 16, 16, 24, 24],
            [32, 32, 48, 48],
            [64, 64, 96, 96],
            [128, 128, 192, 192, 256, 256],
          ],
          ...face,
          score: 0.6,
        },
      }),
    },
    'RFB-320': {
      model: rfb,
      preprocess: rfbInput,
      dataset,
      verify: agreeing({ detector: { kind: 'ssd', ...face, score: 0.6 } }),
    },
    'yolo-fastest': {
      model: onnx('yolo-fastest-1.1'),
      preprocess: stretched,
      dataset,
      verify: labelled({
        kind: 'yolov3',
        anchors: [
          [115, 73, 119, 199, 242, 238],
          [12, 18, 37, 49, 52, 132],
        ],
        classes: 'coco',
        iou: 0.45,
      }),
    },
    'yolov5n-320': { model: onnx('yolov5n-320'), preprocess: letterbox(114), dataset, verify: labelled(v5) },
    'yolov3-tiny-rand': {
      model: { name: 'network', path: random() },
      preprocess: letterbox(128),
      dataset,
      verify: agreeing({
        detector: {
          kind: 'yolov3',
          anchors: [
            [81, 82, 135, 169, 344, 319],
            [23, 27, 37, 58, 81, 82],
          ],
          classes: 'coco',
        },
      }),
    },
    yolov5n: { model: onnx('yolov5n'), preprocess: letterbox(114), dataset, verify: labelled(v5) },
  }
}

/** The full YOLOv3-tiny, whose weights nobody trained. */
function random(): string {
  const path = join(home, 'yolov3_tiny.onnx')
  mkdirSync(home, { recursive: true })
  if (!existsSync(path)) writeFileSync(path, yolov3Tiny())
  return path
}
