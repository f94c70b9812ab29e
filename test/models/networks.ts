/** All networks, small: what each is expected to become. */
import type { DetectorSpec } from '../../src/detect/types.js'
import { denseNet, efficientNetLite, mobileNetV3, resNet } from './classifiers.js'
import { tinyAnchors, yolov4, yolov4Tiny } from './darknet.js'
import type { Style } from './exporter.js'
import { yolox } from './megvii.js'
import { centerNet, retinaNet, unet, yolov6 } from './others.js'
import { picodet, ppyoloe } from './paddle.js'
import { fastestDet, nanodetPlus, yoloFastestV2 } from './shuffle.js'
import { kerasMobileNet, priors, ssdPytorch, ssdTensorflow } from './ssd.js'
import { ultralytics } from './ultralytics.js'
import { anchors, yolov5, yolov7Tiny } from './yolov5.js'

/** Pixels of the input. */
export const side = 64

type Settings = Pick<DetectorSpec, 'kind'> & Partial<DetectorSpec>

export interface Network {
  readonly make: (style: Style) => { readonly bytes: Uint8Array; readonly heads?: readonly string[] }
  /** All of it is in another network, too: it is not compiled once more. */
  readonly again?: true
  /** Operators that stay float in 8 bit. */
  readonly float?: readonly string[]
  /** How its own outputs are read, where there is a way. */
  readonly whole?: Settings
  /** How its raw heads are read. */
  readonly heads?: Settings
}

const classes = ['dot', 'ring', 'arc']
const n = classes.length

export const spec = (settings: Settings): DetectorSpec => ({ classes, iou: 0.5, ...settings })

const alone = (make: (classes: number, side: number, style: Style) => Uint8Array) => ({
  make: (style: Style) => ({ bytes: make(10, side, style) }),
})

export const networks: Readonly<Record<string, Network>> = {
  YOLOv8: {
    make: (style) => ultralytics(8, n, side, style),
    float: ['Softmax'],
    whole: { kind: 'yolov8' },
    heads: { kind: 'yolov8' },
  },
  YOLO11: {
    make: (style) => ultralytics(11, n, side, style),
    float: ['MatMul', 'Softmax'],
    whole: { kind: 'yolov8' },
    heads: { kind: 'yolov8' },
  },
  'YOLOv5 3, Focus and Hardswish': {
    make: (style) => yolov5(3, n, side, style),
    whole: { kind: 'yolov5' },
    heads: { kind: 'yolov5', anchors },
  },
  'YOLOv5 4, Focus': {
    again: true,
    make: (style) => yolov5(4, n, side, style),
    whole: { kind: 'yolov5' },
    heads: { kind: 'yolov5', anchors },
  },
  'YOLOv5 6': {
    make: (style) => yolov5(6, n, side, style),
    whole: { kind: 'yolov5' },
    heads: { kind: 'yolov5', anchors },
  },
  'YOLOv5 6, raw heads': {
    again: true,
    make: (style) => yolov5(6, n, side, style, false),
    whole: { kind: 'yolov5', anchors },
  },
  'YOLOv7-tiny': {
    make: (style) => yolov7Tiny(n, side, style, false),
    whole: { kind: 'yolov7' },
    heads: { kind: 'yolov7', anchors },
  },
  'YOLOv7, implicit factors': {
    make: (style) => yolov7Tiny(n, side, style, true),
    whole: { kind: 'yolov7' },
    heads: { kind: 'yolov7', anchors },
  },
  'YOLOX-nano': {
    again: true,
    make: (style) => yolox(n, side, style, false),
    whole: { kind: 'yolox' },
    heads: { kind: 'yolox' },
  },
  'YOLOX-nano, decoded': {
    make: (style) => yolox(n, side, style, true),
    whole: { kind: 'yolov5' },
    heads: { kind: 'yolox' },
  },
  'NanoDet-Plus': {
    make: (style) => nanodetPlus(n, side, style),
    whole: { kind: 'nanodet-plus' },
    heads: { kind: 'nanodet-plus' },
  },
  FastestDet: {
    make: (style) => fastestDet(n, side, style),
    float: ['Softmax'],
    whole: { kind: 'fastestdet' },
    heads: { kind: 'fastestdet' },
  },
  'Yolo-FastestV2': {
    make: (style) => yoloFastestV2(n, side, style),
    float: ['Softmax'],
    whole: { kind: 'yolo-fastestv2', anchors: anchors.slice(1) },
    heads: { kind: 'yolo-fastestv2', anchors: anchors.slice(1) },
  },
  'SSD-MobileNetV2, PyTorch': {
    make: (style) => ssdPytorch(n, side, style),
    float: ['Softmax'],
    whole: { kind: 'ssd' },
    heads: { kind: 'ssd', anchors: priors },
  },
  'SSD-MobileNetV2, tf2onnx': { make: (style) => ssdTensorflow(n, side, style) },
  'PP-PicoDet': { make: (style) => picodet(n, side, style), heads: { kind: 'nanodet' } },
  'PP-YOLOE': { make: (style) => ppyoloe(n, side, style, false), float: ['Softmax'], heads: { kind: 'yolov8' } },
  YOLOv6: {
    make: (style) => yolov6(n, side, style),
    whole: { kind: 'yolov5' },
    heads: { kind: 'yolov8' },
  },
  'YOLOv4-tiny': {
    make: (style) => yolov4Tiny(n, side, style),
    whole: { kind: 'yolov4', anchors: tinyAnchors, scaleXY: [1.05, 1.05] },
  },
  'YOLOv4 with Mish': alone(yolov4),
  RetinaNet: { make: (style) => retinaNet(n, side, style) },
  CenterNet: { make: (style) => centerNet(n, side, style, false) },
  'U-Net': alone(unet),
  MobileNetV3: alone(mobileNetV3),
  ResNet: alone(resNet),
  DenseNet: alone(denseNet),
  'EfficientNet-Lite': { ...alone(efficientNetLite), float: ['Softmax'] },
  'MobileNet of Keras': { ...alone(kerasMobileNet), float: ['Softmax'] },
}
