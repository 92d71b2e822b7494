import { findCommands, type PaletteEntry } from '../../src/presenter/keys.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import { keyCaps, make } from './dom.js';
import { Sheet } from './menu.js';

/** All commands in a list that typing makes shorter; Enter runs the one that is marked, the arrows mark another. */
export function paletteSheet(entries: readonly PaletteEntry[], run: (command: CommandId) => void): Sheet {
  const query = make('input', { type: 'text', placeholder: 'Type what you want to do', autocomplete: 'off' });
  query.setAttribute('role', 'combobox');
  query.setAttribute('aria-label', 'Find a command');
  query.setAttribute('aria-expanded', 'true');
  query.setAttribute('aria-controls', 'palette-list');
  const list = make('ul', { className: 'palette', role: 'listbox', id: 'palette-list', 'aria-label': 'Commands' });
  const none = make('p', { className: 'none-found', role: 'status' });
  const sheet = new Sheet('All commands', query, list, none);
  let found: readonly PaletteEntry[] = [];
  let marked = 0;

  const choose = (entry: PaletteEntry | undefined) => {
    if (!entry || entry.reason !== undefined) return;
    sheet.close();
    run(entry.command);
  };
  const mark = (index: number) => {
    list.children[marked]?.setAttribute('aria-selected', 'false');
    marked = Math.min(Math.max(index, 0), Math.max(found.length - 1, 0));
    const row = list.children[marked];
    row?.setAttribute('aria-selected', 'true');
    row?.scrollIntoView({ block: 'nearest' });
    query.setAttribute('aria-activedescendant', row?.id ?? '');
  };
  const fill = () => {
    found = findCommands(entries, query.value);
    list.replaceChildren(...found.map((entry) => rowOf(entry, choose)));
    none.textContent = found.length > 0 ? '' : `No command found for "${query.value.trim()}".`;
    mark(0);
  };

  query.addEventListener('input', fill);
  query.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') mark(marked + 1);
    else if (event.key === 'ArrowUp') mark(marked - 1);
    else if (event.key === 'Enter') choose(found[marked]);
    else return;
    event.preventDefault();
  });
  fill();
  return sheet;
}

function rowOf(entry: PaletteEntry, choose: (entry: PaletteEntry) => void): HTMLElement {
  const { command, title, group, tooltip, keys, reason } = entry;
  const row = make(
    'li',
    { role: 'option', id: `palette-${command}`, title: tooltip, 'aria-selected': 'false' },
    make('span', { className: 'title' }, title),
    make('small', {}, reason ?? group),
    ...keys.map((key) => keyCaps(key)),
  );
  if (reason !== undefined) row.setAttribute('aria-disabled', 'true');
  row.addEventListener('click', () => choose(entry));
  return row;
}
