/** What writer and reader of .bmodel files share. All numbers are little endian. */
import type { IoType } from '../program.js'

/**
 * The file: a header of 64 bytes (u32 magic, u32 64, u32 bytes of the FlatBuffer with its padding, u64 bytes of the binary area, zeros),
 * a FlatBuffer of the table Model, the binary area that `Binary { start, size }` of the tables point into.
 */
export const magic = 0xff55_aaee
export const headerBytes = 64

export const chipName = 'BM1684X'

/** `Tensor.data_type`; other codes than those of instructions. */
export const dataTypes: Readonly<Record<IoType, number>> = { f32: 0, f16: 1, i8: 2, u8: 3, bf16: 8 }
export const typeBytes: Readonly<Record<IoType, number>> = { f32: 4, f16: 2, bf16: 2, i8: 1, u8: 1 }

/** Field ids of the tables, as in the public schema (bmodel.fbs of tpu-mlir). */
export const Model = {
  type: 0,
  version: 1,
  time: 2,
  chip: 3,
  net: 4,
  neuronSize: 5,
  kernelModule: 6,
  deviceNum: 7,
  cpuopModule: 8,
  libBackend: 10,
  fields: 11,
} as const
export const Net = { name: 0, parameter: 3, fields: 6 } as const
export const NetParameter = {
  inputs: 0,
  outputs: 1,
  ctxAddress: 2,
  ctxBytes: 3,
  coefficients: 4,
  isDynamic: 5,
  cmdGroup: 8,
  stageIr: 10,
  binaryIr: 11,
  subNet: 12,
  ctxSizes: 14,
  coreNum: 16,
  ioBytes: 18,
  dynamicCtxAddress: 20,
  fields: 23,
} as const
export const Tensor = {
  name: 0,
  dataType: 1,
  address: 3,
  size: 4,
  shape: 5,
  memType: 6,
  scale: 7,
  zeroPoint: 10,
  hidden: 11,
  index: 12,
  fields: 14,
} as const
export const Shape = { dim: 0, fields: 1 } as const
export const SubNet = {
  mode: 0,
  cmdGroup: 1,
  inputs: 3,
  outputs: 4,
  isDynamic: 5,
  id: 10,
  nextIds: 11,
  coreCommands: 14,
  runCore: 15,
  fields: 16,
} as const
export const CmdGroup = { tiuCount: 0, dmaCount: 1, tiu: 2, dma: 3, tiuBytes: 4, dmaBytes: 5, fields: 7 } as const
export const CoeffMem = { address: 0, checkCode: 1, binary: 2, encryptMode: 4, fields: 6 } as const
export const Module = { fileName: 0, binary: 1, fields: 3 } as const
export const StageIr = { fields: 5 } as const
