import { SamError } from '../errors.js';
import { type Channel, mailbox, once } from './channel.js';
import { letProcessEnd } from './watchful-timer.js';
import { packMessage, unpackMessage } from './wire.js';

/**
 * A channel between two programs of which one can only be called, as a service of Hypha is: what it has to say waits in a
 * postbox, and is collected by a call that is answered when there is something. Messages are those of `wire.ts`.
 */
export interface Postbox {
  /** @returns the secret name of a new link */
  open(): Promise<string>;
  post(link: string, messages: readonly Uint8Array[]): Promise<void>;
  /** What the other side has sent since the last call, in its order; nothing after a while in which there was nothing. */
  collect(link: string): Promise<readonly Uint8Array[]>;
  close(link: string): Promise<void>;
}

export interface PostboxOptions {
  /** `collect` is answered after this many milliseconds at the latest. */
  readonly patience?: number;
  /** A link for which nobody collects is closed after as many. */
  readonly silence?: number;
  /** Links at a time; more are refused. */
  readonly most?: number;
}

/** The end that is called. @param serve is given a channel for each link that is opened */
export function servePostbox(
  serve: (channel: Channel) => void,
  { patience = 15_000, silence = 120_000, most = 256 }: PostboxOptions = {},
): Postbox {
  const links = new Map<string, ServedLink>();
  const find = (name: unknown): ServedLink => {
    const link = links.get(String(name));
    if (link) return link;
    throw new SamError('worker_lost', 'The link is closed: nobody collected its messages, or it was ended.');
  };
  return {
    async open() {
      if (links.size >= most)
        throw new SamError('worker_lost', `The worker has ${most} clients already, as many as it takes; try later.`);
      const name = crypto.randomUUID();
      const link = servedLink(patience, silence);
      links.set(name, link);
      link.channel.onClose(() => links.delete(name));
      serve(link.channel);
      return name;
    },
    post: async (name, messages) => find(name).receive(messages),
    collect: async (name) => find(name).collect(),
    close: async (name) => links.get(String(name))?.channel.close('The client has left.'),
  };
}

type ServedLink = ReturnType<typeof servedLink>;

function servedLink(patience: number, silence: number) {
  const closed = once();
  const inbox = mailbox();
  let outgoing: Uint8Array[] = [];
  /** Answers the call that waits. */
  let answer = () => {};
  let abandoned: ReturnType<typeof setTimeout>;
  const watch = () => {
    abandoned = setTimeout(() => closed.fire('The client is no longer heard from.'), silence);
    letProcessEnd(abandoned);
  };
  const orThrow = () => {
    if (closed.happened !== undefined) throw new SamError('worker_lost', closed.happened);
  };
  watch();
  closed.add(() => {
    clearTimeout(abandoned);
    answer();
  });
  const channel: Channel = {
    send(message) {
      orThrow();
      outgoing.push(packMessage(message));
      answer();
    },
    onMessage: inbox.open,
    onClose: closed.add,
    close: (reason = 'The worker has ended the link.') => closed.fire(reason),
  };
  return {
    channel,
    receive(messages: readonly Uint8Array[]) {
      try {
        for (const bytes of messages) inbox.deliver(unpackMessage(bytes));
      } catch (error) {
        channel.close('The client sent what is not a message of this program.');
        throw error;
      }
    },
    async collect() {
      answer(); // to a call that the client has given up
      clearTimeout(abandoned);
      orThrow();
      if (outgoing.length === 0) await waiting();
      orThrow();
      watch();
      const collected = outgoing;
      outgoing = [];
      return collected;
    },
  };

  function waiting(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      answer = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The end that calls. If a call fails, of whatever, the link is lost, and who has other workers goes on with them. */
export async function postboxChannel(box: Postbox): Promise<Channel> {
  const name = await box.open();
  const closed = once();
  const inbox = mailbox();
  let outgoing: Uint8Array[] = [];
  let posting = false;
  const lost = (error: unknown) =>
    closed.fire(`The connection was lost: ${error instanceof Error ? error.message : String(error)}`);

  /** One call at a time, since calls may overtake each other. */
  async function post(): Promise<void> {
    if (posting) return;
    posting = true;
    while (outgoing.length > 0 && closed.happened === undefined) {
      const messages = outgoing;
      outgoing = [];
      await box.post(name, messages).catch(lost);
    }
    posting = false;
  }

  async function collect(): Promise<void> {
    try {
      while (closed.happened === undefined)
        for (const bytes of await box.collect(name)) inbox.deliver(unpackMessage(bytes));
    } catch (error) {
      lost(error);
    }
  }

  void collect();
  return {
    send(message) {
      if (closed.happened !== undefined) throw new SamError('worker_lost', closed.happened);
      outgoing.push(packMessage(message));
      void post();
    },
    onMessage: inbox.open,
    onClose: closed.add,
    close(reason = 'The connection was closed.') {
      if (closed.happened === undefined) void box.close(name).catch(() => undefined);
      closed.fire(reason);
    },
  };
}
