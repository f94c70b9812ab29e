/**
 * quant.yaml as the rest of the program sees it: nothing optional that has a default, shares as numbers, vendor spelling
 * turned into ours. Paths stay as written, relative to the file.
 */
import type { Preprocess } from '../ir/graph.js'
import type { Kind } from './kinds.js'
import type { Figure, QuantYaml } from './schema.js'

export type { Figure } from './schema.js'

export interface Config {
  readonly model: {
    readonly name: string
    readonly source: ModelSource
    /** Shapes NCHW. Empty: as the model says. */
    readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[]
    /** Empty: as the model says. */
    readonly outputs: readonly string[]
  }
  readonly preprocess: Preprocess
  /** Undefined only when no variant is INT8 and the file has no such section. */
  readonly calibration: Calibration | undefined
  readonly chip: 'bm1684x'
  /** In the order of the file. */
  readonly variants: readonly Variant[]
  readonly verify: Verify
  readonly store: StoreSettings
  readonly output: string
}

export interface StoreSettings {
  /** Undefined: in the state folder. */
  readonly path: string | undefined
  readonly remote: string | undefined
  readonly mode: 'read-only' | 'read-write'
  /** Seconds. */
  readonly timeout: number
}

export type ModelSource =
  | { readonly kind: 'file'; readonly path: string }
  /** `sha256` in lower case. */
  | { readonly kind: 'download'; readonly url: string; readonly sha256: string }

export interface Calibration {
  /** Folder or list file; undefined only when `table` is given. */
  readonly dataset: string | undefined
  /** 0: all. */
  readonly inputNum: number
  readonly method: 'kl' | 'max' | 'percentile' | 'mse' | 'best'
  /** Percent; for method percentile. */
  readonly percentile: number
  readonly tuneNum: number
  /** Scales between consecutive convs are evened out first, in the float graph. */
  readonly equalize: boolean
  /** Biases of 8-bit convs take the mean error of their filters and operands back. */
  readonly asymmetric: boolean
  readonly biasCorrection: boolean
  /** Use this table, calibrate nothing. */
  readonly table: string | undefined
}

export interface Variant {
  readonly name: string
  readonly quantize: 'F32' | 'F16' | 'BF16' | 'INT8'
  readonly mix: Mix | undefined
  /** Inputs and outputs of the .bmodel keep the type that the first and last layers work in; false: float32, cast on the chip. */
  readonly quantInput: boolean
  readonly quantOutput: boolean
}

export type Mix =
  /** Layers and modes come from this quantize table. */
  | { readonly kind: 'table'; readonly table: string }
  | {
      readonly kind: 'search'
      /** What float layers are computed in: each in one of these, the first is tried first. */
      readonly modes: readonly [FloatMode, ...FloatMode[]]
      readonly objective: 'detection' | 'sqnr' | 'cosine'
      /** Output -> how much it counts; undefined: by its size. */
      readonly weights: Readonly<Record<string, number>> | undefined
      readonly inputNum: number
      /** A share: 0.05 is 5%. */
      readonly minImprovement: number
      /** Infinity: no limit. */
      readonly maxFloatLayers: number
      readonly maxLatency: Latency | undefined
      readonly target: Target | undefined
      readonly pick: 'best' | { readonly layers: number } | Latency
      readonly order: 'best-first' | 'historical'
      /** ranked: every layer on the first pictures only. */
      readonly lossTable: 'ranked' | 'exhaustive'
    }

type FloatMode = 'F32' | 'F16' | 'BF16'

/** Microseconds, or a multiple of the all-INT8 time. */
export type Latency = { readonly microseconds: number } | { readonly times: number }

/** What is good enough: the search ends where the figure is at most the value. */
export interface Target {
  readonly figure: 'loss' | 'map50_drop' | 'map75_drop' | 'map_drop'
  readonly value: number
}

export interface Verify {
  readonly detector: Detector | undefined
  readonly classifier: Classifier | undefined
  /** Pictures or folders to draw on. */
  readonly images: readonly string[]
  readonly validation: Validation | undefined
  /** In the order of the file. */
  readonly require: readonly Requirement[]
}

