/**
 * What moved between two builds: data for programs, and lines with sign and colour:
 *
 *   thresholds  3 of 37 moved, most conv5_Conv 1.2340 -> 1.3100 (x 1.062)
 *   layers      + conv9_Conv F32  - conv7_Conv F32
 *   mix         mAP@0.5  0.8095 -> 0.8208  +0.0113
 *               chip us  68.100 -> 73.204  +5.104
 */
import type { Results, VariantResults } from '../stages/results.js'
import { type Paint, paint, printable } from './color.js'
import { table } from './table.js'

export type Movement =
  | {
      readonly what: 'figure'
      readonly variant: string
      readonly figure: string
      readonly unit: string
      /** undefined where the figure was not, or is not any more. */
      readonly was: number | undefined
      readonly now: number | undefined
      /** Whether that is good; undefined where it is neither, or one side is missing. */
      readonly better: boolean | undefined
    }
  | { readonly what: 'variant'; readonly variant: string; readonly is: 'new' | 'gone' }
  | {
      readonly what: 'thresholds'
      readonly moved: number
      readonly of: number
      /** Where the ratio of now to was is furthest from 1; undefined when only layers came or went. */
      readonly most: { readonly layer: string; readonly was: number; readonly now: number } | undefined
      /** Layers that have a threshold on one side only. */
      readonly added: number
      readonly dropped: number
    }
  | {
      readonly what: 'layers'
      /** '' where the files do not name it. */
      readonly variant: string
      /** Layer and mode; one whose mode changed is dropped with the old and added with the new. */
      readonly added: readonly LayerMode[]
      readonly dropped: readonly LayerMode[]
    }
  | { readonly what: 'model'; readonly was: string; readonly now: string }

interface LayerMode {
  readonly layer: string
  readonly mode: string
}

interface Figure {
  readonly name: string
  readonly unit: string
  readonly digits: number
  /** 1: more is better, -1: less is. */
  readonly good: 1 | -1
  readonly of: (variant: VariantResults) => number | null | undefined
}

const figures: readonly Figure[] = [
  { name: 'mAP@0.5', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.map50 },
  { name: 'mAP@0.5:0.95', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.map },
  { name: 'top-1', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.top1 },
  { name: 'top-k', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.topk },
  { name: 'same top-1', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.top1_agreement },
  { name: 'recall', unit: '', digits: 4, good: 1, of: ({ figures }) => figures?.recall },
  { name: 'extra', unit: 'boxes', digits: 0, good: -1, of: ({ figures }) => figures?.extra },
  { name: 'score diff', unit: '', digits: 4, good: -1, of: ({ figures }) => figures?.score_difference },
  { name: 'SQNR', unit: 'dB', digits: 3, good: 1, of: ({ figures }) => figures?.sqnr },
  { name: 'chip', unit: 'us', digits: 3, good: -1, of: ({ microseconds }) => microseconds },
  { name: 'size', unit: 'B', digits: 0, good: -1, of: ({ bytes }) => bytes },
]
const searchLoss = { name: 'search loss', unit: '', digits: 6, good: -1 } as const

/** Everything that differs, thresholds and layers first: they are the causes. */
export function movements(before: Results, after: Results): Movement[] {
  return [
    ...(before.model === after.model
      ? []
      : [{ what: 'model', was: before.model, now: after.model } satisfies Movement]),
    ...thresholdMovement(before.thresholds, after.thresholds),
    ...union(before.chosen, after.chosen).flatMap((variant) => layerMovements(variant, before, after)),
    ...union(before.variants, after.variants).flatMap((variant) => variantMovements(variant, before, after)),
  ]
}

function variantMovements(variant: string, before: Results, after: Results): Movement[] {
  const [was, now] = [before.variants[variant], after.variants[variant]]
  if (!was || !now) return [{ what: 'variant', variant, is: now ? 'new' : 'gone' }]
  return figures.flatMap((figure) => figureMovement(variant, figure, figure.of(was), figure.of(now)))
}

function layerMovements(variant: string, before: Results, after: Results): Movement[] {
  const [was, now] = [before.chosen[variant], after.chosen[variant]]
  const only = (a: typeof was, b: typeof was): LayerMode[] =>
    Object.entries(a?.layers ?? {}).flatMap(([layer, mode]) => (b?.layers[layer] === mode ? [] : [{ layer, mode }]))
  const [added, dropped] = [only(now, was), only(was, now)]
  return [
    ...(added.length + dropped.length > 0 ? [{ what: 'layers', variant, added, dropped } satisfies Movement] : []),
    ...figureMovement(variant, searchLoss, was?.loss, now?.loss),
  ]
}

