/** A program as a .bmodel file: one static net for one chip with one core, one command group. */
import { createHash } from 'node:crypto'
import { Builder } from 'flatbuffers'
import { globalAlign, globalBase, roundUp } from '../chip.js'
import { encodeStream } from '../isa/encode.js'
import type { Program, ProgramTensor } from '../program.js'
import {
  CmdGroup,
  CoeffMem,
  chipName,
  dataTypes,
  headerBytes,
  Model,
  Module,
  magic,
  Net,
  NetParameter,
  Shape,
  StageIr,
  SubNet,
  Tensor,
  typeBytes,
} from './format.js'

/** The format's version, and a time that never moves: the same program gives the same bytes. */
const version = '2.2'
const time = 'Thu Jan  1 00:00:00 1970\n'

/** Position of a table, string or vector in the builder. */
type At = number
type Range = { readonly start: number; readonly size: number }
const nowhere: Range = { start: 0, size: 0 }

/**
 * The file. Coefficients go to `globalBase`, the working memory right behind them. Throws a plain Error where the program does not
 * keep what its type says, since the loader would not notice.
 */
export function writeBmodel(program: Program): Uint8Array {
  check(program)
  const blobs: { readonly data: Uint8Array; readonly start: number }[] = []
  let binaryBytes = 0
  const store = (data: Uint8Array): Range => {
    const start = binaryBytes
    blobs.push({ data, start })
    binaryBytes = roundUp(start + data.length, globalAlign)
    return { start, size: data.length }
  }

  const tiu = store(encodeStream(program.tiu))
  const dma = store(encodeStream(program.dma))
  const coefficients = program.coefficients.length > 0 ? store(program.coefficients) : undefined
  const tables = describe(program, { tiu, dma, coefficients })

  const binaryAt = roundUp(headerBytes + tables.length, globalAlign)
  const file = new Uint8Array(binaryAt + binaryBytes)
  const header = new DataView(file.buffer)
  header.setUint32(0, magic, true)
  header.setUint32(4, headerBytes, true)
  header.setUint32(8, binaryAt - headerBytes, true)
  header.setBigUint64(12, BigInt(binaryBytes), true)
  file.set(tables, headerBytes)
  for (const { data, start } of blobs) file.set(data, binaryAt + start)
  return file
}

function check({ name, coefficients, neuronBytes, inputs, outputs }: Program): void {
  const wrong = (what: string) => new Error(`program ${name}: ${what}`)
  if (coefficients.length % globalAlign !== 0) throw wrong(`${coefficients.length} bytes of coefficients`)
  if (neuronBytes % globalAlign !== 0 || neuronBytes === 0) throw wrong(`${neuronBytes} bytes of working memory`)
  if (inputs.length === 0 || outputs.length === 0) throw wrong('no inputs or no outputs')
  const ctx = globalBase + coefficients.length
  for (const tensor of [...inputs, ...outputs])
    if (
      tensor.address < ctx ||
      tensor.address + sizeOf(tensor) > ctx + neuronBytes ||
      tensor.address % globalAlign !== 0
    )
      throw wrong(
        `${tensor.name} at ${tensor.address} outside the working memory, or not at a multiple of ${globalAlign}`,
      )
}

const sizeOf = ({ shape, type }: ProgramTensor): number => shape.reduce((size, side) => size * side, typeBytes[type])

