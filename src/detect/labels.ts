/**
 * What pictures really show, in the two formats data sets come in.
 *
 * YOLO: a text file per picture, a line `class cx cy width height` per object; the last four are fractions of the picture.
 * COCO: one JSON file; `images` [{id, file_name}], `categories` [{id, name}], `annotations` [{image_id, category_id, bbox:
 * [x, y, width, height] in pixels, iscrowd}]. A picture is known by its file's stem.
 */
import { QuantError } from '../errors.js'
import { cocoNames } from './classes.js'
import type { Truth } from './types.js'

/** The name of a file without folders and ending: labels and pictures meet by it. */
export const stem = (path: string): string => path.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '')

/**
 * @param file names the text in errors
 * @param size of the picture, pixels
 * @param classes of the detector
 * @param classMap the label number of each class; labels with other numbers are left out. Without it, numbers are classes.
 * @returns boxes in picture pixels
 * @throws QuantError 'input' with file and line
 */
export function readYoloLabels(
  text: string,
  file: string,
  size: { readonly width: number; readonly height: number },
  classes: readonly string[],
  classMap?: readonly number[],
): Truth[] {
  const known = new Map(classMap?.map((number, classId) => [number, classId]))
  const truths: Truth[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.trim().split(/\s+/)
    if (words[0] === '') continue
    const bad = (what: string, hint: string) =>
      new QuantError('input', `${file}:${index + 1}: ${what}`, { place: { file, line: index + 1, text: line }, hint })
    const [number = -1, cx = NaN, cy = NaN, width = NaN, height = NaN] = words.map(Number)
    if (words.length !== 5 || ![number, cx, cy, width, height].every(Number.isFinite))
      throw bad('not a label', 'a line is: class cx cy width height, five numbers')
    if ([cx, cy, width, height].some((value) => value < 0 || value > 1))
      throw bad('a box outside of the picture', 'cx, cy, width and height are fractions of the picture, 0 to 1')
    const classId = classMap ? known.get(number) : number
    if (classId === undefined) continue
    if (!Number.isInteger(classId) || classId < 0 || classId >= classes.length)
      throw bad(`class ${number} of ${classes.length}`, 'see detector.classes and verify.class_map')
    truths.push({
      x0: (cx - width / 2) * size.width,
      y0: (cy - height / 2) * size.height,
      x1: (cx + width / 2) * size.width,
      y1: (cy + height / 2) * size.height,
      classId,
      crowd: false,
    })
  }
  return truths
}

/**
 * @param file names the text in errors
 * @param classes of the detector; without a class map they are found by name among the categories (YOLO's or COCO's names)
 * @param classMap the category id of each class; annotations of other categories are left out
 * @returns file stem -> boxes in picture pixels; pictures without objects have an empty list
 * @throws QuantError 'input' with file and, where it can be told, line
 */
export function readCocoLabels(
  text: string,
  file: string,
  classes: readonly string[],
  classMap?: readonly number[],
): Map<string, Truth[]> {
  const bad = (what: string, at?: number) => {
    const place = at === undefined ? { file } : { file, line: lineAt(text, at) }
    const where = place.line === undefined ? file : `${file}:${place.line}`
    return new QuantError('input', `${where}: ${what}`, {
      place,
      hint: 'COCO labels are an object with images, annotations and categories',
    })
  }
  const root = parseJson(text, bad)
  const list = (key: string): readonly Item[] => {
    const value = isItem(root) ? root[key] : undefined
    if (!Array.isArray(value)) throw bad(`no list '${key}'`)
    const wrong = value.findIndex((item) => !isItem(item))
    if (wrong >= 0) throw bad(`${key}[${wrong}] is not an object`, positionOf(text, key, wrong))
    return value as Item[]
  }

  const byPicture = new Map<unknown, Truth[]>()
  const byStem = new Map<string, Truth[]>()
  for (const [index, { id, file_name: name }] of list('images').entries()) {
    if (typeof name !== 'string') throw bad(`images[${index}] has no file_name`, positionOf(text, 'images', index))
    const truths: Truth[] = []
    byPicture.set(id, truths)
    byStem.set(stem(name), truths)
  }
  const byCategory = classMap
    ? new Map<unknown, number>(classMap.map((number, classId) => [number, classId]))
    : categoriesByName(list('categories'), classes)
  if (byCategory.size === 0) throw bad('no category has the name of a class')

  for (const [index, annotation] of list('annotations').entries()) {
    const { image_id: picture, category_id: category, bbox, iscrowd } = annotation
    const fail = (what: string) => bad(`annotations[${index}]${what}`, positionOf(text, 'annotations', index))
    const truths = byPicture.get(picture)
    if (truths === undefined) throw fail(`: no image has the id ${String(picture)}`)
    if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite))
      throw fail(' has no bbox of four numbers')
    const classId = byCategory.get(category)
    if (classId === undefined) continue
    const [x, y, width, height] = bbox as [number, number, number, number]
    truths.push({ x0: x, y0: y, x1: x + width, y1: y + height, classId, crowd: iscrowd === 1 || iscrowd === true })
  }
  return byStem
}

type Item = Readonly<Record<string, unknown>>

const isItem = (value: unknown): value is Item => typeof value === 'object' && value !== null && !Array.isArray(value)

function categoriesByName(categories: readonly Item[], classes: readonly string[]): Map<unknown, number> {
  const ids = new Map(categories.map(({ id, name }) => [name, id]))
  const found = new Map<unknown, number>()
  for (const [classId, name] of classes.entries()) {
    const id = ids.get(name) ?? ids.get(cocoNames[name])
    if (id !== undefined) found.set(id, classId)
  }
  return found
}

function parseJson(text: string, bad: (what: string, at?: number) => QuantError): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const at = /position (\d+)/.exec(message)?.[1]
    // Of a text that just ends, V8 tells no position.
    throw bad('not JSON', at === undefined ? text.length : Number(at))
  }
}

const lineAt = (text: string, position: number): number => text.slice(0, position).split('\n').length

/** Where the item of a list under a key of the root begins, in a text that is known to be JSON. Only for errors. */
function positionOf(text: string, list: string, index: number): number | undefined {
  const token = /"(?:[^"\\]|\\.)*"|[[\]{},]/g
  let depth = 0
  let inside = false
  let item = 0
  let before = ''
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [word] = match
    if (word === '[' && depth === 1 && before === `"${list}"`) {
      inside = true
      if (index === 0) return token.lastIndex + text.slice(token.lastIndex).search(/\S/)
    } else if (inside && depth === 2 && word === ',' && ++item === index)
      return token.lastIndex + text.slice(token.lastIndex).search(/\S/)
    if (word === '[' || word === '{') depth++
    if (word === ']' || word === '}') depth--
    if (inside && depth < 2 && word === ']') return undefined
    before = word
  }
  return undefined
}
