#!/usr/bin/env node
/** argv -> command. A command's code is loaded only when it is asked for: `quant --help` loads nothing else. */
import { Command, CommanderError, Option } from 'commander'
import type { SettingFlags } from './commands/flags.js'
import type { GcFlags } from './commands/gc.js'
import { errorRecord } from './errors.js'
import type { ReporterName } from './show/index.js'
import { version } from './version.js'

export interface GlobalOptions {
  readonly directory?: string
  readonly file?: string
  readonly json?: boolean
  readonly trace?: boolean
}

const program = new Command('quant')
  .description(
    'Put detection networks on the Sophgo BM1684X: one quant.yaml, one command, only what changed is redone.',
  )
  .version(version)
  .addOption(new Option('-C, --directory <dir>', 'work in this folder'))
  .addOption(
    new Option('-f, --file <path>', 'the description').default(undefined, 'quant.yaml, here or in a folder above'),
  )
  .addOption(new Option('--json', 'one JSON object per line instead of text, for programs'))
  .addOption(new Option('--trace', 'with an error, its stack trace'))
  .showHelpAfterError('(quant --help shows what there is)')
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  quant init model.onnx            a quant.yaml to start from
  quant build                      everything that is not up to date
  quant build int8                 only what the variant int8 needs
  quant build calibrate            only the calibration table, and what it needs
  quant watch                      while you tune settings
  quant status                     what is up to date, what would run
  quant why compile:mix            why that stage would run
  quant diff HEAD~1                what moved since the last commit
  quant -C examples/street build   from anywhere

Exit codes: 0 fine, 1 something failed, 2 wrong usage, 130 interrupted.`,
  )

program
  .command('init')
  .argument('<model>', 'the float ONNX file')
  .description(
    'write a quant.yaml to start from: inputs and outputs as the file says, the detector guessed from its heads',
  )
  .addHelpText(
    'after',
    `
It never overwrites one. With --json one document: {file, inputs, outputs, cut, detector, pictures, trouble}.

Examples:
  quant init yolov5n.onnx                     quant.yaml here
  quant -C ../project init ../yolov5n.onnx    quant.yaml there; the path of the model is from there`,
  )
  .action(async (model: string) => {
    const { initCommand } = await import('./commands/init.js')
    process.exitCode = await initCommand(model, program.opts<GlobalOptions>())
  })

program
  .command('build')
  .argument('[target...]', 'variants or stages; default everything')
  .description('bring the artifacts up to date')
  .option('-j, --jobs <n>', 'worker processes (default: the cores of this machine)')
  .option('--require-remote', 'fail before any stage when the remote store cannot be used')
  .option('--dry-run', 'only tell what would be done, why, and how long it took last time')
  .addOption(
    new Option('--frozen', 'fail where anything is not as quant.lock says, and do not write it').conflicts('dryRun'),
  )
  .addOption(
    new Option('--twice', 'run each stage once more and fail where other bytes come out; keep nothing of it').conflicts(
      'dryRun',
    ),
  )
  .option('--no-wait', 'fail when another build is running here, instead of waiting for it')
  .addOption(
    new Option('--reporter <name>', 'how it is shown (default: live in a terminal, plain in a pipe)').choices([
      'live',
      'plain',
      'json',
      'github',
    ]),
  )
  .addHelpText(
    'after',
    `
Examples:
  quant build                      everything that is not up to date
  quant build int8 --dry-run       what int8 would need
  quant build --frozen             in CI: only what quant.lock was written for, with the same results
  quant build --twice calibrate    whether the table comes out the same again
  quant build --no-wait            from a timer: not beside another build
  quant build --require-remote     in CI: rather fail than build everything anew without the remote store
  quant build --reporter github    annotations and a summary in a GitHub workflow (chosen there by itself)`,
  )
  .action(async (targets: string[], options: { jobs?: string; dryRun?: boolean; reporter?: ReporterName }) => {
    // From here on errors are JSON, too.
    if (options.reporter === 'json') program.setOptionValue('json', true)
    if (options.dryRun) {
      const { dryRun } = await import('./commands/dry-run.js')
      process.exitCode = await dryRun(targets, program.opts<GlobalOptions>())
      return
    }
    const { buildCommand } = await import('./commands/build.js')
    process.exitCode = await buildCommand(targets, { ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('watch')
  .description('build, and build again whenever something that is read changes; tell what moved')
  .option('-j, --jobs <n>', 'worker processes (default: the cores of this machine)')
  .addHelpText(
    'after',
    `
In a terminal: r rebuilds, w tells why the last round ran and what would run now, q (or Ctrl-C) ends.
With --json the events of each build, then {type: "round", because, moved}; {type: "stopped"} when something it reads changed meanwhile.

