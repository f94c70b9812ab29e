/** Ten accidents of everyday work that build tools are known to get wrong: what each must lead to, in executions and in bytes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { join2, type Rig, rig, upper } from './rig.js'

/** Built once: a (in -> mid), b (mid, other -> end), c (other -> side). */
async function built(): Promise<Rig> {
  const p = rig(
    { in: 'x', other: 'y' },
    { a: upper('in', 'mid'), b: join2('mid', 'other', 'end'), c: upper('other', 'side') },
  )
  await p.build()
  p.ran('a c b')
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
  return p
}

const outputs = (p: Rig): string[] => ['out/mid', 'out/end', 'out/side'].map(p.read)

test('1. touched: nothing runs', async () => {
  const p = await built()
  for (const file of ['in', 'other', 'out/mid']) utimesSync(join(p.root, file), new Date(1e9), new Date(1e9))
  const { fresh } = await p.build()
  p.ran('')
  expect(fresh).toHaveLength(3)
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
})

test('2. an edit that leaves the output equal: it stops there', async () => {
  const p = await built()
  p.write('in', 'X')
  await p.build()
  p.ran('a')
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
  expect(p.events).toContainEqual(expect.objectContaining({ type: 'finished', stage: 'a', sameAsBefore: true }))
  await p.build()
  p.ran('')
})

test('3. back to an earlier state: restored, nothing runs', async () => {
  const p = await built()
  p.write('in', 'w')
  await p.build()
  p.ran('a b')
  expect(outputs(p)).toEqual(['W', 'W+y', 'Y'])
  p.write('in', 'x')
  const { restored } = await p.build()
  p.ran('')
  expect(restored).toEqual(['a', 'b'])
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
  expect(p.reasons('b')).toMatchObject([{ why: 'upstream-changed', stage: 'a', output: 'mid' }])
})

test('4. a quick edit of the same size, its time put back: noticed', async () => {
  const p = await built()
  for (const letter of ['q', 'r', 's']) {
    const { atime, mtime } = statSync(join(p.root, 'in'))
    p.write('in', letter)
    utimesSync(join(p.root, 'in'), atime, mtime)
    await p.build()
    p.ran('a b')
    expect(outputs(p)).toEqual([letter.toUpperCase(), `${letter.toUpperCase()}+y`, 'Y'])
  }
})

test('5. a changed setting, a changed program: noticed, and only where it is read', async () => {
  const p = await built()
  p.stages.c = { ...p.stages.c!, params: { 'verify.detector': { score: 0.5, iou: 0.45 } } }
  await p.build()
  p.ran('c')
  p.stages.c = {
    ...p.stages.c!,
    params: { 'verify.detector': { score: 0.4, iou: 0.45 } },
    make: ([text]) => `${text} at 0.4`,
  }
  await p.build()
  p.ran('c')
  expect(p.reasons('c')).toEqual([{ why: 'param-changed', at: 'verify.detector.score', was: 0.5, now: 0.4 }])
  p.stages.a = { ...p.stages.a!, identity: '2', make: ([text]) => `${text}!` }
  await p.build()
  p.ran('a b')
  expect(p.reasons('a')).toEqual([{ why: 'tool-changed', was: '1', now: '2' }])
  expect(outputs(p)).toEqual(['x!', 'x!+y', 'y at 0.4'])
})

test('6. an output deleted: restored', async () => {
  const p = await built()
  p.remove('out/mid')
  const { restored, fresh } = await p.build()
  p.ran('')
  expect([restored, fresh.toSorted()]).toEqual([['a'], ['b', 'c']])
  expect(p.reasons('a')).toEqual([{ why: 'output-missing', path: 'mid' }])
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
})

test('7. an output edited by hand: repaired, also a second time', async () => {
  const p = await built()
  for (const text of ['h', 'longer by hand']) {
    writeFileSync(join(p.root, 'out/mid'), text)
    appendFileSync(join(p.root, 'out/end'), '?')
    const { restored } = await p.build()
    p.ran('')
    expect(restored).toEqual(['a', 'b'])
    expect(p.reasons('b')).toEqual([{ why: 'output-edited', path: 'end' }])
    expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
  }
})

test('8. killed in the middle: what was finished stays, the rest is built', async () => {
  const p = await built()
  p.write('in', 'k')
  p.write('other', 'l')
  const program = `
    import { writeFileSync } from 'node:fs'
    import { build } from ${JSON.stringify(new URL('../../src/engine/build.ts', import.meta.url).href)}
    import { join2, textProject, upper } from ${JSON.stringify(new URL('project.ts', import.meta.url).href)}
    const never = { ...join2('mid', 'other', 'end'), make: async (texts, context) => {
      writeFileSync(context.target('end'), 'half of')
      console.log('in b')
      return new Promise((resolve) => setTimeout(resolve, 1e6))
    } }
    await build(textProject(${JSON.stringify(p.root)}, { a: upper('in', 'mid'), b: never, c: upper('other', 'side') }),
      { parallel: 1, signal: new AbortController().signal, emit: () => {} })`
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program])
  const errors: string[] = []
  child.stderr.on('data', (text) => errors.push(String(text)))
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  expect(errors).toEqual([])
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(p.read('out/end')).toBe('X+y')
  await p.build()
  p.ran('b')
  expect(outputs(p)).toEqual(['K', 'K+l', 'L'])
})

test('9. failed late: what came before is kept, the old output stays until there is a new one', async () => {
  const p = await built()
  p.write('in', 'f')
  p.stages.b = {
    ...p.stages.b!,
    make: (_, context) => {
      writeFileSync(context.target('end'), 'almost')
      throw new QuantError('input', 'it breaks at the end')
    },
  }
  const { failed } = await p.build()
  p.ran('a b')
  expect(failed).toMatchObject([{ stage: 'b', error: { message: 'it breaks at the end' } }])
  expect(outputs(p)).toEqual(['F', 'X+y', 'Y'])
  p.stages.b = join2('mid', 'other', 'end')
  await p.build()
  p.ran('b')
  expect(outputs(p)).toEqual(['F', 'F+y', 'Y'])
})

test('10. an input that changes during the run: run again on what is there', async () => {
  const p = await built()
  p.write('in', 'first')
  let changes = ['then this', 'and that']
  p.stages.a = {
    ...p.stages.a!,
    make: ([text]) => {
      const [next, ...rest] = changes
      changes = rest
      if (next !== undefined) p.write('in', next)
      return text!.toUpperCase()
    },
  }
  await p.build()
  p.ran('a a a b')
  expect(outputs(p)).toEqual(['AND THAT', 'AND THAT+y', 'Y'])
  expect(p.reasons('a')).toMatchObject([{ why: 'input-changed', path: 'in' }])
  await p.build()
  p.ran('')
})

test('10. an input that never rests fails the stage, and nothing of it is kept', async () => {
  const p = await built()
  p.write('in', 'start')
  let n = 0
  const make = () => {
    p.write('in', `${n++}`)
    return 'wrong'
  }
  p.stages.a = { ...p.stages.a!, make }
  const { failed, blocked } = await p.build()
  expect(failed).toMatchObject([{ stage: 'a', error: { code: 'input' } }])
  expect(blocked).toEqual(['b'])
  expect(outputs(p)).toEqual(['X', 'X+y', 'Y'])
})
