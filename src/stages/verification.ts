/** verify.json: how every variant does, beside the float model. Names of figures are those of `verify.require` in quant.yaml. */
export interface Verification {
  readonly model: string
  /** Boxes below it are not drawn, printed or compared; null: there is no detector. */
  readonly score: number | null
  /** Of a classifier: how many of the best classes are looked at. */
  readonly top?: number
  /** Pictures with labels. */
  readonly labelled: number
  /** `float` first. */
  readonly variants: Readonly<Record<string, Figures>>
  /** Drawn pictures -> variant -> what it sees on it, best first. */
  readonly pictures: Readonly<Record<string, Readonly<Record<string, readonly Seen[]>>>>
}

export interface Figures {
  readonly pictures: number
  /** Outputs against float, dB, mean over the pictures; null for the float model. */
  readonly sqnr: number | null
  /** Against the boxes of the float model: same class, IoU 0.5. */
  readonly recall?: number
  readonly matched?: number
  readonly missed?: number
  readonly extra?: number
  readonly score_difference?: number
  readonly mean_iou?: number
  /** Against the labels: 101-point AP, mean over classes that occur. */
  readonly map50?: number
  readonly map75?: number
  readonly map?: number
  readonly map50_drop?: number
  readonly map75_drop?: number
  readonly map_drop?: number
  /** Of a classifier, against the labels: the best class is right, the right one is among the best `top`. */
  readonly top1?: number
  readonly topk?: number
  readonly top1_drop?: number
  readonly topk_drop?: number
  /** Against the best class of the float model. */
  readonly top1_agreement?: number
  readonly topk_agreement?: number
  readonly classes?: Readonly<Record<string, { readonly objects: number; readonly ap50: number; readonly ap: number }>>
}

export interface Seen {
  /** e.g. `car:81.7%` */
  readonly text: string
  readonly score: number
  /** x0, y0, x1, y1 in pixels of the picture; not of a classifier. */
  readonly box?: readonly number[]
}
