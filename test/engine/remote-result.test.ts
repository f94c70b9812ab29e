/** The bytes under /ac/, held against the wire format written out by hand. */
import { expect, test } from 'vitest'
import { decodeResult, encodeResult } from '../../src/engine/remote/result.js'

const key = 'ab'.repeat(32)
const digest = '0123456789abcdef'.repeat(4)
const action = {
  stage: 's',
  memo: 's',
  outputs: { mid: digest },
  warnings: [{ about: 'conv1', message: 'is cut' }],
  note: 'done',
  ms: 7,
}
const result = { action, sizes: new Map([[digest, 300]]) }
const json = Buffer.from(JSON.stringify({ key, ...action }))

/** Tag, length, content, as https://protobuf.dev/programming-guides/encoding says; lengths here need one byte or two. */
const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, n >> 7])
const lengthDelimited = (field: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(content.length)]), content])

const byHand = Buffer.concat([
  lengthDelimited(
    2,
    Buffer.concat([
      lengthDelimited(1, Buffer.from('mid')),
      lengthDelimited(2, Buffer.concat([lengthDelimited(1, Buffer.from(digest)), Buffer.from([0x10, ...varint(300)])])),
    ]),
  ),
  lengthDelimited(5, json),
])

test('is an ActionResult of the Remote Execution API', () => {
  expect(Buffer.from(encodeResult(key, result)).toString('hex')).toBe(byHand.toString('hex'))
  expect(decodeResult(byHand, key, ['mid'])).toEqual(result)
})

test('a server may add to it, as bazel-remote does (execution_metadata.worker)', () => {
  const more = Buffer.concat([
    lengthDelimited(9, lengthDelimited(1, Buffer.from('10.0.0.1'))),
    byHand,
    Buffer.from([0x20, 0]),
  ])
  expect(decodeResult(more, key, ['mid'])).toEqual(result)
})

test('of another key, or of a stage that writes other files: not believed', () => {
  expect(decodeResult(byHand, 'cd'.repeat(32), ['mid'])).toBeUndefined()
  expect(decodeResult(byHand, key, ['end'])).toBeUndefined()
  expect(decodeResult(byHand, key, ['mid', 'end'])).toBeUndefined()
  expect(decodeResult(byHand, key, [])).toBeUndefined()
})

test('cut or changed at any byte it is refused, or says what it said; nothing throws', () => {
  for (let length = 0; length < byHand.length; length++)
    expect(decodeResult(byHand.subarray(0, length), key, ['mid'])).toBeUndefined()
  for (let at = 0; at < byHand.length; at++)
    for (const flip of [1, 0x20, 0x80]) {
      const changed = Buffer.from(byHand)
      changed[at]! ^= flip
      const got = decodeResult(changed, key, ['mid'])
      // What decides which bytes are fetched cannot have moved; the note and the like may have.
      if (got) expect(got.action.outputs).toEqual({ mid: digest })
    }
})
