import { expect, test } from 'vitest'
import { extentsOf, influenceOf, inspectInfluence } from '../../src/calibrate/influence.js'
import { observe } from '../../src/calibrate/statistics.js'
import { laplace } from './random.js'

const layers = ['input', 'a', 'b', 'c', 'd']
const sized = (data: Float32Array, most: number): Float32Array => {
  const largest = data.reduce((m, value) => Math.max(m, Math.abs(value)), 0)
  return data.map((value) => (value / largest) * most)
}

/** Ten pictures whose tensors are alike, up to 1 in size; `odd` makes one of them another. */
function pictures(odd: (layer: string) => Float32Array | undefined = () => undefined) {
  return new Map(
    Array.from({ length: 10 }, (_, i) => [
      `p${i}.jpg`,
      extentsOf(
        new Map(
          layers.map((layer, k) => {
            const ordinary = sized(laplace(500, 100 * i + k + 1), 0.96 + 0.004 * i)
            return [layer, observe((i === 3 && odd(layer)) || ordinary)]
          }),
        ),
      ),
    ]),
  )
}
const at = (threshold: number) => new Map(layers.map((layer) => [layer, { threshold, min: -1, max: 1 }]))

test('pictures that are alike: nobody stands out, nothing is said', () => {
  const influence = influenceOf(pictures(), ['input'], at(0.9))
  expect(influence.pictures.every(({ stands_out, sets, blank }) => stands_out + sets === 0 && !blank)).toBe(true)
  expect(inspectInfluence(influence)).toEqual([])
  expect(influence.tensors.map(({ layer, picture }) => `${layer} ${picture}`)).toEqual(layers.map((l) => `${l} p9.jpg`))
})

test('a picture that reaches three times as far in two tensors stands out there, and sets what lies above all others', () => {
  const wide = pictures((layer) => (layer === 'a' || layer === 'b' ? sized(laplace(500, 7), 3) : undefined))
  const [first] = influenceOf(wide, ['input'], at(0.9)).pictures
  expect(first).toMatchObject({ picture: 'p3.jpg', stands_out: 2, sets: 0 })
  expect(inspectInfluence(influenceOf(wide, ['input'], at(0.9)))).toEqual([])
  const high = influenceOf(wide, ['input'], at(2))
  expect(high.pictures[0]).toMatchObject({ picture: 'p3.jpg', stands_out: 2, sets: 2 })
  expect(inspectInfluence(high)).toEqual([
    {
      about: 'p3.jpg',
      message: 'sets 2 of 5 thresholds alone: remove it, or add more pictures like it if the network is to see such',
    },
  ])
  const a = high.tensors.find(({ layer }) => layer === 'a')!
  expect([a.picture, a.largest, Number(a.others.toFixed(3))]).toEqual(['p3.jpg', 3, 0.996])
})

test('a picture of one colour is told; so is one whose values are of another size throughout', () => {
  const blank = influenceOf(
    pictures((layer) => (layer === 'input' ? new Float32Array(500).fill(0.5) : undefined)),
    ['input'],
    at(1),
  )
  expect(inspectInfluence(blank)).toEqual([
    { about: 'p3.jpg', message: 'a calibration picture of hardly more than one colour: remove it from the data set' },
  ])
  const dim = influenceOf(
    pictures(() => sized(laplace(500, 9), 0.05)),
    ['input'],
    at(1),
  )
  const warnings = inspectInfluence(dim)
  expect(warnings.map(({ about }) => about)).toEqual(['p3.jpg'])
  expect(warnings[0]!.message).toContain('from the other pictures')
})

test('a picture that is warned of comes first, also before one that stretches more tensors', () => {
  const blank = pictures((layer) => (layer === 'input' ? new Float32Array(500).fill(0.5) : undefined))
  const wide = pictures((layer) => (layer === 'a' ? sized(laplace(500, 7), 3) : undefined))
  const both = new Map([...blank].map(([name, extents]) => [name, name === 'p7.jpg' ? wide.get('p3.jpg')! : extents]))
  const { pictures: found } = influenceOf(both, ['input'], at(2))
  expect(found.slice(0, 2)).toMatchObject([
    { picture: 'p3.jpg', sets: 0, blank: true },
    { picture: 'p7.jpg', sets: 1, blank: false },
  ])
})
