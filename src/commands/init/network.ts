/** What an ONNX file says of itself, as far as quant.yaml needs it. */
import { QuantError } from '../../errors.js'
import { inputsOf } from '../../ir/graph.js'
import { typesBehindHeads } from '../../ir/heads.js'
import { headsOf, importOnnx } from '../../ir/onnx/import.js'
import { inspectOnnx } from '../../ir/onnx/read.js'
import { type Guess, guessNetwork } from './guess.js'

export interface Network {
  readonly inputs: readonly {
    readonly name: string
    readonly shape: readonly number[]
    /** Names of the dimensions that the file leaves open and that were filled in. */
    readonly filled: readonly string[]
  }[]
  /** Where to end it: the file's own outputs, or the raw heads before a tail that decodes them. */
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] | undefined }[]
  /** The file ends elsewhere. */
  readonly cut: boolean
  readonly guess: Guess | undefined
  /** Why import cannot take it as it is. */
  readonly trouble: QuantError | undefined
}

/** @throws QuantError 'input' for bytes that are no usable ONNX file */
export function lookAtNetwork(bytes: Uint8Array, file: string): Network {
  const summary = inspectOnnx(bytes, file)
  const inputs = summary.inputs.map(({ name, shape }) => ({ name, ...filledIn(shape) }))
  const sizes = Object.fromEntries(inputs.map(({ name, shape }) => [name, shape]))
  const own = attempt(summary.outputs)
  if (own.guess && !own.guess.decoded)
    return { inputs, outputs: own.outputs, cut: false, guess: own.guess, trouble: undefined }
  const heads = headsOf(bytes, { file, name: 'network', inputs: sizes })
  const before = heads.length > 0 ? attempt(heads, own.guess) : undefined
  if (before?.guess && before.guess.kind !== 'classifier')
    return { inputs, outputs: before.outputs, cut: true, guess: before.guess, trouble: undefined }
  return { inputs, outputs: own.outputs, cut: false, guess: own.guess, trouble: own.trouble }

  /** @param decoded what its own outputs say, when these are cut off */
  function attempt(outputs: readonly string[], decoded?: Guess): Pick<Network, 'outputs' | 'guess' | 'trouble'> {
    try {
      const graph = importOnnx(bytes, {
        file,
        name: 'network',
        inputs: sizes,
        outputs,
      })
      const shapes = new Map(graph.nodes.map(({ name, shape }) => [name, shape]))
      const found = outputs.map((name, index) => ({ name, shape: shapes.get(graph.outputs[index] ?? '') }))
      const [input, ...others] = inputsOf(graph)
      const guess =
        input && others.length === 0 && found.every(({ shape }) => shape !== undefined)
          ? guessNetwork({
              input: input.shape,
              outputs: found.map(({ shape }) => shape!),
              layers: new Set(graph.nodes.map(({ op }) => op.type)),
              behind: typesBehindHeads(graph),
              decoded,
            })
          : undefined
      return { outputs: found, guess, trouble: undefined }
    } catch (error) {
      if (!(error instanceof QuantError)) throw error
      return { outputs: outputs.map((name) => ({ name, shape: undefined })), guess: undefined, trouble: error }
    }
  }
}

/** One picture at a time, in colour; a side that may be anything becomes as long as most detectors of today are trained with. */
function filledIn(shape: readonly (number | undefined)[] | undefined): { shape: number[]; filled: string[] } {
  // TensorFlow's networks have channels last.
  const last = shape?.length === 4 && shape[3] === 3 && shape[1] !== 3
  const usual = last ? [1, 640, 640, 3] : [1, 3, 640, 640]
  const words = last ? ['batch', 'height', 'width', 'channels'] : ['batch', 'channels', 'height', 'width']
  const given = shape ?? usual.map(() => undefined)
  return {
    shape: given.map((size, axis) => size ?? (given.length === 4 ? usual[axis]! : 1)),
    filled: given.flatMap((size, axis) =>
      size === undefined ? [given.length === 4 ? words[axis]! : `dimension ${axis}`] : [],
    ),
  }
}
