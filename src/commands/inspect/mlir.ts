import { layersOf } from '../../ir/mlir/layers.js'
import { parseModule, type TensorType } from '../../ir/mlir/parse.js'
import { block, count, type Described, digits, shapeText } from './described.js'

/** Layers of Top and Tpu text with what each is stored as; the weight file is not needed. */
export function describeMlir(text: string, file: string): Described {
  const module = parseModule(text, file)
  const { name, layers, weights, outputs } = layersOf(module)
  const attribute = (key: string): string | undefined => {
    const value = module.attributes.get(`module.${key}`)
    return value === undefined ? undefined : String(value)
  }
  const rows = layers.map((layer) => ({
    name: layer.name,
    op: layer.operation.op,
    type: layer.type.element,
    shape: layer.type.shape,
    ...quantOf(layer.type),
  }))
  const parameters = weights.reduce((sum, { type }) => sum + type.shape.reduce((size, n) => size * n, 1), 0)
  const shifted = rows.some(({ zero }) => zero !== undefined)
  const facts = {
    kind: 'mlir',
    name,
    state: attribute('state'),
    chip: attribute('chip'),
    flops: Number(attribute('FLOPs') ?? 0),
    weightFile: attribute('weight_file'),
    weights: weights.length,
    parameters,
    layers: rows,
    outputs,
  }
  const shown = [
    `${file}: ${name}, ${[facts.state, facts.chip].filter((part) => part !== undefined).join(', ')}`,
    `${count(rows.length, 'layer')}, ${count(weights.length, 'weight')} with ${count(parameters, 'number')}, ${(facts.flops / 1e6).toFixed(1)} M operations`,
    `outputs: ${outputs.join(', ')}`,
    block(
      ['layer', 'op', 'type', 'shape', 'threshold', 'scale', ...(shifted ? ['zero'] : [])],
      rows.map((row) => [
        row.name,
        row.op,
        row.type,
        shapeText(row.shape),
        row.threshold === undefined ? '' : digits(row.threshold),
        row.scale === undefined ? '' : digits(row.scale),
        ...(shifted ? [String(row.zero ?? '')] : []),
      ]),
      'llllrrr',
    ),
  ]
  return { facts, text: shown.join('\n') }
}

/** `threshold` is the largest value that is stored without clamping. */
function quantOf({ element, quant }: TensorType): { scale?: number; threshold?: number; zero?: number } {
  if (!quant) return {}
  const { scale, zeroPoint } = quant
  const threshold = scale * ((element === 'u8' ? 255 : 127) - zeroPoint)
  return { scale, threshold, ...(zeroPoint !== 0 && { zero: zeroPoint }) }
}
