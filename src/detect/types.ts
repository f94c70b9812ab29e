/** What detection talks about. */

/** How a network's raw outputs are to be read. */
export interface DetectorSpec {
  readonly kind: 'yolov2' | 'yolov3' | 'yolov5'
  /** Per output, in the order of the outputs: width, height, width, height, ... in pixels of the network's input. */
  readonly anchors: readonly (readonly number[])[]
  /** In the order of the class scores. */
  readonly classes: readonly string[]
  /** How class scores come from logits: each for itself (YOLOv3, v5), or all together (YOLOv2). */
  readonly classScores: 'sigmoid' | 'softmax'
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
