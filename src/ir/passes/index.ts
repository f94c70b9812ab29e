/** What import does to a graph after reading it, in this order. */
import type { Graph } from '../graph.js'
import { channelsFirst } from './channels-first.js'
import { dropDead } from './drop-dead.js'
import { dropIdentities } from './drop-identities.js'
import { foldAffine } from './fold-affine.js'
import { foldScale } from './fold-scale.js'
import { fuseFunctions } from './fuse-functions.js'
import { fusePad } from './fuse-pad.js'
import { fuseRelu } from './fuse-relu.js'
import { fuseSilu } from './fuse-silu.js'
import { mergeBounds } from './merge-bounds.js'

// Identities first: they stand between partners. Inputs are turned before anything that such a turn would stand between. Scales
// before relus: a convolution with a relu takes no scale any more. Limits before what has them within. SiLU and its like before
// relu: a product with a relu is none, and x + 3 is no hard swish any more; what they leave behind must not count as readers. Pads
// after relus, which tell what is never negative.
const passes: readonly ((graph: Graph) => Graph)[] = [
  dropIdentities,
  channelsFirst,
  foldScale,
  foldAffine,
  mergeBounds,
  fuseSilu,
  fuseFunctions,
  dropDead,
  fuseRelu,
  fusePad,
  dropDead,
]

export const canonicalise = (graph: Graph): Graph => passes.reduce((now, pass) => pass(now), graph)
