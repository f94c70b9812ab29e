/** CPU time, not wall time: the machine may be shared. Everything is told as a ratio of two things measured by turns. */

/** User and system seconds of this process for one call. */
export async function cpuSeconds(work: () => Promise<unknown> | unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** The least seconds of each piece of work, in `rounds` rounds by turns, after one round that does not count. */
export async function byTurns<K extends string>(
  works: Readonly<Record<K, () => Promise<unknown> | unknown>>,
  rounds: number,
): Promise<Record<K, number>> {
  const least = Object.fromEntries(Object.keys(works).map((name) => [name, Infinity])) as Record<K, number>
  for (let round = 0; round <= rounds; round++)
    for (const name of Object.keys(works) as K[]) {
      const seconds = await cpuSeconds(works[name])
      if (round > 0) least[name] = Math.min(least[name], seconds)
    }
  return least
}

export const milliseconds = (seconds: number): string => `${(seconds * 1e3).toFixed(2)} ms`
export const times = (ratio: number): string => `${ratio.toFixed(2)}x`
