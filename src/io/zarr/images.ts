import type { ReadOptions, Store } from '../store.js';
import { parseOmeXml } from '../tiff/ome-xml.js';
import { readNode } from './array.js';
import { omeAttributes } from './ome-zarr.js';

/** The images of the layout `bioformats2raw.layout` (OME-Zarr 0.4 and 0.5): groups of their own, with names in OME-XML. */
export interface ZarrMember {
  readonly key: string;
  readonly name: string;
}

/** Where the metadata list none, groups are counted up from 0. */
const MOST_COUNTED = 1000;

export async function imagesOf(store: Store, key: string, options: ReadOptions): Promise<ZarrMember[]> {
  const at = (path: string) => (key === '' ? path : `${key}/${path}`);
  const listed = await listedImages(store, at('OME'), options);
  const paths = listed ?? (await countedImages(store, at, options));
  const xml = await store.get(at('OME/METADATA.ome.xml'), options);
  const titles = xml ? parseOmeXml(new TextDecoder().decode(xml)).images.map(({ name }) => name.trim()) : [];
  const named = titles.length === paths.length && titles.every((title) => title !== '');
  const distinct = new Set(titles).size === titles.length;
  return paths.map((path, i) => {
    const title = named ? titles[i] : undefined;
    if (title === undefined) return { key: at(path), name: `Series ${path}` };
    return { key: at(path), name: distinct ? title : `${title} (series ${path})` };
  });
}

async function listedImages(store: Store, path: string, options: ReadOptions): Promise<string[] | undefined> {
  const node = await readNode(store, path, options);
  const series = node && omeAttributes(node.attributes).series;
  if (!Array.isArray(series) || series.length === 0) return undefined;
  return series.every((one) => typeof one === 'string' && one !== '') ? series : undefined;
}

async function countedImages(store: Store, at: (path: string) => string, options: ReadOptions): Promise<string[]> {
  const paths: string[] = [];
  while (paths.length < MOST_COUNTED && (await readNode(store, at(String(paths.length)), options)) !== undefined)
    paths.push(String(paths.length));
  return paths;
}
