import type { LaterBytes, OnnxModel, OnnxTensor } from './model.js';
import { modelWriter } from './write.js';

/** A file as the pieces it consists of, made one after the other, so that a large model never lies in memory. */
export interface FileParts {
  readonly name: string;
  readonly size: number;
  readonly pieces: readonly (Uint8Array | LaterBytes)[];
}

/** Models with more weights than this keep them in a second file. */
const LARGEST_WHOLE = 500e6;
/** Smaller constants stay in the model, where shape inference sees them. */
const SMALLEST_EXTERNAL = 4096;
/** Weights begin where a page does, so that they can be mapped. */
const ALIGNMENT = 4096;

/**
 * The files of a model: one, or above 500 MB a second one beside it, `<name>.data`, with the weights.
 *
 * @param name of the file of the graph
 */
export function modelFiles(model: OnnxModel, name: string): FileParts[] {
  const { initializers } = model.graph;
  const sizeOf = ({ raw, later }: OnnxTensor) => (raw ?? later)?.length ?? 0;
  const total = initializers.reduce((sum, tensor) => sum + sizeOf(tensor), 0);
  if (total <= LARGEST_WHOLE) return [fileOf(name, model)];
  const pieces: (Uint8Array | LaterBytes)[] = [];
  let end = 0;
  const location = `${name}.data`;
  const moved = initializers.map((tensor): OnnxTensor => {
    const bytes = tensor.raw ?? tensor.later;
    if (!bytes || bytes.length < SMALLEST_EXTERNAL) return tensor;
    const gap = (ALIGNMENT - (end % ALIGNMENT)) % ALIGNMENT;
    if (gap > 0) pieces.push(new Uint8Array(gap));
    const offset = end + gap;
    pieces.push(bytes);
    end = offset + bytes.length;
    return {
      name: tensor.name,
      dims: tensor.dims,
      type: tensor.type,
      external: { location, offset, length: bytes.length },
    };
  });
  const graph = { ...model.graph, initializers: moved };
  return [fileOf(name, { ...model, graph }), { name: location, size: end, pieces }];
}

function fileOf(name: string, model: OnnxModel): FileParts {
  const { pieces, length } = modelWriter(model);
  return { name, size: length, pieces };
}
