import { SamError } from '../errors.js';
import { counted } from '../items.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Embedding } from '../model/sam-tensors.js';
import { forwardWork } from './forward.js';
import type { SamWorker } from './sam-worker.js';

export interface PoolWorker extends SamWorker {
  readonly atOnce: number;
  /** One more, which joins when it has loaded the models that the others have. */
  add(worker: SamWorker): Promise<void>;
}

/**
 * Several workers behind one: every request goes to the one with the least to do, so slices and tiles that are asked for
 * at the same time are computed at the same time. A worker that is lost is taken out and its jobs are done by another.
 * An embedding may be decoded by any of them; the one that computed it is preferred, since it need not be sent it.
 */
export function poolWorker(workers: readonly SamWorker[]): PoolWorker {
  if (workers.length === 0) throw new SamError('no_worker', 'A pool needs at least one worker.');
  const members: Member[] = workers.map(newMember);
  const models = new Map<string, ModelSpec>();

  const alive = () => members.filter((member) => !member.lost);
  const choose = (embedding?: string): Member => {
    const [first, ...others] = alive();
    if (!first) throw new SamError('worker_lost', 'All workers of the pool went away; start new ones.');
    return others.reduce((best, member) => (cost(member, embedding) < cost(best, embedding) ? member : best), first);
  };

  async function run<T>(
    job: (worker: SamWorker) => Promise<T>,
    { embedding, made }: { embedding?: Embedding; made?: (result: T) => string },
  ): Promise<T> {
    for (;;) {
      const member = choose(embedding?.id);
      member.busy++;
      try {
        const result = await job(member.worker);
        remember(member, made?.(result) ?? embedding?.id);
        return result;
      } catch (error) {
        if (!(error instanceof SamError) || error.code !== 'worker_lost') throw error;
        member.lost = true; // and the job goes to the next
      } finally {
        member.busy--;
      }
    }
  }

  return {
    get atOnce() {
      return alive().reduce((sum, { worker }) => sum + (worker.atOnce ?? 1), 0);
    },
    async add(worker) {
      for (const model of models.values()) await worker.load(model); // also what comes meanwhile
      members.push(newMember(worker));
    },
    async info() {
      const infos = await Promise.all(
        alive().map(({ worker }) =>
          worker.info().catch((error) => {
            if (error instanceof SamError && error.code === 'worker_lost') return undefined;
            throw error;
          }),
        ),
      );
      const answered = infos.filter((info) => info !== undefined);
      const [first] = answered;
      if (first === undefined) throw new SamError('worker_lost', 'All workers of the pool went away; start new ones.');
      const gone = members.length - answered.length;
      return {
        ...first,
        name: `${counted(answered.length, 'worker')}: ${answered.map(({ name }) => name).join(', ')}`,
        note: gone > 0 ? `${gone} of ${members.length} workers went away.` : first.note,
        loaded: first.loaded.filter((model) => answered.every(({ loaded }) => loaded.includes(model))),
      };
    },
    async load(model, options) {
      models.set(model.name, model);
      const loads = await Promise.allSettled(alive().map(({ worker }) => worker.load(model, options)));
      const failures = loads.flatMap((load) => (load.status === 'rejected' ? [load.reason] : []));
      const serious = failures.find((error) => !(error instanceof SamError && error.code === 'worker_lost'));
      if (!serious && failures.length < loads.length) return;
      models.delete(model.name);
      throw serious ?? failures[0];
    },
    ...forwardWork(run),
    encode: (model, image, options) =>
      run((worker) => worker.encode(model, image, options), { made: (embedding) => embedding.id }),
    async close() {
      await Promise.all(members.map(({ worker }) => worker.close()));
    },
  };
}

interface Member {
  readonly worker: SamWorker;
  /** Requests it was given and has not answered. */
  busy: number;
  /** Embeddings it has seen. */
  readonly held: Set<string>;
  lost: boolean;
}

function newMember(worker: SamWorker): Member {
  return { worker, busy: 0, held: new Set(), lost: false };
}

/** Waiting behind one request costs more than receiving 4 MB. */
function cost(member: Member, embedding: string | undefined): number {
  return member.busy + (embedding === undefined || member.held.has(embedding) ? 0 : 0.5);
}

/** Ids are short, but a pool may live for days. */
const REMEMBERED = 10_000;

function remember({ held }: Member, embedding: string | undefined): void {
  if (embedding === undefined) return;
  if (held.size >= REMEMBERED) held.clear();
  held.add(embedding);
}
