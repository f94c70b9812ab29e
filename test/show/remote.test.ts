/** The remote store in the views. */
import { expect, test } from 'vitest'
import type { Event } from '../../src/events.js'
import { jsonReporter } from '../../src/show/json.js'
import { liveReporter } from '../../src/show/live.js'
import { plainReporter } from '../../src/show/plain.js'

const url = 'http://cache:8080'
const events: readonly Event[] = [
  { type: 'planned', stages: [{ name: 'import', title: 'import' }] },
  {
    type: 'restored',
    stage: 'import',
    because: [{ why: 'never-built' }],
    bytes: 1_200_000,
    warnings: [],
    remote: true,
  },
  { type: 'remote-trouble', url, trouble: 'answers 507, nothing is uploaded any more' },
  { type: 'remote', url, restored: 3, restoredBytes: 1_200_000, uploaded: 2, uploadedBytes: 3_400_000 },
]

test('plain', () => {
  const lines: string[] = []
  const emit = plainReporter((text) => lines.push(text))
  for (const event of events.slice(1)) emit(event)
  expect(lines).toEqual([
    'import: restored from the remote store, 1.2 MB: never built\n',
    'warning: remote store http://cache:8080: answers 507, nothing is uploaded any more\n',
    'remote store http://cache:8080: 3 restored (1.2 MB), 2 uploaded (3.4 MB)\n',
  ])
})

test('JSON', () => {
  const lines: string[] = []
  const emit = jsonReporter((text) => lines.push(text))
  for (const event of events) emit(event)
  expect(lines.map((line) => JSON.parse(line))).toEqual(events)
})

test('live', () => {
  let screen = ''
  const stream = { write: (text: string) => (screen += text), isTTY: true, columns: 100, rows: 30 }
  const emit = liveReporter(stream, { color: false })
  for (const event of events) emit(event)
  emit({ type: 'done', ran: 0, fresh: 0, restored: 1, failed: 0, blocked: 0, ms: 900 })
  expect(screen).toContain('import  restored from the remote, 1.2 MB')
  expect(screen).toContain('! remote store http://cache:8080: answers 507, nothing is uploaded any more\n')
  expect(screen).toContain('remote store http://cache:8080: 3 restored (1.2 MB), 2 uploaded (3.4 MB)\n')
})
