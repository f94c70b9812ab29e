export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** The inverse of sigmoid. */
export const logit = (p: number): number => Math.log(p / (1 - p))
