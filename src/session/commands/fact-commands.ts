import { type FactsChange, setFacts, toggleClass, toggleFlag } from '../edits/facts.js';
import { type ObjectSet, selectedObjects } from '../edits/selection.js';
import type { SessionState } from '../state.js';
import { command, needsImage } from './command.js';

/** Commands that say something about objects: class by the number keys, flag, name and comment. */

const needsObjects = (state: SessionState) => {
  const some = selectedObjects(state).ids.length > 0 || state.layers.current_object.objects.size > 0;
  return needsImage(state) ?? (some ? undefined : 'Choose an object first: Shift+click it.');
};

function classCommand<Id extends string>(id: Id, objectClass: number) {
  return command({
    id,
    title: `Class ${objectClass}`,
    group: 'objects',
    scope: 'session',
    keys: [String(objectClass)],
    tooltip: 'Give the selected objects, else the current one, this class; once more takes it away.',
    unavailable: needsObjects,
    refusesItself: true,
    predict: (state) => toggleClass(objectClass).change(state),
    run: (session) => void session.apply(toggleClass(objectClass)),
  });
}

export const FACT_COMMANDS = {
  class_1: classCommand('class_1', 1),
  class_2: classCommand('class_2', 2),
  class_3: classCommand('class_3', 3),
  class_4: classCommand('class_4', 4),
  class_5: classCommand('class_5', 5),
  class_6: classCommand('class_6', 6),
  class_7: classCommand('class_7', 7),
  class_8: classCommand('class_8', 8),
  class_9: classCommand('class_9', 9),
  flag_objects: command({
    id: 'flag_objects',
    title: 'Flag',
    group: 'objects',
    scope: 'session',
    keys: ['Shift+F'],
    tooltip: 'Mark the selected objects, else the current one, to be looked at again; once more takes the mark away.',
    unavailable: needsObjects,
    refusesItself: true,
    predict: (state) => toggleFlag().change(state),
    run: (session) => void session.apply(toggleFlag()),
  }),
  describe_objects: command<{ facts: FactsChange; objects?: ObjectSet }>({
    id: 'describe_objects',
    title: 'Describe objects',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Give objects a name, a class, a comment or a flag, which are saved and exported with them.',
    unavailable: needsImage,
    predict: (state, { facts, objects }) => setFacts(facts, objects).change(state),
    run: (session, { facts, objects }) => void session.apply(setFacts(facts, objects)),
  }),
};
