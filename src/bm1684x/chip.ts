/**
 * The BM1684X, as far as generated code sees it. Sizes in bytes, addresses as commands spell them.
 */

/** Lanes ("NPUs"): channel c of a tensor lies in lane (start + c) mod 64. */
export const lanes = 64
/** Local memory of one lane; all lanes use the same offsets. */
export const laneBytes = 256 * 1024
export const bankBytes = 16 * 1024
/** A lane's vector unit takes 64 bytes per cycle: 64 elements of one byte, 32 of two, 16 of four. */
export const vectorBytes = 64
/** Input channels that conv takes at once, by element size 1, 2, 4. */
export const cubeChannels = { 1: 64, 2: 32, 4: 1 } as const
/** Output pixels that conv makes at once in each lane: int8 and 16 bit; fp32 makes 16. */
export const cubePixels = { 1: 4, 2: 4, 4: 16 } as const

/** Where DMA finds local memory; TIU fields hold local addresses without it. */
export const localBase = 0x0800_0000
/** Tables that the firmware fills; only TIU broadcast and distribute read it. */
export const staticBase = 0x0900_0000
/** Global memory. Coefficients come first, then what the net works in ("neurons"). */
export const globalBase = 0x1_0000_0000
/** Every global tensor and the neuron base begin at a multiple of it. */
export const globalAlign = 4096

/** TIU and DMA both; the figure that cycles become time by. */
export const clockHz = 1e9

/** Longest side of a tensor that a command can name. */
export const mostPerDimension = 65535

export const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to
