/** Everything that runs in worker processes, by name. */
import { analysePictures, chooseThresholds } from './calibrate.js'
import { compileVariant } from './compile.js'
import { findBoxes } from './detect.js'
import { importModel } from './import.js'
import { measureLosses, readLayers } from './losses.js'
import { judge } from './verify.js'

export const jobs = {
  importModel,
  analysePictures,
  chooseThresholds,
  compileVariant,
  readLayers,
  measureLosses,
  findBoxes,
  judge,
}
