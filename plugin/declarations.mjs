/**
 * Writes the library's type declarations, one file for Node and one for browsers, each on its own: no consumer sees, or
 * type-checks, what lies below them.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const emitted = path.join(root, 'dist', 'declarations');

const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const emit = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', emitted, '--rootDir', 'src'];
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.json', ...emit], { cwd: root, stdio: 'inherit' });
for (const entry of ['index', 'browser']) {
  const { succeeded } = Extractor.invoke(configFor(entry), { localBuild: true, messageCallback: onlyErrors });
  if (!succeeded) throw new Error(`The declarations of ${entry} could not be put together.`);
}
rmSync(emitted, { recursive: true });

function configFor(entry) {
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(emitted, `${entry}.d.ts`),
      apiReport: { enabled: false },
      docModel: { enabled: false },
      tsdocMetadata: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: path.join(root, 'dist', 'lib', `${entry}.d.ts`) },
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'ES2023',
            lib: ['ES2023', 'WebWorker', 'WebWorker.AsyncIterable'],
            types: ['node'],
            module: 'NodeNext',
            moduleResolution: 'NodeNext',
            strict: true,
            skipLibCheck: true,
          },
          files: [path.join(emitted, `${entry}.d.ts`)],
        },
      },
    },
  });
}

/** Types that an exported function names need not be exported themselves; how comments are written is the linter's matter. */
function onlyErrors(message) {
  message.handled = message.logLevel !== ExtractorLogLevel.Error;
}
