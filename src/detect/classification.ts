/**
 * What a classifier says a picture shows, and how often that is right.
 *
 * Labels are a text file with a line `picture class` each: the class by name or number, after the first space or, where there is one, tab;
 * the picture by its path below the folder, its name, or its name without ending. `#` begins a comment line.
 */
import { QuantError } from '../errors.js'
import { sizeOf, type Tensor } from '../ir/graph.js'
import { stem } from './labels.js'

/** A class and its probability, 0..1. */
export interface Ranked {
  readonly classId: number
  readonly score: number
}

/** More are never looked at. */
const MOST_RANKED = 20

/** So far outside of 0..1 quantization may put a probability. */
const TOLERANCE = 0.02

/**
 * The best classes, best first, at most 20; of equal ones the first. Numbers that are not all between 0 and 1 are logits, and go through
 * softmax.
 * @param outputs of the network: one, with a number per class
 * @throws QuantError 'model' for other outputs
 */
export function rankClasses(outputs: readonly Tensor[], classes: number): Ranked[] {
  const [output] = outputs
  const numbers = output && sizeOf(output.shape) / (output.shape[0] ?? 1)
  if (!output || outputs.length !== 1 || numbers !== classes)
    throw new QuantError(
      'model',
      `outputs of ${outputs.map(({ shape }) => `[${shape.join(', ')}]`).join(', ')} are not one number for each of ${classes} classes`,
      { hint: 'compare verify.classifier.classes and model.outputs with the network' },
    )
  const values = output.data.subarray(0, classes)
  const probabilities = values.every((value) => value >= -TOLERANCE && value <= 1 + TOLERANCE)
    ? values
    : softmax(values)
  return [...probabilities.keys()]
    .sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
    .slice(0, MOST_RANKED)
    .map((classId) => ({ classId, score: probabilities[classId]! }))
}

function softmax(values: Float32Array): Float64Array {
  const max = values.reduce((most, value) => Math.max(most, value), -Infinity)
  const powers = Float64Array.from(values, (value) => Math.exp(value - max))
  const sum = powers.reduce((total, value) => total + value, 0)
  return powers.map((value) => value / sum)
}

/** Whether a class is among the first `top`. */
export const isAmong = (ranking: readonly Ranked[], classId: number, top: number): boolean =>
  ranking.slice(0, top).some((ranked) => ranked.classId === classId)

/**
 * @param text of a label file; @param file names it in errors
 * @returns a lookup: from the path of a picture to the number of its class; undefined for a picture without a line
 * @throws QuantError 'input' with file and line
 */
export function readClassLabels(
  text: string,
  file: string,
  classes: readonly string[],
  classMap?: readonly number[],
): (picture: string) => number | undefined {
  const byPicture = new Map<string, number>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [, picture, label] = (trimmed.includes('\t') ? /^(.+?)\t+(.+)$/ : /^(\S+)\s+(.+)$/).exec(trimmed) ?? []
    const classId = label === undefined ? undefined : classOfLabel(label.trim(), classes, classMap)
    if (picture === undefined || label === undefined || classId === undefined)
      throw new QuantError(
        'input',
        `${file}:${index + 1}: ${label === undefined ? 'not a label' : `\`${label}\` is none of ${classes.length} classes`}`,
        {
          place: { file, line: index + 1, text: line },
          hint: 'a line is: picture class, the class by its name or number; see verify.classifier.classes and class_map',
        },
      )
    byPicture.set(picture.replaceAll('\\', '/'), classId)
  }
  const byStem = new Map([...byPicture].map(([picture, classId]) => [stem(picture), classId]))
  return (picture) => {
    const steps = picture.replaceAll('\\', '/').split('/')
    for (const at of steps.keys()) {
      const known = byPicture.get(steps.slice(at).join('/'))
      if (known !== undefined) return known
    }
    return byStem.get(stem(picture))
  }
}

/** A name or a number; numbers are the class's own, or by the map. Undefined for what is none. */
export function classOfLabel(
  label: string,
  classes: readonly string[],
  classMap?: readonly number[],
): number | undefined {
  const named = classes.indexOf(label)
  if (named >= 0) return named
  if (!/^\d+$/.test(label)) return undefined
  const classId = classMap ? classMap.indexOf(Number(label)) : Number(label)
  return classId >= 0 && classId < classes.length ? classId : undefined
}
