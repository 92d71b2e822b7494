import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import WebSocket from 'ws';
import { LeaseFile } from '../../src/cli/serve/lease-file.js';
import { Leases } from '../../src/cli/serve/leases.js';
import { fasterTimers } from '../support/faster-timers.js';
import { type SocketServer, serveSockets } from '../support/socket-server.js';

/** A page, as far as leases go. */
class Page {
  held?: boolean;
  readonly told: boolean[] = [];
  private readonly listeners = new Set<() => void>();

  private constructor(
    private readonly socket: WebSocket,
    private readonly isDead: boolean,
  ) {
    socket.on('message', (data) => {
      const before = this.held;
      this.held = JSON.parse(String(data)).held as boolean;
      this.told.push(this.held);
      if (before && !this.held && !this.isDead) socket.send(JSON.stringify({ do: 'done' }));
      for (const listener of this.listeners) listener();
    });
  }

  /** @param isDead does not answer when another page takes over */
  static async open(address: string, image = 'abc', isDead = false, token = 'secret'): Promise<Page> {
    const socket = new WebSocket(address);
    const page = new Page(socket, isDead);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.send(JSON.stringify({ token, image }));
    await page.until(() => page.held !== undefined || socket.readyState !== WebSocket.OPEN);
    return page;
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>((resolve) => {
        this.listeners.add(resolve);
        this.socket.once('close', resolve);
      });
  }

  take(): Promise<void> {
    this.socket.send(JSON.stringify({ do: 'take' }));
    return this.until(() => this.held === true);
  }

  /** As a page that dies. */
  kill(): void {
    this.socket.terminate();
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }
}

describe('leases', () => {
  fasterTimers();
  let folder: string;
  const running: { server: SocketServer; leases: Leases }[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-leases-'));
  });
  afterEach(async () => {
    for (const { server, leases } of running.splice(0)) {
      await server.close();
      await leases.close();
    }
    await rm(folder, { recursive: true, force: true });
  });

  /** @returns its address */
  async function serve(): Promise<string> {
    const leases = new Leases(folder);
    const server = await serveSockets([leases], 'secret');
    running.push({ server, leases });
    return `${server.address}/leases`;
  }

  it('one page has the lease of an image, the others wait, and the next gets it when that one dies', async () => {
    const address = await serve();
    const one = await Page.open(address);
    const two = await Page.open(address);
    const other = await Page.open(address, 'another image');
    assert.deepEqual([one.held, two.held, other.held], [true, false, true]);
    one.kill();
    await two.until(() => two.held === true);
    two.kill();
    other.kill();
  });

  it('a page takes over from one that answers and from one that does not', async () => {
    const address = await serve();
    const one = await Page.open(address);
    const two = await Page.open(address, 'abc', true);
    await two.take();
    assert.equal(one.held, false);
    await one.take();
    assert.equal(two.held, false);
    two.kill();
    one.kill();
  });

  it('of two servers on one folder, one gives out the lease; the other takes it over or gets it when it is free', async function () {
    this.timeout(20_000);
    const [here, there] = [await serve(), await serve()];
    const one = await Page.open(here);
    const two = await Page.open(there);
    assert.deepEqual([one.held, two.held], [true, false]);
    await two.take();
    await one.until(() => one.held === false);
    two.kill();
    await one.until(() => one.held === true);
    one.kill();
  });

  it('a server that was killed holds nothing up', async () => {
    const address = await serve();
    const probe = await Page.open(address);
    const [name] = await readdir(folder);
    probe.kill();
    await running[0].leases.close();
    // No process has this number.
    await writeFile(path.join(folder, name), JSON.stringify({ server: 'x', host: os.hostname(), pid: 2 ** 22 + 1 }));
    const page = await Page.open(await serve());
    assert.equal(page.held, true);
    page.kill();
  });

  it('a file of another machine that is not touched any more can be taken, one that is touched cannot', async () => {
    const file = path.join(folder, 'lease');
    await writeFile(file, JSON.stringify({ server: 'x', host: 'elsewhere', pid: 1 }));
    const patient = new LeaseFile(file, 'me');
    for (let look = 0; look < 8; look++) assert.equal(await patient.acquire(), false, `look ${look}`);
    assert.equal(await patient.acquire(), true);
    const rival = new LeaseFile(file, 'rival');
    for (let look = 0; look < 20; look++) {
      assert.equal(await patient.touch(), true);
      assert.equal(await rival.acquire(), false, `touched, look ${look}`);
      await new Promise((resolve) => setTimeout(resolve, 2)); // so that the touch has another time
    }
    await rival.take();
    assert.equal(await patient.touch(), false);
  });

  it('refuses a wrong token, another origin and what is no message', async () => {
    const address = await serve();
    const stranger = await Page.open(address, 'abc', false, 'guess');
    assert.equal(stranger.isOpen, false);
    const foreign = new WebSocket(address, { origin: 'https://elsewhere.org' });
    await assert.rejects(new Promise((resolve, reject) => foreign.once('open', resolve).once('error', reject)), /403/);
    const noise = new WebSocket(address);
    await new Promise((resolve) => noise.once('open', resolve));
    noise.send('{"token":');
    await new Promise((resolve) => noise.once('close', resolve));
    const page = await Page.open(address);
    assert.equal(page.held, true);
    page.kill();
  });
});
