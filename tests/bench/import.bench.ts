import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { folderStore } from '../../src/io/stores/fs.js';
import { keepModel } from '../../src/model/keep-model.js';
import { type VitType, virtualCheckpoint } from '../support/virtual-checkpoint.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * Checkpoints of ViT-B, ViT-L and ViT-H at full size, with noise for weights, turned into ONNX files on the disk: seconds of
 * processor time, and the most memory that the process had until then, in MB. IMPORT_MODELS=vit_b for some.
 */
const LIMITS: Readonly<Record<VitType, { readonly seconds?: number; readonly peak: number }>> = {
  vit_b: { seconds: 20, peak: 1200 },
  vit_l: { peak: 3000 },
  vit_h: { peak: 3000 },
};

export default async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const types = process.env.IMPORT_MODELS?.split(',') ?? Object.keys(LIMITS);
  for (const type of types as VitType[]) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-import-'));
    try {
      const checkpoint = virtualCheckpoint(type);
      const begun = process.cpuUsage();
      await keepModel(folderStore(folder), checkpoint);
      const { user, system } = process.cpuUsage(begun);
      const { seconds: limit, peak } = LIMITS[type];
      const seconds = (user + system) / 1e6;
      figures.push(
        reported(`import_${type}_checkpoint_mb`, checkpoint.size / 1e6, 'MB'),
        limit === undefined
          ? reported(`import_${type}_s`, seconds, 's')
          : atMost(`import_${type}_s`, seconds, 's', limit),
        atMost(`import_${type}_peak_mb`, process.resourceUsage().maxRSS / 1000, 'MB', peak),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  return figures;
}
