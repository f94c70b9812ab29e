import { basename, join, relative, resolve } from 'node:path'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'
import { inspectOnnx } from '../ir/onnx/read.js'

/** Writes a quant.yaml to start from, with what the ONNX file says of itself filled in. Never overwrites one. */
export async function initCommand(model: string, { directory = '.' }: { directory?: string }): Promise<number> {
  const folder = resolve(directory)
  const target = join(folder, 'quant.yaml')
  if (disk.exists(target))
    throw new QuantError('usage', `${target} exists already`, {
      hint: 'remove it first, or work elsewhere: quant -C FOLDER init',
    })
  const path = resolve(folder, model)
  const summary = inspectOnnx(disk.readBytes(path), model)
  disk.writeAtomic(target, starter(relative(folder, path), summary))
  process.stdout.write(`${target} is written: look it over, name your pictures in it, then \`quant build\`\n`)
  return 0
}

function starter(path: string, { inputs, outputs }: ReturnType<typeof inspectOnnx>): string {
  const name = basename(path)
    .replace(/\.onnx$/i, '')
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
  const shapes = inputs.map(
    (input) => `    ${quoted(input.name)}: [${(input.shape ?? [1, 3, 416, 416]).map((n) => n ?? 1).join(', ')}]`,
  )
  return `# Every key is explained in quant.yaml.example.
model:
  name: ${quoted(name)}
  path: ${quoted(path)}
  inputs: # NCHW; a dimension that the file leaves open is written as 1
${shapes.join('\n')}
  outputs: # where the network ends: the raw heads, before decoding and NMS
${outputs.map((output) => `    - ${quoted(output)}`).join('\n')}

preprocess: # y = (x - mean) * scale
  pixel_format: rgb
  mean: [0, 0, 0]
  scale: [0.0039216, 0.0039216, 0.0039216]
  keep_aspect_ratio: true
  pad_value: 128

calibration:
  dataset: pictures # a folder of some 100 pictures like those the network will see
  input_num: 100

variants:
  int8: { quantize: INT8 }
  mix: { quantize: INT8, mix: { mode: F32, min_improvement: 5% } }

# verify: # judge the variants by what they detect
#   detector: { kind: yolov3, anchors: [[81, 82, 135, 169, 344, 319], [10, 14, 23, 27, 37, 58]], classes: coco, score: 0.5 }
#   images: [pictures]
`
}

const quoted = (text: string): string => (/^[A-Za-z_][\w./-]*$/.test(text) ? text : JSON.stringify(text))
