/** How long a program takes on the chip, as people read it. */
import type { Estimate } from '../bm1684x/timing/simulate.js'
import type { EstimateRecord } from '../stages/estimate.js'
import { table } from './table.js'
import { byteSize } from './words.js'

const bounds = {
  compute: 'computing',
  memory: 'moving data',
  dependency: 'computing and moving data, which wait for each other',
} as const

/**
 * The total, what limits it, and how long each kind of command takes.
 * @param bound cycles that no schedule can go below
 */
export function estimateText(estimate: Omit<Estimate, 'layers'>, bound: number, clockHz: number): string {
  const { cycles, macs, macUtilisation, bytesIn, bytesOut, boundBy, classes } = estimate
  const time = (count: number): string =>
    count < clockHz / 1e3 ? `${((1e6 * count) / clockHz).toFixed(1)} us` : `${((1e3 * count) / clockHz).toFixed(2)} ms`
  const share = (part: number): string => `${((100 * part) / Math.max(1, cycles)).toFixed(1)}%`
  return [
    `estimated ${time(cycles)} (${cycles} cycles), mostly ${bounds[boundBy]}; no schedule can need less than ${time(bound)}`,
    `${(macs / 1e6).toFixed(1)} M multiply-accumulates, ${(100 * macUtilisation).toFixed(1)}% of the peak; read ${byteSize(bytesIn)}, written ${byteSize(bytesOut)}`,
    '',
    table(
      [
        ['command', 'count', 'cycles', 'of total'],
        ...classes.map((one) => [one.kind, String(one.commands), String(one.cycles), share(one.cycles)]),
        ['TIU busy', '', String(estimate.tiu), share(estimate.tiu)],
        ['DMA busy', '', String(estimate.dma), share(estimate.dma)],
      ],
      { align: 'lrrr' },
    ),
  ].join('\n')
}

/** Layer by layer, in the order of the network; layers of no commands are left out. */
export function layersText({ cycles, layers }: EstimateRecord): string {
  const rows = layers.map((one) => [
    one.layer,
    String(one.cycles),
    `${((100 * one.cycles) / Math.max(1, cycles)).toFixed(1)}%`,
    one.macs === 0 ? '-' : `${(100 * one.mac_utilisation).toFixed(1)}%`,
    byteSize(one.bytes_in),
    byteSize(one.bytes_out),
    one.bound_by,
  ])
  const head = ['layer', 'cycles', 'of total', 'MAC use', 'read', 'written', 'bound by']
  return table([head, ...rows], { align: 'lrrrrrl' })
}