/** The FlatBuffer. Children are written before what holds them; structs while their table is open. */
function describe(
  program: Program,
  blobs: { readonly tiu: Range; readonly dma: Range; readonly coefficients: Range | undefined },
): Uint8Array {
  const b = new Builder(4096)
  const ctxAddress = globalBase + program.coefficients.length

  const table = (fields: number, fill: () => void): At => {
    b.startObject(fields)
    fill()
    return b.endObject()
  }
  /** Table vectors and vectors of u64; elements are written last first. */
  const tableVector = (tables: readonly At[]): At => {
    b.startVector(4, tables.length, 4)
    for (const at of [...tables].reverse()) b.addOffset(at)
    return b.endVector()
  }
  const numberVector = (numbers: readonly number[]): At => {
    b.startVector(8, numbers.length, 8)
    for (const number of [...numbers].reverse()) b.addInt64(BigInt(number))
    return b.endVector()
  }
  const u32 = (id: number, value: number): void => b.addFieldInt32(id, value, 0)
  const u64 = (id: number, value: number): void => b.addFieldInt64(id, BigInt(value), 0n)
  const offset = (id: number, at: At): void => b.addFieldOffset(id, at, 0)
  const range = (id: number, { start, size }: Range): void => {
    b.prep(8, 16)
    b.writeInt64(BigInt(size))
    b.writeInt64(BigInt(start))
    b.addFieldStruct(id, b.offset(), 0)
  }

  const tensor = (one: ProgramTensor, index: number, input: boolean): At => {
    const name = b.createString(one.name)
    const dim = numberVector(one.shape)
    const shape = tableVector([table(Shape.fields, () => offset(Shape.dim, dim))])
    return table(Tensor.fields, () => {
      offset(Tensor.name, name)
      u32(Tensor.dataType, dataTypes[one.type])
      u64(Tensor.address, one.address)
      u64(Tensor.size, sizeOf(one))
      offset(Tensor.shape, shape)
      u32(Tensor.memType, 1) // TPU memory
      // Of inputs the factor that makes integers of reals, of outputs the one that makes reals of integers.
      b.addFieldFloat32(Tensor.scale, input ? 1 / one.scale : one.scale, 1)
      b.addFieldInt32(Tensor.zeroPoint, one.zero ?? 0, 0)
      u32(Tensor.hidden, input ? 1 : 2)
      u32(Tensor.index, index)
    })
  }
  const tensors = (list: readonly ProgramTensor[], input: boolean): At =>
    tableVector(list.map((one, index) => tensor(one, index, input)))

  const group = (): At =>
    tableVector([
      table(CmdGroup.fields, () => {
        u32(CmdGroup.tiuCount, program.tiu.length)
        u32(CmdGroup.dmaCount, program.dma.length)
        range(CmdGroup.tiu, blobs.tiu)
        range(CmdGroup.dma, blobs.dma)
        u32(CmdGroup.tiuBytes, blobs.tiu.size)
        u32(CmdGroup.dmaBytes, blobs.dma.size)
      }),
    ])

  const subNet = (): At => {
    const [inputs, outputs, groups] = [tensors(program.inputs, true), tensors(program.outputs, false), group()]
    const nextIds = tableVector([])
    return table(SubNet.fields, () => {
      offset(SubNet.cmdGroup, groups)
      offset(SubNet.inputs, inputs)
      offset(SubNet.outputs, outputs)
      b.addFieldInt32(SubNet.id, 0, -1)
      offset(SubNet.nextIds, nextIds)
      u32(SubNet.runCore, 1)
    })
  }

  const coefficientMemory = (binary: Range): At => {
    const sum = createHash('sha256').update(program.coefficients).digest()
    const checkCode = b.createByteVector(sum)
    return table(CoeffMem.fields, () => {
      u64(CoeffMem.address, globalBase)
      offset(CoeffMem.checkCode, checkCode)
      range(CoeffMem.binary, binary)
    })
  }

  const parameter = (): At => {
    const [inputs, outputs, groups] = [tensors(program.inputs, true), tensors(program.outputs, false), group()]
    const coefficients = blobs.coefficients ? coefficientMemory(blobs.coefficients) : 0
    const stageIr = tableVector([table(StageIr.fields, () => {})])
    const subNets = tableVector([subNet()])
    const ctxSizes = numberVector([program.neuronBytes])
    return table(NetParameter.fields, () => {
      offset(NetParameter.inputs, inputs)
      offset(NetParameter.outputs, outputs)
      u64(NetParameter.ctxAddress, ctxAddress)
      u64(NetParameter.ctxBytes, program.neuronBytes)
      offset(NetParameter.coefficients, coefficients)
      offset(NetParameter.cmdGroup, groups)
      offset(NetParameter.stageIr, stageIr)
      range(NetParameter.binaryIr, nowhere)
      offset(NetParameter.subNet, subNets)
      offset(NetParameter.ctxSizes, ctxSizes)
      u32(NetParameter.coreNum, 1)
      u64(NetParameter.dynamicCtxAddress, ctxAddress)
    })
  }

  const net = (): At => {
    const name = b.createString(program.name)
    const parameters = tableVector([parameter()])
    return table(Net.fields, () => {
      offset(Net.name, name)
      offset(Net.parameter, parameters)
    })
  }

  /** No module in the file: the runtime takes its own. */
  const emptyModule = (): At => {
    const fileName = b.createString('')
    return table(Module.fields, () => {
      offset(Module.fileName, fileName)
      range(Module.binary, nowhere)
    })
  }

  const [type, versionText, timeText, chip] = ['B', version, time, chipName].map((text) => b.createString(text))
  const nets = tableVector([net()])
  const [kernel, cpuop] = [emptyModule(), emptyModule()]
  b.finish(
    table(Model.fields, () => {
      offset(Model.type, type!)
      offset(Model.version, versionText!)
      offset(Model.time, timeText!)
      offset(Model.chip, chip!)
      offset(Model.net, nets)
      u64(Model.neuronSize, program.neuronBytes)
      offset(Model.kernelModule, kernel)
      u32(Model.deviceNum, 1)
      offset(Model.cpuopModule, cpuop)
      range(Model.libBackend, nowhere)
    }),
  )
  return b.asUint8Array()
}
