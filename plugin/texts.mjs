/**
 * `npm run texts`: every sentence that the program can say, by the file that says it: to be read from top to bottom, by
 * somebody who looks at words alone. Found by their form, in quotes and of three words or more.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

const COMMENTS = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;
const QUOTED = /'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g;
const SENTENCE = /^(?!https?:)(?=.*[A-Za-z]{2,} [A-Za-z]{2,})\S+(\s+\S+){2,}\s*$/s;

const files = ['src', 'plugin'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.join(folder, file))
    .sort(),
);
for (const file of files) {
  const code = readFileSync(file, 'utf8').replace(COMMENTS, '');
  const texts = [...code.matchAll(QUOTED)]
    .map(([, plain, template]) => (plain ?? template).replace(/\s+/g, ' ').trim())
    .filter((text) => SENTENCE.test(text) && !/[<>]\w|\(\?/.test(text));
  if (texts.length > 0) console.log(`\n${file}\n  ${texts.join('\n  ')}`);
}
