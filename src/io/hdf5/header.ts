import { type Cancel, damaged, type Fields, type Hdf5File, unsupported } from './fields.js';

/** The messages of an HDF5 object header (specification IV.A.1), which say all there is to know of a group or dataset. */
export interface Message {
  readonly type: number;
  readonly fields: Fields;
}

export const MESSAGE = {
  dataspace: 0x1,
  linkInfo: 0x2,
  datatype: 0x3,
  oldFill: 0x4,
  fill: 0x5,
  link: 0x6,
  externalFiles: 0x7,
  layout: 0x8,
  filters: 0xb,
  attribute: 0xc,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

const SHARED = 2;
/** Limits that no real header comes near: a damaged one could go on for long. */
const MAX_BLOCKS = 256;
const MAX_MESSAGES = 20_000;
const MAX_SHARING = 4;

/** The object header at `address`. Messages shared with another object are replaced by what they stand for. */
export async function readHeader(file: Hdf5File, address: number, options: Cancel, depth = 0): Promise<Message[]> {
  const start = await file.structure(address, Math.min(16, file.size), options);
  const blocks: Block[] = [];
  const second = start.bytes[0] === 0x4f;
  let timed = false;
  if (second) {
    start.expect('OHDR');
    start.skip(1);
    const flags = start.uint(1);
    timed = (flags & 4) !== 0;
    const before = 6 + (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0);
    const width = 1 << (flags & 3);
    const sized = await file.structure(address, before + width, options);
    sized.skip(before);
    blocks.push({ address: address + before + width, length: sized.uint(width) });
  } else {
    const version = start.uint(1);
    if (version !== 1) throw damaged(file.name, `an object header of version ${version}`);
    start.skip(7);
    blocks.push({ address: address + 16, length: start.uint(4) });
  }
  const messages: Message[] = [];
  const seen = new Set<number>();
  for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
    if (seen.has(block.address)) continue;
    seen.add(block.address);
    if (seen.size > MAX_BLOCKS) throw damaged(file.name, 'an object header without an end');
    const fields = await file.structure(block.address, block.length, options);
    const length = second && seen.size > 1 ? fields.bytes.length - 4 : fields.bytes.length;
    if (second && seen.size > 1) fields.expect('OCHK');
    const prefix = second ? 4 + (timed ? 2 : 0) : 8;
    while (length - fields.at >= prefix) {
      const message = nextMessage(fields, second, timed);
      if (messages.length > MAX_MESSAGES) throw damaged(file.name, 'an object header with too many messages');
      if (message.type === MESSAGE.continuation) {
        const next = message.fields.address();
        if (next !== undefined) blocks.push({ address: next, length: message.fields.length() });
      } else messages.push(message.shared ? await resolveShared(file, message, options, depth) : message);
    }
  }
  return messages;
}

interface Block {
  readonly address: number;
  readonly length: number;
}

function nextMessage(fields: Fields, second: boolean, timed: boolean): Message & { readonly shared: boolean } {
  const type = fields.uint(second ? 1 : 2);
  const length = fields.uint(2);
  const flags = fields.uint(1);
  fields.skip(second ? (timed ? 2 : 0) : 3);
  return { type, shared: (flags & SHARED) !== 0, fields: fields.part(length) };
}

/** A datatype may be an object of its own that datasets point to (IV.A.2, shared messages). */
async function resolveShared(file: Hdf5File, message: Message, options: Cancel, depth: number): Promise<Message> {
  const { fields } = message;
  const version = fields.uint(1);
  const kind = fields.uint(1);
  if (version === 1) fields.skip(6);
  if (version === 3 && kind === 1) return { type: message.type, fields: fields.part(0) };
  const address = fields.address();
  if (address === undefined || depth > MAX_SHARING) throw damaged(file.name, 'a shared message that leads nowhere');
  const found = (await readHeader(file, address, options, depth + 1)).find(({ type }) => type === message.type);
  if (found === undefined) throw damaged(file.name, 'a shared message that leads nowhere');
  return found;
}

/** The message of a type, from its beginning; `undefined` if there is none. */
export function messageOf(messages: readonly Message[], type: number, name: string): Fields | undefined {
  const fields = messages.find((message) => message.type === type)?.fields;
  if (fields?.bytes.length === 0) throw unsupported(name, 'metadata in a shared message table');
  if (fields) fields.at = 0;
  return fields;
}
