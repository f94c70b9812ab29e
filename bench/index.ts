/** `npm run bench [which [network]]`: all benchmarks, one after the other, or one of them. Each is a process like the workers. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const [which, ...rest] = process.argv.slice(2)
const all = ['null-build', 'executor', 'calibration', 'losses', 'vendor', 'fuzz']
/** Too long to be run unasked. */
const asked = ['zoo']
if (which !== undefined && ![...all, ...asked].includes(which)) {
  console.error(`no benchmark \`${which}\`; there are ${[...all, ...asked].join(', ')}`)
  process.exit(2)
}
for (const name of which === undefined ? all : [which]) {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  const { status } = spawnSync(
    process.execPath,
    ['--single-threaded-gc', '--import', import.meta.resolve('tsx'), file, ...rest],
    {
      stdio: 'inherit',
    },
  )
  if (status !== 0) process.exitCode = 1
  console.log()
}
