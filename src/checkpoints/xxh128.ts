/**
 * XXH3, 128 bits, of long files: the hash by which micro-sam publishes its checkpoints. After the specification of xxHash
 * (doc/xxhash_spec.md, 0.2.0), with the default secret and seed 0, for inputs of more than 240 bytes only: shorter ones are
 * hashed in other ways there, and no checkpoint is so short.
 */
const SECRET = new Uint8Array(
  (
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8' +
    'fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb17' +
    '0ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e'
  )
    .match(/../g)
    ?.map((byte) => Number.parseInt(byte, 16)) ?? [],
);

const STRIPE = 64;
/** Stripes between two scramblings: each takes 8 bytes of the secret more than the one before. */
const STRIPES_PER_BLOCK = 16;
/** Shorter inputs are hashed in other ways, which are not here. */
export const SHORTEST_HASHED = 241;
const BUFFER = 2 ** 16;
const PRIMES_32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn] as const;
const PRIMES_64 = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const WORD = 2 ** 32;
const MASK = 2n ** 64n - 1n;

/** Takes a file piece by piece. */
export class Xxh128 {
  /** Eight numbers of 64 bits, each as its low and its high half. */
  private readonly sums = new Uint32Array(16);
  private readonly buffer = new Uint8Array(BUFFER);
  private readonly words = new Uint32Array(this.buffer.buffer);
  private filled = 0;
  private stripes = 0;
  private length = 0;

  constructor() {
    const [a, b, c] = PRIMES_32;
    const [d, e, f, g, h] = PRIMES_64;
    const sums = new BigUint64Array(this.sums.buffer);
    sums.set([c, d, e, f, g, b, h, a]);
  }

  update(bytes: Uint8Array): void {
    this.length += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const some = bytes.subarray(at, at + BUFFER - this.filled);
      this.buffer.set(some, this.filled);
      this.filled += some.length;
      at += some.length;
      // The last 64 bytes of the file are a stripe of their own, wherever they begin.
      if (this.filled === BUFFER) this.consume(BUFFER - 2 * STRIPE);
    }
  }

  /** 32 hexadecimal digits, as xxh128sum prints them. May be asked for once. */
  digest(): string {
    if (this.length < SHORTEST_HASHED)
      throw new RangeError(`Only files of ${SHORTEST_HASHED} bytes and more are hashed.`);
    const last = this.buffer.slice(this.filled - STRIPE, this.filled);
    this.consume(Math.floor((this.filled - 1) / STRIPE) * STRIPE);
    accumulate(this.sums, new Uint32Array(last.buffer), 0, LAST_SECRET, 0);
    const length = BigInt(this.length);
    const low = this.merged(11, (length * PRIMES_64[0]) & MASK);
    const high = this.merged(SECRET.length - STRIPE - 11, ~(length * PRIMES_64[1]) & MASK);
    return ((high << 64n) | low).toString(16).padStart(32, '0');
  }

  /** @param count bytes from the beginning of the buffer, whole stripes */
  private consume(count: number): void {
    for (let at = 0; at < count; at += STRIPE) {
      const n = this.stripes++ % STRIPES_PER_BLOCK;
      accumulate(this.sums, this.words, at / 4, SECRET_WORDS, 2 * n);
      if (n === STRIPES_PER_BLOCK - 1) this.scramble();
    }
    this.buffer.copyWithin(0, count, this.filled);
    this.filled -= count;
  }

  private scramble(): void {
    const sums = new BigUint64Array(this.sums.buffer);
    for (let i = 0; i < 8; i++) {
      const mixed = sums[i]! ^ (sums[i]! >> 47n) ^ secretAt(SECRET.length - STRIPE + 8 * i);
      sums[i] = mixed * PRIMES_32[0];
    }
  }

  private merged(secret: number, start: bigint): bigint {
    const sums = new BigUint64Array(this.sums.buffer);
    let result = start;
    for (let i = 0; i < 8; i += 2) {
      const product = (sums[i]! ^ secretAt(secret + 8 * i)) * (sums[i + 1]! ^ secretAt(secret + 8 * i + 8));
      result += (product & MASK) ^ (product >> 64n);
    }
    result &= MASK;
    result = ((result ^ (result >> 37n)) * 0x165667919e3779f9n) & MASK;
    return result ^ (result >> 32n);
  }
}

function secretAt(offset: number): bigint {
  return new DataView(SECRET.buffer).getBigUint64(offset, true);
}

const SECRET_WORDS = new Uint32Array(SECRET.buffer);
/** Of the last stripe: 7 bytes before the end of the secret. */
const LAST_SECRET = new Uint32Array(SECRET.slice(SECRET.length - STRIPE - 7).buffer.slice(0, STRIPE));

/** One stripe; every 64-bit number as two halves, since products of BigInts would take a hundred times as long. */
function accumulate(sums: Uint32Array, data: Uint32Array, at: number, secret: Uint32Array, from: number): void {
  for (let i = 0; i < 16; i += 2) {
    const low = data[at + i]!;
    const high = data[at + i + 1]!;
    const other = i ^ 2;
    const sum = sums[other]! + low;
    sums[other] = sum;
    sums[other + 1] = sums[other + 1]! + high + (sum >= WORD ? 1 : 0);
    const a = (low ^ secret[from + i]!) >>> 0;
    const b = (high ^ secret[from + i + 1]!) >>> 0;
    // a b = p + 2^16 q, both below 2^48 and so exact.
    const p = (a & 0xffff) * b;
    const q = (a >>> 16) * b;
    const product = sums[i]! + (p >>> 0) + (q & 0xffff) * 65536;
    sums[i + 1] = sums[i + 1]! + Math.floor(p / WORD) + Math.floor(q / 65536) + Math.floor(product / WORD);
    sums[i] = product;
  }
}
