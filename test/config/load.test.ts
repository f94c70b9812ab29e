import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { validatorSource } from '../../scripts/validator.js'
import type { Config } from '../../src/config/config.js'
import { kindLines } from '../../src/config/kinds.js'
import { parseConfig } from '../../src/config/load.js'
import { QuantYamlSchema } from '../../src/config/schema.js'
import { QuantError } from '../../src/errors.js'

const top = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
const example = top('quant.yaml.example')

/** A search in which nothing is set. */
const search = {
  kind: 'search',
  modes: ['F32'],
  weights: undefined,
  inputNum: 10,
  minImprovement: 0.05,
  maxFloatLayers: 5,
  maxLatency: undefined,
  target: undefined,
  pick: 'best',
  order: 'best-first',
  lossTable: 'ranked',
} as const

test('the published schema is what its source says', () => {
  expect(JSON.parse(top('schemas/quant.schema.json')), 'run `npm run schema`').toEqual(
    JSON.parse(JSON.stringify(QuantYamlSchema)),
  )
  expect(top('schemas/validate.cjs'), 'run `npm run schema`').toBe(validatorSource(QuantYamlSchema))
})

interface Schema {
  description?: string
  properties?: Record<string, Schema>
  additionalProperties?: Schema | false
}

/** Every setting there is, with its description; `*` is a name of the user's. */
function* settings(schema: Schema, path: string[] = []): Generator<{ path: string[]; description: string }> {
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    yield { path: [...path, key], description: inner.description ?? '' }
    yield* settings(inner, [...path, key])
  }
  if (schema.additionalProperties) yield* settings(schema.additionalProperties, [...path, '*'])
}