export interface Detector {
  readonly kind: Kind
  /** Per output or grid: w, h, w, h ... in pixels of the input; undefined: none, the kind has none or the boxes are decoded. */
  readonly anchors: readonly (readonly number[])[] | undefined
  /** Per output; undefined for kinds that have none. */
  readonly scaleXY: readonly number[] | undefined
  /** Undefined: as the grids say. */
  readonly strides: readonly number[] | undefined
  readonly classes: Classes
  /** Undefined: by the form of the outputs. */
  readonly classScores: 'sigmoid' | 'softmax' | 'none' | undefined
  readonly score: number
  readonly iou: number
}

export interface Classifier {
  readonly classes: Exclude<Classes, { kind: 'known' }> | { readonly kind: 'count'; readonly count: number }
  /** So many of the best classes are looked at. */
  readonly top: number
}

export type Classes =
  | { readonly kind: 'known'; readonly name: 'coco' | 'voc' }
  | { readonly kind: 'list'; readonly names: readonly string[] }
  /** One name per line. */
  | { readonly kind: 'file'; readonly path: string }

export interface Validation {
  readonly images: string
  /** Folder of YOLO txt files, or a COCO json file; of a classifier a text file, or undefined: folders are called as classes. */
  readonly labels: string | undefined
  /** Label number per class; undefined: the class's own number. */
  readonly classMap: readonly number[] | undefined
}

/** A gate, e.g. map50_drop <= 0.01 for the variant `mix`. */
export interface Requirement {
  readonly variant: string
  readonly figure: Figure
  readonly compare: '>=' | '<=' | '>' | '<'
  readonly value: number
}

/** The channels of a picture in that format. */
export const channelsOf = (format: Preprocess['pixelFormat']): number => (format === 'gray' ? 1 : 3)

/** Fills in the defaults. Takes only what the schema has accepted and `contradictions` found nothing in. */
export function resolve(yaml: QuantYaml): Config {
  const { model, preprocess = {}, calibration, verify = {} } = yaml
  const pixelFormat = preprocess.pixel_format ?? 'bgr'
  const perChannel = (value: number) => Array.from({ length: channelsOf(pixelFormat) }, () => value)
  return {
    model: {
      name: model.name,
      source:
        model.url === undefined
          ? { kind: 'file', path: model.path! }
          : { kind: 'download', url: model.url, sha256: model.sha256!.toLowerCase() },
      inputs: Object.entries(model.inputs ?? {}).map(([name, shape]) => ({ name, shape })),
      outputs: model.outputs ?? [],
    },
    preprocess: {
      pixelFormat,
      mean: preprocess.mean ?? perChannel(0),
      scale: preprocess.scale ?? perChannel(1),
      keepAspectRatio: preprocess.keep_aspect_ratio ?? false,
      padValue: preprocess.pad_value ?? 0,
      padType: preprocess.pad_type ?? 'center',
    },
    calibration: calibration && {
      dataset: calibration.dataset,
      inputNum: calibration.input_num ?? 0,
      method: calibration.method ?? 'kl',
      percentile: calibration.percentile ?? 99.99,
      tuneNum: calibration.tune_num ?? 5,
      equalize: calibration.equalize ?? false,
      asymmetric: calibration.asymmetric ?? false,
      biasCorrection: calibration.bias_correction ?? false,
      table: calibration.table,
    },
    chip: yaml.target?.chip ?? 'bm1684x',
    variants: Object.entries(variantsOf(yaml)).map(([name, { quantize, mix, quant_input, quant_output }]) => ({
      name,
      quantize,
      mix: mix && resolveMix(mix, verify.detector !== undefined),
      quantInput: quant_input ?? false,
      quantOutput: quant_output ?? false,
    })),
    verify: {
      detector: verify.detector && resolveDetector(verify.detector),
      classifier: verify.classifier && {
        classes: classifierClasses(verify.classifier.classes),
        top: verify.classifier.top ?? 5,
      },
      images: verify.images ?? [],
      validation: verify.validation && {
        images: verify.validation.images,
        labels: verify.validation.labels,
        classMap: verify.validation.class_map,
      },
      require: Object.entries(verify.require ?? {}).flatMap(([variant, figures]) =>
        Object.entries(figures).map(([figure, text]) => ({ variant, figure: figure as Figure, ...condition(text) })),
      ),
    },
    store: {
      path: yaml.store?.path,
      remote: yaml.store?.remote,
      mode: yaml.store?.mode ?? 'read-only',
      timeout: yaml.store?.timeout ?? 5,
    },
    output: yaml.output ?? 'build',
  }
}

