/** Doubles as Python's repr prints and reads them: the same shortest digits as here, but 1e-05, 1e+16, 5.0, inf and nan. */
export function repr(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const [digits, power] = value.toExponential().split('e') as [string, string]
  const exponent = Number(power)
  if (value !== 0 && (exponent < -4 || exponent >= 16))
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  // In this range String needs no exponent.
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

/** The inverse; undefined for what is no such number. */
export function parseRepr(text: string): number | undefined {
  if (text === 'nan') return NaN
  if (text === 'inf') return Infinity
  if (text === '-inf') return -Infinity
  return /^-?\d+(\.\d+)?(e[-+]\d+)?$/.test(text) ? Number(text) : undefined
}
