import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import type { BrowserContext } from 'playwright-core';
import { HYPHA_PACKAGES } from './python.js';

/** A real Jupyter with ImJoy's extensions and what docs/notebooks need, on this machine only, for tests/integration. */
export const JUPYTER_PACKAGES = [
  'jupyterlab==4.6.6',
  'notebook==7.6.5',
  'nbclassic==1.3.3',
  'imjoy-jupyterlab-extension==0.2.6',
  'imjoy-jupyter-extension==0.3.0', // of the classic notebook
  'imjoy-rpc==0.5.59',
  'ipykernel==7.4.0',
  'matplotlib==3.11.2',
  'tifffile==2026.3.3',
  ...HYPHA_PACKAGES,
] as const;

/** JupyterLab, Notebook 7, and the classic notebook: module → where it opens notebooks. */
const APPS = { jupyterlab: 'lab/tree', notebook: 'notebooks', nbclassic: 'nbclassic/notebooks' } as const;
export type JupyterApp = keyof typeof APPS;

export interface Jupyter {
  /** Where its notebooks are, and the files that they write. */
  readonly folder: string;
  /** That opens a notebook of the folder. */
  address(name: string): string;
  /** The same for one that is made of cells. */
  notebook(name: string, cells: readonly string[]): string;
  stop(): Promise<void>;
}

const TOKEN = 'test';

/** @param python of an environment with the packages above */
export async function startJupyter(python: string, app: JupyterApp = 'jupyterlab'): Promise<Jupyter> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'jupyter-'));
  writeSettings(path.join(folder, '.config'));
  const child = spawn(
    python,
    [
      ...['-m', app, '--no-browser', '--allow-root', '--ip=127.0.0.1', '--port=0'],
      ...[`--ServerApp.root_dir=${folder}`, `--IdentityProvider.token=${TOKEN}`, '--LabApp.news_url=None'],
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        PATH: `${path.dirname(python)}${path.delimiter}${process.env.PATH}`,
        JUPYTER_CONFIG_DIR: path.join(folder, '.config'),
        JUPYTER_DATA_DIR: path.join(folder, '.data'),
        JUPYTER_RUNTIME_DIR: path.join(folder, '.runtime'),
        JUPYTER_PREFER_ENV_PATH: '1',
      },
    },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let output = '';
  const origin = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      output += chunk;
      const found = /(http:\/\/127\.0\.0\.1:\d+)\/[\w/]+\?token=/.exec(output);
      if (found) resolve(found[1]);
    });
    void exited.then(() => reject(new Error(`Jupyter ended.\n${output}`)));
  });
  // Of JupyterLab's pages each has this notebook alone, not those of the page before.
  const address = (name: string) => `${origin}/${APPS[app]}/${name}?reset&token=${TOKEN}`;
  return {
    folder,
    address,
    notebook(name, cells) {
      const notebook = {
        nbformat: 4,
        nbformat_minor: 5,
        metadata: { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } },
        cells: cells.map((source, k) => ({
          cell_type: 'code',
          id: `cell-${k}`,
          metadata: {},
          execution_count: null,
          outputs: [],
          source,
        })),
      };
      writeFileSync(path.join(folder, name), JSON.stringify(notebook));
      return address(name);
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Nobody is asked whether news shall be fetched. */
function writeSettings(config: string): void {
  const settings = path.join(config, 'lab', 'user-settings', '@jupyterlab', 'apputils-extension');
  mkdirSync(settings, { recursive: true });
  writeFileSync(path.join(settings, 'notification.jupyterlab-settings'), '{ "fetchNews": "false" }');
}

/** npm packages in place of the libraries that ImJoy's extension loads from the internet. */
const LIBRARIES = [
  ...['vue@2.6.10', 'vue-js-modal@1.3.35', '@hscmap/vue-window@2.4.1', 'vue-property-decorator@7.3.0'],
  ...['snackbarjs@1.1.0', 'codemirror@5.57.0'], // of the classic notebook
];
const LIBRARIES_FOLDER = path.resolve('node_modules', '.cache', 'jupyter-libraries');

/** Gives pages of the context those libraries; everything else outside of this machine is refused. */
export async function serveLibraries(context: BrowserContext): Promise<void> {
  const windows = await installLibraries();
  const modules = path.join(LIBRARIES_FOLDER, 'node_modules');
  const files: readonly (readonly [RegExp, string])[] = [
    [/\/vue@[^/]+\/dist\/vue\.min\.js/, path.join(modules, 'vue', 'dist', 'vue.min.js')],
    [/\/vue-js-modal\/index\.js/, path.join(modules, 'vue-js-modal', 'dist', 'index.js')],
    [/\/vue-js-modal\/styles\.css/, path.join(modules, 'vue-js-modal', 'dist', 'styles.css')],
    [/\/vue-window@/, windows],
    [/\/imjoy-core@[^/]+\/dist\/imjoy-core\.min\.js/, path.resolve('node_modules/imjoy-core/dist/imjoy-core.min.js')],
    [/\/imjoy-loader(\.js)?(\?|$)/, path.resolve('node_modules/imjoy-core/dist/imjoy-loader.js')],
    ...['dist/snackbar.min.js', 'dist/snackbar.min.css', 'themes-css/material.css'].map(
      (file) => [new RegExp(`/snackbarjs@[^/]+/${file}`), path.join(modules, 'snackbarjs', file)] as const,
    ),
    ...['htmlmixed', 'javascript', 'css'].map(
      (mode) =>
        [new RegExp(`/codemirror/.*/${mode}\\.min`), path.join(modules, `codemirror/mode/${mode}/${mode}.js`)] as const,
    ),
    [/\/imjoy-rpc@[^/]+\/dist\/imjoy-rpc\.min\.js/, path.resolve('node_modules/imjoy-core/dist/imjoy-rpc.min.js')],
  ];
  await context.route(
    ({ protocol, hostname }) => /^https?:$/.test(protocol) && hostname !== '127.0.0.1',
    async (route) => {
      const file = files.find(([address]) => address.test(route.request().url()))?.[1];
      if (!file) return route.abort();
      await route.fulfill({ path: file, headers: { 'Access-Control-Allow-Origin': '*' } });
    },
  );
}

/** @returns the windows library as a script; ImJoy's own variant of it is not on npm, this is the original */
async function installLibraries(): Promise<string> {
  const script = path.join(LIBRARIES_FOLDER, 'vue-window.js');
  if (existsSync(script)) return script;
  mkdirSync(LIBRARIES_FOLDER, { recursive: true });
  writeFileSync(path.join(LIBRARIES_FOLDER, 'package.json'), '{ "private": true }');
  writeFileSync(path.join(LIBRARIES_FOLDER, 'vue.js'), 'module.exports = window.Vue;');
  execFileSync('npm', ['install', '--silent', '--legacy-peer-deps', '--ignore-scripts', ...LIBRARIES], {
    cwd: LIBRARIES_FOLDER,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await build({
    stdin: { contents: "window.VueWindow = require('@hscmap/vue-window');", resolveDir: LIBRARIES_FOLDER },
    bundle: true,
    alias: { vue: path.join(LIBRARIES_FOLDER, 'vue.js') },
    outfile: script,
    logLevel: 'warning',
  });
  return script;
}
