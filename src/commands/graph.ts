import { relative, resolve } from 'node:path'
import * as disk from '../disk.js'
import { plan } from '../engine/plan.js'
import { paint, useColor } from '../show/color.js'
import { graphDot, graphMermaid, graphOf, graphText } from '../show/graph.js'
import { graphSvg } from '../show/graph-svg.js'
import { findTargets, openProject, type ProjectOptions } from './project.js'

export interface GraphOptions extends ProjectOptions {
  readonly json?: boolean
  readonly format?: 'text' | 'dot' | 'mermaid' | 'svg'
  /** Relative to where the command is called. */
  readonly output?: string
}

/** The stages, what they would do and what waits for what, as text or as a picture. */
export async function graphCommand(targets: readonly string[], options: GraphOptions): Promise<number> {
  const { project, pool, placeOfSetting } = openProject(options)
  pool.close()
  const planned = await plan(project, targets.length === 0 ? undefined : findTargets(project, targets))
  const nodes = graphOf(planned, placeOfSetting)
  const { output } = options
  const format = options.format ?? formatOf(output)
  const colors = paint(output === undefined && useColor(process.stdout, process.env))
  const text = options.json
    ? nodes
        .map(
          ({ before, ...node }) => `${JSON.stringify({ ...node, after: before.map((index) => nodes[index]!.name) })}\n`,
        )
        .join('')
    : {
        text: () => `${graphText(nodes, colors)}\n`,
        dot: () => graphDot(nodes),
        mermaid: () => graphMermaid(nodes),
        svg: () => graphSvg(nodes),
      }[format]()
  if (output === undefined) process.stdout.write(text)
  else {
    const path = resolve(options.directory ?? '.', output)
    disk.writeAtomic(path, text)
    process.stdout.write(`${relative(process.cwd(), path)} is written\n`)
  }
  return 0
}

/** What the file's name says; text otherwise. */
function formatOf(output: string | undefined): NonNullable<GraphOptions['format']> {
  const ending = /\.(\w+)$/.exec(output ?? '')?.[1]?.toLowerCase()
  return ending === 'svg' ? 'svg' : ending === 'dot' || ending === 'gv' ? 'dot' : ending === 'mmd' ? 'mermaid' : 'text'
}
