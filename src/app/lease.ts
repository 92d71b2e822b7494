import type { Lease, RequestLease } from '../session/saving/lease.js';
import type { PageSettings } from './page-settings.js';

/** Leases (session/saving/lease.ts) from whoever can tell of all windows on the same work. */
export function leasesFrom({ leases }: PageSettings): RequestLease {
  return leases ? serverLeases(leases) : browserLeases;
}

/** From the server in whose folder the work is saved (cli/serve/leases.ts). While it is away, all stays as it was. */
function serverLeases({ url, token }: NonNullable<PageSettings['leases']>): RequestLease {
  return (image, onChange) =>
    new Promise((resolve) => {
      let socket: WebSocket | undefined;
      let held: boolean | undefined;
      let released = false;
      let granted: (() => void) | undefined;
      /** To be taken, also if the connection is only coming. */
      let wanted = false;
      const send = (message: object) => {
        if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
      };
      const lease: Lease = {
        get held() {
          return held === true;
        },
        take: () =>
          new Promise((taken) => {
            granted = taken;
            wanted = true;
            send({ do: 'take' });
            setTimeout(() => void learn(true), ANSWER_MS);
          }),
        async release() {
          released = true;
          socket?.close();
        },
      };
      const learn = async (now: boolean) => {
        const before = held;
        held = now;
        if (before === undefined) resolve(lease);
        else if (before !== now) await onChange(now);
        if (before && !now) send({ do: 'done' });
        if (now) {
          wanted = false;
          granted?.();
        }
      };
      const connect = () => {
        if (released) return;
        socket = new WebSocket(url);
        socket.onopen = () => {
          send({ token, image, ...(held !== undefined && { held }) });
          if (wanted) send({ do: 'take' });
        };
        socket.onmessage = ({ data }) => void learn(JSON.parse(data).held);
        socket.onclose = () => setTimeout(connect, AGAIN_MS);
      };
      connect();
      // Nobody is kept from working by a server that does not answer.
      setTimeout(() => held === undefined && void learn(true), ANSWER_MS);
    });
}

const AGAIN_MS = 1000;
const ANSWER_MS = 4000;
const PARTING_MS = 500;

/** From the browser, for work that is saved in its own storage: its tabs and windows share locks. */
const browserLeases: RequestLease = async (image, onChange) => {
  const name = `micro-sam:${image}`;
  if (!navigator.locks) return { held: true, take: async () => undefined, release: async () => undefined };
  const channel = new BroadcastChannel(name);
  let held = false;
  let release = () => {};
  let waiting: AbortController | undefined;

  /** Holds the lock until it is released or stolen. */
  const hold = (options: LockOptions, onAnswer: (held: boolean) => void) =>
    navigator.locks
      .request(name, options, (lock) => {
        held = lock !== null;
        onAnswer(held);
        return lock === null ? undefined : new Promise<void>((resolve) => (release = resolve));
      })
      .catch(async () => {
        if (!held) return; // told to wait again
        held = false;
        await onChange(false);
        wait();
      });
  const wait = () => {
    waiting = new AbortController();
    void hold({ signal: waiting.signal }, () => void onChange(true));
  };
  /** For a page that is being closed, or loaded again as this one. */
  const waitForParting = async () => {
    const parting = new AbortController();
    const left = new Promise<void>((resolve) => void hold({ signal: parting.signal }, () => resolve()));
    await Promise.race([left, new Promise((resolve) => setTimeout(resolve, PARTING_MS))]);
    if (!held) parting.abort();
  };
  const giveUp = async () => {
    if (!held) {
      // Whoever has asked comes first.
      waiting?.abort();
      wait();
      return;
    }
    held = false;
    await onChange(false);
    release();
    wait();
  };
  channel.onmessage = () => void giveUp();
  await new Promise<void>((answered) => void hold({ ifAvailable: true }, () => answered()));
  if (!held) await waitForParting();
  if (!held) wait();
  return {
    get held() {
      return held;
    },
    async take() {
      waiting?.abort();
      const asked = new AbortController();
      const given = new Promise<void>((resolve) => void hold({ signal: asked.signal }, () => resolve()));
      channel.postMessage('take');
      await Promise.race([given, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
      if (!held) {
        asked.abort();
        await new Promise<void>((resolve) => void hold({ steal: true }, () => resolve()));
      }
      await onChange(true);
    },
    async release() {
      waiting?.abort();
      channel.close();
      release();
    },
  };
};
