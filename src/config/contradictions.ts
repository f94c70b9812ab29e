/** Settings that are right one by one but not together, as far as no file must be looked at. */

import { nearest, suggest } from '../nearest.js'
import { channelsOf, classesOf, variantsOf } from './config.js'
import type { Mistake } from './explain.js'
import type { QuantYaml } from './schema.js'

/** All of them, in no particular order. */
export const contradictions = (yaml: QuantYaml): Mistake[] => [
  ...model(yaml),
  ...preprocess(yaml),
  ...calibration(yaml),
  ...variants(yaml),
  ...detector(yaml),
  ...requirements(yaml),
]

const value = (path: Mistake['path'], message: string, hint?: string): Mistake => ({ path, at: 'value', message, hint })
const key = (path: Mistake['path'], message: string, hint?: string): Mistake => ({ path, at: 'key', message, hint })

function* model({ model: { path, url, sha256 } }: QuantYaml): Generator<Mistake> {
  if (path !== undefined && url !== undefined)
    yield key(['model', 'url'], '`model.path` and `model.url` are both given', 'keep the one that is meant')
  if (path === undefined && url === undefined)
    yield key(['model'], '`model.path` is missing', 'add `path: FILE.onnx`, or `url:` and `sha256:`')
  if (url !== undefined && sha256 === undefined)
    yield key(['model', 'url'], '`model.sha256` is missing', 'add the digest that `sha256sum` prints for the file')
  if (url === undefined && sha256 !== undefined)
    yield key(['model', 'sha256'], '`model.sha256` has no effect without `model.url`', 'remove it')
}

function* preprocess({ model, preprocess = {} }: QuantYaml): Generator<Mistake> {
  const format = preprocess.pixel_format ?? 'bgr'
  const channels = channelsOf(format)
  for (const setting of ['mean', 'scale'] as const) {
    const entries = preprocess[setting]?.length ?? channels
    if (entries !== channels)
      yield value(
        ['preprocess', setting],
        `\`preprocess.${setting}\` has ${plural(entries, 'entry', 'entries')}, but ${format} has ${plural(channels, 'channel', 'channels')}`,
        preprocess.pixel_format === undefined ? '`pixel_format` is bgr unless it is set' : undefined,
      )
  }
  // With several inputs it is not known here which of them are pictures.
  const [input, ...others] = Object.entries(model.inputs ?? {})
  const found = input?.[1].length === 4 ? input[1][1] : undefined
  if (input && others.length === 0 && (found === 1 || found === 3) && found !== channels)
    yield value(
      preprocess.pixel_format === undefined ? ['model', 'inputs', input[0]] : ['preprocess', 'pixel_format'],
      `\`${input[0]}\` has ${plural(found, 'channel', 'channels')}, but ${format} has ${channels}`,
      `set \`preprocess.pixel_format\` to ${found === 1 ? 'gray' : 'rgb or bgr'}`,
    )
}

function* calibration({ calibration }: QuantYaml): Generator<Mistake> {
  if (calibration === undefined) return
  if (calibration.dataset === undefined && calibration.table === undefined)
    yield key(['calibration'], '`calibration.dataset` is missing', 'add `dataset: FOLDER`, or `table: FILE`')
  if (calibration.table !== undefined) {
    for (const setting of ['input_num', 'method', 'percentile', 'tune_num'] as const)
      if (calibration[setting] !== undefined)
        yield key(
          ['calibration', setting],
          `\`calibration.${setting}\` has no effect beside \`calibration.table\``,
          'remove one of the two',
        )
  } else if (calibration.percentile !== undefined && calibration.method !== 'percentile')
    yield key(
      ['calibration', 'percentile'],
      '`calibration.percentile` has no effect without `method: percentile`',
      `the method is ${calibration.method ?? 'kl'}`,
    )
}

