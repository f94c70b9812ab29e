/** The noise that the reference resizes were made of; see opencv-resize.json. */
export function noise(length: number): Uint8Array {
  let x = 1
  return Uint8Array.from({ length }, () => {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff
    return (x >> 16) & 255
  })
}
