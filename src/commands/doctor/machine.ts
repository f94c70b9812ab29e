/** What quant stands on: Node and the processor. */
import { availableParallelism, totalmem } from 'node:os'
import * as disk from '../../disk.js'
import { byteSize } from '../../show/words.js'
import { type Check, fail, ok, warn } from './check.js'

const least = [20, 19] as const

/** @param version as `process.versions.node` gives it */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const enough = major > least[0] || (major === least[0] && minor >= least[1])
  return enough
    ? ok('node', `${version}, ${availableParallelism()} cores, ${byteSize(totalmem())} of memory`)
    : fail('node', `${version} is too old`, `install Node ${least.join('.')} or later`)
}

/**
 * Only speed hangs on these: results are the same on all.
 * @param cpuinfo text of /proc/cpuinfo, or undefined where there is none
 */
export function checkProcessor(cpuinfo: string | undefined): Check {
  const flags = new Set(
    /^(?:flags|Features)\s*:(.*)$/m
      .exec(cpuinfo ?? '')?.[1]
      ?.trim()
      .split(/\s+/) ?? [],
  )
  if (flags.size === 0) return ok('processor', `${process.arch}; its instruction sets are not told here`)
  if (process.arch !== 'x64')
    return ok('processor', `${process.arch}${flags.has('asimddp') ? ', with dot products' : ''}`)
  const vnni = flags.has('avx512_vnni') || flags.has('avx_vnni')
  const has = [flags.has('avx2') && 'AVX2', flags.has('avx512f') && 'AVX-512', vnni && 'VNNI'].filter((one) => one)
  const found = has.length > 0 ? has.join(', ') : 'neither AVX2 nor AVX-512'
  if (!flags.has('avx2')) return warn('processor', found, 'onnxruntime computes several times slower without AVX2')
  return ok('processor', vnni ? found : `${found}; without VNNI the INT8 parts of onnxruntime are slower`)
}

export function readCpuinfo(): string | undefined {
  try {
    return disk.readText('/proc/cpuinfo')
  } catch {
    return undefined
  }
}
