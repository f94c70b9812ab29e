import { basename } from 'node:path'
import { errorRecord, QuantError } from '../../errors.js'
import { nodesByName } from '../../ir/graph.js'
import { flopsOf } from '../../ir/mlir/flops.js'
import { importOnnx } from '../../ir/onnx/import.js'
import { inspectOnnx, parseOnnx } from '../../ir/onnx/read.js'
import { block, type Described, shapeText } from './described.js'

/** Inputs, outputs and operators of an ONNX file, and what import makes of it or why it cannot. */
export function describeOnnx(bytes: Uint8Array, file: string): Described {
  const { opset, inputs, outputs } = inspectOnnx(bytes, file)
  const ops = counted(parseOnnx(bytes, file).graph!.node.map(({ opType }) => opType))
  const taken = attempt(bytes, file)
  const facts = { kind: 'onnx', opset, inputs, outputs, operators: Object.fromEntries(ops), import: taken.facts }
  const text = [
    `${file}: ONNX, opset ${opset}`,
    block(
      ['', 'name', 'shape'],
      [
        ...inputs.map(({ name, shape }) => ['input', name, shape ? shapeText(shape) : '?']),
        ...outputs.map((name) => ['output', name, '']),
      ],
    ),
    '',
    `operators: ${ops.map(([type, count]) => `${type} ${count}`).join(', ')}`,
    '',
    ...taken.lines,
  ]
  return { facts, text: text.join('\n') }
}

function attempt(bytes: Uint8Array, file: string): { facts: object; lines: string[] } {
  try {
    const graph = importOnnx(bytes, { file, name: basename(file).replace(/\.onnx$/i, '') })
    const nodes = nodesByName(graph)
    const flops = flopsOf(
      graph.nodes.map(({ op, shape, inputs }) => ({
        op,
        shape,
        operands: inputs.map((name) => (nodes.get(name) ?? graph.weights.get(name)!).shape),
      })),
    )
    const layers = counted(graph.nodes.map(({ op }) => op.type))
    return {
      facts: { layers: Object.fromEntries(layers), flops, outputs: graph.outputs },
      lines: [
        `import makes ${graph.nodes.length} layers of it, ${(flops / 1e6).toFixed(1)} M operations: ${layers.map(([type, count]) => `${type} ${count}`).join(', ')}`,
      ],
    }
  } catch (error) {
    if (!(error instanceof QuantError)) throw error
    const all = [error, ...error.more]
    return {
      facts: { errors: all.map((one) => ({ ...errorRecord(one), stack: undefined, more: undefined })) },
      lines: [
        'import cannot take it as it is:',
        ...all.flatMap(({ message, hint }) => [`  ${message}`, `    ${hint ?? ''}`.trimEnd()]),
      ],
    }
  }
}

/** Most frequent first; of equals the one that came first. */
function counted(types: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])
}
