/** `quant detect`: one picture, a network, boxes. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it, test } from 'vitest'
import { stringify } from 'yaml'
import { detectCommand } from '../../src/commands/detect.js'
import { decodePicture } from '../../src/preprocess/picture.js'
import { type BuildRig, buildRig } from '../build/rig.js'
import { shared } from '../shared.js'
import { printed, quant } from './process.js'

let p: BuildRig
beforeAll(async () => {
  p = await buildRig()
  p.write('quant.yaml', stringify(p.yaml))
})

test('the float network sees what verification of a build sees', async () => {
  await p.build(['detect:float'])
  const { pictures } = JSON.parse(p.read('build/detect/onnx/detections.json'))
  const expected = (pictures['pictures/p1.png'].boxes as { classId: number; score: number }[])
    .filter(({ score }) => score > 0.05)
    .map(({ classId, score }) => `${['dot', 'ring'][classId]}:${(100 * score).toFixed(1)}%\n`)
  expect(expected.length).toBeGreaterThan(3)
  const args = ['detect', 'tiny.onnx', '--input', 'pictures/p1.png', '--output', 'seen.jpg', '--score', '0.05']
  const { code, out, err } = await quant(args, p.root)
  expect([code, err]).toEqual([0, ''])
  expect(out).toBe(expected.join(''))
  const drawn = await decodePicture(readFileSync(join(p.root, 'seen.jpg')), 'seen.jpg')
  expect([drawn.width, drawn.height]).toEqual([48, 40])

  const stricter = await quant(['--json', ...args.slice(0, 4), '--score', '0.05', '--iou', '0'], p.root)
  const { boxes } = JSON.parse(stricter.out)
  expect(boxes.length).toBeGreaterThan(0)
  expect(boxes.length).toBeLessThan(expected.length)
  expect(boxes[0]).toMatchObject({
    class: expect.stringMatching(/dot|ring/),
    box: [0, 0, 0, 0].map(() => expect.any(Number)),
  })
})

const detect = (model: string, input: string, more: { output?: string; score?: string } = {}, directory = p.root) =>
  printed(() => detectCommand(model, { directory, input, on: 'machine', ...more }))

test('flags alone are enough, and say the same as quant.yaml', async () => {
  const bare = await buildRig()
  bare.write('classes.txt', 'dot\nring\n')
  const flags =
    '--kind yolov3 --anchors 4,4,8,8,16,16 --score 0.05 --iou 0.5 --pixel-format rgb --keep-aspect-ratio --pad-value 128'
  const args = [
    'detect',
    'tiny.onnx',
    '-i',
    'pictures/p1.png',
    ...flags.split(' '),
    '--scale',
    '0.0039216,0.0039216,0.0039216',
  ]
  const named = await quant([...args, '--classes', 'dot,ring'], bare.root)
  expect([named.code, named.err]).toEqual([0, ''])
  expect(named.out).toBe(await detect('tiny.onnx', 'pictures/p1.png', { score: '0.05' }))
  expect((await quant([...args, '--classes', 'classes.txt'], bare.root)).out).toBe(named.out)
  const wrong = await quant([...args, '--classes', 'dot,ring', '--kind', 'yolov9'], bare.root)
  expect(wrong.code).toBe(1)
  expect(wrong.err).toMatch(/`yolov9` is not a value of `verify.detector.kind`/)
})

test('above every score there is nothing', async () => {
  expect(await detect('tiny.onnx', 'pictures/p1.png', { score: '1' })).toBe('nothing\n')
})

const bmodel = shared('golden/street_tiny/street_tiny_int8.bmodel')
const street = join(import.meta.dirname, '../../examples/street')
it.skipIf(!bmodel || !existsSync(street))(
  "the vendor's compiled network, on our machine, on the example's picture",
  async () => {
    const { code, out, err } = await quant(['detect', bmodel!, '-i', 'demo/day.jpg'], street)
    expect([code, err]).toEqual([0, ''])
    // What stands in the picture, and at least four of them beyond doubt.
    const seen = out
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0])
    for (const one of ['car', 'bus', 'bicycle', 'person', 'traffic light']) expect(seen).toContain(one)
    expect(out.split('\n').filter((line) => /:(9\d\.\d|100\.0)%$/.test(line)).length).toBeGreaterThan(4)
  },
)

test('mistakes', async () => {
  const picture = 'pictures/p1.png'
  await expect(detect('tiny.onnx', 'quant.yaml')).rejects.toThrow('quant.yaml is no picture')
  await expect(detect('tiny.onnx', 'pictures/p9.png')).rejects.toThrow('pictures/p9.png: there is no such file')
  await expect(detect('quant.yaml', picture)).rejects.toThrow('no network that can be run')
  await expect(detect('tiny.onnx', picture, { output: 'a.png' })).rejects.toThrow('written as JPEG')
  for (const score of ['high', '', '2', '-0.5'])
    await expect(detect('tiny.onnx', picture, { score })).rejects.toThrow('`verify.detector.score`')
  const { verify: _, ...plain } = p.yaml
  p.write('plain/quant.yaml', stringify({ ...plain, model: { name: 'tiny', path: '../tiny.onnx' } }))
  await expect(detect('../tiny.onnx', `../${picture}`, {}, join(p.root, 'plain'))).rejects.toThrow(
    'quant.yaml has no verify.detector',
  )
})
