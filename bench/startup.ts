/** A build that has nothing to do, against starting Node. */
import { table } from '../src/show/table.js'
import { milliseconds, times } from './measure.js'
import { cpuOf, exampleProject } from './project.js'

const least = (work: () => number): number => Math.min(...Array.from({ length: 7 }, work))
const street = exampleProject()
street.build('int8')
const bare = least(() => cpuOf([process.execPath, '-e', '0']))
const built = least(() => street.build('int8'))
street.remove()
console.log(
  table([
    ['nothing to do', 'node -e 0', 'quant build', ''],
    ['street', milliseconds(bare), milliseconds(built), times(built / bare)],
  ]),
)
