import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { codeOf } from '../../errors.js';

/**
 * Which of the servers that share a folder, on one machine or several, gives out the lease of an image: a file that the
 * server touches while it has it. One whose process has ended, or that is not touched any more, can be taken; ages are
 * measured by the watcher, so clocks need not agree.
 */
export class LeaseFile {
  /** Of the last look at another server's file, and how often it was the same. */
  private seen?: number;
  private still = 0;

  /** @param me names this server, in all its lease files */
  constructor(
    private readonly file: string,
    private readonly me: string,
  ) {}

  /** Whether this server has the file now; called once a second while it wants it. */
  async acquire(): Promise<boolean> {
    await this.prepare();
    try {
      await writeFile(this.file, this.content(), { flag: 'wx', mode: 0o600 });
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const owner = await this.owner();
    if (owner?.server === this.me) return true;
    const [ended, abandoned] = [isEnded(owner), await this.isAbandoned()];
    return ended || abandoned ? this.take() : false;
  }

  /** Takes it from whoever has it; that one sees so when it touches it next. */
  async take(): Promise<boolean> {
    await this.prepare();
    const temporary = `${this.file}.${randomUUID()}`;
    await writeFile(temporary, this.content(), { mode: 0o600 });
    await rename(temporary, this.file);
    return true;
  }

  /** Says that this server is still there. @returns false if another one has taken the file */
  async touch(): Promise<boolean> {
    const owner = await this.owner();
    if (owner !== undefined && owner.server !== this.me) return false;
    if (owner === undefined) return this.acquire();
    const now = new Date();
    await utimes(this.file, now, now);
    return true;
  }

  async release(): Promise<void> {
    if ((await this.owner())?.server === this.me) await rm(this.file, { force: true });
  }

  /** Not the folder of the work itself: where that has gone, it is not for us to make it. */
  private async prepare(): Promise<void> {
    await mkdir(path.dirname(this.file), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }

  private content(): string {
    return JSON.stringify({ server: this.me, host: os.hostname(), pid: process.pid } satisfies Owner);
  }

  private async owner(): Promise<Owner | undefined> {
    try {
      return JSON.parse(await readFile(this.file, 'utf8')) as Owner;
    } catch {
      return undefined;
    }
  }

  private async isAbandoned(): Promise<boolean> {
    const touched = (await stat(this.file).catch(() => undefined))?.mtimeMs;
    this.still = touched === this.seen ? this.still + 1 : 0;
    this.seen = touched;
    return this.still >= STILL_FOR;
  }
}

interface Owner {
  readonly server: string;
  readonly host: string;
  readonly pid: number;
}

/** Looks, one a second. */
const STILL_FOR = 8;

function isEnded(owner: Owner | undefined): boolean {
  if (owner?.host !== os.hostname()) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}
