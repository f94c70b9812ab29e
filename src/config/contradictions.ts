/** Settings that are right one by one but not together, as far as no file must be looked at. */

import { tensorOf } from '../ir/graph.js'
import { nearest, suggest } from '../nearest.js'
import { channelsOf, classesOf, variantsOf } from './config.js'
import type { Mistake } from './explain.js'
import { type DetectorKind, detectorKinds, kindSettings, kindsWith } from './kinds.js'
import type { QuantYaml } from './schema.js'

/** All of them, in no particular order. */
export const contradictions = (yaml: QuantYaml): Mistake[] => [
  ...model(yaml),
  ...preprocess(yaml),
  ...calibration(yaml),
  ...variants(yaml),
  ...verifiers(yaml),
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
    const settings = [
      'input_num',
      'method',
      'percentile',
      'tune_num',
      'equalize',
      'asymmetric',
      'bias_correction',
    ] as const
    for (const setting of settings)
      if (calibration[setting] !== undefined)
        yield key(
          ['calibration', setting],
          `\`calibration.${setting}\` has no effect beside \`calibration.table\``,
          'remove one of the two',
        )
  } else if (
    calibration.percentile !== undefined &&
    calibration.method !== 'percentile' &&
    calibration.method !== 'best'
  )
    yield key(
      ['calibration', 'percentile'],
      '`calibration.percentile` has no effect without `method: percentile` or `best`',
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
      for (const setting of Object.keys(mix))
        if (setting !== 'table')
          yield key(
            [...path, 'mix', setting],
            `\`${setting}\` has no effect beside \`mix.table\``,
            'remove one of the two',
          )
    if (mix.table === undefined) yield* search([...path, 'mix'], mix, yaml)
  }
}

function* verifiers({ verify = {} }: QuantYaml): Generator<Mistake> {
  const { detector, classifier, validation } = verify
  if (detector !== undefined && classifier !== undefined)
    yield key(
      ['verify', 'classifier'],
      '`verify.detector` and `verify.classifier` are both given',
      'keep the one that the network is',
    )
  if (validation === undefined) return
  if (detector === undefined && classifier === undefined)
    yield key(
      ['verify', 'validation'],
      '`verify.validation` needs `verify.detector` or `verify.classifier`',
      'labels are compared with what the network finds',
    )
  if (detector !== undefined && validation.labels === undefined)
    yield key(
      ['verify', 'validation'],
      '`verify.validation.labels` is missing',
      'add `labels: FOLDER` of YOLO label files, or a COCO json file',
    )
  const number = Array.isArray(classifier?.classes) ? classifier.classes.length : classifier?.classes
  if (typeof number === 'number') yield* classMap(validation, number, 'classifier')
}

function* classMap(
  validation: NonNullable<QuantYaml['verify']>['validation'],
  number: number,
  who: string,
): Generator<Mistake> {
  const mapped = validation?.class_map?.length
  if (mapped !== undefined && mapped !== number)
    yield value(
      ['verify', 'validation', 'class_map'],
      `\`verify.validation.class_map\` has ${plural(mapped, 'entry', 'entries')}, but the ${who} has ${plural(number, 'class', 'classes')}`,
      'one label number per class',
    )
}

/** What a search for mixed precision is asked for, besides what it needs to be possible at all. */
function* search(
  path: Mistake['path'],
  mix: NonNullable<NonNullable<QuantYaml['variants']>[string]['mix']>,
  { model, verify = {} }: QuantYaml,
): Generator<Mistake> {
  const { objective = verify.detector ? 'detection' : 'sqnr', weights, target, order } = mix
  if (objective === 'detection' && verify.detector === undefined)
    yield value(
      [...path, 'objective'],
      '`objective: detection` needs `verify.detector`',
      'it says how boxes are read from the outputs',
    )
  if (weights !== undefined && objective === 'detection')
    yield key(
      [...path, 'weights'],
      '`weights` has no effect with `objective: detection`',
      mix.objective === undefined ? 'write `objective: sqnr` or `objective: cosine`' : 'remove one of the two',
    )
  if (weights !== undefined && Object.values(weights).every((weight) => weight === 0))
    yield key([...path, 'weights'], 'every output in `weights` counts 0', 'give one of them a weight')
  const outputs = model.outputs ?? []
  if (outputs.length > 0)
    for (const name of Object.keys(weights ?? {}))
      if (!outputs.some((output) => name === output || tensorOf(name) === output))
        yield key([...path, 'weights', name], `\`${name}\` is no output of the model`, suggest(name, outputs))
  for (const setting of ['max_latency', 'pick'] as const)
    if (/^[0.]+ ?(us|ms|x)$/.test(String(mix[setting] ?? '')))
      yield value([...path, setting], `\`${setting}\` must be more than 0`, 'no program takes no time')
  const figures = Object.keys(target ?? {})
  if (target !== undefined && figures.length !== 1)
    yield key(
      [...path, 'target'],
      `\`target\` has ${plural(figures.length, 'figure', 'figures')}, but a search ends at one`,
      'one of loss, map50_drop, map75_drop, map_drop',
    )
  for (const figure of figures)
    if (figure !== 'loss' && (verify.validation === undefined || verify.detector === undefined))
      yield key(
        [...path, 'target', figure],
        `\`${figure}\` cannot be found without \`verify.detector\` and \`verify.validation\``,
        'add them, or take `loss`, which needs no labels',
      )
  if (order === 'historical' && mix.loss_table === 'ranked')
    yield value(
      [...path, 'loss_table'],
      '`order: historical` needs `loss_table: exhaustive`',
      'that rule chooses by the table alone; exhaustive is its default, so the line can go',
    )
  if (order === 'historical')
    for (const setting of historicalIgnores)
      if (mix[setting] !== undefined && !(setting === 'mode' && mix.mode !== 'auto'))
        yield key(
          [...path, setting],
          `\`${setting}${setting === 'mode' ? ': auto' : ''}\` has no effect with \`order: historical\``,
          'that rule has no settings but `mode` and `input_num`',
        )
}

