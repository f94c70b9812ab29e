/** Part of the identity of every float result: another version or optimisation level may differ in the last bits. */
export const runtimeIdentity = 'onnxruntime-node 1.30.0, optimisation all, 1 thread'
