/**
 * Reads MLIR's generic text: as much of the language as the vendor's Top and Tpu files use. One module, one function, operations
 * without regions and with one result. Locations may be inline (`loc("x")`) or aliases that are defined anywhere (`#loc3`).
 */
import { type Place, QuantError } from '../../errors.js'
import { sizeOf } from '../graph.js'

/** An enum (`#tpu<pool_mode Max>`) is its last word. */
export type Attribute = boolean | number | string | readonly Attribute[]

export interface TensorType {
  readonly shape: readonly number[]
  /** How a value is stored: `f32`, `bf16`, `i8`, `u8`, `i32`, ... `si8` and `ui8` are told as `i8` and `u8`, calibrated types as `f32`. */
  readonly element: string
  /** Of a quantized type. */
  readonly quant?: { readonly scale: number; readonly zeroPoint: number }
}

export interface Operation {
  /** With its dialect. */
  readonly op: string
  readonly result: string
  readonly operands: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
  readonly type: TensorType | 'none'
  /** The location's first quoted string. */
  readonly name: string | undefined
  /** Where it begins in the text; give it to `fail`. */
  readonly at: number
}

export interface Module {
  readonly name: string | undefined
  readonly attributes: ReadonlyMap<string, Attribute>
  readonly operations: readonly Operation[]
  readonly outputs: readonly string[]
  /** Where the return statement stands. */
  readonly returnAt: number
  /** An error at an offset of the text. */
  readonly fail: Fail
}

export type Fail = (at: number, message: string, hint?: string) => QuantError

const NUMBER = String.raw`-?(?:0x[\da-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)`
const BLANK = /(?:\s|\/\/[^\n]*)*/y
const WORD = /[\w$.-]+/y
const VALUE = /%[\w$.-]+/y
const STRING = /"((?:[^"\\\n]|\\.)*)"/y
const LITERAL = new RegExp(NUMBER, 'y')
const TENSOR = new RegExp(
  String.raw`tensor<((?:\d+x)*)(?:([a-z]+\d+)|!quant\.calibrated<(f32|f16|bf16)<${NUMBER}:${NUMBER}>>|` +
    String.raw`!quant\.uniform<([iu]\d+)(?:<-?\d+:-?\d+>)?:\w+, *(${NUMBER})(?::(-?\d+))?>)(?:, *\d+ *: *i64)?>`,
  'y',
)
/** Deeper lists than any attribute has: what nests more is damage. */
const MAX_NESTING = 8
/** A longer line is no help under an error. */
const MAX_SHOWN_LINE = 300

