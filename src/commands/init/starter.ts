/** A quant.yaml to start from: what is known filled in, what is guessed said to be a guess. */
import { basename } from 'node:path'
import { type Habit, habits } from './habits.js'
import type { Network } from './network.js'

export interface Pictures {
  /** Relative to quant.yaml. */
  readonly folder: string
  readonly count: number
  /** One of them, relative to quant.yaml; undefined when there are only arrays. */
  readonly example: string | undefined
}

/** @param path of the model, relative to quant.yaml */
export function starter(path: string, network: Network, pictures: Pictures | undefined): string {
  const { inputs, outputs, cut, guess } = network
  const open = inputs.flatMap(({ name, filled }) => (filled.length > 0 ? [`${name}: ${filled.join(', ')}`] : []))
  const channels = inputs[0]?.shape[1] === 1 ? 1 : 3
  const { format, mean, scale, stretched, corner }: Habit = guess?.habit ?? habits.usual
  const perChannel = (values: readonly number[]): string => `[${values.slice(0, channels).join(', ')}]`
  return `# What is marked as a guess must be checked. Every key is explained in quant.yaml.example.
model:
  name: ${nameOf(path)}
  path: ${quoted(path)}
  inputs: # ${inputs.some(({ shape }) => shape[3] === 3 && shape[1] !== 3) ? 'NHWC, as in the file; pictures are turned for it' : 'NCHW'}${open.length > 0 ? `; the file leaves open and this fills in: ${comment(open.join('; '))}` : ''}
${inputs.map(({ name, shape }) => `    ${quoted(name)}: [${shape.join(', ')}]`).join('\n')}
  outputs: # ${cut ? 'the raw heads; the file goes on and decodes them, which the chip need not do' : whereItEnds(network)}
${outputs.map(({ name, shape }) => `    - ${quoted(name)}${shape ? ` # ${shape.join(' x ')}` : ''}`).join('\n')}

preprocess: # a guess: as the network was trained; y = (x - mean) * scale, x from 0 to 255
  pixel_format: ${channels === 1 ? 'gray' : format}
  mean: ${perChannel(mean)}
  scale: ${perChannel(scale)}
${
  stretched
    ? '  keep_aspect_ratio: false # stretched; true: letterbox'
    : `  keep_aspect_ratio: true # letterbox; false stretches
  pad_value: ${guess?.padValue ?? 128}${corner ? '\n  pad_type: normal # the picture at the top left; center is usual' : ''}`
}

calibration:
  dataset: ${
    pictures
      ? `${quoted(pictures.folder)} # found here: ${pictures.count} files`
      : 'pictures # a folder of some 100 pictures like those the network will see'
  }
  input_num: 100

variants:
  int8: { quantize: INT8 }
  mix: { quantize: INT8, mix: { mode: F16, min_improvement: 1%, max_latency: 1.5x } } # the layers that suffer most stay float

${verification(network, pictures)}`
}

function whereItEnds({ guess }: Network): string {
  if (guess === undefined)
    return 'where the network ends; for a detector best at its raw heads, before decoding and NMS'
  return guess.anchors ? 'where the network ends: the raw heads, before decoding and NMS' : 'where the network ends'
}

function verification({ guess }: Network, pictures: Pictures | undefined): string {
  if (!guess)
    return `# verify: # judge the variants by what they detect
#   detector: { kind: yolov3, anchors: [[81, 82, 135, 169, 344, 319], [10, 14, 23, 27, 37, 58]], classes: coco, score: 0.5 }
#   images: [${pictures ? quoted(pictures.example ?? pictures.folder) : 'pictures'}]
`
  if (guess.kind === 'classifier')
    return `verify: # judge the variants by what they say a picture shows
  classifier: # a guess. ${guess.because}
    classes: ${guess.classes} # or a file with one name per line
    top: 5
  images: [${quoted(pictures?.example ?? pictures?.folder ?? 'pictures')}] # to write the names on
  # validation: { images: FOLDER, labels: FILE } # lines \`picture class\` give the accuracy
`
  const lines = [
    'verify: # judge the variants by what they detect',
    `  detector: # a guess, from the shapes of the outputs. ${guess.because}`,
    `    kind: ${guess.kind}`,
    ...(guess.anchors
      ? [
          '    anchors: # per output, in pixels of the input. A guess: what this family was published with; yours are in its training settings',
          ...guess.anchors.map((list) => `      - [${list.join(', ')}]`),
        ]
      : []),
    ...guess.others.map((other) => `      # ${other}`),
    `    classes: ${classesText(guess.classes)}`,
    '    score: 0.5',
    '    iou: 0.5',
    `  images: [${quoted(pictures?.example ?? pictures?.folder ?? 'pictures')}] # to draw the boxes on`,
    '  # validation: { images: FOLDER, labels: FOLDER } # labelled pictures (YOLO txt or COCO json) give mAP',
    '',
  ]
  return lines.join('\n')
}

function classesText(count: number): string {
  if (count === 80) return 'coco # a guess: 80 classes'
  if (count === 20) return 'voc # a guess: 20 classes'
  const names = Array.from({ length: count }, (_, index) => `class${index}`)
  return `[${names.join(', ')}] # names to be filled in, or a file with one name per line`
}

/** A legal `model.name` from the file's name. */
function nameOf(path: string): string {
  const name = basename(path)
    .replace(/\.onnx$/i, '')
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
    .replace(/^[.-]/, '_')
  return quoted(name === '' ? 'model' : name)
}

/** As a YAML scalar: in quotes unless it is a word that cannot be anything else. */
const quoted = (text: string): string =>
  /^[A-Za-z_][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text) ? text : JSON.stringify(text)

/** Text of a file inside a comment: it must not end the line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to keep out
const comment = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')
