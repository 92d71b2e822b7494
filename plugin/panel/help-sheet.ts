import { helpModel } from '../../src/presenter/keys.js';
import { keyCaps, make } from './dom.js';
import { Sheet } from './menu.js';

/** Every key and gesture, read off the command table. */
export function helpSheet(): Sheet {
  const sections = helpModel().flatMap(({ title, entries }) => {
    const rows = entries.map((entry) => {
      const how = make('td', {}, ...entry.keys.map((key) => keyCaps(key)));
      return make('tr', {}, how, make('td', {}, entry.title, make('small', {}, entry.tooltip)));
    });
    return [make('h3', {}, title), make('table', { className: 'help' }, make('tbody', {}, ...rows))];
  });
  return new Sheet('Keys', ...sections);
}
