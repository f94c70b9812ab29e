/**
 * quant.yaml as the rest of the program sees it: nothing optional that has a default, shares as numbers, vendor spelling
 * turned into ours. Paths stay as written, relative to the file.
 */
import type { Preprocess } from '../ir/graph.js'
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
  readonly output: string
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
  readonly method: 'kl' | 'max' | 'percentile' | 'mse'
  /** Percent; for method percentile. */
  readonly percentile: number
  readonly tuneNum: number
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
      readonly mode: 'F32' | 'F16' | 'BF16'
      readonly inputNum: number
      /** A share: 0.05 is 5%. */
      readonly minImprovement: number
      readonly maxFloatLayers: number
    }

export interface Verify {
  readonly detector: Detector | undefined
  /** Pictures or folders to draw on. */
  readonly images: readonly string[]
  readonly validation: Validation | undefined
  /** In the order of the file. */
  readonly require: readonly Requirement[]
}

export interface Detector {
  readonly kind: 'yolov3' | 'yolov2' | 'yolov5'
  /** Per output: w, h, w, h ... in pixels of the input. */
  readonly anchors: readonly (readonly number[])[]
  readonly classes: Classes
  readonly classScores: 'sigmoid' | 'softmax'
  readonly score: number
  readonly iou: number
}

export type Classes =
  | { readonly kind: 'known'; readonly name: 'coco' | 'voc' }
  | { readonly kind: 'list'; readonly names: readonly string[] }
  /** One name per line. */
  | { readonly kind: 'file'; readonly path: string }

export interface Validation {
  readonly images: string
  /** Folder of YOLO txt files, or a COCO json file. */
  readonly labels: string
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
      table: calibration.table,
    },
    chip: yaml.target?.chip ?? 'bm1684x',
    variants: Object.entries(variantsOf(yaml)).map(([name, { quantize, mix, quant_input, quant_output }]) => ({
      name,
      quantize,
      mix: mix && resolveMix(mix),
      quantInput: quant_input ?? false,
      quantOutput: quant_output ?? false,
    })),
    verify: {
      detector: verify.detector && resolveDetector(verify.detector),
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
    output: yaml.output ?? 'build',
  }
}

type VariantYaml = NonNullable<QuantYaml['variants']>[string]

/** The variants of the file, or those that are made when it names none. */
export const variantsOf = (yaml: QuantYaml): Record<string, VariantYaml> =>
  yaml.variants ?? { int8: { quantize: 'INT8' }, mix: { quantize: 'INT8', mix: {} } }

function resolveMix(mix: NonNullable<VariantYaml['mix']>): Mix {
  if (mix.table !== undefined) return { kind: 'table', table: mix.table }
  return {
    kind: 'search',
    mode: mix.mode ?? 'F32',
    inputNum: mix.input_num ?? 10,
    minImprovement: number(mix.min_improvement ?? 0.05),
    maxFloatLayers: mix.max_float_layers ?? 5,
  }
}

function resolveDetector(detector: NonNullable<NonNullable<QuantYaml['verify']>['detector']>): Detector {
  return {
    kind: detector.kind,
    anchors: detector.anchors,
    classes: classesOf(detector.classes),
    classScores: detector.class_scores ?? (detector.kind === 'yolov2' ? 'softmax' : 'sigmoid'),
    score: detector.score ?? 0.5,
    iou: detector.iou ?? 0.5,
  }
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
