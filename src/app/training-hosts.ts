import { SamError } from '../errors.js';
import { TRAINED_PARTS } from '../training/settings.js';
import type { TrainingHost } from '../training/training-job.js';
import { remoteTraining, type TrainingAnswer, trainingFailure } from '../training/training-messages.js';
import { type Channel, portChannel, type SocketLike, socketChannel } from '../worker/channel.js';
import type { PageSettings } from './page-settings.js';

export interface ServerOptions {
  /** Of the page, whose models it can read. */
  readonly origin?: string;
  readonly openSocket?: (url: string) => SocketLike & { send(text: string): void };
}

/** Training in a process of the server that opened the page. */
export function trainingByServer(
  { url, token }: NonNullable<PageSettings['training']>,
  { origin = globalThis.location?.origin, openSocket = (address) => new WebSocket(address) }: ServerOptions = {},
): TrainingHost {
  const open = () =>
    new Promise<Channel>((resolve, reject) => {
      const socket = openSocket(url);
      const channel = socketChannel(socket);
      socket.addEventListener('open', () => socket.send(JSON.stringify({ token, origin })));
      // Nothing large may follow before the server has taken the token.
      channel.onMessage((message) => {
        const answer = message as TrainingAnswer;
        if ('error' in answer) reject(trainingFailure(answer.error));
        else resolve(channel);
      });
      channel.onClose((reason) => reject(new SamError('no_worker', `The server does not train. ${reason}`)));
    });
  return remoteTraining({ where: 'in a process of its own', nice: true, parts: TRAINED_PARTS, open });
}

/**
 * Training in a web worker of the page, which has not the memory for the encoder.
 *
 * @param start makes the worker
 */
export function trainingInPage(start: () => Worker): TrainingHost {
  return remoteTraining({
    where: 'in this page',
    nice: false,
    slow: true,
    parts: ['instances', 'mask_decoder'],
    open: () => portChannel(start()),
  });
}
