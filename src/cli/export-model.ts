import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SamError } from '../errors.js';
import { encoderWithDelta } from '../model/encoder-delta.js';
import { createNodeRuntime } from '../model/node-runtime.js';
import { DEFAULT_MODEL } from '../model/registry.js';
import { readModel } from '../onnx/read.js';
import { bioimageFiles } from '../training/bioimage-package.js';
import { weightsOfLightDecoder } from '../training/instances/light-decoder.js';
import { type Command, UsageError } from './command.js';
import { cardOf, findModel, loadFile } from './train/trained-models.js';

const usage = `micro-sam export_model [options]

  -m, --model_type NAME   a trained or built-in model (default: ${DEFAULT_MODEL})
  -o, --output FOLDER     where the package is put
      --licence NAME      SPDX identifier, such as CC-BY-4.0 (default: that of the model)

Writes a package of bioimage.io: rdf.yaml, one ONNX file from an image to the maps of all its objects, a picture and its
maps to test it by, and what the model was trained on. Before it is published, say in rdf.yaml whose it is.`;

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model_type: { type: 'string', short: 'm', default: DEFAULT_MODEL },
      output: { type: 'string', short: 'o' },
      licence: { type: 'string' },
    },
  });
  const { output, licence, model_type: name } = values;
  if (!output) throw new UsageError('Say with --output where the package is to be put.');
  const model = findModel(name);
  if (!licence && !model.licence)
    throw new UsageError(`The licence of the model ${name} is not known: give its SPDX identifier with --licence.`);
  const instances = model.instances && weightsOfLightDecoder(readModel(await loadFile(model.instances, {})));
  if (!instances)
    throw new SamError(
      'unsupported',
      `The model ${name} has no instance decoder of the kind that micro-sam train makes, which gives the maps: train one.`,
    );
  const base = await loadFile(model.encoder, {});
  const { encoderDelta: delta } = model;
  const encoder = readModel(delta ? encoderWithDelta(base, await loadFile(delta, {})) : base);
  const card = cardOf(name);
  const files = await bioimageFiles(await createNodeRuntime(), { model, encoder, instances, card, licence });
  mkdirSync(output, { recursive: true });
  for (const [file, bytes] of files) writeFileSync(path.join(output, file), bytes);
  console.log(`Wrote ${[...files.keys()].join(', ')} to ${output}.`);
  return 0;
}

export const exportCommand: Command = {
  summary: 'Write a model as a package of bioimage.io, to be run by other programs.',
  usage,
  run,
};
