import { spawn } from 'node:child_process';

/** Opens the address in the user's browser, if there is a desktop to open it on. Never fails: the address is printed too. */
export function openBrowser(url: string): void {
  const command = browserCommand(url);
  if (command === undefined) return;
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}

function browserCommand(url: string): [string, ...string[]] | undefined {
  if (process.platform === 'darwin') return ['open', url];
  if (process.platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler', url];
  const hasDesktop = process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  return hasDesktop ? ['xdg-open', url] : undefined;
}
