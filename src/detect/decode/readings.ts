/** Which numbers of the outputs make boxes and scores, for each kind of detector. */
import { QuantError } from '../../errors.js'
import type { Tensor } from '../../ir/graph.js'
import type { DetectorSpec } from '../types.js'
import type { Grid } from './grid.js'
import { readHead } from './head.js'
import { type Part, readGrids, readRows } from './parts.js'
import {
  blazeBox,
  cornerBox,
  darknetBox,
  distributionBox,
  fastestdetBox,
  type PlaceBox,
  pixelBox,
  priorBox,
  yolov5Box,
  yolov5Share,
  yoloxBox,
} from './place.js'

/** A grid and how to read it. */
export interface Reading {
  readonly grid: Grid
  readonly place: PlaceBox
  readonly scores: 'sigmoid' | 'softmax' | 'none'
  /** Width, height, ... of the anchors of a cell; empty where there are none. */
  readonly anchors: readonly number[]
  /** Class numbers begin behind so many that mean nothing: SSD's background. */
  readonly background: number
  /** Score = objectness ^ a * class score ^ b. */
  readonly powers: readonly [object: number, classes: number] | undefined
}

/** Whether one output holds boxes in pixels and their scores: a YOLO that goes on behind its heads. */
export function decodesInside(
  { kind, anchors = [], classes }: DetectorSpec,
  outputs: readonly (readonly number[])[],
): boolean {
  if (kind === 'yolov5' || kind === 'yolov7') return anchors.length === 0
  const [only] = outputs
  return kind === 'yolov8' && outputs.length === 1 && only!.length === 3 && only!.includes(4 + classes.length)
}

/**
 * How scores are read unless `spec.classScores` says: sigmoid where outputs are heads of convolutions (softmax for SSD, YOLOv2), as they
 * are where the network goes on and gives a row per box; FastestDet and Yolo-FastestV2 as they are when all of a
 * box stands in one output, else with a softmax over the classes.
 * @throws QuantError 'model' when outputs and settings do not fit each other
 */
