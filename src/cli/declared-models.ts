import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ModelFile } from '../model/model-spec.js';
import type { ModelDeclaration } from '../model/registry.js';
import { declarationInJson } from '../service/model-declaration.js';

/** Models that a JSON file declares (service/model-declaration.ts), with its files beside it or at addresses. */
export function isDeclaration(place: string): boolean {
  return /\.json$/i.test(place);
}

/** @throws SamError `invalid_argument` */
export function declarationIn(file: string): ModelDeclaration {
  const { encoder, decoder, instances, ...declaration } = declarationInJson(readFileSync(file, 'utf8'), file);
  const folder = path.dirname(path.resolve(file));
  return {
    ...declaration,
    ...(encoder && { encoder: beside(folder, encoder) }),
    ...(decoder && { decoder: beside(folder, decoder) }),
    ...(instances && { instances: beside(folder, instances) }),
  };
}

function beside(folder: string, file: string | ModelFile): ModelFile {
  const model = typeof file === 'string' ? { url: file } : file;
  return /^[a-z][a-z+-]+:/i.test(model.url) ? model : { ...model, url: path.resolve(folder, model.url) };
}
