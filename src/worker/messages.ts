import { membersOf } from '../items.js';
import type { Progress } from '../task.js';

/** What goes over a connection (`connection.ts`). The first message of each end is `hello`, and the format of that one stays. */
export type Message =
  | { readonly type: 'hello'; readonly protocol: number }
  | { readonly type: 'call'; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly type: 'value'; readonly id: number; readonly value?: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: SentError }
  | { readonly type: 'ping' | 'pong' };

export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Deep enough for what is sent here; what is nested deeper overflows the stack of whoever walks it. */
const DEPTH = 32;
/** Names that mean something to JavaScript itself, or to code that trusts what it is given. */
const REFUSED = ['__proto__', 'constructor', 'hasOwnProperty', 'prototype'];
const LONGEST_NAME = 100;
const MOST_ARGUMENTS = 16;

/** Any but `hello`, which comes once; of what `isPlainData` has let through. */
export function isMessage(message: object): message is Message {
  const { type, id, name, args, progress, error } = membersOf(message);
  if (type === 'ping' || type === 'pong') return true;
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id <= 0) return false;
  switch (type) {
    case 'call':
      return (
        typeof name === 'string' && name.length <= LONGEST_NAME && Array.isArray(args) && args.length <= MOST_ARGUMENTS
      );
    case 'cancel':
    case 'value':
      return true;
    case 'progress':
      return isRecord(progress);
    case 'error':
      return (
        isRecord(error) &&
        typeof error.code === 'string' &&
        typeof error.message === 'string' &&
        isRecord(error.details)
      );
    default:
      return false;
  }
}

/** Nothing that is nested too deep or named as to reach a prototype. Buffers and what browsers clone are left as they are. */
export function isPlainData(value: unknown, depth = DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isPlainData(item, depth - 1));
  if (!isRecord(value)) return true;
  return (
    !REFUSED.some((name) => Object.hasOwn(value, name)) &&
    Object.values(value).every((item) => isPlainData(item, depth - 1))
  );
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
