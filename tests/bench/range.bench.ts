import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'fflate';
import type { ImageSource } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * A large OME-Zarr over HTTP: how many bytes one region costs compared with the chunks it touches, and how much memory
 * a walk over the image takes (`MICRO_SAM_WALK_SECONDS`, 20 by default; the server is in the same process).
 */
const SIZE = 20_000;
const CHUNK = 512;
const LEVELS = 5;

export default async (): Promise<Figure[]> => {
  const server = await serve();
  try {
    const start = performance.now();
    const image = await openImage(`${server.url}/large.ome.zarr`);
    const openMs = performance.now() - start;
    const box = [9_000, 7_300, 10_024, 8_324] as const;
    await image.readRegion({ box });
    const ratio = server.sent() / server.chunksTouched(box);
    const growth = await walk(image, Number(process.env.MICRO_SAM_WALK_SECONDS ?? 20));
    await image.close();
    return [
      atMost('range_bytes_over_chunks', ratio, 'x', 1.5),
      atMost('walk_rss_mb', growth / 2 ** 20, 'MB', 500),
      reported('large_open_ms', openMs, 'ms'),
    ];
  } finally {
    server.close();
  }
};

/** Steps of half a screen in random directions, now and then to another resolution; gives the growth of memory. */
async function walk(image: ImageSource, seconds: number): Promise<number> {
  const random = seededRandom(4);
  const before = process.memoryUsage.rss();
  let most = before;
  let level = 0;
  let [y, x] = [SIZE / 2, SIZE / 2];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    if (random() < 0.1) level = randomInteger(random, 0, LEVELS);
    const [height, width] = image.levels[level];
    const step = () => randomInteger(random, -600, 601);
    y = Math.min(Math.max(0, y + step()), Math.max(0, height - 1024));
    x = Math.min(Math.max(0, x + step()), Math.max(0, width - 1024));
    const box = [y, x, Math.min(y + 1024, height), Math.min(x + 1024, width)] as const;
    await image.readRegion({ level, box });
    most = Math.max(most, process.memoryUsage.rss());
  }
  return most - before;
}

async function serve() {
  const random = seededRandom(3);
  const pool = Array.from({ length: 8 }, () => {
    const values = Uint16Array.from({ length: CHUNK * CHUNK }, () => randomInteger(random, 90, 400));
    return gzipSync(new Uint8Array(values.buffer), { level: 1 });
  });
  /** One chunk in five is background and not stored. */
  const chunkAt = (row: number, column: number) => {
    const number = row * 131 + column;
    return number % 5 === 0 ? undefined : pool[number % pool.length];
  };
  let sent = 0;
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').replace('/large.ome.zarr/', '');
    const body = bodyOf(path, chunkAt);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    sent += body.length;
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => sent,
    close: () => server.close(),
    chunksTouched([y0, x0, y1, x1]: readonly [number, number, number, number]): number {
      let bytes = 0;
      for (let row = Math.floor(y0 / CHUNK); row * CHUNK < y1; row++)
        for (let column = Math.floor(x0 / CHUNK); column * CHUNK < x1; column++)
          bytes += chunkAt(row, column)?.length ?? 0;
      return bytes;
    },
  };
}

function bodyOf(
  path: string,
  chunkAt: (row: number, column: number) => Uint8Array | undefined,
): Uint8Array | undefined {
  const axes = ['y', 'x'].map((name) => ({ name, type: 'space', unit: 'micrometer' }));
  if (path === 'zarr.json') {
    const datasets = Array.from({ length: LEVELS }, (_, level) => ({
      path: `${level}`,
      coordinateTransformations: [{ type: 'scale', scale: [0.25 * 2 ** level, 0.25 * 2 ** level] }],
    }));
    const ome = { version: '0.5', multiscales: [{ name: 'large', axes, datasets }] };
    return json({ zarr_format: 3, node_type: 'group', attributes: { ome } });
  }
  const [, level, rest] = /^(\d)\/(.*)$/.exec(path) ?? [];
  if (level === undefined) return undefined;
  if (rest === 'zarr.json')
    return json({
      zarr_format: 3,
      node_type: 'array',
      shape: [SIZE / 2 ** Number(level), SIZE / 2 ** Number(level)],
      data_type: 'uint16',
      chunk_grid: { name: 'regular', configuration: { chunk_shape: [CHUNK, CHUNK] } },
      chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
      fill_value: 0,
      codecs: [
        { name: 'bytes', configuration: { endian: 'little' } },
        { name: 'gzip', configuration: { level: 1 } },
      ],
      attributes: {},
    });
  const [, row, column] = /^c\/(\d+)\/(\d+)$/.exec(rest) ?? [];
  return row === undefined ? undefined : chunkAt(Number(row), Number(column));
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
