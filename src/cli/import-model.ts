import { parseArgs } from 'node:util';
import { PUBLISHED } from '../checkpoints/published.js';
import { MODEL_NAME, MODEL_NAME_RULE } from '../model/registry.js';
import { ProgressLine } from './batch/progress-line.js';
import { type Command, UsageError } from './command.js';
import { importedModelsFolder, importModel, removeImported } from './imported-models.js';

const usage = `micro-sam import_model CHECKPOINT [options]

  CHECKPOINT is a file of PyTorch (.pt, .pth) or safetensors with a model of Segment Anything or micro-sam, as its
  training writes it, or a bioimage.io package (.zip); or a .json file that declares a model of ONNX files (docs/models.md);
  or the name of a published one, which is fetched:
  ${PUBLISHED.map(({ name }) => name).join(', ')}.

      --decoder FILE         micro-sam's instance decoder, if it is a file of its own (…_decoder.pt)
  -n, --name NAME            what the model is called from now on (default: as the file)
  -o, --output FOLDER        put the ONNX files here instead of among the models that -m knows
      --half                 keep the weights in half precision: half the size, rounded to 3 digits
      --remove               delete the imported model of this name

  Afterwards: micro-sam annotator_2d -m NAME, automatic_segmentation -m NAME, …`;

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      decoder: { type: 'string' },
      name: { type: 'string', short: 'n' },
      output: { type: 'string', short: 'o' },
      half: { type: 'boolean', default: false },
      remove: { type: 'boolean', default: false },
    },
  });
  const [checkpoint, ...more] = positionals;
  if (checkpoint === undefined || more.length > 0) throw new UsageError('One checkpoint is imported at a time.');
  if (values.name !== undefined && !MODEL_NAME.test(values.name))
    throw new UsageError(`${MODEL_NAME_RULE}, not "${values.name}".`);
  if (values.remove) {
    const removed = await removeImported(checkpoint);
    console.log(removed ? `${checkpoint} is deleted.` : `There is no imported model ${checkpoint}.`);
    return removed ? 0 : 1;
  }
  const progress = new ProgressLine();
  progress.start();
  const { card, folder } = await importModel(checkpoint, {
    name: values.name,
    folder: values.output,
    half: values.half,
    decoderFile: values.decoder,
    onProgress: (each) => progress.update(each),
  });
  const instances = card.instances ? 'with an instance decoder' : 'without an instance decoder';
  const kind = card.type ?? card.declared?.family ?? 'sam';
  console.log(`${card.name}: ${kind} ${instances}${card.half ? ', weights in half precision' : ''}, in ${folder}`);
  const use = folder.startsWith(importedModelsFolder()) ? card.name : folder;
  console.log(`Use it with -m ${use}.`);
  return 0;
}

export const importCommand: Command = {
  summary: 'Make a model of a PyTorch checkpoint, as micro-sam and its training write them.',
  usage,
  run,
};
