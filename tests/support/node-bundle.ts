import { build } from 'esbuild';

/** Bundles TypeScript for a process of its own, beside the tests' other bundles, so that packages resolve. */
export async function bundleForNode(entry: { readonly file: string } | { readonly code: string }, outfile: string) {
  await build({
    ...('file' in entry
      ? { entryPoints: [entry.file] }
      : { stdin: { contents: entry.code, resolveDir: process.cwd(), loader: 'ts' as const } }),
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
  });
}
