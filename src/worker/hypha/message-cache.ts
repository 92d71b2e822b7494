import { SamError } from '../../errors.js';
import { joined } from './parts.js';

/** Messages that arrive in pieces, until they are whole. */
const LARGEST = 1 << 30;
const MOST = 64;

export class MessageCache {
  private readonly messages = new Map<string, Map<number, Uint8Array>>();
  private bytes = 0;

  /** @returns the message that the step completes */
  step(name: string, key: string, [first, second]: readonly unknown[]): Uint8Array | undefined {
    if (name === 'create') {
      if (this.messages.size >= MOST)
        throw new SamError('invalid_argument', 'Too many messages are sent in pieces at once.');
      this.remove(key);
      this.messages.set(key, new Map());
      return undefined;
    }
    const pieces = this.messages.get(key);
    if (!pieces) throw new SamError('not_found', 'A piece belongs to no message.');
    if (name === 'append') this.add(pieces, pieces.size, first);
    else if (name === 'set') this.add(pieces, Number(first), second);
    else if (name === 'remove') this.remove(key);
    else if (name === 'process') {
      const whole = joined([...pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece));
      this.remove(key);
      return whole;
    }
    return undefined;
  }

  private add(pieces: Map<number, Uint8Array>, at: number, piece: unknown): void {
    if (!(piece instanceof Uint8Array) || !Number.isInteger(at) || at < 0)
      throw new SamError('invalid_argument', 'A piece of a message has no bytes.');
    this.bytes += piece.length - (pieces.get(at)?.length ?? 0);
    if (this.bytes > LARGEST) throw new SamError('invalid_argument', 'A message is larger than 1 GB.');
    pieces.set(at, piece);
  }

  private remove(key: string): void {
    for (const piece of this.messages.get(key)?.values() ?? []) this.bytes -= piece.length;
    this.messages.delete(key);
  }
}
