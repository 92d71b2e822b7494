import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { folderStore } from '../../src/io/stores/fs.js';

/**
 * `node:fs/promises` of folders that are no plain local ones. Writing takes two steps with a pause between, as over a
 * network, so that others see half a file.
 */
const ODD_FOLDERS = {
  'without hard links': `
    export const link = async () => {
      throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
    };`,
  'of a network that repeats what it has done': `
    export const link = async (from, to) => {
      await real.link(from, to);
      await real.link(from, to);
    };`,
  'of a network that forgets what it had opened': `
    let seed = 1;
    const stale = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      if (seed < 2 ** 32 / 20) throw Object.assign(new Error('ESTALE: stale file handle'), { code: 'ESTALE' });
    };
    const forgetful = (work) => async (...args) => (stale(), work(...args));
    export const [link, rename, rm, mkdir, readdir, readFile] = [
      real.link, real.rename, real.rm, real.mkdir, real.readdir, real.readFile,
    ].map(forgetful);`,
  'of a network that lets two make one file': `
    export const link = async () => {
      throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
    };
    const openNew = async (file) => {
      if (await real.stat(file).catch(() => undefined))
        throw Object.assign(new Error('EEXIST: file already exists'), { code: 'EEXIST' });
      await new Promise((resolve) => setTimeout(resolve, 2));
      return real.open(file, 'w');
    };`,
} as const;

export type OddFolder = keyof typeof ODD_FOLDERS;
export const oddFolders = Object.keys(ODD_FOLDERS) as OddFolder[];

const fsOf = (kind: OddFolder) => `
  import * as real from 'node:fs/promises';
  export * from 'node:fs/promises';
  ${ODD_FOLDERS[kind]}
  export const open = async (file, flags) => {
    const handle = await ${kind.includes('lets two') ? "(flags === 'wx' ? openNew(file) : real.open(file, flags))" : 'real.open(file, flags)'};
    const writeFile = async (bytes) => {
      const half = bytes.length >> 1;
      await handle.write(bytes, 0, half, 0);
      await new Promise((resolve) => setTimeout(resolve, 2));
      ${kind.includes('forgets') ? 'stale();' : ''}
      await handle.write(bytes, half, bytes.length - half, half);
    };
    return new Proxy(handle, {
      get: (target, name) => {
        if (name === 'writeFile') return writeFile;
        const value = target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };`;

/** The folder store on such a folder. @param scratch a folder for its code */
export async function oddFolderStore(kind: OddFolder, scratch: string): Promise<typeof folderStore> {
  const outfile = path.join(scratch, `${kind.replaceAll(' ', '-')}.mjs`);
  await build({
    entryPoints: ['src/io/stores/fs.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
    plugins: [
      {
        name: 'odd folder',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^node:fs\/promises$/ }, ({ importer }) =>
            importer.endsWith('.ts') ? { path: kind, namespace: 'odd' } : { path: 'node:fs/promises', external: true },
          );
          onLoad({ filter: /.*/, namespace: 'odd' }, () => ({ contents: fsOf(kind), resolveDir: '/' }));
        },
      },
    ],
  });
  return (await import(pathToFileURL(outfile).href)).folderStore;
}
