import { basename, resolve } from 'node:path'
import { storeInputs } from '../bm1684x/io.js'
import type { Config } from '../config/config.js'
import { printed } from '../detect/classes.js'
import type { Ranked } from '../detect/classification.js'
import type { Box } from '../detect/types.js'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'
import type { Tensor } from '../ir/graph.js'
import type { SampleInput } from '../preprocess/sample.js'
import { PICTURE_FILE } from '../preprocess/sample-file.js'
import { classifierNames, detectorSpec } from '../stages/detect.js'
import { openProgram, runProgram } from './device.js'
import { describeWithFlags, type SettingFlags } from './flags.js'
import type { ProjectOptions } from './project.js'
import { loadPicture, pictureInputs } from './sample.js'

export interface DetectOptions extends ProjectOptions, SettingFlags {
  readonly input: string
  readonly output?: string
  readonly on: string
  readonly json?: boolean
}

interface Network {
  readonly inputs: readonly SampleInput[]
  /** Outputs in the network's order. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Tensor[]>
}

/** Finds and draws what a network sees on one picture, boxes or names. Preprocessing and detector are those of quant.yaml and of flags. */
export async function detectCommand(model: string, options: DetectOptions): Promise<number> {
  const folder = resolve(options.directory ?? '.')
  const { input, output } = options
  if (!PICTURE_FILE.test(input))
    throw new QuantError('usage', `${input} is no picture`, { hint: 'give a jpg, png, webp or bmp file' })
  if (output !== undefined && !/\.jpe?g$/i.test(output))
    throw new QuantError('usage', `--output ${output}: pictures are written as JPEG`, { hint: 'call it NAME.jpg' })
  const description = describeWithFlags(model, options)
  const spec = detectorSpec(description)
  const classes = spec?.classes ?? classifierNames(description)
  if (!classes)
    throw new QuantError('usage', 'quant.yaml has no verify.detector: how the outputs are to be read is not known', {
      hint: 'describe it, see quant.yaml.example, or say it with flags: --kind, --anchors, --classes',
    })
  const { detector, classifier } = description.config.verify

  const network = await openNetwork(model, description.config, { on: options.on, folder })
  const sample = await loadPicture(disk.readBytes(resolve(folder, input)), input, network.inputs)
  const outputs = await network.run(sample.feeds)
  const boxes = spec ? await boxesOf() : undefined
  const names = boxes ? [] : await namesOf()
  const found: readonly (Box | Ranked)[] = boxes ?? names

  if (output !== undefined) {
    const { drawBoxes, drawNames } = await import('../detect/draw.js')
    const { encodeJpeg } = await import('../preprocess/picture.js')
    const drawn = boxes ? drawBoxes(sample.picture!, boxes, classes) : drawNames(sample.picture!, names, classes)
    disk.writeAtomic(resolve(folder, output), await encodeJpeg(drawn, 92))
  }
  if (options.json) {
    const told = found.map((one) => ({
      class: classes[one.classId],
      score: one.score,
      ...('x0' in one ? { box: [one.x0, one.y0, one.x1, one.y1] } : {}),
    }))
    process.stdout.write(`${JSON.stringify({ picture: input, [boxes ? 'boxes' : 'names']: told })}\n`)
  } else
    process.stdout.write(found.length === 0 ? 'nothing\n' : found.map((one) => `${printed(one, classes)}\n`).join(''))
  return 0

  async function boxesOf(): Promise<Box[]> {
    const { detect } = await import('../detect/detect.js')
    return detect(outputs, spec!, {
      inputShape: network.inputs[0]!.shape,
      fit: sample.fit!,
      score: detector!.score,
    })
  }

  async function namesOf(): Promise<Ranked[]> {
    const { rankClasses } = await import('../detect/classification.js')
    return rankClasses(outputs, classes!.length).slice(0, classifier!.top)
  }
}

async function openNetwork(file: string, config: Config, place: { on: string; folder: string }): Promise<Network> {
  const path = resolve(place.folder, file)
  if (/\.bmodel$/i.test(file)) {
    const program = openProgram(path, file)
    return {
      inputs: pictureInputs(program.inputs, config.preprocess),
      async run(feeds) {
        const arrays = new Map(Object.entries(feeds))
        return [...(await runProgram(program, storeInputs(program.inputs, arrays, file), place)).values()]
      },
    }
  }
  if (!/\.onnx$/i.test(file))
    throw new QuantError('usage', `${file} is no network that can be run`, { hint: 'give an .onnx or a .bmodel file' })
  const { importOnnx } = await import('../ir/onnx/import.js')
  const { emitOnnx } = await import('../ir/emit.js')
  const { openSession } = await import('../runtime/session.js')
  const { inputs, outputs } = config.model
  const graph = importOnnx(disk.readBytes(path), {
    file,
    name: basename(file),
    inputs: Object.fromEntries(inputs.map(({ name, shape }) => [name, shape])),
    preprocess: config.preprocess,
    ...(outputs.length > 0 ? { outputs } : {}),
  })
  const session = await openSession(emitOnnx(graph, { outputs: graph.outputs }), file)
  return {
    inputs: graph.nodes.flatMap(({ name, shape, op }) =>
      op.type === 'Input' ? [{ name, shape, preprocess: op.preprocess }] : [],
    ),
    async run(feeds) {
      try {
        const results = await session.run(feeds)
        return graph.outputs.map((name) => results.get(name)!)
      } finally {
        await session.release()
      }
    },
  }
}
