import { SamError } from '../../src/errors.js';
import { type Channel, mailbox, once } from '../../src/worker/channel.js';
import { packMessage, unpackMessage } from '../../src/worker/wire.js';

/** Two ends of a link that carries bytes, as a socket does, and delivers at once. */
export function bytesChannel(): { readonly here: Channel; readonly there: Channel } {
  const closed = once();
  const inboxes = { here: mailbox(), there: mailbox() };
  const close = (reason = 'The connection was closed.') => closed.fire(reason);
  const end = (to: 'here' | 'there', from: 'here' | 'there'): Channel => ({
    send(message) {
      if (closed.happened !== undefined) throw new SamError('worker_lost', closed.happened);
      const bytes = packMessage(message);
      let arrived: object;
      try {
        arrived = unpackMessage(bytes);
      } catch {
        return close('The other side sent what is not a message of this program.');
      }
      inboxes[to].deliver(arrived);
    },
    onMessage: inboxes[from].open,
    onClose: closed.add,
    close,
  });
  return { here: end('there', 'here'), there: end('here', 'there') };
}
