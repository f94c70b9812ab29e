/** Data sets of arrays: .npz samples that are preprocessed already take the place of pictures. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeNpz } from '../../src/ir/npz.js'
import { loadSample } from '../../src/preprocess/sample.js'
import { buildRig, picture, tinyYaml } from './rig.js'

test('calibrating on the arrays of the same pictures gives the same thresholds', async () => {
  const p = await buildRig()
  const preprocess = {
    pixelFormat: 'rgb',
    mean: [0, 0, 0],
    scale: [0.0039216, 0.0039216, 0.0039216],
    keepAspectRatio: true,
    padValue: 128,
    padType: 'center',
  } as const
  for (let n = 1; n <= 4; n++) {
    const { feeds } = await loadSample(await picture(n), 'p.png', [{ name: 'x', shape: [1, 3, 32, 32], preprocess }])
    const { shape, data } = feeds.x!
    p.write(`arrays/a${n}.npz`, writeNpz([['x', { shape: [...shape], data }]]))
  }
  await p.build(['calibrate'])
  const fromPictures = readFileSync(join(p.root, 'build/tiny_cali_table'), 'utf8')
  p.yaml = { ...tinyYaml, calibration: { ...tinyYaml.calibration, dataset: 'arrays' } }
  expect((await p.build(['select:mix'])).failed).toEqual([])
  expect(p.read('build/tiny_cali_table')).toBe(fromPictures)
})