const historicalIgnores = [
  'mode',
  'objective',
  'weights',
  'min_improvement',
  'max_float_layers',
  'max_latency',
  'target',
  'pick',
] as const

/** What the kind has and has not, and anchors for outputs. */
function* detector({ model, verify = {} }: QuantYaml): Generator<Mistake> {
  const { detector, validation } = verify
  if (detector === undefined) return
  const at = ['verify', 'detector']
  const { kind, anchors, scale_x_y } = detector
  const { settings, anchorsPerOutput }: DetectorKind = detectorKinds[kind]
  for (const setting of kindSettings) {
    const given = detector[setting] !== undefined
    if (given && settings[setting] === undefined)
      yield key(
        [...at, setting],
        `\`verify.detector.${setting}\` has no meaning for ${kind}`,
        `remove it; it belongs to ${kindsWith(setting).join(', ')}`,
      )
    if (!given && settings[setting] === 'must')
      yield key(
        at,
        `\`verify.detector.${setting}\` is missing`,
        setting === 'anchors'
          ? 'add `anchors: [[81, 82, 135, 169, 344, 319], [10, 14, 23, 27, 37, 58]]`: a list per output, from the training settings'
          : 'add `scale_x_y: [1.2, 1.1, 1.05]`: a number per output, from the cfg file',
      )
  }
  const outputs = model.outputs?.length
  if (anchors !== undefined && settings.anchors !== undefined) {
    for (const [index, list] of anchors.entries())
      if (list.length % 2 === 1)
        yield value(
          [...at, 'anchors', index],
          `\`verify.detector.anchors[${index}]\` has ${list.length} numbers, but anchors are pairs`,
          'width, height, width, height ...',
        )
    if (anchorsPerOutput && outputs !== undefined && anchors.length !== outputs)
      yield value(
        [...at, 'anchors'],
        `\`verify.detector.anchors\` has ${plural(anchors.length, 'list', 'lists')}, but the model has ${plural(outputs, 'output', 'outputs')}`,
        anchors.every((list) => list.length === 2)
          ? 'one flat list per output: [[w, h, w, h, w, h], ...]'
          : 'one list per output, in the order of `model.outputs`',
      )
    if (scale_x_y !== undefined && settings.scale_x_y !== undefined && scale_x_y.length !== anchors.length)
      yield value(
        [...at, 'scale_x_y'],
        `\`verify.detector.scale_x_y\` has ${plural(scale_x_y.length, 'entry', 'entries')}, but \`anchors\` has ${plural(anchors.length, 'list', 'lists')}`,
        'a number per output, in the order of `model.outputs`',
      )
  }
  if (anchorsPerOutput && anchors === undefined && settings.anchors === 'may' && outputs !== undefined && outputs > 1)
    yield key(
      at,
      `\`verify.detector.anchors\` is missing: ${kind} without anchors has one output that is decoded, but the model has ${outputs}`,
      'add `anchors: [[w, h, w, h ...], ...]`, a list per output, or end the model at its decoded output',
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
  if (number !== undefined) yield* classMap(validation, number, 'detector')
}

function* requirements(yaml: QuantYaml): Generator<Mistake> {
  const { detector, classifier, images, validation, require = {} } = yaml.verify ?? {}
  const known = Object.keys(variantsOf(yaml))
  for (const [variant, figures] of Object.entries(require)) {
    const path = ['verify', 'require', variant]
    if (!known.includes(variant))
      yield key(path, `\`${variant}\` in \`verify.require\` is not a variant`, suggest(variant, known))
    for (const [figure, condition] of Object.entries(figures)) {
      const limit = /[0-9.]+$/.exec(condition)?.[0]
      if (/^map|^top|^recall$|^mean_iou$|^score_difference$/.test(figure) && Number(limit) > 1)
        yield value(
          [...path, figure],
          `\`${figure}\` is a share, 0 to 1, but is compared with ${limit}`,
          `write ${limit}%, or the share itself`,
        )
      const missing = [
        /^map|^top[1k](_drop)?$/.test(figure) && validation === undefined && 'verify.validation',
        figure.startsWith('top')
          ? classifier === undefined && 'verify.classifier'
          : figure !== 'sqnr' && detector === undefined && 'verify.detector',
        images === undefined && validation === undefined && 'verify.images',
      ].find((setting) => setting !== false)
      if (missing)
        yield key([...path, figure], `\`${figure}\` cannot be found without \`${missing}\``, `add \`${missing}\``)
    }
  }
}

const plural = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`
