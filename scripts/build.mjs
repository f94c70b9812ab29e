/**
 * Builds dist/: the program in bundles, because one large file loads faster than two hundred small ones, and the library's types.
 *
 *   quant.cjs               the entry: one CommonJS file
 *   cli.js index.js         the command line and the library, ES modules; what they share and what is loaded on demand lies in chunks/
 *   stages/worker.js bm1684x/cmodel/child.js    what runs in processes of its own
 *
 * Packages stay outside: they are installed beside us (bundling the pure JavaScript ones made commands a tenth faster). Plain JavaScript: it runs before anything is built.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Bundles into a folder inside the package or beside a copy of schemas/: code finds them at ../schemas. */
export async function bundle(outdir) {
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    packages: 'external',
    logLevel: 'warning',
    define: { QUANT_PROGRAM: JSON.stringify(programDigest()) },
  }
  await Promise.all([
    build({
      ...common,
      entryPoints: {
        cli: 'src/cli.ts',
        index: 'src/index.ts',
        'stages/worker': 'src/stages/worker.ts',
        'bm1684x/cmodel/child': 'src/bm1684x/cmodel/child.ts',
      },
      outdir,
      format: 'esm',
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
    }),
    build({
      ...common,
      entryPoints: ['src/quant.ts'],
      outfile: join(outdir, 'quant.cjs'),
      format: 'cjs',
      external: ['./cli.js'],
    }),
  ])
}

/** Changes with everything that is bundled: what one build noted about its end, another program must not believe. */
function programDigest() {
  const digest = createHash('sha256')
  for (const path of ['package.json', 'package-lock.json', ...walk('schemas'), ...walk('src')].sort())
    digest.update(`${path}\0${readFileSync(join(root, path), 'hex')}\0`)
  return digest.digest('hex').slice(0, 16)
}

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  await bundle(join(root, 'dist'))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
