/**
 * Networks as their exporters write them: import computes what onnxruntime computes from the file, the chip what the 8-bit executor
 * computes, and the boxes from raw heads are those that the network's own decoder gives.
 */
import { describe, expect, it, test } from 'vitest'
import { lookAtNetwork } from '../../src/commands/init/network.js'
import { candidates } from '../../src/detect/decode/candidates.js'
import type { Box, DetectorSpec } from '../../src/detect/types.js'
import { QuantError } from '../../src/errors.js'
import type { Tensor } from '../../src/ir/graph.js'
import { headsOf } from '../../src/ir/onnx/import.js'
import { decodedWarning, readOutputs } from '../../src/stages/decoded.js'
import { edited, imported, model, opTypes } from '../import/helper.js'
import { networks, side, spec } from '../models/networks.js'
import { centerNet } from '../models/others.js'
import { ppyoloe } from '../models/paddle.js'
import { compared, followed } from '../models/rig.js'

const plain = { opset: 12 }
/** As much as an exporter can leave behind. */
const laden = { opset: 17, constantNodes: true, computedShapes: true }
const old = { opset: 11, constantNodes: true, computedShapes: true }

const boxesOf = (outputs: readonly Tensor[], settings: DetectorSpec): Box[] =>
  candidates(outputs, settings, [1, 3, side, side], 0.3)

/** The same boxes in whatever order, to a hundredth of a pixel. */
function expectSameBoxes(got: readonly Box[], want: readonly Box[]): void {
  expect(want.length).toBeGreaterThan(4)
  const sorted = (boxes: readonly Box[]): Box[] => boxes.toSorted((a, b) => a.score - b.score || a.classId - b.classId)
  const [some, others] = [sorted(got), sorted(want)]
  expect(some).toHaveLength(others.length)
  for (const { score, classId, x0, y0, x1, y1 } of others) {
    const near = some.find((b) => {
      const distance = Math.abs(b.x0 - x0) + Math.abs(b.y0 - y0) + Math.abs(b.x1 - x1) + Math.abs(b.y1 - y1)
      return b.classId === classId && Math.abs(b.score - score) < 1e-4 && distance < 0.02
    })
    expect(near, `${classId} ${score} at ${x0} ${y0} ${x1} ${y1}`).toBeDefined()
  }
}

for (const [name, { make, float = [], whole, heads, again = false }] of Object.entries(networks))
  describe(name, () => {
    it.skipIf(again)('goes from the file to the chip', async () => {
      const run = await followed(make(laden).bytes)
      expect(run.error).toBeLessThan(2e-6)
      expect(run.floatOps).toEqual(float)
      // Behind a float softmax the last bits are the machine's own.
      expect(run.difference).toBeLessThanOrEqual(float.includes('Softmax') ? 2 ** -18 : 0)
      for (const ratio of run.sqnr) expect(ratio).toBeGreaterThan(14)
      for (const { data } of run.int8) expect(new Set(data).size).toBeGreaterThan(2)
    })

    it.each([plain, old])('is the same from opset $opset', async (style) => {
      const { graph, error } = await compared(make(style).bytes)
      expect(error).toBeLessThan(2e-6)
      expect(opTypes(graph).length).toBeLessThanOrEqual(opTypes(imported(make(laden).bytes)).length + 6)
    })

    if (heads)
      it('is read at its raw heads as it reads itself', async () => {
        const file = make(laden)
        const names = headsOf(file.bytes, { file: 'm.onnx', name: 'm' })
        expect(names.toSorted()).toEqual(file.heads!.toSorted())
        const cut = await compared(file.bytes, { outputs: names })
        const found = boxesOf(cut.outputs, spec(heads))
        if (whole) expectSameBoxes(found, boxesOf((await compared(file.bytes)).float, spec(whole)))
        else expect(found.length).toBeGreaterThan(4)
      })
    else if (whole)
      it('is read', async () => {
        expect(boxesOf((await compared(make(plain).bytes)).outputs, spec(whole)).length).toBeGreaterThan(4)
      })
  })

/** The list behind `model.outputs:` in a hint, the last one there. */
const advised = (text: string | undefined): string[] =>
  /model\.outputs: \[([^\]]*)\]/.exec((text ?? '').split('or before the decoding').at(-1)!)![1]!.split(', ')

