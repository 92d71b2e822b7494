import { parseArgs } from 'node:util';
import { startNodeWorker } from '../worker/hosts/node-worker.js';
import { type Command, UsageError } from './command.js';

/**
 * Runs the model in this process for pages and scripts that connect by WebSocket. The address, with its token, is the
 * only line of stdout. A parent that forked this process gets it as a message, and takes the process along when it goes.
 */
const usage = `micro-sam worker [options]

      --port N     listen on this port of 127.0.0.1; default: any free one
      --token T    secret of the address; default: a random one
      --origin O   let pages of this origin connect; may be repeated; default: pages served from this machine
      --threads N  threads for the model; default: what the machine has`;

export const worker: Command = { summary: 'Run the model for other programs, by WebSocket', usage, run };

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string' },
      token: { type: 'string' },
      origin: { type: 'string', multiple: true },
      threads: { type: 'string' },
    },
  });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.once(signal, () => resolve());
  });
  const server = await startNodeWorker({
    port: wholeNumber('--port', values.port),
    token: values.token,
    allowedOrigins: values.origin,
    threads: wholeNumber('--threads', values.threads),
    log: (line) => console.error(line),
  });
  process.send?.({ url: server.url });
  console.log(server.url);
  await stopped;
  await server.close();
  return 0;
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`${flag} takes a whole number, not "${text}".`);
}
