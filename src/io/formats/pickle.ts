import { SamError } from '../../errors.js';

/**
 * Python pickles as data, without running anything: dictionaries, lists, text, numbers and NumPy arrays. What would be an
 * object of some class is opaque. Protocols 0 to 5 as pickletools of CPython 3.12 lists them, without buffers that are
 * kept elsewhere. Each step takes time and memory in proportion to the bytes it reads.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleArray
  | Opaque
  | PickleValue[]
  | Map<PickleValue, PickleValue>;

/** A NumPy array: `data` are its bytes, or the objects of an array of objects. */
export class PickleArray {
  dtype = '';
  shape: number[] = [];
  fortran = false;
  data: Uint8Array | PickleValue[] = [];
}

/** A class or function, what one would make of its arguments, or (named `PERSISTENT`) something kept outside the pickle. */
export class Opaque {
  constructor(
    readonly name: string,
    readonly args: readonly PickleValue[] = [],
  ) {}
  /** What it was given later, as NumPy's dtypes are their byte order. */
  state: PickleValue = null;
}

/** The name of what a pickle refers to and does not hold; its only argument is the reference. */
export const PERSISTENT = 'persistent';

/** A list or dictionary takes one byte of a pickle and a hundred of memory: so many steps are a few hundred megabytes. */
const MOST_STEPS = 2 ** 20;

const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/** @throws SamError `invalid_image` for what is no whole pickle, `unsupported` for one that needs more than data */
export function readPickle(bytes: Uint8Array, name: string): PickleValue {
  return readPickleAt(bytes, 0, name).value;
}

/** One of several pickles that follow each other: what it holds, and where the next begins. Throws as `readPickle` does. */
export function readPickleAt(bytes: Uint8Array, at: number, name: string): { value: PickleValue; end: number } {
  try {
    const machine = new Machine(bytes, name, at);
    return { value: machine.run(), end: machine.position };
  } catch (error) {
    if (error instanceof SamError) throw error;
    throw new SamError('invalid_image', `${name} is a damaged pickle of Python.`, { cause: error });
  }
}

class Machine {
  private readonly stack: Slot[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly name: string,
    private at = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get position(): number {
    return this.at;
  }

  run(): PickleValue {
    for (let steps = 0; ; steps++) {
      if (steps > MOST_STEPS)
        throw new SamError(
          'unsupported',
          `${this.name} has more than ${MOST_STEPS} pickled objects, which are not read; save arrays of plain numbers, or a state dict.`,
        );
      const code = String.fromCharCode(this.integer(1));
      if (code === '.') return this.pop();
      const step = STEPS[code];
      if (!step)
        throw new SamError(
          'unsupported',
          `${this.name} holds Python objects that are not plain data (0x${code.charCodeAt(0).toString(16)}), which are not read; save an array of plain numbers.`,
        );
      step(this);
    }
  }

  take(length: number): Uint8Array {
    if (length < 0 || this.at + length > this.bytes.length)
      throw new SamError('invalid_image', `${this.name} is cut off: its pickle goes on after the end of the file.`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A little-endian length or number of so many bytes. */
  integer(size: 1 | 2 | 4 | 8, signed = false): number {
    this.take(size);
    const at = this.at - size;
    if (size === 1) return this.view.getUint8(at);
    if (size === 2) return this.view.getUint16(at, true);
    if (size === 4) return signed ? this.view.getInt32(at, true) : this.view.getUint32(at, true);
    return Number(this.view.getBigUint64(at, true));
  }

  double(): number {
    this.take(8);
    return this.view.getFloat64(this.at - 8);
  }

  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    const text = new TextDecoder().decode(this.take(end < 0 ? this.bytes.length : end - this.at));
    this.take(1);
    return text;
  }

  push(value: Slot): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK)
      throw new SamError('invalid_image', `${this.name} is a damaged pickle of Python.`);
    return value;
  }

  top(): PickleValue {
    const value = this.pop();
    this.push(value);
    return value;
  }