describe('the example', () => {
  test('lists the kinds of detectors as their table says', () => {
    const lines = kindLines()
    expect(lines.length).toBeGreaterThan(10)
    expect(example).toContain(`${lines.map((line) => `    #   ${line}`).join('\n')}\n    kind: `)
  })

  test('names every setting at its depth, set or as a comment', () => {
    const all = [...settings(QuantYamlSchema as Schema)]
    expect(all.length).toBeGreaterThan(50)
    for (const { path } of all)
      expect(example, path.join('.')).toMatch(new RegExp(`^(  ){${path.length - 1}}(# )?${path.at(-1)}:`, 'm'))
  })

  test('and what it leaves commented out is right as well', () => {
    const other = example
      .replace(/^ {2}# path:/m, '  path:')
      .replace(/^ {2}url:.*\n {2}sha256:.*\n/m, '')
      .replace('method: kl', 'method: percentile')
      .replace('# percentile:', 'percentile:')
      .replaceAll(/^ {6}# (map75|map|map75_drop|map_drop|missed|extra|score_difference|mean_iou):/gm, '      $1:')
      .replaceAll(/# (target|loss|max_latency|pick|weights):/g, '$1:')
      .replace('objective: detection', 'objective: cosine')
      .replace('classes: coco', 'classes: voc')
      .replace('# class_map:', 'class_map:')
    const { model, calibration, verify, variants } = parseConfig(other, 'quant.yaml').config
    expect(variants[1]!.mix).toMatchObject({
      objective: 'cosine',
      weights: { transpose_output1: 4, transpose_output: 1 },
      maxLatency: { times: 1.3 },
      target: { figure: 'loss', value: 0.05 },
      pick: 'best',
    })
    expect(model.source).toEqual({ kind: 'file', path: 'tiny-yolov3-11.onnx' })
    expect(calibration).toMatchObject({ method: 'percentile', percentile: 99.99 })
    expect(verify.require).toHaveLength(12)
    const { verify: classifies } = parseConfig(
      example
        .replace(/^ {2}detector:\n(.*\n)*? {2}# Instead/m, '  # Instead')
        .replace('objective: detection', 'objective: sqnr')
        .replace('# classifier:', 'classifier:')
        .replace('# classes: 1000', 'classes: 1000')
        .replace('# top:', 'top:')
        .replaceAll(/^ {6}(map50|map50_drop|recall):.*\n/gm, '')
        .replaceAll(/# (top1|topk)/g, '$1'),
      'quant.yaml',
    ).config
    expect(classifies.detector).toBeUndefined()
    expect(classifies.classifier).toEqual({ classes: { kind: 'count', count: 1000 }, top: 5 })
    expect(classifies.require.map(({ figure }) => figure)).toEqual([
      ...['top1', 'topk', 'top1_drop', 'topk_drop', 'top1_agreement', 'topk_agreement', 'sqnr'],
    ])
    expect(verify.validation?.classMap).toHaveLength(20)
  })

  test('is the YOLOv3-tiny of the model zoo', () => {
    expect(parseConfig(example, 'quant.yaml').config).toEqual({
      model: {
        name: 'yolov3_tiny',
        source: {
          kind: 'download',
          url: 'https://github.com/onnx/models/raw/main/validated/vision/object_detection_segmentation/tiny-yolov3/model/tiny-yolov3-11.onnx',
          sha256: 'f715cc2d99740d22d312777e20d9de2b2ecdc250155be8fd3752ce7e8b823521',
        },
        inputs: [{ name: 'input_1', shape: [1, 3, 416, 416] }],
        outputs: ['transpose_output1', 'transpose_output'],
      },
      preprocess: {
        pixelFormat: 'rgb',
        mean: [0, 0, 0],
        scale: [0.0039216, 0.0039216, 0.0039216],
        keepAspectRatio: true,
        padValue: 128,
        padType: 'center',
      },
      calibration: {
        dataset: 'COCO2017',
        inputNum: 100,
        method: 'kl',
        percentile: 99.99,
        tuneNum: 5,
        equalize: false,
        asymmetric: false,
        biasCorrection: false,
        table: undefined,
      },
      chip: 'bm1684x',
      variants: [
        { name: 'int8', quantize: 'INT8', mix: undefined, quantInput: false, quantOutput: false },
        {
          name: 'mix',
          quantize: 'INT8',
          mix: { ...search, objective: 'detection' },
          quantInput: false,
          quantOutput: false,
        },
      ],
      verify: {
        detector: {
          kind: 'yolov3',
          anchors: [
            [81, 82, 135, 169, 344, 319],
            [10, 14, 23, 27, 37, 58],
          ],
          classes: { kind: 'known', name: 'coco' },
          classScores: 'sigmoid',
          scaleXY: undefined,
          strides: undefined,
          score: 0.5,
          iou: 0.5,
        },
        classifier: undefined,
        images: ['COCO2017/000000124798.jpg'],
        validation: { images: 'COCO2017', labels: 'COCO2017/labels', classMap: undefined },
        require: [
          { variant: 'mix', figure: 'map50', compare: '>=', value: 0.2 },
          { variant: 'mix', figure: 'map50_drop', compare: '<=', value: 0.01 },
          { variant: 'mix', figure: 'recall', compare: '>=', value: 0.9 },
          { variant: 'mix', figure: 'sqnr', compare: '>=', value: 15 },
        ],
      },
      store: { path: '.quant/store', remote: undefined, mode: 'read-only', timeout: 5 },
      output: 'build',
    } satisfies Config)
  })
})

test('every setting says what it is and which flag it stands for', () => {
  for (const { path, description } of settings(QuantYamlSchema as Schema)) {
    // A section says what it is for; its settings name the flags.
    const isSection = [
      'model',
      'preprocess',
      'calibration',
      'target',
      'verify',
      'classifier',
      'validation',
      'store',
    ].includes(path.at(-1)!)
    expect(description, path.join('.')).toMatch(isSection ? /\.$/ : /Vendor: .+\.$/)
  }
})

describe('defaults', () => {
  test('a name, a file and pictures are enough', () => {
    const { config } = parseConfig('model: { name: m, path: m.onnx }\ncalibration: { dataset: pics }', 'quant.yaml')
    expect(config).toEqual({
      model: { name: 'm', source: { kind: 'file', path: 'm.onnx' }, inputs: [], outputs: [] },
      preprocess: {
        pixelFormat: 'bgr',
        mean: [0, 0, 0],
        scale: [1, 1, 1],
        keepAspectRatio: false,
        padValue: 0,
        padType: 'center',
      },
      calibration: {
        dataset: 'pics',
        inputNum: 0,
        method: 'kl',
        percentile: 99.99,
        tuneNum: 5,
        equalize: false,
        asymmetric: false,
        biasCorrection: false,
        table: undefined,
      },
      chip: 'bm1684x',
      variants: [
        { name: 'int8', quantize: 'INT8', mix: undefined, quantInput: false, quantOutput: false },
        {
          name: 'mix',
          quantize: 'INT8',
          mix: { ...search, objective: 'sqnr' },
          quantInput: false,
          quantOutput: false,
        },
      ],
      verify: { detector: undefined, classifier: undefined, images: [], validation: undefined, require: [] },
      store: { path: undefined, remote: undefined, mode: 'read-only', timeout: 5 },
      output: 'build',
    } satisfies Config)
  })

  test('are those that the schema publishes', () => {
    const spelt: string[] = []
    const walk = (schema: Schema & { default?: unknown }, path: string[]) => {
      if (schema.default !== undefined && path.length === 2) spelt.push(`${path.join('.')}=${schema.default}`)
      for (const [key, inner] of Object.entries(schema.properties ?? {})) walk(inner, [...path, key])
    }
    walk(QuantYamlSchema as Schema, [])
    expect(spelt).toEqual([
      'preprocess.pixel_format=bgr',
      'preprocess.keep_aspect_ratio=false',
      'preprocess.pad_value=0',
      'preprocess.pad_type=center',
      'calibration.input_num=0',
      'calibration.method=kl',
      'calibration.percentile=99.99',
      'calibration.tune_num=5',
      'calibration.equalize=false',
      'calibration.asymmetric=false',
      'calibration.bias_correction=false',
      'target.chip=bm1684x',
      'store.path=.quant/store',
      'store.mode=read-only',
      'store.timeout=5',
    ])
  })

  test.each([
    ['{ kind: yolov5, classes: coco }', { anchors: undefined, classScores: undefined }],
    ['{ kind: yolov5, anchors: [[1, 2]], classes: coco }', { classScores: 'sigmoid' }],
    ['{ kind: ssd, anchors: [[1, 2]], classes: [face] }', { classScores: undefined, iou: 0.5 }],
    [
      '{ kind: yolov8, classes: coco, strides: [8, 16], class_scores: none }',
      { strides: [8, 16], classScores: 'none' },
    ],
    ['{ kind: yolov4, anchors: [[1, 2]], scale_x_y: [1.05], classes: coco }', { scaleXY: [1.05] }],
  ])('detector: %s', (text, expected) => {
    const { config } = parseConfig(
      `model: { name: m, path: m }\nvariants: { f: { quantize: F16 } }\nverify: { detector: ${text} }`,
      'quant.yaml',
    )
    expect(config.verify.detector).toMatchObject(expected)
  })

  test.each([
    ['{ classes: 1000 }', { classes: { kind: 'count', count: 1000 }, top: 5 }],
    ['{ classes: synset.txt, top: 1 }', { classes: { kind: 'file', path: 'synset.txt' }, top: 1 }],
    ['{ classes: [cat, dog] }', { classes: { kind: 'list', names: ['cat', 'dog'] }, top: 5 }],
  ])('classifier: %s', (text, expected) => {
    const { config } = parseConfig(
      `model: { name: m, path: m }\nvariants: { f: { quantize: F16 } }\nverify: { classifier: ${text}, validation: { images: v } }`,
      'quant.yaml',
    )
    expect(config.verify.classifier).toEqual(expected)
    expect(config.verify.validation?.labels).toBeUndefined()
  })

  test('yolov2 has softmax over its classes, gray one channel', () => {
    const { config } = parseConfig(
      `model: { name: m, path: m.onnx, outputs: [out] }
preprocess: { pixel_format: gray }
variants: { f16: { quantize: F16 } }
verify: { detector: { kind: yolov2, anchors: [[34.56, 38.08]], classes: classes.txt } }`,
      'quant.yaml',
    )
    expect(config.preprocess).toMatchObject({ mean: [0], scale: [1] })
    expect(config.calibration).toBeUndefined()
    expect(config.verify.detector).toMatchObject({
      classScores: 'softmax',
      classes: { kind: 'file', path: 'classes.txt' },
    })
  })

  test.each([
    ['5%', 0.05],
    ['0.7%', 0.007],
    ['100%', 1],
    ['0.05', 0.05],
    ['0', 0],
  ])('min_improvement: %s', (text, share) => {
    const { config } = parseConfig(
      `model: { name: m, path: m }\ncalibration: { dataset: d }\nvariants: { mix: { quantize: INT8, mix: { min_improvement: ${text} } } }`,
      'quant.yaml',
    )
    expect(config.variants[0]!.mix).toMatchObject({ minImprovement: share })
  })

  test.each([
    ['>= 0.8', '>=', 0.8],
    ['<=1%', '<=', 0.01],
    ['> -0.5', '>', -0.5],
    ['<  3', '<', 3],
  ])('require: %s', (text, compare, value) => {
    const { config } = parseConfig(
      `model: { name: m, path: m }\nvariants: { f: { quantize: F16 } }\nverify: { images: [a.jpg], require: { f: { sqnr: "${text}" } } }`,
      'quant.yaml',
    )
    expect(config.verify.require).toEqual([{ variant: 'f', figure: 'sqnr', compare, value }])
  })

  test('tables stand for calibration and search', () => {
    const { config } = parseConfig(
      `model: { name: m, path: m }
calibration: { table: m_cali_table }
variants: { mix: { quantize: INT8, mix: { table: m_qtable } } }`,
      'quant.yaml',
    )
    expect(config.calibration).toMatchObject({ table: 'm_cali_table', dataset: undefined })
    expect(config.variants[0]!.mix).toEqual({ kind: 'table', table: 'm_qtable' })
  })
})

describe('places, for checks that need the disk', () => {
  const { places } = parseConfig(example, 'quant.yaml')
  test.each([
    [['calibration', 'dataset'], 'COCO2017'],
    [['model', 'outputs', 1], 'transpose_output'],
    [['model', 'inputs', 'input_1'], '[1, 3, 416, 416]'],
    [['verify', 'images', 0], 'COCO2017/000000124798.jpg'],
    [['verify', 'require', 'mix', 'map50'], '">= 0.2"'],
    // A section is its key; a setting that is not there is the section it would stand in.
    [['calibration'], 'calibration'],
    [['calibration', 'percentile'], 'calibration'],
    [['variants', 'mix', 'mix'], 'mix'],
  ])('%j', (path, expected) => {
    const { file, line, column, length, text } = places(path)
    expect(file).toBe('quant.yaml')
    expect(example.split('\n')[line! - 1]).toBe(text)
    expect(text!.slice(column! - 1, column! - 1 + length!)).toBe(expected)
  })

  test('a path that leads nowhere is the beginning of the file', () => {
    expect(places(['nothing', 3])).toEqual({ file: 'quant.yaml', line: 1, column: 1 })
  })

  test('through an alias, and under a key that is a number to YAML', () => {
    const text = `model: { name: m, path: &p m.onnx, inputs: { 199: [1, 3, 4, 4] } }
preprocess: { pixel_format: rgb }
calibration: { dataset: *p }
`
    const { config, places } = parseConfig(text, 'quant.yaml')
    expect(config.calibration?.dataset).toBe('m.onnx')
    expect(config.model.inputs).toEqual([{ name: '199', shape: [1, 3, 4, 4] }])
    expect(places(['model', 'inputs', '199'])).toMatchObject({ line: 1, column: 51, length: 12 })
    expect(places(['calibration', 'dataset'])).toMatchObject({ line: 3, column: 25, length: 2 })
  })
})

test('whatever is done to the file, only a QuantError comes out, and its places lie in the file', () => {
  let seed = 1684
  // A linear congruential generator: the same mutations every time.
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * n)
  }
  const lines = example.split('\n').filter((line) => !/^\s*#/.test(line))
  const junk = [
    '{',
    '}',
    '[',
    ']',
    ':',
    '- ',
    '"',
    "'",
    '\t',
    '&a ',
    '*a',
    '!!x ',
    '>',
    '|',
    '#',
    '\u0000',
    '~',
    '-1',
    '1e999',
    '__proto__: 1',
    '? ',
    '\r',
    '\uFEFF',
    '---\n',
    'null',
    '<<: ',
    '%',
  ]
  const mutations: ((text: string) => string)[] = [
    (text) => text.slice(0, random(text.length)),
    (text) => {
      const at = random(text.length)
      return text.slice(0, at) + junk[random(junk.length)] + text.slice(at)
    },
    (text) => {
      const at = random(text.length)
      return text.slice(0, at) + text.slice(at + 1 + random(8))
    },
    (text) => {
      const rows = text.split('\n')
      rows.splice(random(rows.length), 0, rows[random(rows.length)]!)
      return rows.join('\n')
    },
    (text) => text.replace(/: [^\n]+/g, (value) => (random(30) === 0 ? `: ${junk[random(junk.length)]}` : value)),
  ]
  let refused = 0
  let taken = 0
  for (let round = 0; round < 400; round++) {
    let text = lines.join('\n')
    for (let edits = 1 + random(3); edits > 0; edits--) text = mutations[random(mutations.length)]!(text)
    try {
      parseConfig(text, 'quant.yaml')
      taken++
    } catch (error) {
      if (!(error instanceof QuantError)) throw new Error(`${error} for ${JSON.stringify(text)}`)
      refused++
      for (const { place, message } of [error, ...error.more]) {
        expect(place?.file).toBe('quant.yaml')
        expect(place!.line, message).toBeLessThanOrEqual(text.split('\n').length)
      }
    }
  }
  expect(refused).toBeGreaterThan(200)
  expect(taken).toBeGreaterThan(10)
})
