/** What the schemas of quant.yaml are written with. */
import { Type } from 'typebox'

export const oneOf = <const T extends readonly string[]>(
  values: T,
  options: { description: string; default?: T[number] },
) => Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })

/** An object in which every key is known. */
export const section = <P extends Parameters<typeof Type.Object>[0]>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

export const map = <T>(values: object, options: object) =>
  Type.Unsafe<Record<string, T>>({ type: 'object', additionalProperties: values, ...options })

export const text = (options: object) => Type.String({ minLength: 1, ...options })
export const count = (options: object) => Type.Integer({ minimum: 0, ...options })
export const share = (options: object) => Type.Number({ minimum: 0, maximum: 1, ...options })
