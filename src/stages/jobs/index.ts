/** Everything that runs in worker processes, by name. */
import { analysePictures, chooseThresholds } from './calibrate.js'
import { compileVariant } from './compile.js'
import { findBoxes } from './detect.js'
import { equalizeModel } from './equalize.js'
import { importModel } from './import.js'
import { measureLosses, readLayers } from './losses.js'
import { priceChoices } from './price.js'
import { findChosen, judgeChosen } from './target.js'
import { judge } from './verify.js'

export const jobs = {
  importModel,
  equalizeModel,
  analysePictures,
  chooseThresholds,
  compileVariant,
  readLayers,
  measureLosses,
  priceChoices,
  findChosen,
  judgeChosen,
  findBoxes,
  judge,
}
