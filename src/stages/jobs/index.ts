/**
 * Everything that runs in worker processes, by name. What a job needs is loaded when it is asked for: the code of the whole chip would
 * take a worker that searches longer to load than a small network's losses to measure.
 */
type Async = (...args: never[]) => Promise<unknown>

const load =
  <M extends Record<K, Async>, K extends string>(module: () => Promise<M>, name: K) =>
  async (...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>> =>
    (await (await module())[name](...args)) as Awaited<ReturnType<M[K]>>

const calibrate = () => import('./calibrate.js')
const detect = () => import('./detect.js')
const losses = () => import('./losses.js')
const target = () => import('./target.js')

export const jobs = {
  importModel: load(() => import('./import.js'), 'importModel'),
  equalizeModel: load(() => import('./equalize.js'), 'equalizeModel'),
  analysePictures: load(calibrate, 'analysePictures'),
  chooseThresholds: load(calibrate, 'chooseThresholds'),
  compileVariant: load(() => import('./compile.js'), 'compileVariant'),
  readLayers: load(losses, 'readLayers'),
  measureLosses: load(losses, 'measureLosses'),
  priceChoices: load(() => import('./price.js'), 'priceChoices'),
  findChosen: load(target, 'findChosen'),
  judgeChosen: load(target, 'judgeChosen'),
  findBoxes: load(detect, 'findBoxes'),
  judge: load(() => import('./verify.js'), 'judge'),
}
