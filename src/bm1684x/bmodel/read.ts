/** A .bmodel file as the command streams and memory of its nets. */
import { createHash } from 'node:crypto'
import { QuantError } from '../../errors.js'
import { globalBase } from '../chip.js'
import { decodeStream } from '../isa/decode.js'
import type { IoType, Program, ProgramTensor } from '../program.js'
import { rootTable, type Table } from './flatbuffer.js'
import {
  CmdGroup,
  CoeffMem,
  chipName,
  dataTypes,
  headerBytes,
  Model,
  magic,
  Net,
  NetParameter,
  Shape,
  SubNet,
  Tensor,
  typeBytes,
} from './format.js'

export interface BmodelNet {
  readonly name: string
  readonly inputs: readonly ProgramTensor[]
  readonly outputs: readonly ProgramTensor[]
  /** Image of the coefficients from their address on; empty when there are none. */
  readonly coefficients: Uint8Array
  /** Where the image goes in global memory. */
  readonly coefficientAddress: number
  /** The memory that the net works in; inputs and outputs lie in it. */
  readonly ctxAddress: number
  readonly ctxBytes: number
  /** Command streams, with end command and padding. */
  readonly tiu: Uint8Array
  readonly dma: Uint8Array
  /** Commands in each, the end counted. */
  readonly counts: { readonly tiu: number; readonly dma: number }
}

export interface Bmodel {
  readonly chip: string
  readonly nets: readonly BmodelNet[]
}

/**
 * Reads what we and the vendor's compiler write for one chip with one core: static nets with one stage, one subnet and one command
 * group each. Bytes are views of `bytes`. Throws QuantError('input') for all else; never follows an offset without looking.
 */
export function readBmodel(bytes: Uint8Array, file: string): Bmodel {
  const refuse = (what: string, hint?: string) => new QuantError('input', `${file}: ${what}`, { hint, place: { file } })
  if (bytes.length < headerBytes) throw refuse(`${bytes.length} bytes are no .bmodel file`)
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  if (header.getUint32(0, true) !== magic || header.getUint32(4, true) !== headerBytes)
    throw refuse('this is no .bmodel file')
  const tablesBytes = header.getUint32(8, true)
  const binaryAt = headerBytes + tablesBytes
  const binaryBytes = Number(header.getBigUint64(12, true))
  if (binaryAt + binaryBytes > bytes.length)
    throw refuse(`the file is cut off: ${bytes.length} of ${binaryAt + binaryBytes} bytes`, 'copy or make it again')
  const binary = bytes.subarray(binaryAt, binaryAt + binaryBytes)

  const model = rootTable(bytes.subarray(headerBytes, binaryAt), file)
  const chip = model.text(Model.chip)
  if (chip !== chipName) throw refuse(`made for ${JSON.stringify(chip)}`, `only files for ${chipName} can be read`)
  const nets = model.tables(Model.net).map((net) => readNet(net, binary, refuse))
  if (nets.length === 0) throw refuse('there is no net in it')
  return { chip, nets }
}

/** The decoded streams; without spans, since files do not tell which layer a command belongs to. */
export function programOf(net: BmodelNet): Program {
  const { name, inputs, outputs, coefficients, ctxAddress, ctxBytes, tiu, dma, counts } = net
  if (
    (coefficients.length > 0 && net.coefficientAddress !== globalBase) ||
    ctxAddress !== globalBase + coefficients.length
  )
    throw new QuantError('input', `net ${name}: coefficients and working memory are not at the usual addresses`)
  return {
    name,
    tiu: decodeStream(tiu, 'tiu', counts.tiu, `net ${name}, TIU`),
    dma: decodeStream(dma, 'dma', counts.dma, `net ${name}, DMA`),
    coefficients,
    neuronBytes: ctxBytes,
    inputs,
    outputs,
    spans: [],
  }
}

type Refuse = (what: string, hint?: string) => QuantError

