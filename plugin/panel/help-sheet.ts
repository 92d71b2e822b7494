import { COMMAND_LIST, type CommandGroup } from '../../src/session/commands.js';
import { keyCaps, make } from './dom.js';
import { Sheet } from './menu.js';

const GROUPS: Readonly<Record<CommandGroup, string>> = {
  image: 'Image',
  prompts: 'Prompts',
  segment: 'Segment',
  objects: 'Objects',
  commit: 'Commit',
  view: 'View',
  help: 'Help',
};

/** Every key and gesture, read off the command table. */
export function helpSheet(): Sheet {
  const sections = Object.entries(GROUPS).flatMap(([group, title]) => {
    const rows = COMMAND_LIST.filter((command) => command.group === group && (command.keys || command.gesture)).map(
      (command) => {
        const how = make('td', {}, ...(command.keys ?? []).map(keyCaps));
        if (command.gesture) how.append(make('span', { className: 'gesture' }, command.gesture));
        return make(
          'tr',
          { title: command.tooltip },
          how,
          make('td', {}, command.title, make('small', {}, command.tooltip)),
        );
      },
    );
    if (rows.length === 0) return [];
    return [make('h3', {}, title), make('table', { className: 'help' }, make('tbody', {}, ...rows))];
  });
  return new Sheet('Keys', ...sections);
}
