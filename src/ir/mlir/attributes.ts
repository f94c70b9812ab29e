/**
 * An operation's attributes, each asked for by name and kind. What is missing without a fallback, or is of another kind, is an
 * error at the operation.
 */
import type { Pads, Pair, Relu } from '../graph.js'
import type { Attribute, Fail, Operation } from './parse.js'

export interface Attributes {
  has(key: string): boolean
  integer(key: string, fallback?: number): number
  number(key: string, fallback?: number): number
  flag(key: string, fallback?: boolean): boolean
  oneOf<T extends string>(key: string, words: readonly T[], fallback?: T): T
  integers(key: string, count?: number): number[]
  numbers(key: string): number[]
  pair(key: string): Pair
  pads(key: string): Pads
  /** `do_relu` and `relu_limit`; absent means no relu. */
  relu(): Relu
  /** An error when the attribute is there and it, or an element of it, is anything else: a feature that the graph cannot hold. */
  only(key: string, ...values: readonly Attribute[]): void
}

export function attributesOf(operation: Operation, fail: Fail): Attributes {
  const { op, at, attributes } = operation
  const bad = (key: string, what: string) => fail(at, `"${op}": attribute ${key} must be ${what}`)
  function get<T extends Attribute>(
    key: string,
    fallback: T | undefined,
    what: string,
    is: (value: Attribute) => value is T,
  ): T {
    const value = attributes.get(key) ?? fallback
    if (value === undefined) throw fail(at, `"${op}" has no attribute ${key}`)
    if (!is(value)) throw bad(key, what)
    return value
  }
  const integers = (key: string, count?: number): number[] => {
    const what = `a list of ${count === undefined ? '' : `${count} `}integers`
    const values = get(key, undefined, what, isIntegers)
    if (count !== undefined && values.length !== count) throw bad(key, what)
    return [...values]
  }
  return {
    has: (key) => attributes.has(key),
    integer: (key, fallback) => get(key, fallback, 'an integer', isInteger),
    number: (key, fallback) => get(key, fallback, 'a number', isNumber),
    flag: (key, fallback) => get(key, fallback, 'true or false', (value) => typeof value === 'boolean'),
    oneOf<T extends string>(key: string, words: readonly T[], fallback?: T): T {
      return get(key, fallback, `one of ${words.join(', ')}`, (value): value is T =>
        words.some((word) => word === value),
      )
    },
    integers,
    numbers: (key) => [...get(key, undefined, 'a list of numbers', isNumbers)],
    pair(key) {
      const [height, width] = integers(key, 2)
      return [height!, width!]
    },
    pads(key) {
      const [top, left, bottom, right] = integers(key, 4)
      return [top!, left!, bottom!, right!]
    },
    relu: () => ({
      relu: get('do_relu', false, 'true or false', (value) => typeof value === 'boolean'),
      reluLimit: get('relu_limit', -1, 'a number', isNumber),
    }),
    only(key, ...values) {
      const found = attributes.get(key) ?? []
      const all: readonly Attribute[] = Array.isArray(found) ? found : [found]
      if (!all.every((value) => values.includes(value)))
        throw fail(at, `"${op}": ${key} other than ${values[0]} is not supported`, 'end the network before this layer')
    },
  }
}

const isNumber = (value: Attribute): value is number => typeof value === 'number'
const isInteger = (value: Attribute): value is number => Number.isSafeInteger(value)
const isNumbers = (value: Attribute): value is readonly number[] => Array.isArray(value) && value.every(isNumber)
const isIntegers = (value: Attribute): value is readonly number[] => Array.isArray(value) && value.every(isInteger)