function* variants(yaml: QuantYaml): Generator<Mistake> {
  if (yaml.variants === undefined && yaml.calibration === undefined) {
    const hint = 'without `variants`, int8 and mix are made; both need it: add `calibration: { dataset: FOLDER }`'
    return yield key([], '`calibration` is missing', hint)
  }
  for (const [name, { quantize, mix }] of Object.entries(variantsOf(yaml))) {
    const path = ['variants', name]
    if (name === 'onnx') yield key(path, '`onnx` cannot name a variant: it stands for the float model', 'rename it')
    if (quantize === 'INT8' && yaml.calibration === undefined)
      yield value(
        [...path, 'quantize'],
        `variant \`${name}\` is INT8, but \`calibration\` is missing`,
        'add `calibration: { dataset: FOLDER }`',
      )
    if (mix === undefined) continue
    if (quantize !== 'INT8')
      yield key(
        [...path, 'mix'],
        `\`mix\` keeps layers of an INT8 model in float, but variant \`${name}\` is ${quantize}`,
        'write `quantize: INT8`, or remove `mix`',
      )
    if (mix.table === undefined && yaml.calibration?.table !== undefined && yaml.calibration.dataset === undefined)
      yield key(
        yaml.variants === undefined ? ['calibration', 'table'] : [...path, 'mix'],
        `variant \`${name}\` searches layers on pictures, but \`calibration.dataset\` is missing`,
        yaml.variants === undefined
          ? 'add `dataset: FOLDER` beside `table`, or set `variants: { int8: { quantize: INT8 } }`'
          : 'add `dataset: FOLDER` beside `calibration.table`, or give `mix.table`',
      )
    if (mix.table !== undefined)
      for (const setting of ['mode', 'input_num', 'min_improvement', 'max_float_layers'] as const)
        if (mix[setting] !== undefined)
          yield key(
            [...path, 'mix', setting],
            `\`${setting}\` has no effect beside \`mix.table\``,
            'remove one of the two',
          )
  }
}

function* detector({ model, verify = {} }: QuantYaml): Generator<Mistake> {
  const { detector, validation } = verify
  if (validation !== undefined && detector === undefined)
    yield key(['verify', 'validation'], '`verify.validation` needs `verify.detector`', 'labels are compared with boxes')
  if (detector === undefined) return
  const at = ['verify', 'detector']
  const { anchors } = detector
  for (const [index, list] of anchors.entries())
    if (list.length % 2 === 1)
      yield value(
        [...at, 'anchors', index],
        `\`verify.detector.anchors[${index}]\` has ${list.length} numbers, but anchors are pairs`,
        'width, height, width, height ...',
      )
  if (model.outputs !== undefined && anchors.length !== model.outputs.length)
    yield value(
      [...at, 'anchors'],
      `\`verify.detector.anchors\` has ${plural(anchors.length, 'list', 'lists')}, but the model has ${plural(model.outputs.length, 'output', 'outputs')}`,
      anchors.every((list) => list.length === 2)
        ? 'one flat list per output: [[w, h, w, h, w, h], ...]'
        : 'one list per output, in the order of `model.outputs`',
    )
  const classes = classesOf(detector.classes)
  if (classes.kind === 'file' && !/[./\\]/.test(classes.path)) {
    const meant = nearest(classes.path, ['coco', 'voc'])
    yield value(
      [...at, 'classes'],
      `\`${classes.path}\` is no known set of classes`,
      `${meant === undefined ? '' : `did you mean \`${meant}\`? `}known: coco, voc; or a list of names; or a file such as classes.txt`,
    )
  }
  const number =
    classes.kind === 'file'
      ? undefined
      : classes.kind === 'list'
        ? classes.names.length
        : { coco: 80, voc: 20 }[classes.name]
  const mapped = validation?.class_map?.length
  if (number !== undefined && mapped !== undefined && mapped !== number)
    yield value(
      ['verify', 'validation', 'class_map'],
      `\`verify.validation.class_map\` has ${plural(mapped, 'entry', 'entries')}, but the detector has ${plural(number, 'class', 'classes')}`,
      'one label number per class',
    )
}

function* requirements(yaml: QuantYaml): Generator<Mistake> {
  const { detector, images, validation, require = {} } = yaml.verify ?? {}
  const known = Object.keys(variantsOf(yaml))
  for (const [variant, figures] of Object.entries(require)) {
    const path = ['verify', 'require', variant]
    if (!known.includes(variant))
      yield key(path, `\`${variant}\` in \`verify.require\` is not a variant`, suggest(variant, known))
    for (const [figure, condition] of Object.entries(figures)) {
      const limit = /[0-9.]+$/.exec(condition)?.[0]
      if (/^map|^recall$|^mean_iou$|^score_difference$/.test(figure) && Number(limit) > 1)
        yield value(
          [...path, figure],
          `\`${figure}\` is a share, 0 to 1, but is compared with ${limit}`,
          `write ${limit}%, or the share itself`,
        )
      const missing = figure.startsWith('map')
        ? validation === undefined && 'verify.validation'
        : figure !== 'sqnr' && detector === undefined
          ? 'verify.detector'
          : images === undefined && validation === undefined && 'verify.images'
      if (missing)
        yield key([...path, figure], `\`${figure}\` cannot be found without \`${missing}\``, `add \`${missing}\``)
    }
  }
}

const plural = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`
