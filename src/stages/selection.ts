/** NAME_selection.json: what a search for mixed precision found, and what it chose. */
import type { FloatMode } from '../search/choice.js'
import type { ObjectiveKind } from '../search/objective.js'

export interface Selection {
  readonly objective: ObjectiveKind
  /** Of the loss, in words. */
  readonly loss: string
  readonly order: 'best-first' | 'historical'
  /** What float layers may be computed in. */
  readonly modes: readonly FloatMode[]
  readonly min_improvement: number
  /** null: no limit. */
  readonly max_float_layers: number | null
  readonly max_microseconds: number | null
  readonly target: { readonly figure: string; readonly value: number; readonly reached: boolean } | null
  /** On which losses were measured. */
  readonly pictures: number
  /** So many choices besides all INT8, on all pictures. */
  readonly measured: number
  readonly all_int8: Figures
  /** With what was chosen in float. */
  readonly joint: Figures
  /** What was chosen, in graph order: as in the quantize table. */
  readonly layers: readonly string[]
  readonly precision: Readonly<Record<string, FloatMode>>
  readonly steps: readonly SelectionStep[]
  /** Of all choices that were priced by their programs those of which none is faster and better, fastest first. */
  readonly front: readonly FrontPoint[]
  /** What was tried alone, on the first pictures, best first. */
  readonly tried: readonly {
    readonly layers: readonly string[]
    readonly improvement: number
    readonly pictures: number
  }[]
}

interface Figures {
  /** null where it is infinite: nothing differs from the float network, or a result is no number. */
  readonly loss: number | null
  /** dB; null as above. */
  readonly sqnr: number | null
  /** Estimated, of the program as it would be compiled. */
  readonly microseconds: number
  /** On the labelled pictures, where the target asked for it. */
  readonly map50_drop?: number
  readonly map75_drop?: number
  readonly map_drop?: number
}

/** With `added` and `dropped` it took another choice for the one before. */
export interface SelectionStep extends Figures {
  readonly added?: readonly string[]
  readonly dropped?: readonly string[]
  /** How many are float after the step. */
  readonly layers: number
  /** By the sum over layers and casts that ranked the candidates. */
  readonly microseconds_cheap: number
  readonly improvement: number
  /** So many choices were measured for the step that had not been before; what was measured after the last step found nothing. */
  readonly measured: number
}

export interface FrontPoint extends Figures {
  readonly precision: Readonly<Record<string, FloatMode>>
  /** That it is built. */
  readonly picked: boolean
}