export function readings(outputs: readonly Tensor[], spec: DetectorSpec, inputShape: readonly number[]): Reading[] {
  const { kind } = spec
  const anchors = spec.anchors ?? []
  const background = kind === 'ssd' ? 1 : 0
  const count = background + spec.classes.length
  const box: Part = { name: 'box', fields: 4, because: 'the box' }
  const object: Part = { name: 'object', fields: 1, because: 'objectness' }
  const classes: Part = {
    name: 'classes',
    fields: count,
    because: background ? 'background and detector.classes' : 'detector.classes',
  }
  const bins: Part = { name: 'box', fields: { multipleOf: 4 }, because: 'the box, a multiple of 4' }
  const common = { kind, strides: spec.strides ?? [], inputShape, perCell: undefined }
  const read = (
    grid: Grid,
    place: PlaceBox,
    scores: Reading['scores'],
    other: Partial<Pick<Reading, 'anchors' | 'powers'>> = {},
  ): Reading => ({
    grid,
    place,
    scores: spec.classScores ?? scores,
    background,
    anchors: [],
    powers: undefined,
    ...other,
  })
  const byForm = ({ form }: Grid): Reading['scores'] => (form === 'rows' ? 'none' : 'sigmoid')

  const inside = decodesInside(
    spec,
    outputs.map(({ shape }) => shape),
  )
  switch (kind) {
    case 'yolov5':
    case 'yolov7':
      if (inside) return [read(readRows(outputs, { ...common, parts: [box, object, classes] }), pixelBox, 'none')]
      return heads(outputs, spec, inputShape).map((grid, i) =>
        read(grid, yolov5Box, 'sigmoid', { anchors: anchors[i]! }),
      )
    case 'yolov2':
    case 'yolov3':
    case 'yolov4':
      return heads(outputs, spec, inputShape).map((grid, i) =>
        read(grid, darknetBox(spec.scaleXY?.[i] ?? 1), kind === 'yolov2' ? 'softmax' : 'sigmoid', {
          anchors: anchors[i]!,
        }),
      )
    case 'yolov8':
      if (inside) return [read(readRows(outputs, { ...common, parts: [box, classes] }), pixelBox, 'none')]
      return readGrids(outputs, { ...common, parts: [bins, classes] }).map((grid) => {
        // Four numbers in rows are no distances but pixels, as corners or as centre and size: nobody can tell.
        if (grid.form === 'rows' && grid.box.fields === 4)
          throw new QuantError('model', `outputs with a row of four numbers per box are not those of ${kind}`, {
            hint: 'end the network at its raw heads, before it makes pixels of them: model.outputs',
          })
        return read(grid, distributionBox(grid.box.fields / 4, 0.5), 'sigmoid')
      })
    case 'nanodet':
    case 'nanodet-plus':
      return readGrids(outputs, { ...common, parts: [classes, bins] }).map((grid) =>
        read(grid, distributionBox(grid.box.fields / 4, kind === 'nanodet' ? 0.5 : 0), byForm(grid)),
      )
    case 'yolox':
      return readGrids(outputs, { ...common, parts: [box, object, classes] }).map((grid) =>
        read(grid, yoloxBox, byForm(grid)),
      )
    case 'ssd': {
      const parts = [classes, box]
      if (anchors.length === 0) return [read(readRows(outputs, { ...common, parts }), cornerBox, 'none')]
      const perCell = anchors.map((list) => list.length / 2)
      return readGrids(outputs, { ...common, parts, perCell, even: true }).map((grid, i) =>
        read(grid, priorBox, grid.form === 'rows' ? 'none' : 'softmax', { anchors: anchors[i]! }),
      )
    }
    case 'blazeface': {
      const parts: Part[] = [
        { name: 'box', fields: { multipleOf: 2 }, because: 'the box and its key points, 4 or more' },
        classes,
      ]
      const width = inputShape[3] ?? 0
      const strides = common.strides.length > 0 ? common.strides : [width / 16, width / 8]
      return readGrids(outputs, { ...common, parts, strides, perCell: [2, 6] }).map((grid) =>
        read(grid, blazeBox, 'sigmoid'),
      )
    }
    case 'fastestdet':
      return readGrids(outputs, { ...common, parts: [object, box, classes] }).map((grid) =>
        read(grid, fastestdetBox, grid.form === 'together' ? 'none' : 'softmax', { powers: [0.6, 0.4] }),
      )
    case 'yolo-fastestv2': {
      const boxes = (anchors[0]?.length ?? 0) / 2
      const many: Part[] = [
        { name: 'box', fields: 4 * boxes, because: 'a box for each of detector.anchors' },
        { name: 'object', fields: boxes, because: 'objectness of each' },
        classes,
      ]
      const grids = readGrids(outputs, { ...common, parts: many })
      if (grids.length !== anchors.length || anchors.some((list) => list.length !== 2 * boxes))
        throw new QuantError('model', `${grids.length} grids, but anchors for ${anchors.length}`, {
          hint: 'detector.anchors has one list per grid, the finest first, all of the same length',
        })
      return grids.map((grid, i) => {
        const { box: placed, object: sure } = grid
        const own: Grid = {
          ...grid,
          anchors: boxes,
          box: { ...placed, byAnchor: 4 * placed.byField, fields: 4 },
          object: sure && { ...sure, byAnchor: sure.byField, fields: 1 },
          // All boxes of a cell share its classes.
          classes: { ...grid.classes, byAnchor: 0 },
        }
        const decoded = grid.form === 'together'
        return read(own, decoded ? yolov5Share : yolov5Box, decoded ? 'none' : 'softmax', { anchors: anchors[i]! })
      })
    }
  }
}

/** An output per list of anchors. */
function heads(outputs: readonly Tensor[], spec: DetectorSpec, inputShape: readonly number[]): Grid[] {
  const anchors = spec.anchors ?? []
  if (outputs.length !== anchors.length)
    throw new QuantError('model', `${outputs.length} outputs, but anchors for ${anchors.length}`, {
      hint: 'detector.anchors has one list per output of model.outputs, in the same order',
    })
  return outputs.map((output, index) =>
    readHead(output, index, anchors[index]!.length / 2, spec.classes.length, inputShape),
  )
}
