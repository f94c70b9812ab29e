/**
 * What a module's operations mean for any dialect: values become names, `top.None` operands fall away, weights and layers part.
 */
import type { Fail, Module, Operation, TensorType } from './parse.js'

interface Layer {
  readonly operation: Operation
  readonly name: string
  readonly inputs: readonly string[]
  readonly inputTypes: readonly TensorType[]
  readonly type: TensorType
}

export interface WeightRef {
  readonly name: string
  readonly type: TensorType
  readonly at: number
}

export interface Layers {
  /** From `module.name`, at later versions the module's own symbol. */
  readonly name: string
  readonly layers: readonly Layer[]
  /** Each once, in order of first appearance. */
  readonly weights: readonly WeightRef[]
  readonly outputs: readonly string[]
}

/** @throws QuantError 'input' for values that are used before they are defined, names given twice, nameless layers */
export function layersOf(module: Module): Layers {
  const { fail } = module
  const values = new Map<string, { name: string; type: TensorType } | 'none'>()
  const weights = new Map<string, WeightRef>()
  const layers = new Map<string, Layer>()

  for (const operation of module.operations) {
    const { op, result, name, type, at } = operation
    if (values.has(result)) throw fail(at, `value ${result} is defined twice`)
    if (op === 'top.None') {
      values.set(result, 'none')
      continue
    }
    if (name === undefined)
      throw fail(at, `"${op}" has no name: its location is unknown`, 'keep the #loc lines of the file')
    if (type === 'none') throw fail(at, `"${op}" gives no tensor`)
    values.set(result, { name, type })
    const isWeight = op === 'top.Weight'
    if (layers.has(name) || (weights.has(name) && !isWeight)) throw fail(at, `name '${name}' is given twice`)
    if (isWeight) {
      const first = weights.get(name)
      if (first !== undefined && `${first.type.shape}` !== `${type.shape}`)
        throw fail(at, `weight '${name}' has two shapes`)
      if (first === undefined) weights.set(name, { name, type, at })
      continue
    }
    const operands = op === 'top.Input' ? [] : operation.operands.map((id) => lookUp(id, at))
    const inputs = operands.filter((value) => value !== 'none')
    layers.set(name, {
      operation,
      name,
      inputs: inputs.map((input) => input.name),
      inputTypes: inputs.map((input) => input.type),
      type,
    })
  }
  const outputs = module.outputs.map((id) => {
    const value = lookUp(id, module.returnAt)
    if (value === 'none' || !layers.has(value.name)) throw fail(module.returnAt, `output ${id} is no layer`)
    return value.name
  })

  function lookUp(id: string, at: number) {
    const value = values.get(id)
    if (value === undefined) throw fail(at, `value ${id} is not defined before this`)
    return value
  }
  return { name: nameOf(module, fail), layers: [...layers.values()], weights: [...weights.values()], outputs }
}

function nameOf(module: Module, fail: Fail): string {
  const name = module.attributes.get('module.name') ?? module.name
  if (typeof name !== 'string') throw fail(0, 'the module has no name')
  return name
}
