import { parseArgs } from 'node:util';
import { precomputeEmbeddings } from '../embeddings/precompute.js';
import { shortNames } from '../io/folder/result-names.js';
import { itemAt } from '../items.js';
import { BATCH_FLAGS, type BatchItem, interruptible, reportBatch, runBatch } from './batch/batch.js';
import { listInputs } from './batch/inputs.js';
import { embeddingNames } from './batch/result-records.js';
import { ofShard, parseShard } from './batch/shard.js';
import { type Command, UsageError } from './command.js';
import { joinNumbers, MODEL_FLAGS, MODEL_USAGE, startModel } from './model-in-use.js';

/** Embeddings of many files ahead of time, e.g. on a cluster: the annotator and micro-sam open them. */
const usage = `micro-sam precompute_embeddings -i FILES -e DIR [options]

  -i, --input_path PATH      file, folder, pattern or http(s) address; may be given several times
      --pattern GLOB         files of a folder that match, e.g. "*.tif"
      --shard I/N            do the I-th of N parts, or auto: Slurm array, Kubernetes indexed job
      --json                 print the table as JSON
${MODEL_USAGE}

Each image becomes DIR/<name>.zarr, with the folder or extension of the image where two have one name. Work that was interrupted goes on where it stopped.`;

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: joinNumbers(args),
    allowPositionals: true,
    options: {
      ...MODEL_FLAGS,
      ...BATCH_FLAGS,
    },
  });
  const folder = values.embedding_path;
  if (!folder) throw new UsageError('Say where the embeddings go with -e.');
  const log = (line: string) => console.error(line);
  const given = [...(values.input_path ?? []), ...positionals];
  const all = await listInputs(given, { pattern: values.pattern, output: folder, log });
  const titles = shortNames(all.map(({ name }) => name));
  const jobs = all.map(({ file }, i) => ({ file, title: itemAt(titles, i) }));
  const names = embeddingNames(all);
  const inUse = await startModel(values);
  try {
    const items = ofShard(jobs, parseShard(values.shard)).map(({ file, title }): BatchItem => {
      const name = names.get(file) ?? title;
      return {
        name: title,
        async run(task) {
          const source = await inUse.open(file, task);
          const embeddings = await inUse.embeddings(source, name, task);
          try {
            const { encoded, reused } = await precomputeEmbeddings(
              embeddings,
              { concurrency: () => inUse.worker.atOnce ?? 1 },
              task,
            );
            return `${encoded} computed, ${reused} reused${embeddings.notices.map((notice) => `; ${notice}`).join('')}`;
          } finally {
            embeddings.close();
            await source.close();
          }
        },
      };
    });
    return reportBatch(await runBatch(items, { ...values, signal: interruptible() }), values.json);
  } finally {
    await inUse.close();
  }
}

export const precompute: Command = { summary: 'Compute embeddings of many images ahead of time', usage, run };
