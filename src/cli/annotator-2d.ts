import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Command, UsageError } from './command.js';
import { openBrowser } from './serve/open-browser.js';
import { type AnnotatorServer, startServer } from './serve/server.js';

/**
 * Serves the annotator on this machine and opens a browser on it. The address is the last line of stdout, printed once
 * the page can be loaded; everything else goes to stderr.
 */
const usage = `micro-sam annotator_2d [file ...] [options]        (npm start -- [file ...] [options])

  file                 images to annotate; a sample image if none
  -i, --input FILE     the same, as micro-sam spells it
      --port N         listen on this port; default: 8765, or the next free one
      --no-open        do not open a browser
      --viewer URL     use the Kaibu at this address, if it answers
      --autosave-dir D folder for automatic saves; default: one in your user data
      --no-worker      run the model in the browser, not in a process beside it`;

export const annotator2d: Command = { summary: 'Annotate images in the browser', usage, run };

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    allowNegative: true,
    options: {
      input: { type: 'string', short: 'i', multiple: true },
      port: { type: 'string' },
      open: { type: 'boolean', default: true },
      viewer: { type: 'string' },
      'autosave-dir': { type: 'string' },
      worker: { type: 'boolean', default: true },
    },
  });
  const files = [...(values.input ?? []), ...positionals].map((file) => path.resolve(file));
  for (const file of files) if (!existsSync(file)) throw new UsageError(`There is no file ${file}.`);
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => {
        stop.abort();
        resolve();
      });
  });
  const server: AnnotatorServer = await startServer({
    files: files.filter((file) => statSync(file).isFile() || statSync(file).isDirectory()),
    port: values.port === undefined ? undefined : parsePort(values.port),
    viewer: values.viewer === undefined ? undefined : parseAddress(values.viewer),
    autosaveDir: values['autosave-dir'],
    worker: values.worker,
    log: (line) => console.error(line),
    signal: stop.signal,
  });
  console.log(server.url);
  if (values.open) openBrowser(server.url);
  await stopped;
  await server.close();
  return 0;
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
