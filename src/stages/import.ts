import * as disk from '../disk.js'
import type { Stage } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { suggest } from '../nearest.js'
import { inRoot, type Recipe } from './context.js'

/** ONNX -> NAME.mlir, NAME_top_f32_all_weight.npz. Preprocessing becomes part of the graph: it is kept nowhere else. */
export function importStage(recipe: Recipe): Stage {
  const { config, pool, artifacts } = recipe
  const { source, name, inputs, outputs } = config.model
  const model = source.kind === 'file' ? source.path : artifacts.model
  return {
    name: 'import',
    title: 'ONNX to graph',
    params: {
      'model.name': name,
      'model.inputs': Object.fromEntries(inputs.map((input) => [input.name, [...input.shape]])),
      'model.outputs': [...outputs],
      preprocess: {
        pixel_format: config.preprocess.pixelFormat,
        mean: [...config.preprocess.mean],
        scale: [...config.preprocess.scale],
        keep_aspect_ratio: config.preprocess.keepAspectRatio,
        pad_value: config.preprocess.padValue,
        pad_type: config.preprocess.padType,
      },
    },
    identity: 'import 3',
    files: source.kind === 'file' ? [model] : [],
    needs: source.kind === 'file' ? [] : [model],
    outputs: [artifacts.imported.mlir, artifacts.imported.weights],
    async run(context) {
      const path = context.path(model)
      await checkNames(recipe, path, model)
      const { layers, weights } = await pool.run('importModel', {
        model: path,
        file: model,
        name,
        inputs: Object.fromEntries(inputs.map((input) => [input.name, [...input.shape]])),
        outputs,
        preprocess: config.preprocess,
        mlir: context.target(artifacts.imported.mlir),
        weights: context.target(artifacts.imported.weights),
        weightFile: artifacts.imported.weights,
      })
      return { note: `${layers} layers, ${(weights / 1e6).toFixed(2)} M weights` }
    },
  }
}

/** Inputs and outputs that quant.yaml names must be in the model: told with their place, before anything is worked on. */
async function checkNames({ config, places }: Recipe, path: string, file: string): Promise<void> {
  const { inputs, outputs } = config.model
  if (inputs.length + outputs.length === 0) return
  // Loaded only here: a build that has nothing to import would spend a third of its time on it.
  const { inspectOnnx } = await import('../ir/onnx/read.js')
  const model = inspectOnnx(disk.readBytes(path), file)
  const missing = [
    ...inputs
      .filter(({ name }) => !model.inputs.some((input) => input.name === name))
      .map(({ name }) =>
        wrong(
          'input',
          name,
          ['model', 'inputs', name],
          model.inputs.map((input) => input.name),
        ),
      ),
    ...outputs.flatMap((name, index) =>
      model.tensors.includes(name) || model.outputs.includes(name)
        ? []
        : [wrong('tensor', name, ['model', 'outputs', index], [...model.outputs, ...model.tensors])],
    ),
  ]
  const [first, ...more] = missing
  if (first) throw new QuantError('config', first.message, { place: first.place, hint: first.hint, more })

  function wrong(kind: string, name: string, at: (string | number)[], known: string[]): QuantError {
    return new QuantError('config', `${file} has no ${kind} \`${name}\``, {
      place: places(at),
      hint:
        suggest(name, known) ||
        `the model's own ${kind === 'input' ? 'inputs' : 'outputs'}: ${(kind === 'input' ? known : model.outputs).slice(0, 8).join(', ')}`,
    })
  }
}

/** The model file must be there before anything else is looked at. */
export function checkModelFile(recipe: Recipe): void {
  const { source } = recipe.config.model
  if (source.kind === 'file' && !disk.exists(inRoot(recipe, source.path)))
    throw new QuantError('config', `the model ${source.path} does not exist`, {
      place: recipe.places(['model', 'path']),
      hint: 'paths are relative to quant.yaml',
    })
}
