import { createHash, randomUUID } from 'node:crypto';
import path from 'node:path';
import * as v from 'valibot';
import type { WebSocket } from 'ws';
import { LeaseFile } from './lease-file.js';
import type { SocketRoute } from './sockets.js';

/**
 * The leases of images (session/saving/lease.ts) for the pages of this server, over a WebSocket each: a page that dies,
 * however it does, gives up its lease. Other servers on the same folder are told by files (`LeaseFile`).
 *
 *     page → server   { "token", "image", "held": whether it had it before the connection broke }
 *                     { "do": "take" }   { "do": "done" }: what was unsaved is saved
 *     server → page   { "held": true | false }
 */
/** Time that a page has to save what it has not yet, before another takes over. */
const LAST_WORDS_MS = 2000;
const TICK_MS = 1000;
/** A page that is loaded again, or follows one that is being closed, waits this long for the lease before it hears no. */
const PARTING_MS = 500;
/** After a restart, pages that had a lease come back before those that waited for it. */
const RETURN_MS = 3000;

const helloSchema = v.object({ image: v.string(), held: v.optional(v.boolean()) });
const wishSchema = v.object({ do: v.picklist(['take', 'done']) });

export class Leases implements SocketRoute {
  readonly path = '/leases';
  readonly maxPayload = 4096;
  private readonly images = new Map<string, ImageLease>();
  private readonly server = randomUUID();
  private readonly started = performance.now();
  private readonly ticking: NodeJS.Timeout;

  /** @param folder where the lease files are */
  constructor(private readonly folder: string) {
    this.ticking = setInterval(() => {
      for (const lease of this.images.values()) void lease.tick();
    }, TICK_MS);
    this.ticking.unref();
  }

  /** Once all pages are gone. */
  async close(): Promise<void> {
    clearInterval(this.ticking);
    await Promise.all([...this.images.values()].map((lease) => lease.close()));
  }

  greet(client: WebSocket, said: object): void {
    const hello = v.safeParse(helloSchema, said);
    if (!hello.success) {
      client.close(1008, 'The image is missing.');
      return;
    }
    const { image, held } = hello.output;
    const lease = this.leaseOf(image);
    client.on('close', () => void lease.leave(client));
    client.on('message', (more) => {
      const wish = wishOf(more);
      if (wish === 'take') void lease.take(client);
      if (wish === 'done') lease.done(client);
    });
    const returning = performance.now() - this.started < RETURN_MS && held === false;
    if (returning) setTimeout(() => void lease.join(client), RETURN_MS).unref();
    else void lease.join(client);
  }

  private leaseOf(image: string): ImageLease {
    let lease = this.images.get(image);
    if (!lease) {
      const name = createHash('sha256').update(image).digest('hex').slice(0, 40);
      const file = new LeaseFile(path.join(this.folder, name), this.server);
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

function wishOf(data: unknown): v.InferOutput<typeof wishSchema>['do'] | undefined {
  try {
    return v.parse(wishSchema, JSON.parse(String(data))).do;
  } catch {
    return undefined;
  }
}
