/** A picture or arrays for a network, from the command line. */
import type { Preprocess } from '../ir/graph.js'
import type { Sample, SampleInput } from '../preprocess/sample.js'

interface Input {
  readonly name: string
  readonly shape: readonly number[]
}

/** Preprocessing for those inputs that can hold a picture of its format. */
export const pictureInputs = (inputs: readonly Input[], preprocess: Preprocess | undefined): SampleInput[] =>
  inputs.map(({ name, shape }) => {
    const channels = preprocess?.pixelFormat === 'gray' ? 1 : 3
    const takes = shape.length === 4 && shape[1] === channels
    return { name, shape, preprocess: takes ? preprocess : undefined }
  })

export async function loadPicture(bytes: Uint8Array, file: string, inputs: readonly SampleInput[]): Promise<Sample> {
  const { loadSample } = await import('../preprocess/sample.js')
  return loadSample(bytes, file, inputs)
}
