/**
 * Our estimate against listings of the vendor backend's simulation, command by command:
 *
 *     npx tsx bench/timing.ts MODEL.bmodel compiler_profile.txt [MODEL.bmodel listing ...]
 */
import { readFileSync } from 'node:fs'
import { programOf, readBmodel } from '../src/bm1684x/bmodel/read.js'
import { cyclesOf } from '../src/bm1684x/timing/cycles.js'
import { estimate, lowerBound } from '../src/bm1684x/timing/simulate.js'

const files = process.argv.slice(2)
if (files.length === 0 || files.length % 2 !== 0) throw new Error('give pairs of a .bmodel and its compiler_profile')
for (let i = 0; i < files.length; i += 2) {
  const [bmodel, listing] = [files[i]!, files[i + 1]!]
  const program = programOf(readBmodel(new Uint8Array(readFileSync(bmodel)), bmodel).nets[0]!)
  const profile = readFileSync(listing, 'utf8')
  const total = Number(/^TCYC : (\d+)/m.exec(profile)?.[1])
  const { cycles } = estimate(program)
  console.log(`${bmodel}: ${cycles} cycles, vendor ${total}, ${(100 * (cycles / total - 1)).toFixed(2)}%`)
  console.log(`  no schedule can need less than ${lowerBound(program)}`)

  const listed = new Map<string, number>()
  for (const [, tiu, dma, time, direction] of profile.matchAll(/\|s:\d+\|b:(\d+)\|g:(\d+)\|e:\d+\|t:(\d+)(\|dr)?/g))
    listed.set(direction === undefined ? `tiu ${tiu}` : `dma ${dma}`, Number(time))
  let equal = 0
  for (const engine of ['tiu', 'dma'] as const)
    for (const command of program[engine].slice(0, -1)) {
      const [ours, theirs] = [cyclesOf(command), listed.get(`${engine} ${command.fields.cmd_id}`)]
      if (ours === theirs) equal++
      else
        console.log(
          `  ${ours} cycles, vendor ${theirs ?? 'none'}: ${engine} ${command.fields.cmd_id} (${command.form})`,
        )
    }
  console.log(`  ${equal} of ${program.tiu.length + program.dma.length - 2} commands equal`)
}
