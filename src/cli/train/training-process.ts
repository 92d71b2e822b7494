import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SamError } from '../../errors.js';
import { folderStore } from '../../io/stores/fs.js';
import type { ModelSpec } from '../../model/model-spec.js';
import { createNodeRuntime } from '../../model/node-runtime.js';
import { MODEL_NAME, MODEL_NAME_RULE, modelNames } from '../../model/registry.js';
import { type HostPlace, measureJob, runJob } from '../../training/run-job.js';
import { serveTraining } from '../../training/serve-training.js';
import { TRAINED_PARTS } from '../../training/settings.js';
import type { TrainingHost, TrainingJob } from '../../training/training-job.js';
import { remoteTraining } from '../../training/training-messages.js';
import type { Channel } from '../../worker/channel.js';
import { endWithParent } from '../../worker/hosts/node-parent-watch.js';
import { packMessage, unpackMessage } from '../../worker/wire.js';
import { importedModels } from '../imported-models.js';
import { trainedModelsFolder } from '../serve/user-data.js';
import { findModel, loadFile, withInherited, writeTrained } from './trained-models.js';

/**
 * Training in a process of its own, beside a server: it yields to everything else on the machine, and ends with the process that
 * started it.
 */
export const FOR_PARENT = '--for-parent';

/** How much it yields, as with `nice`. */
const NICE = 10;

/** In this process, for scripts: what else the script does goes on between the steps. */
export function trainingHere(): TrainingHost {
  const inFolder = async <T>(job: TrainingJob, work: (place: HostPlace) => Promise<T>): Promise<T> => {
    const features = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-training-'));
    try {
      return await work(await placeOf(job, features));
    } finally {
      rmSync(features, { recursive: true, force: true });
    }
  };
  return {
    where: 'in this process',
    nice: false,
    parts: TRAINED_PARTS,
    measure: (job, task) =>
      inFolder(job, (place) => measureJob({ ...job, model: place.model ?? job.model }, place, task)),
    train: (job, run) => inFolder(job, (place) => runJob({ ...job, model: place.model ?? job.model }, place, run)),
  };
}

/** @param program path of the built command line, which is started once more for each job */
export function processTraining(program: string): TrainingHost {
  return remoteTraining({
    where: 'in a process of its own',
    nice: true,
    parts: TRAINED_PARTS,
    open: () => startTrainingProcess(program),
  });
}

export function startTrainingProcess(program: string): Channel {
  const features = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-training-'));
  const child = fork(program, ['train', FOR_PARENT, features], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  try {
    if (child.pid !== undefined) os.setPriority(child.pid, NICE);
  } catch {
    // A system that does not allow it trains all the same.
  }
  child.once('exit', () => rmSync(features, { recursive: true, force: true }));
  return childChannel(child);
}

function childChannel(child: ChildProcess): Channel {
  let lastWords = '';
  child.stderr?.on('data', (chunk) => {
    lastWords = (lastWords + chunk).slice(-2000);
  });
  let ended: string | undefined;
  const listeners: ((reason: string) => void)[] = [];
  const end = (reason: string) => {
    if (ended !== undefined) return;
    ended = reason;
    for (const listener of listeners.splice(0)) listener(reason);
  };
  child.once('error', (error) => end(error.message));
  child.once('exit', (code, signal) =>
    end(`Its process ended with ${signal ?? `code ${code}`}. ${lastWords.trim().split('\n').at(-1) ?? ''}`.trim()),
  );
  return {
    send(message) {
      if (ended === undefined && child.connected) child.send(packMessage(message));
    },
    onMessage: (listener) => child.on('message', (bytes: Uint8Array) => listener(unpackMessage(bytes))),
    onClose: (listener) => (ended === undefined ? listeners.push(listener) : listener(ended)),
    close(reason = 'It was ended.') {
      child.kill('SIGKILL'); // it has nothing to save
      end(reason);
    },
  };
}

/**
 * The child's end: serves one job of the parent, until the parent closes the channel.
 *
 * @param features a folder for what is only needed meanwhile
 */
export function trainForParent(features: string): Promise<number> {
  endWithParent();
  const channel: Channel = {
    send: (message) => void process.send?.(packMessage(message)),
    onMessage: (listener) => process.on('message', (bytes: Uint8Array) => listener(unpackMessage(bytes))),
    onClose: (listener) => process.once('disconnect', () => listener('The parent is gone.')),
    close: () => process.disconnect(),
  };
  process.once('disconnect', () => process.exit(0));
  serveTraining(channel, (job) => placeOf(job, features));
  return new Promise(() => undefined);
}

async function placeOf(job: TrainingJob, features: string): Promise<HostPlace> {
  checkName(job.name);
  const model = modelOf(job.model);
  return {
    model,
    runtime: await createNodeRuntime(),
    load: loadFile,
    store: folderStore(features),
    async keep({ name }, card, files) {
      const folder = path.join(trainedModelsFolder(), name);
      mkdirSync(folder, { recursive: true });
      writeTrained(folder, await withInherited({ card, files }, model));
      return findModel(name);
    },
  };
}

function checkName(name: string): void {
  if (!MODEL_NAME.test(name)) throw new SamError('invalid_argument', `${MODEL_NAME_RULE}, got "${name}".`);
  if (
    modelNames().includes(name) ||
    existsSync(path.join(trainedModelsFolder(), name)) ||
    importedModels().includes(name)
  )
    throw new SamError('invalid_argument', `There is a model ${name} already; give another name.`);
}

/** As this machine knows it by its name; else one whose files lie at addresses. */
function modelOf(model: ModelSpec): ModelSpec {
  try {
    return findModel(model.name);
  } catch {
    const { encoder, encoderDelta, decoder, instances } = model;
    const files = [encoder, encoderDelta, decoder, instances].filter((file) => file !== undefined);
    if (files.every(({ url }) => /^https?:/.test(url))) return model;
    throw new SamError('unsupported', `The model ${model.name} cannot be read outside the page that has it.`);
  }
}
