import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import path from 'node:path';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import { LeaseFile } from './lease-file.js';

/**
 * The leases of images (session/saving/lease.ts) for the pages of this server, over a WebSocket each: a page that dies,
 * however it does, gives up its lease. Other servers on the same folder are told by files (`LeaseFile`).
 *
 *     page → server   { "token", "image", "held": whether it had it before the connection broke }
 *                     { "do": "take" }   { "do": "done" }: what was unsaved is saved
 *     server → page   { "held": true | false }
 */
export interface LeaseOptions {
  /** Where the lease files are. */
  readonly folder: string;
  readonly token: string;
  /** Of the pages that may connect. */
  readonly origins: () => readonly string[];
}

const PATH = '/leases';
/** Time that a page has to save what it has not yet, before another takes over. */
const LAST_WORDS_MS = 2000;
const TICK_MS = 1000;
/** A page that is loaded again, or follows one that is being closed, waits this long for the lease before it hears no. */
const PARTING_MS = 500;
/** After a restart, pages that had a lease come back before those that waited for it. */
const RETURN_MS = 3000;

const helloSchema = v.object({ token: v.string(), image: v.string(), held: v.optional(v.boolean()) });
const wishSchema = v.object({ do: v.picklist(['take', 'done']) });

export class Leases {
  private readonly images = new Map<string, ImageLease>();
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: 4096 });
  private readonly server = randomUUID();
  private readonly started = performance.now();
  private readonly ticking: NodeJS.Timeout;

  constructor(private readonly options: LeaseOptions) {
    this.ticking = setInterval(() => {
      for (const lease of this.images.values()) void lease.tick();
    }, TICK_MS);
    this.ticking.unref();
  }

  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => {
      if (new URL(request.url ?? '/', 'http://here').pathname !== PATH) return;
      if (!this.isAllowed(request)) {
        socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
        return;
      }
      this.sockets.handleUpgrade(request, socket, head, (client) => this.greet(client));
    });
  }

  async close(): Promise<void> {
    clearInterval(this.ticking);
    for (const client of this.sockets.clients) client.terminate();
    await Promise.all([...this.images.values()].map((lease) => lease.close()));
  }

  private isAllowed({ headers }: IncomingMessage): boolean {
    return headers.origin === undefined || this.options.origins().includes(headers.origin);
  }

  private greet(client: WebSocket): void {
    client.on('error', () => client.terminate());
    client.once('message', (data) => {
      const hello = parse(helloSchema, data);
      if (!hello || !isSame(hello.token, this.options.token)) {
        client.close(1008, 'The token is missing or wrong.');
        return;
      }
      const lease = this.leaseOf(hello.image);
      client.on('close', () => void lease.leave(client));
      client.on('message', (more) => {
        const wish = parse(wishSchema, more);
        if (wish?.do === 'take') void lease.take(client);
        if (wish?.do === 'done') lease.done(client);
      });
      const returning = performance.now() - this.started < RETURN_MS && hello.held === false;
      if (returning) setTimeout(() => void lease.join(client), RETURN_MS).unref();
      else void lease.join(client);
    });
  }

  private leaseOf(image: string): ImageLease {
    let lease = this.images.get(image);
    if (!lease) {
      const name = createHash('sha256').update(image).digest('hex').slice(0, 40);
      const file = new LeaseFile(path.join(this.options.folder, name), this.server);
      lease = new ImageLease(file);
      this.images.set(image, lease);
    }
    return lease;
  }
}

/** The pages that have one image open here, in the order in which they get its lease. */
class ImageLease {
  private readonly pages: WebSocket[] = [];
  private holder?: WebSocket;
  private hasFile = false;
  /** One change after the other. */
  private changing: Promise<unknown> = Promise.resolve();
  private onDone?: () => void;

  constructor(private readonly file: LeaseFile) {}

  join(page: WebSocket): Promise<void> {
    return this.change(async () => {
      if (page.readyState !== page.OPEN || this.pages.includes(page)) return;
      this.pages.push(page);
      await this.grant();
      if (this.holder !== page) setTimeout(() => this.deny(page), PARTING_MS).unref();
    });
  }

  private deny(page: WebSocket): void {
    if (this.holder !== page && this.pages.includes(page)) tell(page, false);
  }

  leave(page: WebSocket): Promise<void> {
    if (page === this.holder) this.onDone?.();
    return this.change(async () => {
      const at = this.pages.indexOf(page);
      if (at >= 0) this.pages.splice(at, 1);
      if (page === this.holder) this.holder = undefined;
      if (this.pages.length > 0) return this.grant();
      await this.close();
    });
  }

  take(page: WebSocket): Promise<void> {
    return this.change(async () => {
      if (this.holder === page || page.readyState !== page.OPEN) return;
      if (!this.pages.includes(page)) this.pages.push(page);
      await this.dismiss();
      this.pages.sort((a, b) => Number(b === page) - Number(a === page));
      this.hasFile ||= await this.file.take().catch(() => true);
      await this.grant();
    });
  }

  done(page: WebSocket): void {
    if (page === this.holder) this.onDone?.();
  }

  /** Keeps the file, or sees that another server has taken it or left it. */
  tick(): Promise<void> {
    return this.change(async () => {
      if (!this.hasFile) return this.grant();
      if (await this.file.touch().catch(() => true)) return;
      this.hasFile = false;
      await this.dismiss();
    });
  }

  async close(): Promise<void> {
    if (this.hasFile) await this.file.release().catch(() => undefined);
    this.hasFile = false;
  }

  private async grant(): Promise<void> {
    const [next] = this.pages;
    if (this.holder || !next) return;
    // A folder that cannot be written keeps nobody from working; nothing will be saved in it either.
    this.hasFile ||= await this.file.acquire().catch(() => true);
    if (!this.hasFile) return;
    this.holder = next;
    tell(next, true);
  }

  /** The page that has the lease saves what it has and goes to the end of the queue. */
  private async dismiss(): Promise<void> {
    const { holder } = this;
    if (!holder) return;
    const finished = new Promise<void>((resolve) => {
      this.onDone = resolve;
      setTimeout(resolve, LAST_WORDS_MS).unref();
    });
    tell(holder, false);
    await finished;
    this.onDone = undefined;
    this.holder = undefined;
    const at = this.pages.indexOf(holder);
    if (at >= 0) this.pages.push(...this.pages.splice(at, 1));
  }

  private change(work: () => Promise<void>): Promise<void> {
    const done = this.changing.then(work);
    this.changing = done.catch(() => undefined);
    return done.catch(() => undefined);
  }
}

function tell(page: WebSocket, held: boolean): void {
  page.send(JSON.stringify({ held }), () => undefined);
}

function parse<S extends v.GenericSchema>(schema: S, data: unknown): v.InferOutput<S> | undefined {
  try {
    return v.parse(schema, JSON.parse(String(data)));
  } catch {
    return undefined;
  }
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
