import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeSecret } from './token.js';

/**
 * Opens the address in the user's browser, if there is a desktop to open it on. The address holds the token and would be
 * an argument of the browser, which everybody on the machine can list: the argument is a file that only the user can
 * read, and that leads on to the address. Never fails: the address is printed too.
 *
 * @param folder private folder of the user, for that file
 * @returns removes the file
 */
export async function openBrowser(url: string, folder: string): Promise<() => Promise<void>> {
  const file = path.join(folder, `open-${process.pid}.html`);
  const command = browserCommand(pathToFileURL(file).href);
  if (command === undefined) return async () => undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeSecret(file, leadingTo(url));
    const child = spawn(command[0], command.slice(1), { stdio: 'ignore', detached: true });
    child.on('error', () => undefined);
    child.unref();
  } catch {
    // A browser that does not open is no reason to end.
  }
  return () => rm(file, { force: true }).catch(() => undefined);
}

function leadingTo(url: string): string {
  return `<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Annotator</title>
<script>location.replace(${JSON.stringify(url)});</script>
<p><a href="${url}">Open the annotator</a></p>
`;
}

function browserCommand(url: string): [string, ...string[]] | undefined {
  if (process.platform === 'darwin') return ['open', url];
  if (process.platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler', url];
  const hasDesktop = process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  return hasDesktop ? ['xdg-open', url] : undefined;
}
