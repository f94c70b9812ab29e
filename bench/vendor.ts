/**
 * CPU seconds beside the vendor's. Its figures: tpu-mlir, commit 4639c0cee (2023-01-28), run_calibration and run_qtable with one
 * thread, user and system time, on the same kind of machine with the same pictures. They hold for that machine: on another one only the
 * order of magnitude tells something.
 */
import { table } from '../src/show/table.js'
import { times } from './measure.js'
import { exampleProject, zooProject } from './project.js'

const vendor: Readonly<Record<string, { calibration: number; losses: number }>> = {
  street: { calibration: 6.9, losses: 10.3 },
  yolov3_tiny_rand: { calibration: 39.8, losses: 57.5 },
  'yolo-lite-coco': { calibration: 9.1, losses: 8.0 },
}

const rows: string[][] = []
for (const project of [exampleProject(), zooProject('yolo-lite-coco'), zooProject('yolov3_tiny_rand')]) {
  if (!project) continue
  project.build('import')
  project.losses('exhaustive')
  const ours = { calibration: project.build('calibrate'), losses: project.build('losses:mix') }
  project.remove()
  const theirs = vendor[project.name]!
  for (const [what, title] of [
    ['calibration', '100 pictures, tuned; aim <= 0.33x'],
    ['losses', 'losses, 10 pictures; aim <= 0.1x'],
  ] as const)
    rows.push([
      project.name,
      title,
      `${theirs[what].toFixed(1)} s`,
      `${ours[what].toFixed(1)} s`,
      times(ours[what] / theirs[what]),
    ])
}
console.log(table([['beside the vendor', '', 'vendor', 'quant', ''], ...rows]))
