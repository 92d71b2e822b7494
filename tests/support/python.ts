import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Python for the integration tests, which compare with the original libraries. Each list of packages gets a virtual
 * environment of its own below node_modules/.cache/venv, made once. Without python3 such tests are skipped, visibly.
 */
export const hasPython =
  spawnSync('python3', ['-c', 'import venv, sys; sys.exit(sys.version_info < (3, 11))']).status === 0;

/** `it`, skipped where there is no python3 (3.11 or newer). */
export function withPython(title: string, body: Mocha.Func | Mocha.AsyncFunc): void {
  if (hasPython) it(title, body as Mocha.AsyncFunc);
  else it.skip(title);
}

/** Path of the python of a virtual environment with these packages ('name==version'). Takes minutes the first time. */
export async function pythonVenv(packages: readonly string[]): Promise<string> {
  const { folder, python, complete } = venvOf(packages);
  if (!existsSync(complete)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    execFileSync('python3', ['-m', 'venv', folder]);
    install(python, packages);
    writeFileSync(complete, packages.join('\n'));
  }
  return python;
}

/** By uv where it can be had: pip fetches one package after the other, which takes ten times as long. */
function install(python: string, packages: readonly string[]): void {
  const run = (...args: readonly string[]) =>
    execFileSync(python, ['-m', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const pip = ['pip', 'install', '--quiet', '--disable-pip-version-check'];
  try {
    run(...pip, 'uv==0.13.9');
    run('uv', 'pip', 'install', '--quiet', '--python', python, ...packages);
  } catch {
    run(...pip, ...packages);
  }
}

/** The same, if it has been made before: for benches, which install nothing. */
export function existingVenv(packages: readonly string[]): string | undefined {
  const { python, complete } = venvOf(packages);
  return existsSync(complete) ? python : undefined;
}

/** A python3 that has PyTorch: that of `MICRO_SAM_TORCH_PYTHON`, or one of the machine. It is too large to be installed here. */
export function torchPython(): string | undefined {
  const candidates = [process.env.MICRO_SAM_TORCH_PYTHON, 'python3', '/usr/bin/python3'];
  return candidates.find((python) => python && spawnSync(python, ['-c', 'import torch']).status === 0);
}

/**
 * A folder with these packages ('name==version') and nothing that they need: for code that is read file by file.
 *
 * @param python whose version compiled packages must fit; default: python3
 */
export function packagesFolder(packages: readonly string[], python?: string): string {
  const version = python && spawnSync(python, ['-c', 'import platform; print(platform.python_version())']).stdout;
  const fitting = version ? ['--only-binary=:all:', '--python-version', version.toString().trim()] : [];
  const { folder, complete } = venvOf(['--no-deps', ...fitting, ...packages]);
  if (!existsSync(complete)) {
    rmSync(folder, { recursive: true, force: true });
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', ...fitting, '--target', folder];
    execFileSync('python3', ['-m', 'pip', 'install', ...options, ...packages]);
    writeFileSync(complete, packages.join('\n'));
  }
  return folder;
}

function venvOf(packages: readonly string[]) {
  const name = createHash('sha1')
    .update([...packages].sort().join(' '))
    .digest('hex')
    .slice(0, 12);
  const folder = path.resolve('node_modules', '.cache', 'venv', name);
  return { folder, python: path.join(folder, 'bin', 'python'), complete: path.join(folder, 'complete') };
}

/** Runs a script of tests/integration; what it prints is returned, and a failure carries its error output. */
export function runPython(python: string, script: string, ...args: readonly string[]): string {
  const result = spawnSync(python, [path.join('tests', 'integration', script), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (result.status !== 0) throw new Error(`${script} failed:\n${result.stderr || result.error}`);
  return result.stdout;
}

/** The same while this process goes on, e.g. as its server. @returns the lines it printed */
export async function runPythonBeside(python: string, script: string, ...args: readonly string[]): Promise<string[]> {
  const child = spawn(python, [path.join('tests', 'integration', script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${script} ended with code ${code}:\n${printed}`);
  return printed.trim().split('\n');
}

/** What the integration tests of formats read with. */
export const FORMAT_PACKAGES = [
  'numpy==2.4.6',
  'scikit-image==0.26.0',
  'tifffile==2026.3.3',
  'zarr==3.1.6',
  'ome-zarr==0.18.0',
  'ome-zarr-models==1.7',
  'roifile==2026.2.10',
  'pycocotools==2.0.11',
] as const;

/** A script that drives the server as Hypha's client. */
export const HYPHA_PACKAGES = ['hypha-rpc==0.21.47', 'numpy==2.4.6'] as const;

/** A server of Hypha. The newest versions of what it names no version of do not go with it. */
export const HYPHA_SERVER_PACKAGES = [
  'hypha==0.21.137',
  'aiobotocore==3.10.0',
  'sqlmodel==0.0.24',
  ...HYPHA_PACKAGES,
] as const;
