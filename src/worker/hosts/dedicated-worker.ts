/** Where the script of a web worker runs. */
export const workerScope = globalThis as unknown as DedicatedWorkerGlobalScope; // types have the scope of all workers alone
