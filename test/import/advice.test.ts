/** A network that cannot be taken as a whole: the hint names where to end it, and ending it there works. */
import { expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { imported, model, names } from './helper.js'

function hintOf(bytes: Uint8Array): string {
  try {
    imported(bytes)
  } catch (error) {
    if (error instanceof QuantError) return error.hint ?? ''
    throw error
  }
  throw new Error('it was imported')
}

const listsOf = (hint: string): string[][] =>
  [...hint.matchAll(/model\.outputs: \[([^\]]*)\]/g)].map(([, names]) => names!.split(', '))

/** Two heads, decoded: the last steps are none of ours. */
const decoded = model(
  [1, 3, 8, 8],
  (b) => {
    const trunk = b.node('Relu', [b.node('Conv', ['x', b.random('w', [4, 3, 1, 1])], 'trunk')], 'r')
    const boxes = ['a', 'b'].map((name) => {
      const head = b.node('Conv', [trunk, b.random(`w_${name}`, [6, 4, 1, 1])], `head_${name}`)
      const table = b.node('Reshape', [head, b.integers(`s_${name}`, [1, 6, 64])], `table_${name}`)
      return b.node('Sigmoid', [table], `sigmoid_${name}`)
    })
    const all = b.node('Concat', boxes, 'all', { axis: 2 })
    b.node('NonZero', [b.node('Round', [b.node('Det', [all], 'd')], 'rounded')], 'y')
    b.node('Mul', [trunk, b.floats('two', [2])], 'z')
  },
  { outputs: ['y', 'z'] },
)

it('an unknown operator: the last tensors before it, the outputs that are not concerned, and the heads behind', () => {
  const hint = hintOf(decoded)
  expect(listsOf(hint)).toEqual([
    ['all', 'z'],
    ['trunk', 'head_a', 'head_b'],
  ])
  for (const outputs of listsOf(hint)) expect(imported(decoded, { outputs }).outputs).toHaveLength(outputs.length)
})

it('settings of an operator that are not supported: the same, behind what else could be done', () => {
  const cubic = model([1, 3, 8, 8], (b) => {
    const c = b.node('Conv', ['x', b.random('w', [4, 3, 1, 1])], 'c')
    b.node('Resize', [b.node('Relu', [c], 'r'), '', b.floats('s', [1, 1, 2, 2])], 'y', { mode: 'cubic' })
  })
  const hint = hintOf(cubic)
  expect(hint).toMatch(/^export with mode nearest or linear; or end the network before it/)
  expect(listsOf(hint)).toEqual([['r'], ['c']])
  expect(names(imported(cubic, { outputs: ['r'] }))).toEqual(['x', 'r_Relu'])
})

it('no advice where nothing comes before', () => {
  expect(hintOf(model([2, 2], (b) => b.node('Det', ['x'], 'y')))).toMatch(/^supported: /)
})
