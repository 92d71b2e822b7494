import type { SocketLike } from '../channel.js';
import { formatHyphaAddress, HYPHA_SERVICE } from '../hypha/address.js';
import { HyphaClient } from '../hypha/client.js';
import type { HyphaLinks } from '../hypha/connect.js';
import type { Service } from '../hypha/peer.js';
import { servePostbox } from '../postbox.js';
import type { SamWorker } from '../sam-worker.js';
import { serveWorker } from '../served.js';
import { offeredModels } from './node-offered-models.js';

/**
 * Registers a worker with a Hypha server, for pages, command lines and scripts in the same workspace; workers of one name
 * are replicas. Clients are strangers: they may have loaded what is registered here and what the named folders hold.
 */
export interface HyphaWorkerOptions {
  readonly worker: SamWorker;
  /** `https://host[:port]`. */
  readonly server: string;
  /** Default: the one of the token, or a new one. */
  readonly workspace?: string;
  readonly token?: string;
  /** Name of the service. */
  readonly service?: string;
  /** Functions for clients that are no program of ours, e.g. Python. */
  readonly functions?: Service;
  readonly modelFolders?: readonly string[];
  readonly openSocket?: (url: string) => SocketLike;
  readonly log?: (line: string) => void;
}

export interface HyphaWorker {
  /** Address for `connectWorker`; with a token of its own if none was given, since nobody else could come in. */
  readonly url: string;
  close(): void;
}

/** How long a token is good that is made for an address, in seconds. */
const TOKEN_LIFE = 30 * 24 * 3600;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Resolves once the service is registered; it is registered again when the server has been away. */
export async function startHyphaWorker(options: HyphaWorkerOptions): Promise<HyphaWorker> {
  const { server, service = HYPHA_SERVICE, openSocket, log = () => {} } = options;
  const services = new Map([[service, serviceOf(options)]]);
  let { workspace, token } = options;
  let closed = false;

  const connect = () => HyphaClient.connect({ server, workspace, token, services, openSocket, onLost });
  const onLost = async (reason: string) => {
    log(reason);
    for (let pause = FIRST_PAUSE_MS; !closed; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      const failure = await connect().then(
        (again) => {
          client = again;
        },
        (error: Error) => error,
      );
      if (!failure) return log('Registered again.');
      log(failure.message);
    }
  };

  let client = await connect();
  workspace = client.workspace;
  token ??= await client.token(TOKEN_LIFE);
  const shown = options.token === undefined ? token : undefined;
  return {
    url: formatHyphaAddress({ server, workspace, service, token: shown }),
    close() {
      closed = true;
      client.close();
    },
  };
}

function serviceOf({ worker, functions, modelFolders, log = () => {} }: HyphaWorkerOptions): Service {
  const offer = offeredModels(modelFolders);
  let clients = 0;
  const box = servePostbox((channel) => {
    log(`A client connected; ${++clients} are connected now.`);
    channel.onClose(() => log(`A client left; ${--clients} remain.`));
    serveWorker(channel, worker, { offer });
  });
  const links: HyphaLinks = {
    open_link: () => box.open(),
    post_messages: (link, messages) => box.post(link, messages),
    collect_messages: (link) => box.collect(link),
    close_link: (link) => box.close(link),
  };
  return {
    name: 'micro-sam worker',
    type: HYPHA_SERVICE,
    description: 'Runs Segment Anything models for microscopy',
    ...functions,
    ...links,
  };
}