  /** What lies above the last mark, which goes, too. */
  popMarked(): PickleValue[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw new SamError('invalid_image', `${this.name} is a damaged pickle of Python.`);
    return this.stack.splice(mark).slice(1) as PickleValue[];
  }

  put(key = this.memo.size): void {
    this.memo.set(key, this.top());
  }

  get(key: number): void {
    if (!this.memo.has(key)) throw new SamError('invalid_image', `${this.name} is a damaged pickle of Python.`);
    this.push(this.memo.get(key) as PickleValue);
  }

  /** A list, a set or a dictionary gets what follows it. */
  extend(values: readonly PickleValue[]): void {
    const into = this.top();
    if (Array.isArray(into)) for (const value of values) into.push(value);
    if (!(into instanceof Map)) return;
    let key: PickleValue | undefined;
    for (const value of values) {
      if (key !== undefined) into.set(key, value);
      key = key === undefined ? value : undefined;
    }
  }

  reduce(): void {
    const args = this.pop();
    this.push(called(this.pop(), Array.isArray(args) ? args : []));
  }

  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof Opaque) target.state = state;
    if (!(target instanceof PickleArray) || !Array.isArray(state)) return;
    const [, shape, dtype, fortran, data] = state;
    target.shape = numbers(shape);
    target.dtype = dtypeText(dtype);
    target.fortran = fortran === true;
    if (data instanceof Uint8Array || Array.isArray(data)) target.data = data;
  }
}

/** What the few functions give whose results are data. */
function called(callee: PickleValue, args: readonly PickleValue[]): PickleValue {
  if (!(callee instanceof Opaque)) return new Opaque('?', args);
  switch (callee.name.replace('numpy._core', 'numpy.core')) {
    case 'numpy.core.multiarray._reconstruct':
      return new PickleArray();
    case 'numpy.core.numeric._frombuffer': {
      const array = new PickleArray();
      const [data, dtype, shape, order] = args;
      array.dtype = dtypeText(dtype);
      array.shape = numbers(shape);
      array.fortran = order === 'F';
      if (data instanceof Uint8Array) array.data = data;
      return array;
    }
    case '_codecs.encode':
      // Bytes in protocol 2: text of which each character is one.
      return typeof args[0] === 'string' ? Uint8Array.from(args[0], (letter) => letter.charCodeAt(0)) : null;
    case 'collections.OrderedDict':
    case 'builtins.dict':
      return new Map();
    default:
      return new Opaque(callee.name, args);
  }
}

function numbers(value: PickleValue | undefined): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

