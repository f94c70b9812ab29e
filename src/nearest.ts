/** "Did you mean": known words that are close to a wrong one. */

/** The known word that a mistyped one was probably meant to be, or undefined when none is near: at most a third is wrong. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3))
  const near = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((entry) => entry.distance <= limit)
  return near.sort((a, b) => a.distance - b.distance)[0]?.candidate
}

/** At most three known names, nearest first; none that differs in more than half of its letters. For long names, as layers have. */
export function nearestNames(wrong: string, known: Iterable<string>): string[] {
  return [...new Set(known)]
    .map((name) => ({ name, apart: distance(wrong.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, apart }) => apart <= Math.max(wrong.length, name.length) / 2)
    .sort((a, b) => a.apart - b.apart || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Levenshtein: how many characters must be put in, taken out or replaced; swapping two neighbours counts one. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? beforeLast[j - 2]! + 1 : Infinity
      row.push(Math.min(replaced, swapped, last[j]! + 1, row[j - 1]! + 1))
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

/** `did you mean `percentile`? known: kl, max, percentile, mse` */
export function suggest(word: string, known: readonly string[]): string {
  const meant = nearest(word, known)
  return `${meant === undefined ? '' : `did you mean \`${meant}\`? `}known: ${known.join(', ')}`
}
