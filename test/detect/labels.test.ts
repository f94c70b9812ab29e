import { describe, expect, it } from 'vitest'
import { classLists } from '../../src/detect/classes.js'
import { readCocoLabels, readYoloLabels, stem } from '../../src/detect/labels.js'

const size = { width: 200, height: 100 }
const classes = ['person', 'motorbike']

describe('YOLO labels', () => {
  it('become boxes in picture pixels', () => {
    expect(readYoloLabels('1 0.5 0.5 0.1 0.2\r\n\n0 0 0.5 0.1 1\n', 'a.txt', size, classes)).toEqual([
      { x0: 90, y0: 40, x1: expect.closeTo(110), y1: 60, classId: 1, crowd: false },
      { x0: -10, y0: 0, x1: 10, y1: 100, classId: 0, crowd: false },
    ])
    expect(readYoloLabels('', 'a.txt', size, classes)).toEqual([])
  })

  it('are translated by a class map, which leaves others out', () => {
    const text = '3 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1'
    expect(readYoloLabels(text, 'a.txt', size, classes, [7, 3]).map(({ classId }) => classId)).toEqual([1, 0])
  })

  it.each([
    ['1 0.5 0.5 0.1', 'not a label'],
    ['car 0.5 0.5 0.1 0.1', 'not a label'],
    ['1 50 50 10 10', 'a box outside of the picture'],
    ['2 0.5 0.5 0.1 0.1', 'class 2 of 2'],
    ['0.5 0.5 0.5 0.1 0.1', 'class 0.5 of 2'],
  ])('a wrong line is shown: %s', (line, what) => {
    const read = () => readYoloLabels(`0 0.5 0.5 0.1 0.1\n${line}\n`, 'labels/a.txt', size, classes)
    expect(read).toThrow(`labels/a.txt:2: ${what}`)
    expect(read).toThrow(
      expect.objectContaining({ code: 'input', place: { file: 'labels/a.txt', line: 2, text: line } }),
    )
  })
})

describe('COCO labels', () => {
  const labels = {
    info: { note: 'brackets ] } in "text" do not confuse' },
    images: [
      { id: 5, file_name: 'val/0005.jpg' },
      { id: 6, file_name: '0006.jpg' },
    ],
    categories: [
      { id: 1, name: 'person' },
      { id: 4, name: 'motorcycle' },
      { id: 9, name: 'boat' },
    ],
    annotations: [
      { image_id: 5, category_id: 4, bbox: [10, 20, 30, 40], iscrowd: 0, segmentation: [[1, 2]] },
      { image_id: 5, category_id: 9, bbox: [0, 0, 1, 1], iscrowd: 0 },
      { image_id: 5, category_id: 1, bbox: [0, 0, 50, 60], iscrowd: 1 },
    ],
  }
  const read = (value: unknown, map?: number[]) =>
    readCocoLabels(JSON.stringify(value, null, 1), 'c.json', classes, map)

  it('find classes by name, also where YOLO’s lists have other names', () => {
    expect([...read(labels)]).toEqual([
      [
        '0005',
        [
          { x0: 10, y0: 20, x1: 40, y1: 60, classId: 1, crowd: false },
          { x0: 0, y0: 0, x1: 50, y1: 60, classId: 0, crowd: true },
        ],
      ],
      ['0006', []],
    ])
  })

  it('or by a class map', () => {
    expect(
      read(labels, [9, 1])
        .get('0005')!
        .map(({ classId }) => classId),
    ).toEqual([0, 1])
  })

  it('say file and line of what is wrong', () => {
    const text = JSON.stringify(labels, null, 1)
    const lineOf = (part: string) => text.slice(0, text.indexOf(part)).split('\n').length
    const second = lineOf('"category_id": 9') - 2
    const annotations = labels.annotations.map((a, i) => (i === 1 ? { ...a, image_id: 7 } : a))
    expect(() => read({ ...labels, annotations })).toThrow(`c.json:${second}: annotations[1]: no image has the id 7`)
    const noBox = labels.annotations.map((a, i) => (i === 1 ? { ...a, bbox: [1, 2] } : a))
    expect(() => read({ ...labels, annotations: noBox })).toThrow(`c.json:${second}: annotations[1] has no bbox`)
    expect(() => read({ ...labels, images: [{ id: 5 }] })).toThrow(/c\.json:\d+: images\[0\] has no file_name/)
    expect(() => read({ ...labels, categories: [] })).toThrow('c.json: no category has the name of a class')
    expect(() => read({ images: [] })).toThrow("c.json: no list 'categories'")
    expect(() => read([])).toThrow("c.json: no list 'images'")
    expect(() => readCocoLabels('{\n "images": [\n {,\n', 'c.json', classes)).toThrow('c.json:3: not JSON')
    expect(() => readCocoLabels('{\n "images": [', 'c.json', classes)).toThrow('c.json:2: not JSON')
  })
})

it('pictures and labels meet by their stems', () => {
  expect(['a/b/000001.jpg', '000001.txt', 'x\\000001.png', '000001'].map(stem)).toEqual(Array(4).fill('000001'))
  expect(stem('night.rain.jpg')).toBe('night.rain')
})

it('the class lists have their lengths and no name twice', () => {
  expect(classLists.coco).toHaveLength(80)
  expect(classLists.voc).toHaveLength(20)
  expect(new Set(classLists.coco).size).toBe(80)
  expect([classLists.coco[2], classLists.coco[79]]).toEqual(['car', 'toothbrush'])
  expect(classLists.voc.every((name) => (classLists.coco as readonly string[]).includes(name))).toBe(true)
})
