import { parseArgs } from 'node:util';
import { DEVICES, type Device, isDevice, startNodeWorker } from '../worker/hosts/node-worker.js';
import { type Command, UsageError } from './command.js';

/**
 * Runs the model in this process for pages and scripts that connect by WebSocket. The address, with its token, is the
 * only line of stdout. A parent that forked this process gets it as a message, and takes the process along when it goes.
 */
const usage = `micro-sam worker [options]

      --port N       listen on this port; default: any free one
      --host NAME    listen on this address; default: 127.0.0.1, which only this machine reaches
      --token T      secret of the address, 8 characters or more; default: a random one
      --origin O     let pages of this origin connect; may be repeated; default: pages served from this machine
  -d, --device NAME  ${DEVICES.join(', ')} (default: auto)
      --threads N    threads for the model; default: what the machine has
      --json         print { url, runtime, provider } instead of the address alone`;

export const worker: Command = { summary: 'Run the model for other programs, by WebSocket', usage, run };

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      token: { type: 'string' },
      origin: { type: 'string', multiple: true },
      device: { type: 'string', short: 'd', default: 'auto' },
      threads: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const { host, token } = values;
  if (token !== undefined && token.length < 8) throw new UsageError('--token takes 8 characters or more.');
  const settings = {
    port: wholeNumber('--port', values.port, 0, 65_535),
    host,
    token,
    allowedOrigins: values.origin,
    device: deviceOf(values.device),
    threads: wholeNumber('--threads', values.threads, 1, 1024),
  };
  if (!isLoopback(host))
    console.error(
      `Other machines can reach ${host}. The connection is not encrypted: whoever listens in learns the token and sees the images. Safer is a tunnel, e.g. ssh -L.`,
    );
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.once(signal, () => resolve());
  });
  const server = await startNodeWorker({ ...settings, log: (line) => console.error(line) });
  process.send?.({ url: server.url });
  const { runtime, provider } = server.info;
  console.log(values.json ? JSON.stringify({ url: server.url, runtime, provider }) : server.url);
  await stopped;
  await server.close();
  return 0;
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