it('a picture of any size: ranges and meshes of anchors are computed at import', () => {
  const { make } = networks.YOLOv8!
  const open = edited(make(laden).bytes, ({ graph }) => {
    const { value } = graph!.input[0]!.type!
    if (value.case !== 'tensorType') throw new Error('no tensor')
    const names = ['batch', undefined, 'height', 'width']
    for (const [axis, name] of names.entries())
      if (name) value.value.shape!.dim[axis]!.value = { case: 'dimParam', value: name }
  })
  expect(() => imported(open)).toThrow('its size is not fixed')
  const graph = imported(open, { inputs: { images: [1, 3, side, side] } })
  expect(graph).toEqual(imported(make(laden).bytes))
})

describe('advice where to cut is good', () => {
  const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      'boxes are suppressed in the network',
      ppyoloe(3, side, laden, true).bytes,
      /operator NonMaxSuppression is not supported/,
    ],
    ['peaks are found by comparison', centerNet(3, side, plain, true).bytes, /operator Equal of a computed tensor/],
  ]
  it.each(refused)('%s', async (_, bytes, message) => {
    let error: unknown
    try {
      imported(bytes)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(QuantError)
    const { message: said, hint } = error as QuantError
    expect(said).toMatch(message)
    const outputs = advised(hint)
    expect(outputs.length).toBeGreaterThan(2)
    const run = await followed(bytes, { outputs })
    expect(run.error).toBeLessThan(2e-6)
    expect(run.difference).toBe(0)
    for (const ratio of run.sqnr) expect(ratio).toBeGreaterThan(20)
    // The other tensors that it names can be had, too.
    const nearer = advised(hint!.split('or before the decoding')[0])
    expect(imported(bytes, { outputs: nearer }).outputs).toHaveLength(nearer.length)
  })

  it('outputs that no kind reads', async () => {
    const file = ppyoloe(3, side, laden, false)
    const { graph, outputs } = await compared(file.bytes)
    const read = () => readOutputs(graph, () => boxesOf(outputs, spec({ kind: 'yolov8' })))
    expect(read).toThrow('are not those of yolov8')
    let hint: string | undefined
    try {
      read()
    } catch (error) {
      hint = (error as QuantError).hint
    }
    expect(advised(hint).toSorted()).toEqual(file.heads.toSorted())
  })

  it('none where heads are only turned: the kind is wrong, not their end', () => {
    const graph = imported(
      model([1, 3, side, side], (b) => {
        const head = b.node('Conv', ['x', b.random('w', [24, 3, 1, 1])], 'head', { strides: [16, 16] })
        b.node('Transpose', [head], 'y', { perm: [0, 2, 3, 1] })
      }),
    )
    const outputs = [{ shape: [1, 4, 4, 24], data: new Float32Array(384) }]
    let hint: string | undefined
    try {
      readOutputs(graph, () => boxesOf(outputs, spec({ kind: 'yolov8' })))
    } catch (error) {
      hint = (error as QuantError).hint
    }
    expect(hint).toContain('compare verify.detector with the network')
    expect(hint).not.toContain('raw heads')
  })

  const inside = Object.entries(networks).filter(
    ([, { whole, heads }]) => whole && heads && /^yolo(v|x)/i.test(whole.kind),
  )
  it.each(inside)('%s: the warning names the heads', (_, { make, whole }) => {
    const file = make(laden)
    const warning = decodedWarning(imported(file.bytes), spec(whole!))
    if (whole!.kind === 'yolox') return expect(warning).toBeUndefined()
    expect(advised(warning).toSorted()).toEqual(file.heads!.toSorted())
  })
})

test.each(Object.entries(networks).filter(([, { heads }]) => heads))(
  'quant init knows %s',
  (name, { make, heads, whole }) => {
    const { guess, outputs, cut } = lookAtNetwork(make(laden).bytes, 'm.onnx')
    if (name === 'Yolo-FastestV2') return expect(cut).toBe(false)
    const kind = name.startsWith('YOLOv7') ? 'yolov5' : cut ? heads!.kind : whole!.kind
    expect(`${guess?.kind} ${guess?.classes}`).toBe(name === 'FastestDet' ? 'undefined undefined' : `${kind} 3`)
    if (cut) expect(outputs.map((output) => output.name).toSorted()).toEqual(make(laden).heads!.toSorted())
  },
)
