/** Where the fields of a form lie, and the values that its own form gives a command. */
import { dmaType, type FormName, formBits, forms, taskType } from './forms.js'

export interface Field {
  readonly name: string
  /** First bit of the command. */
  readonly at: number
  readonly width: number
  readonly reserved: boolean
}

function place(form: FormName): Field[] {
  let at = 0
  return Object.entries(forms[form]).map(([name, width]) => {
    const field = { name, at, width, reserved: name.startsWith('_') }
    at += width
    return field
  })
}

const formNames = Object.keys(forms) as FormName[]

export const fieldsOf = Object.fromEntries(formNames.map((form) => [form, place(form)])) as unknown as {
  readonly [F in FormName]: readonly Field[]
}

export const bytesOf = (form: FormName): number => formBits(form) / 8

/** Fields that follow from the form. They may be left out of an instruction; given, they must be these. */
export const impliedFields: Readonly<Record<FormName, Readonly<Record<string, number>>>> = {
  conv: { cmd_short: 1, tsk_typ: taskType.conv },
  pord: { cmd_short: 1, tsk_typ: taskType.pord },
  mm2: { cmd_short: 1, tsk_typ: taskType.mm2 },
  ar: { cmd_short: 1, tsk_typ: taskType.ar },
  rqdq: { cmd_short: 1, tsk_typ: taskType.rqdq },
  trans: { cmd_short: 1, tsk_typ: taskType.trans },
  sg: { cmd_short: 1, tsk_typ: taskType.sg },
  sfu: { cmd_short: 1, tsk_typ: taskType.sfu },
  lin: { cmd_short: 1, tsk_typ: taskType.lin },
  cmp: { cmd_short: 1, tsk_typ: taskType.cmp },
  sys: { tsk_typ: taskType.sys },
  dma: { cmd_short: 0 },
  dmaSys: { cmd_short: 1, cmd_type: dmaType.sys },
}

/** Fields by name as plain numbers, absent ones undefined: for code that looks at several forms alike. */
export type Values = Readonly<Record<string, number | undefined>>