function figureMovement(
  variant: string,
  { name, unit, good }: Omit<Figure, 'of'>,
  was: number | null | undefined,
  now: number | null | undefined,
): Movement[] {
  const [a, b] = [was ?? undefined, now ?? undefined]
  if (a === b) return []
  const better = a === undefined || b === undefined ? undefined : good * (b - a) > 0
  return [{ what: 'figure', variant, figure: name, unit, was: a, now: b, better }]
}

function thresholdMovement(was: Results['thresholds'] = {}, now: Results['thresholds'] = {}): Movement[] {
  const layers = Object.keys(now)
  const both = layers.filter((layer) => layer in was)
  const moved = both.filter((layer) => was[layer] !== now[layer])
  const added = layers.length - both.length
  const dropped = Object.keys(was).length - both.length
  if (moved.length + added + dropped === 0) return []
  const ratio = (layer: string): number => Math.abs(Math.log(now[layer]! / was[layer]!))
  const [most] = moved.sort((a, b) => ratio(b) - ratio(a))
  return [
    {
      what: 'thresholds',
      moved: moved.length,
      of: layers.length,
      most: most === undefined ? undefined : { layer: most, was: was[most]!, now: now[most]! },
      added,
      dropped,
    },
  ]
}

/** Lines for people, with a newline at the end; one line when nothing moved. */
export function movementsText(moved: readonly Movement[], { color }: { readonly color: boolean }): string {
  const colors = paint(color)
  if (moved.length === 0) return `${colors.dim('nothing moved')}\n`
  let owner = ''
  const rows = moved.map((movement) => {
    const [name, ...cells] = cellsOf(movement)
    const shown = name === owner ? '' : name!
    owner = name!
    return [shown, ...cells].map(printable)
  })
  // Colour last: its characters have no width.
  const lines = table(
    rows.map((row) => (row.length === 2 ? [row[0]!] : row)),
    { align: 'llrlrr' },
  ).split('\n')
  const width = Math.max(...rows.map(([name]) => name!.length))
  return lines
    .map((line, index) => {
      const row = rows[index]!
      const text = row.length === 2 ? `${row[0]!.padEnd(width)}  ${row[1]}` : line
      return `${tint(moved[index]!, colors)(text)}\n`
    })
    .join('')
}

function tint(movement: Movement, colors: Paint): (text: string) => string {
  if (movement.what !== 'figure' || movement.better === undefined) return (text) => text
  return movement.better ? colors.green : colors.red
}

/** The first is whom it is about. A fact in words is one more cell; a figure is five. */
function cellsOf(movement: Movement): string[] {
  switch (movement.what) {
    case 'figure': {
      const { variant, figure, unit, was, now } = movement
      const { digits } = [...figures, searchLoss].find(({ name }) => name === figure)!
      const text = (value: number | undefined) => value?.toFixed(digits) ?? '-'
      const difference = was === undefined || now === undefined ? undefined : now - was
      return [
        nameOf(variant),
        unit === '' ? figure : `${figure} ${unit}`,
        text(was),
        '->',
        text(now),
        difference === undefined ? '' : `${difference > 0 ? '+' : ''}${difference.toFixed(digits)}`,
      ]
    }
    case 'variant':
      return [movement.variant, movement.is]
    case 'thresholds': {
      const { moved, of, most, added, dropped } = movement
      const parts = [
        ...(most
          ? [
              `${moved} of ${of} moved, most ${most.layer} ${significant(most.was)} -> ${significant(most.now)} (x ${(most.now / most.was).toFixed(3)})`,
            ]
          : []),
        ...(added > 0 ? [`${added} new`] : []),
        ...(dropped > 0 ? [`${dropped} gone`] : []),
      ]
      return ['thresholds', parts.join(', ')]
    }
    case 'layers': {
      const list = (sign: string, layers: readonly LayerMode[]) =>
        layers.map(({ layer, mode }) => `${sign} ${layer} ${mode}`)
      return [nameOf(movement.variant), [...list('+', movement.added), ...list('-', movement.dropped)].join('  ')]
    }
    case 'model':
      return ['model', `${movement.was} -> ${movement.now}`]
  }
}

const nameOf = (variant: string): string => (variant === '' ? 'layers' : variant)

const significant = (value: number): string => String(Number(value.toPrecision(5)))

const union = (a: object, b: object): string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])]
