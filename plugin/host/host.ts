import type { PageSettings } from '../../src/app/page-settings.js';
import { present } from '../../src/items.js';
import { Windows } from './windows.js';

/**
 * The page that `npm start` serves: ImJoy itself (imjoy-core, all from this server), which opens the plugin in a window
 * as any ImJoy would. The plugin then asks for the viewer's window. What the server knows (files, worker, autosave) comes
 * as one JSON that is only given to clients that know the token in this page's address. Where files alone are hosted there is no
 * such JSON: the model runs in the page, and work is kept by the browser.
 */
const MESSAGE_SECONDS = 6;
/** The folder of all built files, wherever it is published: this script lies in its `host/`. */
const ROOT = new URL('..', import.meta.url);
const addressOf = (file: string) => new URL(file, ROOT).href;
const LATE_MS = 10_000;
const LATE =
  'The annotator is still not open. If this goes on, the browser may keep this page from its storage, as private windows do, or an extension may block it: open the address in an ordinary window, or in another browser.';
const TOKEN_KEY = 'micro-sam:token';

/** We use no workspaces, and a browser may give no database, or, as WebKit in private windows, never answer. */
const NOTHING_KEPT = {
  get: async () => Promise.reject(Object.assign(new Error('Nothing is kept.'), { name: 'not_found' })),
  put: async () => ({ ok: true }),
};

async function start(signal: AbortSignal): Promise<void> {
  const settings = await readSettings();
  const windows = new Windows(present(document.getElementById('windows'), '#windows'), showMessage, signal);
  const imjoy: ImJoy = new imjoyCore.ImJoy({
    default_base_frame: addressOf('host/base_frame.html'),
    default_rpc_base_url: addressOf('host/'),
    config_db: NOTHING_KEPT,
    imjoy_api: {
      showDialog: (plugin: unknown, config: ImJoyWindowConfig, extra?: Partial<ImJoyWindowConfig>) =>
        imjoy.pm.createWindow(plugin, config, { ...extra, dialog: true }),
      showMessage: (_plugin: unknown, text: unknown) => showMessage(String(text)),
      showSnackbar: (_plugin: unknown, text: unknown) => showMessage(String(text)),
      showNotification: (_plugin: unknown, text: unknown) => showMessage(String(text)),
      showStatus: () => undefined,
      showProgress: () => undefined,
    },
  });
  imjoy.event_bus.on('add_window', (window) => {
    const role = window.dialog ? 'dialog' : /^micro-sam( \d+)?$/.test(window.name) ? 'panel' : 'viewer';
    windows.add(window, role);
  });
  imjoy.event_bus.on('close_window', (window) => windows.remove(window));
  // imjoy-core would load these from the internet.
  for (const internal of Object.values(imjoy.pm.internal_plugins)) internal.startup = false;
  const late = setTimeout(() => sayWhere(LATE), LATE_MS);
  await imjoy.start({ workspace: null });
  Object.assign(globalThis, { imjoy, api: imjoy.api });
  await imjoy.pm.createWindow(null, {
    src: addressOf('plugin/index.html'),
    name: 'micro-sam',
    config: { settings },
  });
  clearTimeout(late);
  document.getElementById('late')?.remove();
}

/** In place of the page that has not come, or above a window that stays empty. */
function sayWhere(text: string): void {
  const place = document.getElementById('starting');
  if (place) place.textContent = text;
  else document.getElementById('messages')?.append(messageOf(text, 'late'));
}

/**
 * The token leaves the address bar, where it is seen, copied and bookmarked; a reload finds it in the tab's own storage. It
 * stays where a browser gives none: a reload would not find it.
 */
function takeToken(): string {
  const url = new URL(location.href);
  const token = url.searchParams.get('token');
  try {
    if (token === null) return sessionStorage.getItem(TOKEN_KEY) ?? '';
    sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    return token ?? '';
  }
  url.searchParams.delete('token');
  history.replaceState(history.state, '', url);
  return token;
}

async function readSettings(): Promise<PageSettings> {
  const token = takeToken();
  const response = await fetch(addressOf('settings.json'), { headers: { authorization: `Bearer ${token}` } });
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  if (response.ok && isJson) return response.json();
  // A host of files alone answers that there is none, or with some page; all is in the browser then.
  const filesAlone = response.ok || response.status === 404 || (token === '' && response.status !== 401);
  if (filesAlone) return { viewer: addressOf('plugin/viewer/index.html') };
  throw new Error(
    response.status === 401
      ? 'This address lacks the key that the server printed when it started. Open the whole address from the terminal.'
      : `The server answered ${response.status} ${response.statusText}. Start it again with "npm start".`,
  );
}

function messageOf(text: string, id = ''): HTMLElement {
  const message = document.createElement('div');
  message.id = id;
  message.className = 'message';
  message.textContent = text;
  return message;
}

function showMessage(text: string): void {
  const message = messageOf(text);
  document.getElementById('messages')?.append(message);
  setTimeout(() => message.remove(), MESSAGE_SECONDS * 1000);
}

const page = new AbortController();
start(page.signal).catch((error: unknown) => {
  page.abort();
  const place = document.getElementById('starting') ?? document.body;
  place.textContent = error instanceof Error ? error.message : String(error);
});
