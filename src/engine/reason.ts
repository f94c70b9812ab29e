/**
 * Why a stage cannot be reused. Made where the difference is found, with both sides of it; build, status, why and the
 * report print the same values.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export type Reason =
  | { readonly why: 'never-built' }
  /** A file that the stage reads; was or now is undefined when it did not exist or does not any more. */
  | {
      readonly why: 'input-changed'
      readonly path: string
      readonly was: string | undefined
      readonly now: string | undefined
    }
  /** A file that is still there, but that the stage does not read any more. */
  | { readonly why: 'input-dropped'; readonly path: string }
  /** A setting, e.g. at `verify.detector.score`. */
  | {
      readonly why: 'param-changed'
      readonly at: string
      readonly was: Json | undefined
      readonly now: Json | undefined
    }
  /** The code of the stage or of a library that its results depend on. */
  | { readonly why: 'tool-changed'; readonly was: string; readonly now: string }
  | { readonly why: 'output-missing' | 'output-edited'; readonly path: string }
  /** It was written under this name, and is not any more. */
  | { readonly why: 'output-dropped'; readonly path: string }
  /** An output of another stage that this one reads, after it really differed. Both sides undefined: it was never read, and is not made yet. */
  | {
      readonly why: 'upstream-changed'
      readonly stage: string
      readonly output: string
      readonly was: string | undefined
      readonly now: string | undefined
    }
  /** The stage that makes an input will run, so it is not known yet whether this one must. Only in plans. */
  | { readonly why: 'upstream-stale'; readonly stage: string }