/** @throws QuantError 'input' with line and column at the first thing that is not understood */
export function parseModule(text: string, file: string): Module {
  let pos = 0
  const aliases = new Map<string, string | undefined>()

  const fail: Fail = (at, message, hint = 'write the file again; only whole Top or Tpu files are read') =>
    new QuantError('input', `${file}: ${message}`, { place: placeOf(text, at, file), hint })

  const skip = (): void => {
    BLANK.lastIndex = pos
    BLANK.test(text)
    pos = BLANK.lastIndex
  }
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    skip()
    pattern.lastIndex = pos
    const found = pattern.exec(text)
    if (found !== null) pos = pattern.lastIndex
    return found ?? undefined
  }
  const need = (pattern: RegExp, what: string): RegExpExecArray => {
    const found = match(pattern)
    if (found === undefined) throw fail(pos, `expected ${what}${pos >= text.length ? ', the file ends here' : ''}`)
    return found
  }
  const eat = (token: string): boolean => {
    skip()
    if (!text.startsWith(token, pos)) return false
    pos += token.length
    return true
  }
  const expect = (token: string): void => {
    if (!eat(token)) throw fail(pos, `expected '${token}'${pos >= text.length ? ', the file ends here' : ''}`)
  }
  const list = <T>(open: string, close: string, item: () => T): T[] => {
    const items: T[] = []
    expect(open)
    while (!eat(close)) {
      if (items.length > 0) expect(',')
      items.push(item())
    }
    return items
  }
  const string = (): string => unescaped(need(STRING, 'a quoted string')[1]!)

  function attribute(depth = 0): Attribute {
    skip()
    const at = pos
    if (text[pos] === '"') return string()
    if (text[pos] === '[') {
      if (depth === MAX_NESTING) throw fail(at, 'a list is nested too deeply')
      return list('[', ']', () => attribute(depth + 1))
    }
    const number = match(LITERAL)?.[0]
    if (number !== undefined) {
      const type = eat(':') ? need(WORD, 'a type')[0] : ''
      return number.includes('x') && type === 'f64' ? doubleOfBits(number) : Number(number)
    }
    const word = match(/#?[\w$.-]+(?:<([^<>"{}]*)>)?/y)
    if (word === undefined) throw fail(at, 'expected an attribute value')
    if (word[0] === 'true' || word[0] === 'false') return word[0] === 'true'
    return word[1]?.split(/\s+/).at(-1) ?? word[0]
  }

  function dictionary(): Map<string, Attribute> {
    const entries = list('{', '}', (): [string, Attribute] => {
      const key = need(WORD, 'an attribute name')[0]
      return [key, eat('=') ? attribute() : true]
    })
    return new Map(entries)
  }

  function type(): TensorType | 'none' {
    if (match(/none\b/y)) return 'none'
    skip()
    const at = pos
    const [, dims = '', plain, calibrated, storage, scale, zeroPoint] = need(TENSOR, 'a tensor type')
    const shape = (dims.match(/\d+/g) ?? []).map(Number)
    if (!Number.isSafeInteger(sizeOf(shape))) throw fail(at, `a tensor of shape ${shape.join('x')} is too large`)
    if (storage !== undefined) {
      return { shape, element: storage, quant: { scale: Number(scale), zeroPoint: Number(zeroPoint ?? 0) } }
    }
    return { shape, element: calibrated ?? plain!.replace(/^(s|u)i/, (sign) => (sign === 'ui' ? 'u' : 'i')) }
  }

  /** `loc(...)`: the first quoted string in it, or the alias it stands for, marked by '#'. */
  function location(): string | undefined {
    if (!match(/loc\b/y)) return undefined
    expect('(')
    let name: string | undefined
    for (let depth = 1; depth > 0; ) {
      const [token] = need(/"(?:[^"\\\n]|\\.)*"|#[\w$.-]+|[()]|[^()"#]+/y, "')'")
      if (token === '(') depth++
      else if (token === ')') depth--
      else if (token.startsWith('"')) name ??= `"${unescaped(token.slice(1, -1))}`
      else if (token.startsWith('#')) name ??= token
    }
    return name
  }
  function alias(): boolean {
    const found = match(/(#[\w$.-]+)\s*=/y)
    if (found !== undefined) aliases.set(found[1]!, location())
    return found !== undefined
  }
  /** Follows aliases; a circle of them ends nowhere. */
  function nameOf(where: string | undefined): string | undefined {
    let name = where
    for (let steps = 0; name?.startsWith('#') && steps <= aliases.size; steps++) name = aliases.get(name)
    return name?.startsWith('"') ? name.slice(1) : undefined
  }

  function operation(): Operation & { where: string | undefined } {
    skip()
    const at = pos
    const result = need(VALUE, "'%', a string or 'return'")[0]
    if (eat(':')) throw fail(at, `${result} has several results`)
    expect('=')
    const op = string()
    const operands = list('(', ')', () => {
      if (eat('{')) throw fail(at, `"${op}" has a region`, 'give the file as it is before layers are grouped')
      return need(VALUE, 'an operand')[0]
    })
    skip()
    const attributes = text[pos] === '{' ? dictionary() : new Map<string, Attribute>()
    expect(':')
    const operandTypes = list('(', ')', type)
    if (operandTypes.length !== operands.length)
      throw fail(at, `"${op}" has ${operands.length} operands and ${operandTypes.length} operand types`)
    expect('->')
    const resultType = type()
    return { op, result, operands, attributes, type: resultType, name: undefined, at, where: location() }
  }

  while (alias());
  expect('module')
  const symbol = match(/@(?:"((?:[^"\\\n]|\\.)*)"|([\w$.-]+))/y)
  const attributes = eat('attributes') ? dictionary() : new Map<string, Attribute>()
  expect('{')
  expect('func.func')
  need(/@[\w$.-]+/y, "the function's name")
  list('(', ')', () => {
    need(VALUE, 'an argument')
    expect(':')
    type()
    location()
  })
  if (eat('->')) {
    skip()
    if (text[pos] === '(') list('(', ')', type)
    else type()
  }
  if (eat('attributes')) dictionary()
  expect('{')
  const operations: ReturnType<typeof operation>[] = []
  while (!match(/(?:func\.)?return\b/y)) operations.push(operation())
  const returnAt = pos
  const outputs: string[] = []
  do outputs.push(need(VALUE, 'a returned value')[0])
  while (eat(','))
  expect(':')
  do type()
  while (eat(','))
  location()
  expect('}')
  location()
  expect('}')
  location()
  while (alias());
  skip()
  if (pos < text.length) throw fail(pos, 'expected the end of the file')

  return {
    name: symbol && unescaped(symbol[1] ?? symbol[2]!),
    attributes,
    operations: operations.map(({ where, ...rest }) => ({ ...rest, name: nameOf(where) })),
    outputs,
    returnAt,
    fail,
  }
}

/** `\n`, `\t`, `\"`, `\\`, and `\` with two hexadecimal digits for a byte of UTF-8. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text
  const bytes = Buffer.from(text, 'utf8').toString('latin1')
  const plain = bytes.replace(/\\([\da-fA-F]{2}|.)/gs, (_, code: string) => {
    if (code.length === 2) return String.fromCharCode(Number.parseInt(code, 16))
    return code === 'n' ? '\n' : code === 't' ? '\t' : code
  })
  return Buffer.from(plain, 'latin1').toString('utf8')
}

function doubleOfBits(hex: string): number {
  const bits = new BigUint64Array([BigInt.asUintN(64, BigInt(hex.replace('-', '')))])
  return new Float64Array(bits.buffer)[0]!
}

function placeOf(text: string, at: number, file: string): Place {
  const before = text.slice(0, at)
  const start = before.lastIndexOf('\n') + 1
  const end = text.indexOf('\n', at)
  const line = text.slice(start, end === -1 ? undefined : end)
  const place = { file, line: before.split('\n').length, column: at - start + 1 }
  return line.length > MAX_SHOWN_LINE ? place : { ...place, text: line }
}
