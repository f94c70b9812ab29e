import { join2, type TextStage, upper } from './project.js'

/** The same three stages before and after an edit that moves an output. */
const stages = (end: string): Record<string, TextStage> => ({
  a: upper('in', 'mid'),
  b: join2('mid', 'other', end),
  c: upper('other', 'side'),
})

export const scenarios = { before: stages('end'), after: stages('final/end') }
