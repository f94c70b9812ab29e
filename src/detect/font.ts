/**
 * A typeface of strokes for printable ASCII, so that labels look the same on every machine and at every size, without font files.
 *
 * A glyph is strokes separated by blanks; a stroke is points of two hexadecimal digits: x to the right from 0, y downwards, 0 top
 * of capitals, 3 top of small letters, 9 base line, c bottom of descenders. A stroke goes straight from point to point; `~`
 * makes it a quadratic B-spline from its first to its last point, `o` a closed one. One point twice is a dot.
 */
const GLYPHS: Readonly<Record<string, string>> = {
  '!': '0006 0909',
  '"': '0003 2023',
  '#': '2118 5148 0363 0666',
  $: '~6260000465690907 303a',
  '%': 'o00202404 6019 o55757959',
  '&': '~691410404305094965',
  "'": '0003',
  '(': '~200207092b',
  ')': '~002227290b',
  '*': '2125 0244 0442',
  '+': '0646 2428',
  ',': '19190b',
  '-': '0636',
  '.': '0909',
  '/': '400a',
  '0': 'o5054555909050400',
  '1': '123039 1959',
  '2': '~020050543609 0959',
  '3': '~0200505424 ~2454590907',
  '4': '49400656',
  '5': '500004 ~042353590907',
  '6': '~5250000406 o04545909',
  '7': '005029',
  '8': 'o00505404 o04545909',
  '9': '~0709595553 o00505505',
  ':': '0404 0909',
  ';': '1414 19190b',
  '<': '420648',
  '=': '0444 0747',
  '>': '024608',
  '?': '~020050542526 2929',
  '@': 'o33636838 ~63688880000b6b7a',
  A: '093069 1656',
  B: '0009 ~002050542404 ~042464692909',
  C: '~6260000405096967',
  D: '0009 ~0020606465692909',
  E: '50000959 0444',
  F: '500009 0444',
  G: '~6260000405096966 666535',
  H: '0009 6069 0464',
  I: '0009',
  J: '~4046490907',
  K: '0009 6005 2369',
  L: '000959',
  M: '0900366069',
  N: '09006960',
  O: 'o6064656909050400',
  P: '0900 ~002060652505',
  Q: 'o6064656909050400 466a',
  R: '0900 ~002060652505 3569',
  S: '~6260000465690907',
  T: '0060 3039',
  U: '~0004050969656460',
  V: '003960',
  W: '0029426980',
  X: '0069 6009',
  Y: '003460 3439',
  Z: '00600969',
  '[': '20000b2b',
  '\\': '004a',
  ']': '00202b0b',
  '^': '032043',
  _: '0b5b',
  '`': '0012',
  a: '~04035356 5659 ~5606095957',
  b: '0009 o03535909',
  c: '~545303095958',
  d: '5059 o03535909',
  e: '0656 ~565303095958',
  f: '~4010131519 0333',
  g: 'o03535909 ~53575c0c0b',
  h: '0009 ~0603535659',
  i: '0309 0000',
  j: '~23282c0c 2020',
  k: '0009 4307 2549',
  l: '~00060929',
  m: '0309 ~0603434649 ~4643838689',
  n: '0309 ~0603535659',
  o: 'o03535909',
  p: '030c o03535909',
  q: '535c o03535909',
  r: '0309 ~060343',
  s: '~5453030656590908',
  t: '~10161949 0333',
  u: '~0306095956 5359',
  v: '032943',
  w: '0329446983',
  x: '0349 4309',
  y: '0329 431c',
  z: '03530959',
  '{': '~3010121405 ~0516181b3b',
  '|': '000b',
  '}': '~0020222435 ~3526282b0b',
  '~': '~060424365654',
}

export const CAP_HEIGHT = 9
const BLANK_WIDTH = 2
const CURVE_STEPS = 6

/** In the font's units. */
export interface Glyph {
  readonly width: number
  /** x0, y0, x1, y1 of straight pieces. */
  readonly segments: readonly (readonly [number, number, number, number])[]
}

type Point = readonly [number, number]

/** Characters without a glyph are drawn as `?`. */
export function glyphOf(character: string): Glyph {
  if (character === ' ') return { width: BLANK_WIDTH, segments: [] }
  const strokes = (GLYPHS[character] ?? GLYPHS['?']!).split(' ')
  const width = Math.max(...strokes.flatMap((stroke) => pointsOf(stroke).map(([x]) => x)))
  return { width, segments: strokes.flatMap((stroke) => pieces(outline(stroke))) }
}

function pointsOf(stroke: string): Point[] {
  const pairs = stroke.replace(/^[~o]/, '').match(/../g) ?? []
  return pairs.map((pair): Point => [Number.parseInt(pair[0]!, 16), Number.parseInt(pair[1]!, 16)])
}

function outline(stroke: string): Point[] {
  const points = pointsOf(stroke)
  if (stroke.startsWith('~')) return spline(points)
  if (!stroke.startsWith('o')) return points
  // Closed: starts and ends in the middle between the last and the first point.
  const seam = middle(points.at(-1)!, points[0]!)
  return spline([seam, ...points, seam])
}

/** Through the middles between the inner points, which pull it. */
function spline(points: readonly Point[]): Point[] {
  const curve = [points[0]!]
  for (let i = 1; i < points.length - 1; i++) {
    const from = curve.at(-1)!
    const pull = points[i]!
    const to = i === points.length - 2 ? points[i + 1]! : middle(pull, points[i + 1]!)
    for (let step = 1; step <= CURVE_STEPS; step++) {
      const t = step / CURVE_STEPS
      curve.push([blend(from[0], pull[0], to[0], t), blend(from[1], pull[1], to[1], t)])
    }
  }
  return curve
}

const middle = (a: Point, b: Point): Point => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]
const blend = (a: number, b: number, c: number, t: number): number =>
  (1 - t) * (1 - t) * a + 2 * t * (1 - t) * b + t * t * c

function pieces(points: readonly Point[]): [number, number, number, number][] {
  return points.slice(1).map(([x, y], i) => [points[i]![0], points[i]![1], x, y])
}
