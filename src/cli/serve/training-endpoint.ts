import type { WebSocket } from 'ws';
import type { ModelSpec } from '../../model/model-spec.js';
import type { TrainingAnswer } from '../../training/training-messages.js';
import { type Channel, socketChannel } from '../../worker/channel.js';
import type { SocketRoute } from './sockets.js';

/**
 * Training for the pages of this server: each connection is one job, in a process of its own, which ends with the connection.
 */
export interface TrainingEndpointOptions {
  readonly start: () => Channel;
  /** The same model with addresses that a page of this origin can read. */
  readonly served: (model: ModelSpec, origin: string) => ModelSpec;
}

/** More would only slow each other down. */
const MOST = 2;

export class TrainingEndpoint implements SocketRoute {
  readonly path = '/training';
  /** Of one image with its labels. */
  readonly maxPayload = 1 << 30;
  private running = 0;

  constructor(private readonly options: TrainingEndpointOptions) {}

  greet(client: WebSocket, hello: object): void {
    const page = socketChannel(client);
    const origin = 'origin' in hello && typeof hello.origin === 'string' ? hello.origin : '';
    if (this.running >= MOST) {
      const message = 'Another training is under way on this machine. Wait for its end, or stop it.';
      page.send({ error: { code: 'unsupported', message } } satisfies TrainingAnswer);
      page.close();
      return;
    }
    page.send({ ready: true } satisfies TrainingAnswer);
    this.running++;
    const training = this.options.start();
    page.onMessage((message) => training.send(message));
    page.onClose(() => training.close());
    training.onMessage((message) => {
      const answer = message as TrainingAnswer;
      if (client.readyState !== client.OPEN) return;
      if ('result' in answer) {
        const model = this.options.served(answer.result.model, origin);
        page.send({ result: { ...answer.result, model } });
      } else page.send(answer);
    });
    training.onClose((reason) => {
      this.running--;
      if (client.readyState !== client.OPEN) return;
      page.send({ error: { code: 'worker_lost', message: `The training ended. ${reason}` } } satisfies TrainingAnswer);
      client.close();
    });
  }
}