type VariantYaml = NonNullable<QuantYaml['variants']>[string]

/** The variants of the file, or those that are made when it names none. */
export const variantsOf = (yaml: QuantYaml): Record<string, VariantYaml> =>
  yaml.variants ?? { int8: { quantize: 'INT8' }, mix: { quantize: 'INT8', mix: {} } }

function resolveMix(mix: NonNullable<VariantYaml['mix']>, detector: boolean): Mix {
  if (mix.table !== undefined) return { kind: 'table', table: mix.table }
  const [target] = Object.entries(mix.target ?? {})
  const { mode = 'F32', max_latency, pick = 'best', order = 'best-first' } = mix
  return {
    kind: 'search',
    modes: mode === 'auto' ? ['F16', 'BF16', 'F32'] : [mode],
    objective: mix.objective ?? (detector ? 'detection' : 'sqnr'),
    weights: mix.weights,
    inputNum: mix.input_num ?? 10,
    minImprovement: number(mix.min_improvement ?? (target ? 0.01 : 0.05)),
    maxFloatLayers: mix.max_float_layers ?? (target || max_latency !== undefined ? Infinity : 5),
    maxLatency: max_latency === undefined ? undefined : latency(max_latency),
    target: target && { figure: target[0] as Target['figure'], value: number(target[1]) },
    pick: pick === 'best' ? pick : typeof pick === 'number' ? { layers: pick } : latency(pick),
    order,
    // That rule looks at the table and at nothing else.
    lossTable: mix.loss_table ?? (order === 'historical' ? 'exhaustive' : 'ranked'),
  }
}

/** '1.3x', '80us', '0.08 ms' */
function latency(text: string): Latency {
  const [, value, unit] = /^([0-9.]+) ?(us|ms|x)$/.exec(text)!
  if (unit === 'x') return { times: Number(value) }
  return { microseconds: unit === 'us' ? Number(value) : Number(`${value}e3`) }
}

function resolveDetector(detector: NonNullable<NonNullable<QuantYaml['verify']>['detector']>): Detector {
  const { kind, anchors, class_scores } = detector
  return {
    kind,
    anchors,
    scaleXY: detector.scale_x_y,
    strides: detector.strides,
    classes: classesOf(detector.classes),
    // Heads with anchors have one form only.
    classScores: class_scores ?? (kind === 'yolov2' ? 'softmax' : anchors && kind !== 'ssd' ? 'sigmoid' : undefined),
    score: detector.score ?? 0.5,
    iou: detector.iou ?? 0.5,
  }
}

function classifierClasses(classes: number | string | readonly string[]): Classifier['classes'] {
  if (typeof classes === 'number') return { kind: 'count', count: classes }
  return typeof classes === 'string' ? { kind: 'file', path: classes } : { kind: 'list', names: classes }
}

export function classesOf(classes: string | readonly string[]): Classes {
  if (typeof classes !== 'string') return { kind: 'list', names: classes }
  return classes === 'coco' || classes === 'voc' ? { kind: 'known', name: classes } : { kind: 'file', path: classes }
}

function condition(text: string): Pick<Requirement, 'compare' | 'value'> {
  const [, compare, value] = /^([<>]=?)\s*(.*)$/.exec(text)!
  return { compare: compare as Requirement['compare'], value: number(value!) }
}

/** '5%' is 0.05: the decimal point moves before the text becomes a double, so no digit is lost by dividing. */
function number(text: number | string): number {
  if (typeof text === 'number') return text
  return text.endsWith('%') ? Number(`${text.slice(0, -1)}e-2`) : Number(text)
}
