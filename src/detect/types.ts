/** What detection talks about. */

/** How a network's raw outputs are to be read. What each kind is, and which of the settings it has: `config/kinds.ts`. */
export interface DetectorSpec {
  readonly kind:
    | 'yolov2'
    | 'yolov3'
    | 'yolov4'
    | 'yolov5'
    | 'yolov7'
    | 'yolov8'
    | 'yolox'
    | 'nanodet'
    | 'nanodet-plus'
    | 'ssd'
    | 'blazeface'
    | 'fastestdet'
    | 'yolo-fastestv2'
  /**
   * Width, height, width, height, ... in pixels of the network's input: per output, in the order of the outputs (YOLO), or per grid,
   * the finest first (SSD, Yolo-FastestV2). None where boxes are decoded already, or for kinds without anchors.
   */
  readonly anchors?: readonly (readonly number[])[]
  /** In the order of the class scores. */
  readonly classes: readonly string[]
  /**
   * How scores come from the outputs: each for itself (YOLOv3, v5), the classes all together (YOLOv2), or as they are. Undefined: as
   * `candidates` says for each form of outputs.
   */
  readonly classScores?: 'sigmoid' | 'softmax' | 'none'
  /** YOLOv4: per output, how far centres may move. */
  readonly scaleXY?: readonly number[]
  /** Pixels of the input per cell, the finest grid first; none: as the sizes of the grids say. */
  readonly strides?: readonly number[]
  /** Of two boxes of a class that overlap more than this, the weaker one is dropped. */
  readonly iou: number
}

/** Corners in picture pixels: x0 < x1 to the right, y0 < y1 downwards. */
export interface Rect {
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
}

/** A detection. */
export interface Box extends Rect {
  /** 0..1 */
  readonly score: number
  readonly classId: number
}

/** An object that was labelled by hand. */
export interface Truth extends Rect {
  readonly classId: number
  /** Marks a group: what lies in it is neither right nor wrong. */
  readonly crowd: boolean
}

/** Intersection over union, 0 for boxes that have no area. */
export function iou(a: Rect, b: Rect): number {
  const both = intersection(a, b)
  return both === 0 ? 0 : both / (area(a) + area(b) - both)
}

/** The common area of two boxes. */
export function intersection(a: Rect, b: Rect): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0)
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0)
  return width > 0 && height > 0 ? width * height : 0
}

export const area = (box: Rect): number => (box.x1 - box.x0) * (box.y1 - box.y0)