function readNet(net: Table, binary: Uint8Array, refuseFile: Refuse): BmodelNet {
  const name = net.text(Net.name)
  const refuse: Refuse = (what, hint) => refuseFile(`net ${JSON.stringify(name)}: ${what}`, hint)
  const only = (tables: readonly Table[], what: string): Table => {
    if (tables.length !== 1) throw refuse(`it has ${tables.length} ${what}`, 'only nets with exactly one can be read')
    return tables[0]!
  }
  const cut = ({ start, size }: { start: number; size: number }): Uint8Array => {
    if (start + size > binary.length) throw refuse('a part of it lies outside the file')
    return binary.subarray(start, start + size)
  }

  const stage = only(net.tables(Net.parameter), 'stages')
  const subnet = only(stage.tables(NetParameter.subNet), 'subnets')
  if (subnet.i32(SubNet.mode) !== 0 || subnet.i32(SubNet.isDynamic) !== 0 || stage.i32(NetParameter.isDynamic) !== 0)
    throw refuse('it is not a static net of the TPU alone')
  if (subnet.tables(SubNet.coreCommands).length > 0 || stage.u64(NetParameter.ioBytes) > 0)
    throw refuse('it is for several cores, or has its inputs and outputs apart')
  const group = only(stage.tables(NetParameter.cmdGroup), 'command groups')

  const ctxAddress = stage.u64(NetParameter.ctxAddress)
  const ctxBytes = stage.numbers(NetParameter.ctxSizes)[0] ?? stage.u64(NetParameter.ctxBytes)
  if (ctxAddress < globalBase || ctxAddress + ctxBytes > 2 ** 40)
    throw refuse('its memory is outside the address space')

  let coefficients: Uint8Array = new Uint8Array()
  let coefficientAddress = 0
  const memory = stage.table(NetParameter.coefficients)
  if (memory) {
    if (memory.i32(CoeffMem.encryptMode) !== 0) throw refuse('its coefficients are encrypted')
    coefficientAddress = memory.u64(CoeffMem.address)
    coefficients = cut(memory.range(CoeffMem.binary))
    const sum = createHash('sha256').update(coefficients).digest()
    if (sum.compare(memory.bytes(CoeffMem.checkCode)) !== 0)
      throw refuse('its coefficients are not what their checksum says', 'the file was changed; make it again')
  }

  const tensor = (table: Table, input: boolean): ProgramTensor => {
    const label = `tensor ${JSON.stringify(table.text(Tensor.name))}`
    const code = table.u32(Tensor.dataType)
    const type = (Object.keys(dataTypes) as IoType[]).find((one) => dataTypes[one] === code)
    if (!type) throw refuse(`${label} has the type ${code}, which is not supported`)
    const shape = only(table.tables(Tensor.shape), `shapes of ${label}`).numbers(Shape.dim)
    const address = table.u64(Tensor.address)
    const size = shape.reduce((product, side) => product * side, typeBytes[type])
    if (size !== table.u64(Tensor.size) || size === 0) throw refuse(`${label} of [${shape}] has the wrong size`)
    if (address < ctxAddress || address + size > ctxAddress + ctxBytes) throw refuse(`${label} is outside its memory`)
    const zero = table.i32(Tensor.zeroPoint)
    if (zero !== 0 && !(type === 'i8' && zero >= -128 && zero <= 127))
      throw refuse(`${label} has the zero point ${zero}`)
    const stored = table.f32(Tensor.scale, 1)
    const scale = input && type.endsWith('8') ? 1 / stored : stored
    if (!(scale > 0 && scale < Infinity)) throw refuse(`${label} has the scale ${stored}`)
    return { name: table.text(Tensor.name), type, shape, address, scale, ...(zero !== 0 && { zero }) }
  }

  return {
    name,
    inputs: stage.tables(NetParameter.inputs).map((table) => tensor(table, true)),
    outputs: stage.tables(NetParameter.outputs).map((table) => tensor(table, false)),
    coefficients,
    coefficientAddress,
    ctxAddress,
    ctxBytes,
    tiu: cut(group.range(CmdGroup.tiu)),
    dma: cut(group.range(CmdGroup.dma)),
    counts: { tiu: group.u32(CmdGroup.tiuCount), dma: group.u32(CmdGroup.dmaCount) },
  }
}
