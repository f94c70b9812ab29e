#!/usr/bin/env node
/** argv -> command. A command's code is loaded only when it is asked for: `quant --help` loads nothing else. */
import { Command, CommanderError, Option } from 'commander'
import type { SettingFlags } from './commands/flags.js'
import { errorRecord } from './errors.js'

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
  .version('0.1.0')
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
  quant -C examples/street build   from anywhere

Exit codes: 0 fine, 1 something failed, 2 wrong usage, 130 interrupted.`,
  )

program
  .command('init')
  .argument('<model>', 'the float ONNX file')
  .description('write a quant.yaml to start from')
  .action(async (model: string) => {
    const { initCommand } = await import('./commands/init.js')
    process.exitCode = await initCommand(model, program.opts<GlobalOptions>())
  })

program
  .command('build')
  .argument('[target...]', 'variants or stages; default everything')
  .description('bring the artifacts up to date')
  .option('-j, --jobs <n>', 'worker processes (default: the cores of this machine)')
  .action(async (targets: string[], options: { jobs?: string }) => {
    const { buildCommand } = await import('./commands/build.js')
    process.exitCode = await buildCommand(targets, { ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('watch')
  .description('build, and build again whenever something that is read changes')
  .option('-j, --jobs <n>', 'worker processes (default: the cores of this machine)')
  .action(async (options: { jobs?: string }) => {
    const { watchCommand } = await import('./commands/watch.js')
    process.exitCode = await watchCommand({ ...program.opts<GlobalOptions>(), ...options })
  })

program
  .command('status')
  .description('for each stage: up to date, would be restored, or would run, and why')
  .action(async () => {
    const { statusCommand } = await import('./commands/status.js')
    process.exitCode = await statusCommand(program.opts<GlobalOptions>())
  })

program
  .command('why')
  .argument('<stage>', 'a stage, as `quant status` names them')
  .description('what the stage reads, and every reason why it would run')
  .action(async (stage: string) => {
    const { whyCommand } = await import('./commands/why.js')
    process.exitCode = await whyCommand(stage, program.opts<GlobalOptions>())
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
  .command('detect')
  .argument('<model>', 'an .onnx or .bmodel file')
  .description('find and draw what a network sees on one picture, as quant.yaml describes')
  .requiredOption('-i, --input <picture>', 'jpg, png, webp or bmp')
  .option('-o, --output <picture>', 'where to draw the boxes, .jpg')
  .option('--score <number>', 'only boxes above it')
  .option('--iou <number>', 'of two boxes that overlap more, the weaker one goes')
  .option('--kind <kind>', 'yolov3, yolov2 or yolov5')
  .option('--anchors <list>', 'w,h,w,h,... in pixels of the input, outputs apart by ;')
  .option('--classes <names>', 'coco, voc, a file with one name per line, or names with commas between')
  .option('--pixel-format <format>', 'rgb, bgr or gray')
  .option('--mean <list>', 'per channel: y = (x - mean) * scale')
  .option('--scale <list>', 'per channel')
  .option('--keep-aspect-ratio', 'letterbox instead of stretching')
  .option('--pad-value <number>', "the letterbox's border")
  .addOption(onOption())
  .addHelpText(
    'after',
    '\nFlags stand above what quant.yaml says; with --kind, --anchors and --classes none is needed.',
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
  .argument('<file>', '.bmodel, .mlir, .onnx, .npz, .npy, or a calibration, quantize or loss table')
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
