import path from 'node:path';
import { parseArgs } from 'node:util';
import { asSamError } from '../errors.js';
import { folderStore } from '../io/stores/fs.js';
import { listKeys } from '../io/stores/prefix.js';
import { createNodeRuntime } from '../model/node-runtime.js';
import { DEFAULT_MODEL, modelNames } from '../model/registry.js';
import type { Command } from './command.js';
import { importedModels } from './imported-models.js';
import { userDataFolder } from './serve/user-data.js';
import { findModel } from './train/trained-models.js';

/** What this installation has: versions, models, where things are kept, what the model would run on. */
const usage = `micro-sam info [options]

      --json                 print as JSON`;

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } });
  const cacheFolder = path.join(userDataFolder(), 'models');
  const cached = await listKeys(folderStore(cacheFolder)).catch(() => []);
  const runtimes = [];
  for (const options of [{}, { wasm: true }]) {
    const runtime = await createNodeRuntime(options).catch((error) => asSamError(error));
    runtimes.push(
      runtime instanceof Error
        ? { error: runtime.message }
        : { runtime: runtime.name, provider: runtime.provider, note: runtime.note },
    );
  }
  const info = {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    models: [...new Set([...modelNames(), ...importedModels()])].map((name) => ({
      name,
      default: name === DEFAULT_MODEL,
      description: findModel(name).description,
      licence: findModel(name).licence,
    })),
    runtimes,
    model_folder: cacheFolder,
    downloaded: cached,
  };
  if (values.json) {
    console.log(JSON.stringify(info, null, 2));
    return 0;
  }
  console.log(`Node.js ${info.node} on ${info.platform}`);
  console.log('Models:');
  for (const model of info.models) {
    console.log(`  ${model.name}${model.default ? ' (default)' : ''}: ${model.description} ${model.licence ?? ''}`);
  }
  console.log('Runs on:');
  for (const runtime of info.runtimes) {
    console.log(
      `  ${'error' in runtime ? runtime.error : `${runtime.runtime}, ${runtime.provider}${runtime.note ? ` (${runtime.note})` : ''}`}`,
    );
  }
  console.log(`Downloaded models are kept in ${info.model_folder} (${cached.length} files).`);
  return 0;
}

export const info: Command = { summary: 'Show versions, models and devices', usage, run };
