import type { TaskOptions } from '../task.js';
import type { SamWorker } from './sam-worker.js';

/**
 * Encoding there, decoding here: one 4 MB embedding per image crosses the connection, then every click is answered
 * without it. `encoder` may be slow to reach and fast to compute, `decoder` the other way round. What automatic
 * segmentation needs, a thousand decodes at once or the maps of all objects, is computed there.
 */
export function splitWorker(encoder: SamWorker, decoder: SamWorker): SamWorker {
  return {
    async info() {
      const [there, here] = await Promise.all([encoder.info(), decoder.info()]);
      const notes = [there.note, here.note && `Decoding here: ${here.note}`].filter(Boolean);
      return {
        ...there,
        name: `${there.name}, decoding in ${here.name}`,
        note: notes.length > 0 ? notes.join(' ') : undefined,
        loaded: there.loaded.filter((model) => here.loaded.includes(model)),
      };
    },
    async load(model, { signal, onProgress }: TaskOptions = {}) {
      const sizes = [0, 0];
      const total = [0, 0];
      const progressOf = (side: 0 | 1): TaskOptions => ({
        signal,
        onProgress: (step) => {
          sizes[side] = step.done;
          total[side] = step.total;
          onProgress?.({ done: sizes[0] + sizes[1], total: total[0] + total[1], message: step.message });
        },
      });
      await Promise.all([encoder.load(model, progressOf(0)), decoder.load(model, progressOf(1))]);
    },
    encode: (...args) => encoder.encode(...args),
    decode: (...args) => decoder.decode(...args),
    decodeCandidates: (...args) => encoder.decodeCandidates(...args),
    instanceMaps: (...args) => encoder.instanceMaps(...args),
    async close() {
      await Promise.all([encoder.close(), decoder.close()]);
    },
  };
}
