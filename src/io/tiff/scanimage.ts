import { TAG, type TiffFile } from './container.js';
import type { TiffPage } from './page.js';
import { hyperstack, listPlanes, type TiffImage } from './planes.js';

/**
 * ScanImage: lines `SI.name = value` in the software tag, in its older versions in the description. Planes run over
 * channels fastest, then frames of a slice, slices, volumes.
 */
export async function scanImageOf(file: TiffFile, first: TiffPage): Promise<TiffImage[] | undefined> {
  const { directory, description = '' } = first;
  const software = directory.count(TAG.software) > 0 ? ((await directory.text(TAG.software)) ?? '') : '';
  const isScanImage = software.startsWith('SI.') || /^(state\.|SI\.|scanimage\.SI)/.test(description);
  if (!isScanImage && !description.slice(-256).includes('scanimage.SI')) return undefined;
  const fields = scanImageFields(`${software}\n${description}`);
  const c = channelCount(fields);
  if (c === undefined) return undefined;
  const number = (...names: string[]) => {
    const value = Number(names.map((name) => fields.get(name)).find((text) => text !== undefined));
    return Number.isSafeInteger(value) && value > 0 ? value : undefined;
  };
  const slices = number('hStackManager.actualNumSlices', 'hStackManager.numSlices', 'stackNumSlices');
  const frames = number('hStackManager.framesPerSlice', 'acqNumFrames');
  const volumes =
    fields.get('hFastZ.enable') === 'true' || fields.get('hStackManager.enable') === 'true'
      ? number('hStackManager.actualNumVolumes', 'hStackManager.numVolumes', 'hFastZ.numVolumes')
      : undefined;
  const stated = c * (slices ?? 1) * (frames ?? 1) * (volumes ?? 1);
  const planes = await listPlanes(file, first, Math.max(stated, 1));
  const arrangement = arrange(planes.count, c, slices, frames);
  return arrangement && [hyperstack({ name: file.source.name, first, planes, ...arrangement })];
}

/** What the planes that are there are; recordings are often stopped by hand, so what was planned counts for less. */
function arrange(count: number, c: number, statedSlices: number | undefined, frames = 1) {
  if (count % c !== 0) return undefined;
  const perChannel = count / c;
  const slices = statedSlices ?? (perChannel % frames === 0 ? perChannel / frames : 1);
  if (slices > 1 && frames > 1 && perChannel === slices * frames)
    return { sizes: { c, z: slices, t: frames }, order: 'ztc' };
  if (slices > 1 && perChannel % slices === 0 && frames === 1)
    return { sizes: { c, z: slices, t: perChannel / slices }, order: 'tzc' };
  if (slices > 1 && perChannel < slices && frames === 1) return { sizes: { c, z: perChannel, t: 1 }, order: 'tzc' };
  if (slices > 1 && frames > 1 && perChannel % frames === 0)
    return { sizes: { c, z: perChannel / frames, t: frames }, order: 'ztc' };
  return { sizes: { c, z: 1, t: perChannel }, order: 'tzc' };
}

function scanImageFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/[\r\n]+/)) {
    const [, key, value] = /^(?:scanimage\.)?SI\d*\.([\w.]+)\s*=\s*(.*?);?\s*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) fields.set(key, value);
  }
  return fields;
}

/** `1`, or a list such as `[1;2]`. */
function channelCount(fields: ReadonlyMap<string, string>): number | undefined {
  const saved = fields.get('hChannels.channelSave') ?? fields.get('channelsSave');
  const count = saved?.match(/\d+/g)?.length;
  return count !== undefined && count <= 64 ? count : undefined;
}