/** As a .npy says it: '<u2'. */
function dtypeText(dtype: PickleValue | undefined): string {
  if (!(dtype instanceof Opaque) || typeof dtype.args[0] !== 'string') return '';
  const order = Array.isArray(dtype.state) ? dtype.state[1] : '|';
  return `${order === '=' ? '<' : order}${dtype.args[0]}`;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const latin1 = (bytes: Uint8Array) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

/** A whole number, two's complement, little-endian; of what is longer than any that means something, the lowest bits. */
function long(bytes: Uint8Array): number | bigint {
  const low = bytes.subarray(0, 64);
  const value = low.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const signed = BigInt.asIntN(8 * low.length, value);
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

function lineNumber(line: string): PickleValue {
  if (line === '00' || line === '01') return line === '01';
  return Number(line.replace(/L$/, ''));
}

const global = (machine: Machine) => {
  const [name, module] = [machine.pop(), machine.pop()];
  machine.push(new Opaque(`${module}.${name}`));
};

const newObject = (machine: Machine) => {
  const args = machine.pop();
  const callee = machine.pop();
  machine.push(called(callee, Array.isArray(args) ? args : []));
};

/** Class and arguments since the last mark, as protocol 0 makes objects. */
const markedObject = (machine: Machine, callee?: PickleValue) => {
  const values = machine.popMarked();
  const [first = null, ...args] = callee === undefined ? values : [callee, ...values];
  machine.push(called(first, args));
};

const STEPS: Readonly<Record<string, (machine: Machine) => void>> = {
  '\x80': (m) => m.take(1),
  '\x95': (m) => m.take(8),
  '(': (m) => m.push(MARK),
  '0': (m) => void m.pop(),
  '1': (m) => void m.popMarked(),
  '2': (m) => m.push(m.top()),
  N: (m) => m.push(null),
  '\x88': (m) => m.push(true),
  '\x89': (m) => m.push(false),
  J: (m) => m.push(m.integer(4, true)),
  K: (m) => m.push(m.integer(1)),
  M: (m) => m.push(m.integer(2)),
  '\x8a': (m) => m.push(long(m.take(m.integer(1)))),
  '\x8b': (m) => m.push(long(m.take(m.integer(4)))),
  G: (m) => m.push(m.double()),
  I: (m) => m.push(lineNumber(m.line())),
  L: (m) => m.push(lineNumber(m.line())),
  F: (m) => m.push(Number(m.line())),
  S: (m) => m.push(m.line().slice(1, -1)),
  T: (m) => m.push(latin1(m.take(m.integer(4)))),
  U: (m) => m.push(latin1(m.take(m.integer(1)))),
  V: (m) => m.push(m.line()),
  X: (m) => m.push(text(m.take(m.integer(4)))),
  '\x8c': (m) => m.push(text(m.take(m.integer(1)))),
  '\x8d': (m) => m.push(text(m.take(m.integer(8)))),
  B: (m) => m.push(m.take(m.integer(4))),
  C: (m) => m.push(m.take(m.integer(1))),
  '\x8e': (m) => m.push(m.take(m.integer(8))),
  '\x96': (m) => m.push(m.take(m.integer(8))),
  ']': (m) => m.push([]),
  l: (m) => m.push(m.popMarked()),
  a: (m) => {
    const value = m.pop();
    m.extend([value]);
  },
  e: (m) => {
    const values = m.popMarked();
    m.extend(values);
  },
  ')': (m) => m.push([]),
  t: (m) => m.push(m.popMarked()),
  '\x85': (m) => m.push([m.pop()]),
  '\x86': (m) => {
    const last = m.pop();
    m.push([m.pop(), last]);
  },
  '\x87': (m) => {
    const [third, second] = [m.pop(), m.pop()];
    m.push([m.pop(), second, third]);
  },
  '}': (m) => m.push(new Map()),
  d: (m) => {
    const values = m.popMarked();
    m.push(new Map());
    m.extend(values);
  },
  s: (m) => {
    const value = m.pop();
    const key = m.pop();
    m.extend([key, value]);
  },
  u: (m) => {
    const values = m.popMarked();
    m.extend(values);
  },
  '\x8f': (m) => m.push([]),
  '\x90': (m) => {
    const values = m.popMarked();
    m.extend(values);
  },
  '\x91': (m) => m.push(m.popMarked()),
  c: (m) => m.push(new Opaque(`${m.line()}.${m.line()}`)),
  '\x93': global,
  R: (m) => m.reduce(),
  b: (m) => m.build(),
  '\x81': newObject,
  '\x92': (m) => {
    m.pop(); // keyword arguments
    newObject(m);
  },
  o: (m) => markedObject(m),
  i: (m) => {
    const callee = new Opaque(`${m.line()}.${m.line()}`);
    markedObject(m, callee);
  },
  P: (m) => m.push(new Opaque(PERSISTENT, [m.line()])),
  Q: (m) => m.push(new Opaque(PERSISTENT, [m.pop()])),
  p: (m) => m.put(Number(m.line())),
  q: (m) => m.put(m.integer(1)),
  r: (m) => m.put(m.integer(4)),
  '\x94': (m) => m.put(),
  g: (m) => m.get(Number(m.line())),
  h: (m) => m.get(m.integer(1)),
  j: (m) => m.get(m.integer(4)),
};
