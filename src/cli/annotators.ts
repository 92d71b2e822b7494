import { statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isResultName, shortNames } from '../io/folder/result-names.js';
import { isAddress } from '../io/node-open.js';
import { itemAt } from '../items.js';
import type { SessionSettings } from '../session/state.js';
import type { Input } from './batch/input.js';
import { expandInputs, type InputOptions, listInputs } from './batch/inputs.js';
import { embeddingNames, holdsEmbeddings, ResultFolder } from './batch/result-records.js';
import { type Command, UsageError } from './command.js';
import { initialObjects } from './initial-objects.js';
import { namedModel } from './model-in-use.js';
import { openBrowser } from './serve/open-browser.js';
import { type PageServer, startServer } from './serve/server.js';
import { userDataFolder } from './serve/user-data.js';

/**
 * The annotators of the command line: all serve the same page on this machine and open a browser on it; they differ in
 * how the page takes a stack. The address is the last line of stdout, printed once the page can be loaded; everything
 * else goes to stderr.
 */
interface Start {
  readonly annotator: SessionSettings['annotator'];
  /** Many images, whose results are written to a folder. */
  readonly output?: boolean;
  /** For browsers that are opened elsewhere. */
  readonly serve?: boolean;
}

const SINGLE_OPTIONS = `  -k, --key GLOB       of a folder, the files that are the frames of one time series, e.g. "t*.tif"
  -s, --segmentation_result PATH
                       what to begin with, of another program: a label image, or the tracks of a time series: a Cell
                       Tracking Challenge folder, a zip of one, or <name>_tracks.csv of napari with <name>_graph.json
                       beside it, which goes with a label image: give it twice
`;

const OUTPUT_OPTIONS = `  -o, --output DIR     folder for the results, written whenever you go on to another image: <name>_labels.tif
                       and objects.csv, the table of all objects
      --is_volumetric  stacks are volumes; default: by their axes, volumes or time series
      --initial_segmentation_folder DIR
                       label images to begin with, one for each image, found by name: cells.tif, cells_labels.tif
      --initial_segmentation_pattern GLOB
                       of that folder, only what matches
      --ignore_unpaired  images without such a label image begin without objects
`;

const SERVE_OPTIONS = `      --host NAME      listen on this address of the machine, 0.0.0.0 for all; default: 127.0.0.1, which only this machine
                       reaches. Nothing is encrypted: put a server with https before it where others listen
`;

export const annotator2d = annotator('annotator_2d', 'Annotate images in the browser (npm start)', {
  annotator: 'auto',
});
export const annotator3d = annotator('annotator_3d', 'Annotate volumes in the browser', { annotator: '3d' });
export const annotatorTracking = annotator('annotator_tracking', 'Track cells through time in the browser', {
  annotator: 'tracking',
});
export const imageSeries = annotator('image_series_annotator', 'Annotate the images of a folder, one by one', {
  annotator: 'auto',
  output: true,
});

export const serve = annotator('serve', 'Serve the annotator to browsers, also of other machines', {
  annotator: 'auto',
  output: true,
  serve: true,
});

function annotator(name: string, summary: string, start: Start): Command {
  const usage = `micro-sam ${name} [file ...] [options]

  file                 images to annotate, folders of images, http(s) addresses; a sample image if none
  -i, --input FILE     the same, as micro-sam spells it
  -p, --pattern GLOB   of folders, only what matches, e.g. "*.tif"
  -m, --model_type NAME
                       the model to begin with; micro-sam info lists them, trained and imported ones, too
${start.output ? OUTPUT_OPTIONS : SINGLE_OPTIONS}${start.serve ? SERVE_OPTIONS : ''}  -e, --embedding_path DIR
                       keep embeddings here, in micro-sam's format, and use those that are: <name>.zarr for each image, as
                       micro-sam precompute_embeddings writes them; of one image also the .zarr itself
      --port N         listen on this port; default: 8765, or the next free one
${start.serve ? '      --open           open a browser here, too' : '      --no-open        do not open a browser'}
      --viewer URL     use the Kaibu at this address, if it answers
      --autosave-dir D folder for automatic saves; default: one in your user data
      --no-worker      run the model in the browser, not in a process beside it`;
  return { summary, usage, run: (args) => run(args, start) };
}