Examples:
  quant watch                      while you tune settings in an editor beside it
  quant --json watch | jq -c 'select(.type == "round").moved[]'`,
  )
  .action(async (options: { jobs?: string }) => {
    const { watchCommand } = await import('./commands/watch.js')
    process.exitCode = await watchCommand({ ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('status')
  .description('for each stage: up to date, would be restored, would run or may run, and why')
  .addHelpText(
    'after',
    `
With --json a line per stage: {stage, would, because, firstCauses?, lastMs?}. \`would\` is stay, restore, run or maybe (it runs if a stage
before it gives other outputs). Each of \`because\` has \`why\` and both sides: {why: "param-changed", at, was, now, place: {file, line}}.

Examples:
  quant status
  quant --json status | jq -r 'select(.would != "stay").stage'`,
  )
  .action(async () => {
    const { statusCommand } = await import('./commands/status.js')
    process.exitCode = await statusCommand(program.opts<GlobalOptions>())
  })

program
  .command('why')
  .argument('[stage]', 'a stage, as `quant status` names them; default all that would do something')
  .description('why stages would run: the first causes; of one stage also what it reads, and why it last ran')
  .addHelpText(
    'after',
    `
Examples:
  quant why                        every stage that would do something, and the first causes
  quant why compile:mix            all about one stage
  quant --json why verify          one JSON document; without a stage, a line per stage as \`quant --json status\` gives`,
  )
  .action(async (stage?: string) => {
    const { whyCommand } = await import('./commands/why.js')
    process.exitCode = await whyCommand(stage, program.opts<GlobalOptions>())
  })

program
  .command('doctor')
  .description('check Node, the libraries, the processor, the disk, and the project if there is one')
  .addHelpText(
    'after',
    `
A line per check: ok, warn (works, or slower) or fail, with what to do; exit code 1 when one fails. With --json {name, is, says, hint?}.

Examples:
  quant doctor
  QUANT_CMODEL=libcmodel_1684x.so quant doctor   the vendor's C-model, too`,
  )
  .action(async () => {
    const { doctorCommand } = await import('./commands/doctor.js')
    process.exitCode = await doctorCommand(program.opts<GlobalOptions>())
  })

