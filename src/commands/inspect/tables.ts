import { readCalibrationTable } from '../../calibrate/table.js'
import { QuantError } from '../../errors.js'
import { readHeader } from '../../search/header.js'
import { readLossTable } from '../../search/losstable.js'
import { readQtable } from '../../search/qtable.js'
import { block, count, type Described, digits } from './described.js'

/** A calibration, quantize or loss table, whichever the first line that is no comment is of. */
export function describeTable(text: string, file: string): Described {
  const first = text.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#')) ?? ''
  const columns = first.trim().split(/\s+/).length
  if (/^No\.\d/.test(first)) return describeLosses(text, file)
  if (columns === 4) return describeThresholds(text, file)
  if (columns === 2 || /^# op_name +quantize_mode/m.test(text)) return describeModes(text, file)
  throw new QuantError('input', `${file}: not a kind of file that is known`, {
    place: { file },
    hint: 'bmodel, mlir, onnx, npz and npy files, and calibration, quantize and loss tables can be inspected',
  })
}

function describeThresholds(text: string, file: string): Described {
  const { thresholds, method, samples, tuned } = readCalibrationTable(text, file)
  const layers = [...thresholds].map(([layer, one]) => ({ layer, ...one }))
  return {
    facts: { kind: 'calibration table', method, samples, tuned, layers },
    text: [
      `${file}: calibration table, ${count(layers.length, 'layer')}`,
      `method ${method}, ${samples} samples${tuned > 0 ? `, tuned with ${tuned}` : ''}`,
      block(
        ['layer', 'threshold', 'min', 'max', 'of range'],
        layers.map(({ layer, threshold, min, max }) => [
          layer,
          digits(threshold),
          digits(min),
          digits(max),
          `${((100 * threshold) / (Math.max(-min, max) || 1)).toFixed(0)}%`,
        ]),
        'lrrrr',
      ),
    ].join('\n'),
  }
}

function describeModes(text: string, file: string): Described {
  const { modes } = readQtable(text, file)
  const header = readHeader(text)
  const layers = [...modes].map(([layer, mode]) => ({ layer, mode }))
  return {
    facts: { kind: 'quantize table', ...header, layers },
    text: [
      `${file}: quantize table, ${count(layers.length, 'layer')}`,
      ...searchLine(header),
      block(
        ['layer', 'mode'],
        layers.map(({ layer, mode }) => [layer, mode]),
      ),
    ].join('\n'),
  }
}

function describeLosses(text: string, file: string): Described {
  const { header, losses } = readLossTable(text, file)
  const { int8Loss } = header
  return {
    facts: { kind: 'loss table', ...header, layers: losses },
    text: [
      `${file}: loss table, ${count(losses.length, 'layer')}`,
      ...searchLine(header),
      block(
        ['layer in float', 'loss (-dB)', 'gain (dB)'],
        losses.map(({ layer, loss }) => [
          layer,
          loss.toFixed(3),
          int8Loss === undefined ? '' : (int8Loss - loss).toFixed(3),
        ]),
        'lrr',
      ),
    ].join('\n'),
  }
}

function searchLine({ samples, int8Loss, chip, mixMode }: ReturnType<typeof readHeader>): string[] {
  const parts = [
    samples === undefined ? '' : `${samples} samples`,
    int8Loss === undefined ? '' : `all INT8: ${int8Loss.toFixed(3)} -dB`,
    chip ?? '',
    mixMode === undefined ? '' : `float layers are ${mixMode}`,
  ].filter((part) => part !== '')
  return parts.length > 0 ? [parts.join(', ')] : []
}
