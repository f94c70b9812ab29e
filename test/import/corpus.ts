/** Models to damage: every operator by itself, pieces of networks, and the detectors that lie beside the project where they do. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shared } from '../shared.js'
import { elementwiseCases } from './elementwise-cases.js'
import { structureCases } from './structure-cases.js'
import { structureNets } from './structure-nets.js'

export interface Sound {
  readonly name: string
  readonly bytes: Uint8Array
}

export const smallModels = (): Sound[] => [
  ...[...structureCases, ...elementwiseCases].map(([name, , bytes]) => ({ name, bytes })),
  ...Object.entries(structureNets).map(([name, { onnx }]) => ({ name, bytes: onnx() })),
]

export function zooModels(): Sound[] {
  const folder = shared('zoo', 'models')
  if (folder === undefined) return []
  const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))
  return files.sort().map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(folder, name))) }))
}
