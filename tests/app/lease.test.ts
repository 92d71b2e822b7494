import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import WebSocket from 'ws';
import { leasesFrom } from '../../src/app/lease.js';
import { Leases } from '../../src/cli/serve/leases.js';
import type { Lease } from '../../src/session/saving/lease.js';
import { fasterTimers } from '../support/faster-timers.js';
import { type SocketServer, serveSockets } from '../support/socket-server.js';

let onSent: () => void = () => undefined;

/** As in browsers, where a connection that fails throws nothing. */
class QuietSocket extends WebSocket {
  constructor(url: string) {
    super(url);
    this.on('error', () => undefined);
  }

  override send(data: string): void {
    super.send(data);
    onSent();
  }
}

/** The page's side of a server's leases, with the sockets of Node. */
describe('leases of a page', function () {
  this.timeout(30_000);
  fasterTimers();
  const ofNode = globalThis.WebSocket;
  let folder: string;
  let served: { server: SocketServer; leases: Leases } | undefined;
  const open: Lease[] = [];

  before(() => Object.assign(globalThis, { WebSocket: QuietSocket }));
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-page-leases-'));
  });
  afterEach(async () => {
    for (const lease of open.splice(0)) await lease.release();
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  after(() => Object.assign(globalThis, { WebSocket: ofNode }));

  async function start(port = 0): Promise<number> {
    const leases = new Leases(folder);
    const server = await serveSockets([leases], 'secret', port);
    served = { server, leases };
    return server.port;
  }

  async function stop(): Promise<void> {
    const { server, leases } = served ?? {};
    served = undefined;
    await server?.close();
    await leases?.close();
  }

  /** A window, with what it is told; `saves` is what it does before it gives up the lease. */
  async function windowOn(port: number, saves: () => Promise<void> = async () => undefined) {
    const told: boolean[] = [];
    let next: () => void = () => undefined;
    const request = leasesFrom({ leases: { url: `ws://127.0.0.1:${port}/leases`, token: 'secret' } });
    const lease = await request('abc', async (held) => {
      if (!held) await saves();
      told.push(held);
      next();
    });
    open.push(lease);
    const until = async (held: boolean) => {
      while (lease.held !== held || told.at(-1) !== held) await new Promise<void>((resolve) => (next = resolve));
    };
    return { lease, told, until };
  }

  it('the window that gives up a lease saves first, then the other has it', async () => {
    const port = await start();
    const order: string[] = [];
    const one = await windowOn(port, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      order.push('saved');
    });
    const two = await windowOn(port);
    assert.deepEqual([one.lease.held, two.lease.held], [true, false]);
    await two.lease.take();
    order.push('taken');
    assert.deepEqual(order, ['saved', 'taken']);
    await two.until(true);
    assert.deepEqual([one.lease.held, two.lease.held], [false, true]);
  });

  it('a window that follows one that is being closed has it from the start', async () => {
    const port = await start();
    const one = await windowOn(port);
    const coming = windowOn(port);
    await new Promise<void>((resolve) => (onSent = resolve)); // the server hears of it before it hears of the other's end
    await one.lease.release();
    const two = await coming;
    assert.equal(two.lease.held, true);
    assert.deepEqual(two.told, []);
  });

  it('a server that starts again finds each window as it was; afterwards the lease passes on as ever', async () => {
    const port = await start();
    const one = await windowOn(port);
    const two = await windowOn(port);
    await stop();
    assert.deepEqual([one.lease.held, two.lease.held], [true, false], 'nothing changes while it is away');
    await start(port);
    await two.lease.take();
    await one.until(false);
    await two.until(true);
    assert.deepEqual(one.told, [false]);
    assert.deepEqual(two.told, [true]);
  });

  it('no server keeps anybody from working', async () => {
    const { lease } = await windowOn(9);
    assert.equal(lease.held, true);
  });
});
