import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** The annotator's server as a user starts it: a child process whose last line of stdout is the address. */
export interface RunningServer {
  readonly url: string;
  readonly origin: string;
  readonly token: string;
  readonly child: ChildProcess;
  readonly autosaveDir: string;
  /** Everything it printed so far. */
  readonly output: { stdout: string; stderr: string };
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

interface StartOptions {
  readonly autosaveDir?: string;
  readonly command?: string;
  /** Where the server keeps the token; a folder of its own if absent. */
  readonly dataHome?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of Node, for the server alone. */
  readonly nodeFlags?: readonly string[];
  /** Let it open a browser. */
  readonly open?: boolean;
}

let built: Promise<void> | undefined;

/** Builds dist/ once per test run; free if nothing changed. */
export function buildOnce(): Promise<void> {
  built ??= new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['plugin/build.mjs', '--quiet'], { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`The build ended with code ${code}.`))));
  });
  return built;
}

export async function startServer(args: readonly string[] = [], options: StartOptions = {}): Promise<RunningServer> {
  await buildOnce();
  const own = options.autosaveDir === undefined;
  const dataHome = options.dataHome ?? (await mkdtemp(path.join(os.tmpdir(), 'micro-sam-data-')));
  const autosaveDir = options.autosaveDir ?? (await mkdtemp(path.join(os.tmpdir(), 'micro-sam-test-')));
  const child = spawn(
    process.execPath,
    [
      ...(options.nodeFlags ?? []),
      'dist/cli/micro-sam.js',
      options.command ?? 'annotator_2d',
      ...(options.open ? [] : ['--no-open']),
      ...['--autosave-dir', autosaveDir],
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, XDG_DATA_HOME: dataHome, ...options.env } },
  );
  const output = { stdout: '', stderr: '' };
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output.stdout += chunk;
      const address = /^http:\S+$/m.exec(output.stdout)?.[0];
      if (address && output.stdout.endsWith('\n')) resolve(address);
    });
    exited.then((code) => reject(new Error(`The server ended with code ${code}.\n${output.stderr}`)));
  });
  return {
    url,
    origin: new URL(url).origin,
    token: new URL(url).searchParams.get('token') ?? '',
    child,
    autosaveDir,
    output,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const code = await exited;
      if (own) await rm(autosaveDir, { recursive: true, force: true });
      if (options.dataHome === undefined) await rm(dataHome, { recursive: true, force: true });
      return code;
    },
  };
}

/** Of the worker process, from the line the server logs when it has started it. */
export function encoderPid({ output }: RunningServer): number {
  const pid = /encoder process (\d+)/i.exec(output.stderr)?.[1];
  if (pid === undefined) throw new Error(`no encoder process in: ${output.stderr}`);
  return Number(pid);
}
