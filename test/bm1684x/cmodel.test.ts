/** The vendor's C-model as a second opinion, where QUANT_CMODEL names the library. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it, test } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { globalBase } from '../../src/bm1684x/chip.js'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { loadOutput, storeInputs } from '../../src/bm1684x/io.js'
import { readNpz } from '../../src/ir/npz.js'
import { shared } from '../shared.js'
import { scaling } from './programs.js'

const library = process.env.QUANT_CMODEL
const ramp = Float32Array.from({ length: 96 }, (_, i) => i / 8 - 3)

it.skipIf(!library)('multiplies what it is given, whichever engine runs ahead and whatever memory held', async () => {
  for (const [ahead, fill] of [
    ['dma', 0],
    ['tiu', 0x5a],
  ] as const) {
    const outputs = await runOnCmodel(library!, scaling(-2.5), new Map([['x', ramp]]), { ahead, fill })
    expect(outputs).toEqual(new Map([['y', ramp.map((x) => -2.5 * x)]]))
  }
})

const small = ['small_int8.bmodel', 'input_f32.npz', 'network_outputs.npz'].map((file) => shared('golden/small', file))
it.skipIf(!library || small.includes(undefined))("runs the vendor's own file to the vendor's own result", async () => {
  const [file, input, output] = small.map((path) => path!)
  const program = programOf(readBmodel(new Uint8Array(readFileSync(file!)), file!).nets[0]!)
  const inputs = storeInputs(program.inputs, readNpz(new Uint8Array(readFileSync(input!)), input!), input!)
  const outputs = await runOnCmodel(library!, program, inputs)
  const expected = readNpz(new Uint8Array(readFileSync(output!)), output!)
  expect(program.outputs).toHaveLength(1)
  for (const tensor of program.outputs) {
    const { data } = loadOutput(tensor, outputs.get(tensor.name)!)
    expect(data).toEqual(expected.get(`cmodel_int8/${tensor.name}`)!.data)
  }
})

it.skipIf(!library)('a command that the model refuses is named, and this process lives on', async () => {
  const program = scaling(1)
  const dma = program.dma.map((command) =>
    command.form === 'dma' && command.fields.cmd_id === 2
      ? { ...command, fields: { ...command.fields, dst_start_addr_l32: 0x4000, dst_start_addr_h8: 0 } }
      : command,
  )
  await expect(runOnCmodel(library!, { ...program, dma }, new Map([['x', ramp]]))).rejects.toThrow(
    /the C-model stopped at DMA command 2 \(dma\) \(.*\): ./,
  )
})

test('a file that is no library, inputs that are missing', async () => {
  const here = fileURLToPath(import.meta.url)
  await expect(runOnCmodel(here, scaling(1), new Map([['x', ramp]]))).rejects.toThrow(`${here} cannot be loaded`)
  await expect(runOnCmodel(here, scaling(1), new Map())).rejects.toThrow('without a value that fits x')
})

test('numbers are stored as the tensor says, and read back', () => {
  const tensor = (type: 'i8' | 'u8' | 'f16' | 'bf16', scale = 1) => ({
    name: 'x',
    type,
    shape: [5],
    address: globalBase,
    scale,
  })
  const store = (type: Parameters<typeof tensor>[0], data: Float32Array | Int8Array, scale?: number) =>
    storeInputs([tensor(type, scale)], new Map([['x', { shape: [5], data }]]), 'x.npz').get('x')!
  // Ties away from zero, then clamped.
  expect(store('i8', Float32Array.of(0.25, -0.25, 0.24, 100, -100), 0.5)).toEqual(Int8Array.of(1, -1, 0, 127, -128))
  expect(store('u8', Float32Array.of(0.25, -0.25, 1, 200, 2), 0.5)).toEqual(Uint8Array.of(1, 0, 2, 255, 4))
  expect(store('f16', Float32Array.of(1, -2, 0.5, 0, 65504))).toEqual(Uint16Array.of(0x3c00, 0xc000, 0x3800, 0, 0x7bff))
  expect(store('bf16', Float32Array.of(1, -2, 0.5, 0, 3))).toEqual(Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0, 0x4040))
  expect(store('i8', Int8Array.of(1, 2, 3, 4, -128), 0.5)).toEqual(Int8Array.of(1, 2, 3, 4, -128))
  expect(() => store('u8', Int8Array.of(1, 2, 3, 4, 5))).toThrow('is no u8 and no float array')

  expect(loadOutput(tensor('i8', 0.5), Int8Array.of(1, -3, 0, 127, -128)).data).toEqual(
    Float32Array.of(0.5, -1.5, 0, 63.5, -64),
  )
  expect(loadOutput(tensor('f16'), Uint16Array.of(0x3c00, 0xc000, 0x3800, 0, 0x7bff)).data).toEqual(
    Float32Array.of(1, -2, 0.5, 0, 65504),
  )
  expect(loadOutput(tensor('bf16'), Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0, 0x4040)).data).toEqual(
    Float32Array.of(1, -2, 0.5, 0, 3),
  )
})
