import { SamError } from '../../errors.js';
import { poolWorker } from '../pool.js';
import { type Postbox, postboxChannel } from '../postbox.js';
import { type RemoteOptions, remoteWorker } from '../remote.js';
import type { SamWorker } from '../sam-worker.js';
import { HYPHA_SERVICE, parseHyphaAddress } from './address.js';
import { HyphaClient, type HyphaClientOptions, type ServiceInfo } from './client.js';

/** The postbox of a worker, as functions of its service. */
export interface HyphaLinks {
  open_link(): Promise<string>;
  post_messages(link: string, messages: readonly Uint8Array[]): Promise<void>;
  collect_messages(link: string): Promise<readonly Uint8Array[]>;
  close_link(link: string): Promise<void>;
}

export interface ConnectHyphaOptions extends RemoteOptions, Pick<HyphaClientOptions, 'openSocket'> {}

/**
 * The worker at an address of Hypha (`micro-sam worker --hypha`). Workers of one name are replicas, and together one worker
 * here: each request goes to the one with the least to do, and when some end, to those that remain. Those that come later join.
 *
 * @throws SamError `worker_lost` if the server does not answer or refuses the token, or if there is no such worker
 */
export async function connectHypha(
  address: string,
  { openSocket, ...options }: ConnectHyphaOptions = {},
): Promise<SamWorker> {
  const { service, ...where } = parseHyphaAddress(address);
  const later = new Map<string, ServiceInfo>();
  let join = (replica: ServiceInfo): unknown => later.set(replica.id, replica);
  const isReplica = ({ id, type }: ServiceInfo) => type === HYPHA_SERVICE && nameOf(id) === service;
  const onService = (info: ServiceInfo) => isReplica(info) && join(info);
  const client = await HyphaClient.connect({ ...where, openSocket, onService });
  try {
    const found = await client.services(HYPHA_SERVICE);
    const replicas = found.filter(isReplica);
    const tried = await Promise.allSettled(replicas.map((replica) => connectReplica(client, replica, options)));
    const workers = tried.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [failure] = tried.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    if (workers.length === 0) throw failure ?? nobody(where, service, found);
    const pool = poolWorker(workers);
    const known = new Set(replicas.map(({ id }) => id));
    join = (replica) => {
      if (known.has(replica.id)) return;
      known.add(replica.id);
      connectReplica(client, replica, options)
        .then((worker) => pool.add(worker).catch(() => worker.close()))
        .catch(() => undefined); // it is gone again, and those that are there do without
    };
    for (const replica of later.values()) join(replica);
    const close = pool.close.bind(pool);
    return Object.assign(pool, {
      async close() {
        await close();
        client.close();
      },
    });
  } catch (error) {
    client.close();
    throw error;
  }
}

async function connectReplica(client: HyphaClient, replica: ServiceInfo, options: RemoteOptions): Promise<SamWorker> {
  const call = <K extends keyof HyphaLinks>(name: K, ...args: Parameters<HyphaLinks[K]>) =>
    client.call(replica, name, ...args) as ReturnType<HyphaLinks[K]>;
  const box: Postbox = {
    open: () => call('open_link'),
    post: (link, messages) => call('post_messages', link, messages),
    collect: (link) => call('collect_messages', link),
    close: (link) => call('close_link', link),
  };
  return remoteWorker(await postboxChannel(box), options);
}

function nobody(
  { server, workspace }: { server: string; workspace: string },
  service: string,
  found: readonly ServiceInfo[],
) {
  const names = [...new Set(found.map(({ id }) => nameOf(id)))];
  const others = names.length > 0 ? `there are ${names.join(', ')}` : 'start one with micro-sam worker --hypha';
  return new SamError(
    'worker_lost',
    `There is no worker ${service} in the workspace ${workspace} of ${server}; ${others}.`,
  );
}

function nameOf(id: string): string {
  return id.replace(/^.*:/s, '').replace(/@.*$/s, '');
}
