/** Where a detector's raw heads end: the last values with learned weights, behind which it only decodes. */
import type { Graph } from './graph.js'

/** A node of an ONNX file or of a graph. */
export interface Step {
  readonly type: string
  /** Operands that are values. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

const learned = new Set(['Conv', 'ConvTranspose', 'Deconv', 'Gemm', 'MatMul', 'BatchNormalization', 'Scale'])
/** With a constant they may still be learned, where they stand right behind a head: YOLOv7's implicit factors, a bias of its own. */
const affine = new Set(['Add', 'Mul', 'Sub', 'Div'])
const movement = new Set(['Transpose', 'Permute', 'Reshape', 'Slice', 'Split', 'Identity'])

/** Whether nothing is computed by layers of these types. */
export const onlyMoves = (types: ReadonlySet<string>): boolean => [...types].every((type) => movement.has(type))

/** @returns the first such values on every way back from `ends`, in no order that matters */
export function rawHeads(steps: Iterable<Step>, ends: Iterable<string>): Set<string> {
  const maker = new Map<string, Step>()
  for (const step of steps) for (const output of step.outputs) maker.set(output, step)

  const heads = new Set<string>()
  const seen = new Set<string>()
  const open = [...ends]
  for (let tensor = open.pop(); tensor !== undefined; tensor = open.pop()) {
    if (seen.has(tensor)) continue
    seen.add(tensor)
    if (isHead(tensor)) heads.add(tensor)
    else for (const input of maker.get(tensor)?.inputs ?? []) open.push(input)
  }
  return heads

  function isHead(tensor: string): boolean {
    const step = maker.get(tensor)
    if (step === undefined) return false
    if (affine.has(step.type)) return step.inputs.length === 1 && isHead(step.inputs[0]!)
    return learned.has(step.type) && step.inputs.length === 1 && !isOfSoftmax(step.inputs[0]!)
  }

  /** The mean of a distribution is written as a convolution or product with 0, 1, 2, ...: YOLOv8, PP-YOLOE. */
  function isOfSoftmax(tensor: string): boolean {
    const step = maker.get(tensor)
    if (step === undefined) return false
    return step.type === 'Softmax' || (movement.has(step.type) && step.inputs.some(isOfSoftmax))
  }
}

/** Names of the nodes that are a graph's raw heads. */
export function headsOfGraph({ nodes, outputs }: Graph): Set<string> {
  const names = new Set(nodes.map(({ name }) => name))
  const steps = nodes.map(({ name, op, inputs }) => ({
    type: op.type,
    inputs: inputs.filter((input) => names.has(input)),
    outputs: [name],
  }))
  return rawHeads(steps, outputs)
}

/** Types of the nodes that follow the raw heads. */
export function typesBehindHeads(graph: Graph): Set<string> {
  const reached = headsOfGraph(graph)
  const types = new Set<string>()
  for (const { name, op, inputs } of graph.nodes) {
    if (!inputs.some((input) => reached.has(input))) continue
    reached.add(name)
    types.add(op.type)
  }
  return types
}
