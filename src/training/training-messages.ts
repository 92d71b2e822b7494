import { ERROR_CODES, SamError } from '../errors.js';
import type { Channel } from '../worker/channel.js';
import type { Sample } from './annotated.js';
import type { TrainingWish } from './training-controls.js';
import type { TrainingHost, TrainingJob, TrainingNews, TrainingResult, TrainingRun } from './training-job.js';
import type { TrainingSpeed } from './training-time.js';

/**
 * A training elsewhere, over a channel that serves one job: its images one by one, then what to do, then what whoever watches
 * wishes. Closing the channel ends the work.
 */
export type TrainingRequest =
  | { readonly do: 'sample'; readonly side: 'training' | 'heldBack'; readonly sample: Sample }
  | { readonly do: 'measure' | 'train'; readonly job: Omit<TrainingJob, 'data'> }
  | { readonly do: TrainingWish };

export type TrainingAnswer =
  | { readonly ready: true }
  | { readonly news: TrainingNews }
  | { readonly speed: TrainingSpeed }
  | { readonly result: TrainingResult }
  | { readonly error: { readonly code: string; readonly message: string } };

export interface RemoteOptions extends Pick<TrainingHost, 'where' | 'nice' | 'slow' | 'parts'> {
  readonly open: () => Promise<Channel> | Channel;
}

/** The end that asks: a host over a channel for each job. */
export function remoteTraining({ where, nice, slow, parts, open }: RemoteOptions): TrainingHost {
  const ask = async <T>(
    what: 'measure' | 'train',
    { data, ...job }: TrainingJob,
    { signal, onNews, controls }: TrainingRun,
    answerOf: (answer: TrainingAnswer) => T | undefined,
  ): Promise<T> => {
    signal?.throwIfAborted();
    const channel = await open();
    let stopListening = () => {};
    try {
      signal?.throwIfAborted();
      return await new Promise<T>((resolve, reject) => {
        const send = (request: TrainingRequest) => channel.send(request);
        signal?.addEventListener('abort', () => reject(new SamError('cancelled', 'Cancelled.')), { once: true });
        channel.onClose((reason) => reject(new SamError('worker_lost', `The training ended. ${reason}`)));
        channel.onMessage((message) => {
          const answer = message as TrainingAnswer;
          if ('error' in answer) return reject(trainingFailure(answer.error));
          if ('news' in answer) {
            onNews?.(answer.news);
            return;
          }
          const value = answerOf(answer);
          if (value !== undefined) resolve(value);
        });
        for (const side of ['training', 'heldBack'] as const)
          for (const sample of data[side]) send({ do: 'sample', side, sample });
        send({ do: what, job });
        if (controls) stopListening = controls.onWish((wish) => send({ do: wish }));
      });
    } finally {
      stopListening();
      channel.close();
    }
  };
  return {
    where,
    nice,
    ...(slow && { slow }),
    parts,
    measure: (job, task = {}) => ask('measure', job, task, (answer) => ('speed' in answer ? answer.speed : undefined)),
    train: (job, run = {}) => ask('train', job, run, (answer) => ('result' in answer ? answer.result : undefined)),
  };
}

export function trainingFailure({ code, message }: { readonly code: string; readonly message: string }): SamError {
  return new SamError(ERROR_CODES.find((known) => known === code) ?? 'internal', message);
}
