import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SamError } from '../errors.js';
import { zipFiles } from '../io/stores/zip.js';
import { encoderWithDelta } from '../model/encoder-delta.js';
import { createNodeRuntime } from '../model/node-runtime.js';
import { DEFAULT_MODEL } from '../model/registry.js';
import { readModel } from '../onnx/read.js';
import { bioimageFiles } from '../training/bioimage-package.js';
import { weightsOfLightDecoder } from '../training/instances/light-decoder.js';
import { writeWhole } from './batch/result-items.js';
import { type Command, UsageError } from './command.js';
import { cardOf, findModel, loadFile } from './train/trained-models.js';

const usage = `micro-sam export_model [options]

  -m, --model_type NAME   a trained or built-in model (default: ${DEFAULT_MODEL})
  -o, --output PLACE      where the package is put: a new or empty folder, or a .zip file
      --licence NAME      SPDX identifier, such as CC-BY-4.0 (default: that of the model)
      --force             replace what is there of the same names

Writes a package of bioimage.io: rdf.yaml, one ONNX file from an image to the maps of all its objects, a picture and its
maps to test it by, and what the model was trained on. Before it is published, say in rdf.yaml whose it is.`;

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model_type: { type: 'string', short: 'm', default: DEFAULT_MODEL },
      output: { type: 'string', short: 'o' },
      licence: { type: 'string' },
      force: { type: 'boolean', default: false },
    },
  });
  const { output, licence, force, model_type: name } = values;
  if (!output) throw new UsageError('Say with --output where the package is to be put.');
  const present = force ? undefined : whatIsThere(output);
  if (present !== undefined)
    throw new SamError(
      'invalid_argument',
      `${present} is there already: give a new or empty folder, a .zip file, or replace it with --force.`,
    );
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
  if (isZip(output)) writeWhole(output, await zipFiles([...files].map(([file, bytes]) => ({ name: file, bytes }))));
  else for (const [file, bytes] of files) writeWhole(path.join(output, file), bytes);
  console.log(`Wrote ${[...files.keys()].join(', ')} to ${output}.`);
  return 0;
}

const isZip = (place: string) => /\.zip$/i.test(place);

/** What would be lost, or mixed with a package. */
function whatIsThere(output: string): string | undefined {
  if (!existsSync(output)) return undefined;
  if (isZip(output) || !statSync(output).isDirectory()) return output;
  const [first] = readdirSync(output);
  return first === undefined ? undefined : path.join(output, first);
}

export const exportCommand: Command = {
  summary: 'Write a model as a package of bioimage.io, to be run by other programs.',
  usage,
  run,
};
