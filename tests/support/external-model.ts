import type { OnnxTensor } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { WireWriter } from '../../src/onnx/wire.js';
import { writeModel } from '../../src/onnx/write.js';

/** Where in a model a tensor can leave its bytes to another file. */
export const PLACES = ['initializer', 'attribute', 'nested graph'] as const;
export type Place = (typeof PLACES)[number];

/** The model with the weights of its first initializer in `location`, and those weights. */
export function withWeightsIn(
  bytes: Uint8Array,
  location: string,
  place: Place = 'initializer',
): { readonly model: Uint8Array; readonly weights: Uint8Array } {
  const model = readModel(bytes);
  const [tensor] = model.graph.initializers;
  const weights = new Uint8Array(tensor.raw ?? new Uint8Array(Float32Array.from(tensor.floats ?? []).buffer));
  const elsewhere: OnnxTensor = {
    ...tensor,
    raw: undefined,
    floats: undefined,
    rest: externalFields(location, weights),
  };
  const node = { op: 'Constant', domain: '', inputs: [], rest: [] };
  if (place === 'initializer') model.graph.initializers[0] = elsewhere;
  else if (place === 'attribute')
    model.graph.nodes.unshift({
      ...node,
      name: 'weights',
      outputs: ['weights_elsewhere'],
      attributes: [{ name: 'value', type: 'tensor', value: elsewhere }],
    });
  else
    model.graph.nodes.unshift({
      ...node,
      op: 'If',
      name: 'choice',
      inputs: [],
      outputs: ['chosen'],
      attributes: [
        {
          name: 'then_branch',
          type: 'graph',
          value: { name: 'inner', nodes: [], initializers: [elsewhere], inputs: [], outputs: [], values: [] },
        },
      ],
    });
  return { model: writeModel(model), weights };
}

/** TensorProto.external_data and data_location = EXTERNAL, keys included. */
function externalFields(location: string, weights: Uint8Array): Uint8Array[] {
  const entries = [
    ['location', location],
    ['offset', '0'],
    ['length', String(weights.length)],
  ];
  return [
    ...entries.map(([key, value]) => {
      const field = new WireWriter();
      field.message(13, (entry) => {
        entry.text(1, key);
        entry.text(2, value);
      });
      return field.finish();
    }),
    Uint8Array.of(14 * 8, 1),
  ];
}
