/**
 * Writes MLIR's generic text as the vendor's tools print it: one module, one function `@main`, one operation per line, names as
 * locations (`loc(#loc3)`) that are spelt out at the end (`#loc3 = loc("conv1_Conv")`). Values are numbered in order; a placeholder
 * `top.None` comes first where an operand is absent.
 */

/** One line of the function. Operands are names of earlier operations, '' for an absent one. */
export interface TextOperation {
  /** With its dialect: `top.Conv`. `top.Input` takes the function's next argument instead of operands. */
  readonly op: string
  readonly name: string
  readonly operands: readonly string[]
  /** Printed values: `{ group: i64(1) }`. */
  readonly attributes: Readonly<Record<string, string>>
  readonly shape: readonly number[]
  /** As printed: `f32`, `!quant.uniform<i8:f32, 0.5>`. */
  readonly element: string
}

export interface TextModule {
  readonly attributes: Readonly<Record<string, string>>
  readonly operations: readonly TextOperation[]
  readonly outputs: readonly string[]
}

/**
 * A number as MLIR prints a double: `6.000000e+00` when six digits say it exactly, else 17 digits, which always read back equal
 * (`0.0039216000586748123`, or `1.2345678901234567E-5` when it is smaller or much larger). What is not finite is printed as its bits.
 */
export function double(value: number): string {
  if (!Number.isFinite(value))
    return `0x${Buffer.from(new Float64Array([value]).buffer)
      .reverse()
      .toString('hex')
      .toUpperCase()}`
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [short, shortExponent] = split(Math.abs(value).toExponential(5))
  if (Number(value.toPrecision(6)) === value) {
    const digits = `${Math.abs(shortExponent)}`.padStart(2, '0')
    return `${sign}${short}0e${shortExponent < 0 ? '-' : '+'}${digits}`
  }
  const [mantissa, exponent] = split(Math.abs(value).toExponential(16))
  const digits = mantissa.replace('.', '').replace(/0+$/, '')
  // Up to three zeros are padded on either side, and never more than 17 places written.
  const zeros = exponent + 1 - digits.length
  if (exponent < -3 || zeros > 3 || (zeros >= 0 && exponent >= 17)) {
    return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const rest = digits.slice(exponent + 1)
  return `${sign}${whole}${rest === '' ? '' : `.${rest}`}`
}

function split(exponential: string): [mantissa: string, exponent: number] {
  const [mantissa = '', exponent = ''] = exponential.split('e')
  return [mantissa, Number(exponent)]
}

export const f64 = (value: number): string => `${double(value)} : f64`
export const i64 = (value: number): string => `${value} : i64`
export const si32 = (value: number): string => `${value} : si32`
export const integers = (values: readonly number[]): string => `[${values.join(', ')}]`
export const doubles = (values: readonly number[]): string => `[${values.map(double).join(', ')}]`

/** A quoted string: what is not printable ASCII stands as `\` and two hexadecimal digits per UTF-8 byte. */
export function quoted(text: string): string {
  let out = '"'
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte)
    if (char === '\\') out += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f && char !== '"') out += char
    else out += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return `${out}"`
}

export function writeModule(module: TextModule): string {
  const { operations, outputs } = module
  const ids = new Map<string, string>()
  const types = new Map<string, string>()
  const locations = new Map<string, number>()
  const body: string[] = []
  const args: string[] = []
  let next = 0
  if (operations.some((operation) => operation.operands.includes(''))) {
    body.push(`%${next} = "top.None"() : () -> none loc(#loc)`)
    ids.set('', `%${next++}`)
    types.set('', 'none')
  }
  for (const { op, name, operands, attributes, shape, element } of operations) {
    const type = tensor(shape, element)
    let used = operands.map((operand) => ids.get(operand) ?? '')
    let usedTypes = operands.map((operand) => types.get(operand) ?? '')
    if (op === 'top.Input') {
      used = [`%arg${args.length}`]
      usedTypes = [tensor(shape, 'f32')]
      args.push(`${used}: ${usedTypes} loc(unknown)`)
    }
    if (!locations.has(name)) locations.set(name, locations.size + 1)
    const id = `%${next++}`
    const dict = Object.keys(attributes).length === 0 ? '' : ` ${dictionary(attributes)}`
    body.push(
      `${id} = "${op}"(${used.join(', ')})${dict} : (${usedTypes.join(', ')}) -> ${type} loc(#loc${locations.get(name)})`,
    )
    ids.set(name, id)
    types.set(name, type)
  }
  const results = outputs.map((output) => types.get(output) ?? '')
  const resultList = results.length === 1 ? results[0] : `(${results.join(', ')})`
  const lines = [
    '#loc = loc(unknown)',
    `module attributes ${dictionary(module.attributes)} {`,
    `  func.func @main(${args.join(', ')}) -> ${resultList} {`,
    ...body.map((line) => `    ${line}`),
    `    return ${outputs.map((output) => ids.get(output)).join(', ')} : ${results.join(', ')} loc(#loc)`,
    '  } loc(#loc)',
    '} loc(#loc)',
    ...[...locations].map(([name, number]) => `#loc${number} = loc(${quoted(name)})`),
  ]
  return `${lines.join('\n')}\n\n`
}

const tensor = (shape: readonly number[], element: string): string =>
  `tensor<${shape.map((n) => `${n}x`).join('')}${element}>`

/** Sorted by name, byte by byte, as MLIR keeps its dictionaries. */
function dictionary(attributes: Readonly<Record<string, string>>): string {
  const entries = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, value]) => `${key} = ${value}`).join(', ')}}`
}
