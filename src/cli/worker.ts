import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { SamError } from '../errors.js';
import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { itemAt } from '../items.js';
import { headlessFunctions } from '../service/headless.js';
import { RunningCalls } from '../service/running-calls.js';
import { startHyphaWorker } from '../worker/hosts/hypha-server.js';
import { endWithParent } from '../worker/hosts/node-parent-watch.js';
import { DEVICES, type Device, isDevice, startNodeWorker } from '../worker/hosts/node-worker.js';
import { connectFromNode, openSocketInNode } from '../worker/hosts/websocket-client.js';
import { HYPHA_SERVICE } from '../worker/hypha/address.js';
import type { WorkerInfo } from '../worker/sam-worker.js';
import { type Command, UsageError } from './command.js';
import { startEncoder } from './serve/encoder-process.js';
import { writeSecret } from './serve/token.js';

/**
 * Runs the model in this process for pages and scripts that connect by WebSocket. The address, with its token, is the
 * only line of stdout. A parent that forked this process gets it as a message, and takes the process along when it goes.
 */
const usage = `micro-sam worker [options]
       micro-sam worker --hypha URL [--workspace NAME] [options]

      --port N       listen on this port; default: any free one
      --host NAME    listen on this address; default: 127.0.0.1, which only this machine reaches
      --token-file F file with the secret of the address, 8 characters or more; made if it is not there
      --token T      the secret itself, which everybody on this machine can see among the running programs
      --allow-models DIR
                     clients of other machines may load the models of this folder; may be repeated; default: only
                     models that are built in
      --origin O     let pages of this origin connect; may be repeated; default: pages served from this machine
  -d, --device NAME  ${DEVICES.join(', ')} (default: auto)
      --threads N    threads for the model; default: what the machine has
      --hypha URL    register with this server of Hypha instead of listening, e.g. https://hypha.aicell.io; its clients
                     load the models of --allow-models only. The token is that of HYPHA_TOKEN or of --token-file; without
                     one the server gives a new workspace, and the address that is printed opens it. Workers of one
                     name are replicas, among which its clients share their work
      --workspace W  workspace on that server; default: that of the token
      --service NAME name of the service there (default: ${HYPHA_SERVICE})
      --json         print { url, runtime, provider } instead of the address alone`;

export const worker: Command = {
  summary: 'Run the model for other programs, by WebSocket or by way of a Hypha server',
  usage,
  run,
};

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      token: { type: 'string' },
      'token-file': { type: 'string' },
      'allow-models': { type: 'string', multiple: true },
      origin: { type: 'string', multiple: true },
      device: { type: 'string', short: 'd', default: 'auto' },
      threads: { type: 'string' },
      hypha: { type: 'string' },
      workspace: { type: 'string' },
      service: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  if (values.hypha !== undefined) return onHypha({ ...values, hypha: values.hypha });
  if (values.workspace ?? values.service) throw new UsageError('--workspace and --service go with --hypha.');
  const { host } = values;
  const token = values['token-file'] === undefined ? values.token : await tokenOf(values['token-file']);
  if (token !== undefined && token.length < 8) throw new UsageError('--token takes 8 characters or more.');
  const settings = {
    port: wholeNumber('--port', values.port, 0, 65_535),
    host,
    token,
    allowedOrigins: values.origin,
    modelFolders: values['allow-models'],
    device: deviceOf(values.device),
    threads: wholeNumber('--threads', values.threads, 1, 1024),
  };
  if (!isLoopback(host))
    console.error(
      `Other machines can reach ${host}. The connection is not encrypted: whoever listens in learns the token and sees the images. Safer is a tunnel, e.g. ssh -L.`,
    );
  // Signals do what they do to any process: a worker has nothing to save, and while a model runs no handler would hear them.
  process.once('disconnect', () => process.exit(0));
  if (process.send) endWithParent();
  const server = await startNodeWorker({ ...settings, log: (line) => console.error(line) });
  process.send?.({ url: server.url });
  return serving(server, values.json);
}

/** Tells where the worker is, and goes on until a signal ends the process. */
function serving({ url, info: { runtime, provider } }: { url: string; info: WorkerInfo }, json = false) {
  console.log(json ? JSON.stringify({ url, runtime, provider }) : url);
  return new Promise<number>(() => undefined);
}

interface HyphaValues {
  readonly hypha: string;
  readonly workspace?: string;
  readonly service?: string;
  readonly 'token-file'?: string;
  readonly 'allow-models'?: string[];
  readonly device: string;
  readonly threads?: string;
  readonly json?: boolean;
}

async function onHypha(values: HyphaValues): Promise<number> {
  const { hypha: server, workspace, service } = values;
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol))
    throw new UsageError(`--hypha is the address of a server, like https://hypha.aicell.io, not "${server}".`);
  const file = values['token-file'];
  const token = file === undefined ? process.env.HYPHA_TOKEN : await keptToken(file);
  if (file !== undefined && token === undefined) throw new UsageError(`There is no file ${file} with a token.`);
  const threads = wholeNumber('--threads', values.threads, 1, 1024);
  const flags = ['--device', deviceOf(values.device), ...(threads ? ['--threads', String(threads)] : [])];
  // Clients of Hypha give up a call of which they hear nothing for half a minute, and a process that computes says nothing.
  const encoder = await startEncoder(itemAt(process.argv, 1), {
    flags,
    onEnd(code) {
      console.error(`The process of the model ended (code ${code}), and this worker with it.`);
      process.exit(1);
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(0));
  const worker = await connectFromNode(encoder.url);
  const openInput = async (input: ImageInput, options: OpenOptions) => {
    if (typeof input === 'string')
      throw new SamError(
        'unsupported',
        'This worker opens no paths and addresses: send the image itself, as an array.',
      );
    return openImage(input, options);
  };
  const functions = headlessFunctions({ worker: () => worker, openInput }, new RunningCalls());
  const log = (line: string) => console.error(line);
  const modelFolders = values['allow-models'];
  const where = { server, workspace, service, token, openSocket: openSocketInNode };
  const { url } = await startHyphaWorker({ ...where, worker, functions, modelFolders, log });
  return serving({ url, info: await worker.info() }, values.json);
}

async function keptToken(file: string): Promise<string | undefined> {
  const kept = await readFile(file, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw new UsageError(`--token-file ${file} cannot be read: ${error.message}`);
  });
  return kept?.trim();
}

async function tokenOf(file: string): Promise<string> {
  const kept = await keptToken(file);
  if (kept !== undefined) return kept;
  const token = randomBytes(16).toString('hex');
  await writeSecret(file, token);
  return token;
}

function wholeNumber(flag: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
  throw new UsageError(`${flag} takes a whole number from ${least} to ${most}, not "${text}".`);
}

function deviceOf(name: string): Device {
  if (isDevice(name)) return name;
  throw new UsageError(`--device is ${DEVICES.join(', ')}, not "${name}".`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
