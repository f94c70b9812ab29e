/** Class lists that detectors are usually trained on, in the order of their outputs, and how a detection is written. */
import type { Box } from './types.js'

const COCO =
  'person,bicycle,car,motorbike,aeroplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,bird,' +
  'cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,' +
  'sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,' +
  'bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,sofa,pottedplant,bed,diningtable,toilet,' +
  'tvmonitor,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,' +
  'teddy bear,hair drier,toothbrush'

const VOC =
  'aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,person,pottedplant,sheep,sofa,' +
  'train,tvmonitor'

/** By name: 80 COCO classes with YOLO's names, 20 Pascal VOC classes. */
export const classLists = { coco: COCO.split(','), voc: VOC.split(',') } as const

/** COCO's own names of classes that YOLO's lists call differently. */
export const cocoNames: Readonly<Record<string, string>> = {
  motorbike: 'motorcycle',
  aeroplane: 'airplane',
  sofa: 'couch',
  pottedplant: 'potted plant',
  diningtable: 'dining table',
  tvmonitor: 'tv',
}

/** A class and how sure it is, 0..1: a box, or the name of a whole picture. */
type Named = Pick<Box, 'classId' | 'score'>

/** `car:81.7%`, as the vendor's programs print it. */
export function printed(box: Named, classes: readonly string[]): string {
  return `${nameOf(box.classId, classes)}:${percent(box)}`
}

/** `car 81.7%`, as it is drawn. */
export function caption(box: Named, classes: readonly string[]): string {
  return `${nameOf(box.classId, classes)} ${percent(box)}`
}

/** What is stored in 8 bit may be a step above 1. */
const percent = (box: Named): string => `${(Math.min(1, box.score) * 100).toFixed(1)}%`
const nameOf = (classId: number, classes: readonly string[]): string => classes[classId] ?? `class ${classId}`
