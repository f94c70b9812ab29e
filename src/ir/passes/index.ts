/** What import does to a graph after reading it, in this order. */
import type { Graph } from '../graph.js'
import { dropDead } from './drop-dead.js'
import { dropIdentities } from './drop-identities.js'
import { foldScale } from './fold-scale.js'
import { fuseFunctions } from './fuse-functions.js'
import { fusePad } from './fuse-pad.js'
import { fuseRelu } from './fuse-relu.js'
import { fuseSilu } from './fuse-silu.js'

// Identities first: they stand between partners. Scales before relus: a convolution with a relu takes no scale any more. SiLU
// and its like before relu: a product with a relu is none, and x + 3 is no hard swish any more; what they leave behind must not
// count as readers. Pads after relus, which tell what is never negative.
const passes: readonly ((graph: Graph) => Graph)[] = [
  dropIdentities,
  foldScale,
  fuseSilu,
  fuseFunctions,
  dropDead,
  fuseRelu,
  fusePad,
  dropDead,
]

export const canonicalise = (graph: Graph): Graph => passes.reduce((now, pass) => pass(now), graph)