program
  .command('graph')
  .argument('[target...]', 'variants or stages; default everything')
  .description('draw the stages, what they would do, and what waits for what')
  .addOption(
    new Option('--format <format>', "default: by the output file's name, else text").choices([
      'text',
      'dot',
      'mermaid',
      'svg',
    ]),
  )
  .option('-o, --output <file>', 'write it there: .svg, .dot, .mmd or .txt')
  .addHelpText(
    'after',
    `
Arrows that others imply are left out. With --json a line per stage: {name, would, ms, note, after}.

Examples:
  quant graph                      text: stages of one number can run side by side
  quant graph -o stages.svg        a picture
  quant graph --format mermaid     for Markdown on GitHub
  quant graph mix --format dot | dot -Tpdf -o mix.pdf`,
  )
  .action(async (targets: string[], options: { format?: 'text' | 'dot' | 'mermaid' | 'svg'; output?: string }) => {
    const { graphCommand } = await import('./commands/graph.js')
    process.exitCode = await graphCommand(targets, { ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('diff')
  .argument('<a>', 'a build folder, or a git revision')
  .argument('[b]', 'another; default the build folder as it is now')
  .description('what moved between two builds: figures, thresholds, layers, time on the chip')
  .addHelpText(
    'after',
    `
Of a revision the artifacts are taken from git when they are committed, else from the store, by the digests in its quant.lock.
With --json one document: {a, b, moved, before, after}.

Examples:
  quant diff HEAD~1                what moved since the last commit
  quant diff v1.0 v1.1             two releases
  quant diff ../other/build build  two folders`,
  )
  .action(async (a: string, b?: string) => {
    const { diffCommand } = await import('./commands/diff.js')
    process.exitCode = await diffCommand(a, b, program.opts<GlobalOptions>())
  })

program
  .command('clean')
  .description('remove the artifacts; the next build restores them from the store')
  .option('--all', 'the store and everything that is known, too')
  .action(async (options: { all?: boolean }) => {
    const { cleanCommand } = await import('./commands/clean.js')
    process.exitCode = await cleanCommand({ ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('gc')
  .description('delete from the store what no build of the last days used and nothing needs')
  .option('--days <n>', 'used within so many days: it stays', '14')
  .option(
    '--size <bytes>',
    'delete more, what was not used for longest first, until the store is no larger: 500MB, 2GB',
  )
  .option('--verify', 'read everything, and drop what is damaged')
  .option('--dry-run', 'only tell')
  .addHelpText(
    'after',
    `
What the artifacts as they are now need stays in any case, for every project that builds into the store; so does what is younger than
an hour. What is gone is built again when it is needed.

With --json a line per stage {type: "group", kind, name, stays, goes, unusedDays}, stays and goes each {count, bytes, ms}, ms being what
they took to make; then {type: "store", path, damaged, projects, dryRun}.

Examples:
  quant gc --dry-run               what is in the store, and what would go
  quant gc --days 3 --size 2GB
  quant gc --verify                after a bad disk`,
  )
  .action(async (options: GcFlags) => {
    const { gcCommand } = await import('./commands/gc.js')
    process.exitCode = await gcCommand({ ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('detect')
  .argument('<model>', 'an .onnx or .bmodel file')
  .description('find and draw what a network sees on one picture, as quant.yaml describes')
  .requiredOption('-i, --input <picture>', 'jpg, png, webp or bmp')
  .option('-o, --output <picture>', 'where to draw the boxes, .jpg')
  .option('--score <number>', 'only boxes above it')
  .option('--iou <number>', 'of two boxes that overlap more, the weaker one goes')
  .option('--kind <kind>', 'yolov3, yolov5, yolov8, ssd ...; quant.yaml.example lists them')
  .option('--anchors <list>', 'w,h,w,h,... in pixels of the input, outputs apart by ;')
  .option('--scale-x-y <list>', 'of yolov4: a number per output')
  .option('--classes <names>', 'coco, voc, a file with one name per line, or names, each with a comma behind')
  .option('--pixel-format <format>', 'rgb, bgr or gray')
  .option('--mean <list>', 'per channel: y = (x - mean) * scale')
  .option('--scale <list>', 'per channel')
  .option('--keep-aspect-ratio', 'letterbox instead of stretching')
  .option('--pad-value <number>', "the letterbox's border")
  .addOption(onOption())
  .addHelpText(
    'after',
    `
Flags stand above what quant.yaml says; with --kind, --classes and, where the kind has them, --anchors none is needed.
A network that quant.yaml describes as a classifier gives names instead of boxes.

Examples:
  quant detect build/street_int8.bmodel -i demo/day.jpg -o day.jpg    settings from quant.yaml
  quant detect yolov8n.onnx -i bus.jpg --kind yolov8 --classes coco --pixel-format rgb --scale 0.00392,0.00392,0.00392`,
  )
  .action(async (model: string, options: SettingFlags & { input: string; output?: string; on: string }) => {
    const { detectCommand } = await import('./commands/detect.js')
    process.exitCode = await detectCommand(model, { ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('run')
  .argument('<model>', 'a .bmodel file')
  .description('run a .bmodel once')
  .requiredOption('-i, --input <file>', '.npz with an array per input, or a picture, prepared as quant.yaml says')
  .option('-o, --output <file>', '.npz for the outputs, as real numbers')
  .addOption(onOption())
  .action(async (model: string, options: { input: string; output?: string; on: string }) => {
    const { runCommand } = await import('./commands/run.js')
    process.exitCode = await runCommand(model, { ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('inspect')
  .argument(
    '<file>',
    '.bmodel, .mlir, .onnx, .npz, .npy, a calibration, quantize or loss table, or NAME_selection.json',
  )
  .description('what is in a file')
  .option('--asm', 'of a .bmodel: every command')
  .action(async (file: string, options: { asm?: boolean }) => {
    const { inspectCommand } = await import('./commands/inspect.js')
    process.exitCode = await inspectCommand(file, { ...program.opts<GlobalOptions>(), ...options })
  })

function onOption(): Option {
  return new Option('--on <place>', "where a .bmodel runs: machine, or cmodel:PATH of the vendor's library").default(
    'machine',
  )
}

// A reader that has seen enough (`| head`) ends us quietly, and no result is lost: the next build goes on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = await fail(error)
}

async function fail(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const { json, trace } = program.opts<GlobalOptions>()
  if (json) {
    const { stack, ...record } = errorRecord(error)
    console.log(JSON.stringify({ type: 'error', error: trace ? { ...record, stack } : record }))
  } else {
    const { formatError } = await import('./show/error.js')
    const { useColor } = await import('./show/color.js')
    process.stderr.write(`${formatError(error, { color: useColor(process.stderr, process.env) })}\n`)
    if (trace && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  }
  const { code } = errorRecord(error)
  return code === 'interrupted' ? 130 : code === 'usage' ? 2 : 1
}