async function run(args: readonly string[], start: Start): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    allowNegative: true,
    options: {
      input: { type: 'string', short: 'i', multiple: true },
      pattern: { type: 'string', short: 'p' },
      model_type: { type: 'string', short: 'm' },
      embedding_path: { type: 'string', short: 'e' },
      ...(start.output
        ? {
            output: { type: 'string', short: 'o' },
            is_volumetric: { type: 'boolean' },
            initial_segmentation_folder: { type: 'string' },
            initial_segmentation_pattern: { type: 'string' },
            ignore_unpaired: { type: 'boolean' },
          }
        : {
            key: { type: 'string', short: 'k' },
            segmentation_result: { type: 'string', short: 's', multiple: true },
          }),
      ...(start.serve && { host: { type: 'string' } }),
      port: { type: 'string' },
      open: { type: 'boolean', default: !start.serve },
      viewer: { type: 'string' },
      'autosave-dir': { type: 'string' },
      worker: { type: 'boolean', default: true },
    },
  });
  const log = (line: string) => console.error(line);
  const inputs = [...(values.input ?? []), ...positionals].map((file) => (isAddress(file) ? file : path.resolve(file)));
  const given = values as Given;
  const { output, is_volumetric: volumetric } = given;
  const frames = given.key === undefined ? undefined : await framesOf(inputs, given.key);
  const images = await imagesOf(inputs, frames, { pattern: values.pattern, output, log });
  const from = given.segmentation_result ?? given.initial_segmentation_folder;
  const pattern = given.initial_segmentation_pattern;
  const options = { pattern, ignoreUnpaired: given.ignore_unpaired, log };
  const initial = from === undefined ? {} : await initialObjects([from].flat(), images, options);
  const results = output === undefined ? undefined : seriesResults(output, images, initial.labels);
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => {
        stop.abort();
        resolve();
      });
  });
  const server: PageServer = await startServer({
    files: images.map(({ file }) => file),
    names: shortNames(images.map(({ name }) => name)),
    frames,
    ...initial,
    seriesKey: inputs.join('\n'),
    ...(values.model_type !== undefined && { model: await namedModel(values.model_type) }),
    annotator: volumetric ? '3d' : start.annotator,
    outputDir: output,
    ...(values.embedding_path !== undefined && { embeddings: embeddingsIn(values.embedding_path, images) }),
    ...(results && { results: results.names, onResult: results.written }),
    host: given.host,
    port: values.port === undefined ? undefined : parsePort(values.port),
    viewer: values.viewer === undefined ? undefined : parseAddress(values.viewer),
    autosaveDir: values['autosave-dir'],
    worker: values.worker,
    log,
    signal: stop.signal,
  });
  console.log(server.url);
  const cleanUp = values.open ? await openBrowser(server.url, userDataFolder()) : undefined;
  await stopped;
  await Promise.all([cleanUp?.(), server.close()]);
  return 0;
}

/** Options that not every annotator has. */
interface Given {
  readonly output?: string;
  readonly is_volumetric?: boolean;
  readonly initial_segmentation_folder?: string;
  readonly initial_segmentation_pattern?: string;
  readonly ignore_unpaired?: boolean;
  readonly segmentation_result?: readonly string[];
  readonly key?: string;
  readonly host?: string;
}

async function imagesOf(
  inputs: readonly string[],
  frames: readonly string[] | undefined,
  options: InputOptions,
): Promise<Input[]> {
  const [first] = inputs;
  if (first === undefined) return [];
  return frames ? [{ file: first, name: path.basename(first), single: true }] : listInputs(inputs, options);
}

function embeddingsIn(place: string, images: readonly Input[]) {
  if (/\.zarr$/i.test(place) || holdsEmbeddings(place)) {
    if (images.length !== 1)
      throw new UsageError(
        `${place} holds the embeddings of one image: give one image, or the folder that it lies in.`,
      );
    return { folder: path.dirname(path.resolve(place)), names: [path.basename(place)] };
  }
  const names = embeddingNames(images);
  return { folder: path.resolve(place), names: images.map(({ file }) => `${names.get(file)}.zarr`) };
}

/** What the results of each image are called, and what notes that some are written. */
function seriesResults(output: string, images: readonly Input[], labels: readonly (string | undefined)[] = []) {
  const folder = ResultFolder.open(output, images, { own: new Map(images.map(({ file }, i) => [file, labels[i]])) });
  for (const { file } of images) folder.checkKnown(file);
  const names = images.map(({ file }) => folder.nameOf(file));
  return {
    names,
    written(key: string): void {
      const i = names.findIndex((name) => isResultName(key, name));
      if (i >= 0)
        folder.finish(itemAt(images, i).file, { by: 'image_series_annotator', formats: ['tiff'], results: [key] });
    },
  };
}

async function framesOf(inputs: readonly string[], key: string): Promise<string[]> {
  const [folder, ...more] = inputs;
  if (folder !== undefined && more.length === 0 && statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    return expandInputs(inputs, key);
  throw new UsageError(
    '--key says which files of a folder are the frames of one time series: give one folder. Of a file that holds several images, the page asks which.',
  );
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65536) return port;
  throw new UsageError(`--port takes a number from 0 (any free port) to 65535, not "${text}".`);
}

function parseAddress(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`--viewer takes the http(s) address of a Kaibu, not "${text}".`);
}
