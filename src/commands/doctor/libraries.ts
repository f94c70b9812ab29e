/**
 * Whether the native libraries work here. Each is tried in a process of its own: one that was built for another machine ends its process
 * without a word.
 */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import * as disk from '../../disk.js'
import { onnxBuilder } from '../../ir/onnx/builder.js'
import { type Check, fail, ok } from './check.js'

/** y = x + 1, run once. */
export function checkRuntime(): Promise<Check> {
  const b = onnxBuilder('doctor')
  b.input('x', [2])
  b.node('Add', ['x', b.weight('one', [1], Float32Array.of(1))], 'y')
  b.output('y', [2])
  const model = Buffer.from(b.finish()).toString('base64')
  return tryOut(
    'onnxruntime',
    'onnxruntime-node',
    `const { InferenceSession, Tensor, env } = library.default
    const session = await InferenceSession.create(Buffer.from('${model}', 'base64'))
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) })
    if (y.data.join() !== '2,3') throw new Error('it says that 1 + 1 is ' + y.data[0])
    say((env.versions?.node ?? '') + ' runs a graph')`,
    'npm install --ignore-scripts again; onnxruntime-node has binaries for Linux, macOS and Windows on x64 and arm64',
  )
}

/** A picture of two pixels, red and blue, decoded. */
export function checkPictures(): Promise<Check> {
  return tryOut(
    'sharp',
    'sharp',
    `const sharp = library.default
    const pixels = Buffer.from([255, 0, 0, 0, 0, 255])
    const png = await sharp(pixels, { raw: { width: 2, height: 1, channels: 3 } }).png().toBuffer()
    const { data } = await sharp(png).raw().toBuffer({ resolveWithObject: true })
    if (!data.equals(pixels)) throw new Error('a picture came back with other pixels')
    say(sharp.versions.sharp + ' with libvips ' + sharp.versions.vips + ' decodes a picture')`,
    'npm install --ignore-scripts --include=optional again: its binaries are optional dependencies',
  )
}

/** @param path of the library, from QUANT_CMODEL */
export async function checkCmodel(path: string): Promise<Check> {
  const full = resolve(path)
  if (!disk.exists(full))
    return fail(
      'C-model',
      `QUANT_CMODEL names ${path}, which does not exist`,
      'name the vendor library, libcmodel_*.so',
    )
  return tryOut(
    'C-model',
    'koffi',
    `library.default.load(${JSON.stringify(full)})
    say('koffi ' + library.default.version + ' loads ' + ${JSON.stringify(path)})`,
    'it needs the library for this machine, and the optional dependency koffi: npm install --include=optional',
  )
}

/** @param script what to do with `library`; ends with say(...) */
async function tryOut(name: string, library: string, script: string, hint: string): Promise<Check> {
  let url: string
  try {
    url = import.meta.resolve(library)
  } catch {
    return fail(name, `${library} is not installed`, hint)
  }
  const code = `const say = (text) => process.stdout.write('said ' + text)
    const library = await import(${JSON.stringify(url)})
    ${script}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', (text) => (out += text))
  child.stderr.on('data', (text) => (err += text))
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  const [exit, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.on('close', (...ended) => done(ended)),
  )
  clearTimeout(timer)
  const said = /said (.*)$/.exec(out)?.[1]
  if (exit === 0 && said !== undefined) return ok(name, said.trim())
  const error = /^\s*\w*Error(?: \[\w+\])?: (.+)$/m.exec(err)?.[1] ?? err.trim().split('\n').at(-1)
  return fail(name, error || `its process ended with ${signal ?? `exit code ${exit}`}`, hint)
}
