import { type Bmodel, type BmodelNet, programOf, readBmodel } from '../../bm1684x/bmodel/read.js'
import { clockHz } from '../../bm1684x/chip.js'
import { tensorBytes } from '../../bm1684x/io.js'
import { disassemble } from '../../bm1684x/isa/asm.js'
import type { ProgramTensor } from '../../bm1684x/program.js'
import { estimate, lowerBound } from '../../bm1684x/timing/simulate.js'
import { estimateText, layersText } from '../../show/estimate.js'
import { byteSize } from '../../show/words.js'
import type { EstimateRecord } from '../../stages/estimate.js'
import { block, type Described, digits, shapeText } from './described.js'

export interface BmodelOptions {
  readonly asm: boolean
  /** NAME_VARIANT_estimate.json as the build wrote it, where it is there. */
  readonly layers: string | undefined
}

/** Tensors, streams, sizes and the estimated time, by layer where that is known; with `asm` every command. */
export function describeBmodel(bytes: Uint8Array, file: string, options: BmodelOptions): Described {
  const model: Bmodel = readBmodel(bytes, file)
  const nets = model.nets.map((net) => describeNet(net, options))
  return {
    facts: { kind: 'bmodel', chip: model.chip, bytes: bytes.length, nets: nets.map(({ facts }) => facts) },
    text: [`${file}: ${model.chip}, ${byteSize(bytes.length)}`, ...nets.map(({ text }) => text)].join('\n'),
  }
}

/** @returns undefined for what is no record of these commands: another build's, or damaged. */
function recordOf(layers: string | undefined, cycles: number): EstimateRecord | undefined {
  try {
    const record = JSON.parse(layers ?? '') as EstimateRecord
    return record.cycles === cycles && Array.isArray(record.layers) ? record : undefined
  } catch {
    return undefined
  }
}

function describeNet(net: BmodelNet, { asm, layers }: BmodelOptions): { facts: object; text: string } {
  const program = programOf(net)
  const { layers: _, ...timing } = estimate(program)
  const bound = lowerBound(program)
  const record = recordOf(layers, timing.cycles)
  const tensors = [
    ...net.inputs.map((tensor) => ['input', tensor] as const),
    ...net.outputs.map((tensor) => ['output', tensor] as const),
  ]
  const streams = {
    tiu: { commands: net.counts.tiu, bytes: net.tiu.length },
    dma: { commands: net.counts.dma, bytes: net.dma.length },
  }
  const facts = {
    name: net.name,
    inputs: net.inputs,
    outputs: net.outputs,
    coefficientBytes: net.coefficients.length,
    workingBytes: net.ctxBytes,
    ...streams,
    estimate: { ...timing, lowerBound: bound, ...(record ? { layers: record.layers } : {}) },
    ...(asm ? { asm: disassemble(program) } : {}),
  }
  const text = [
    `net ${net.name}`,
    block(
      ['', 'name', 'type', 'shape', 'scale', 'bytes', 'address'],
      tensors.map(([what, tensor]) => [what, ...tensorCells(tensor)]),
      'llllrr',
    ),
    '',
    `coefficients ${byteSize(net.coefficients.length)}, working memory ${byteSize(net.ctxBytes)}`,
    `TIU ${streams.tiu.commands} commands, ${byteSize(streams.tiu.bytes)}; DMA ${streams.dma.commands} commands, ${byteSize(streams.dma.bytes)}`,
    '',
    estimateText(timing, bound, clockHz),
    ...(record ? ['', layersText(record)] : []),
    ...(asm ? ['', disassemble(program)] : []),
  ].join('\n')
  return { facts, text }
}

const tensorCells = (tensor: ProgramTensor): string[] => [
  tensor.name,
  tensor.type,
  shapeText(tensor.shape),
  tensor.type.endsWith('8') ? digits(tensor.scale) : '-',
  String(tensorBytes(tensor)),
  `0x${tensor.address.toString(16)}`,
]
