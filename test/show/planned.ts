import type { Planned, Would } from '../../src/engine/plan.js'
import type { Reason } from '../../src/engine/reason.js'
import type { Stage } from '../../src/engine/stage.js'

/** A planned stage for the views; its one output is called like it. */
export function planned(
  name: string,
  would: Would,
  {
    needs = [],
    because = [],
    ms,
    note = '',
  }: { needs?: string[]; because?: Reason[]; ms?: number; note?: string } = {},
): Planned {
  const stage: Stage = {
    name,
    title: name,
    params: {},
    identity: '1',
    files: [],
    needs,
    outputs: [name],
    run: () => Promise.reject(new Error('not here')),
  }
  const last = ms === undefined ? undefined : record(name, ms, note)
  return { stage, would, because, last }
}

const record = (stage: string, ms: number, note: string): NonNullable<Planned['last']> => ({
  stage,
  key: '',
  identity: '1',
  params: {},
  inputs: {},
  outputs: {},
  warnings: [],
  note,
  ms,
})

/** calibrate's method and select's share were changed; compile waits for both. */
export const tuned: readonly Planned[] = [
  planned('import', 'stay', { ms: 1200, note: '35 layers' }),
  planned('calibrate', 'run', {
    needs: ['import'],
    ms: 5000,
    because: [{ why: 'param-changed', at: 'calibration.method', was: 'kl', now: 'max' }],
  }),
  planned('select', 'run', {
    needs: ['import', 'calibrate'],
    ms: 2000,
    because: [{ why: 'param-changed', at: 'mix.min_improvement', was: 0.01, now: 0.02 }],
  }),
  planned('compile', 'maybe', {
    needs: ['import', 'calibrate', 'select'],
    ms: 1000,
    because: [
      { why: 'upstream-stale', stage: 'calibrate' },
      { why: 'upstream-stale', stage: 'select' },
    ],
  }),
  planned('verify', 'maybe', { needs: ['compile'], ms: 4000, because: [{ why: 'upstream-stale', stage: 'compile' }] }),
]

const lines: Record<string, number> = { 'calibration.method': 17, 'mix.min_improvement': 24 }
export const placeOf = (at: string) => ({ file: 'quant.yaml', line: lines[at]!, column: 3 })
