import { renderPicture } from '../evaluation/picture.js';
import { type ReportPicture, reportToHtml, type ScoreRow } from '../evaluation/report.js';
import { naturalOrder } from '../io/folder/file-names.js';
import { type ImageSource, planeCount, readPlane } from '../io/image.js';
import { toImage } from '../model/intensity.js';
import type { LabelImage } from '../ndimage/array.js';
import { threeAxes } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';
import type { BatchRow } from './batch/batch.js';

/**
 * What automatic segmentation found in many files, as one page: a picture of each with the outlines over it, how many
 * objects, how large, how much of the image they cover. To be looked at before anybody counts on the numbers.
 */
export class SegmentationReport {
  private readonly rows: ScoreRow[] = [];
  private readonly pictures: ReportPicture[] = [];

  constructor(private readonly setting: string) {}

  /** @param labels of all planes; the picture is of the middle one */
  async add(image: string, source: ImageSource, labels: LabelImage, task: TaskOptions): Promise<void> {
    const { setting } = this;
    const [, height, width] = threeAxes(labels.shape);
    const plane = planeCount(source) >> 1;
    const prediction = {
      data: labels.data.subarray(plane * height * width).subarray(0, height * width),
      shape: [height, width],
    };
    const picture = toImage(await readPlane(source, plane, {}, task));
    this.rows.push({ image, setting, scores: measure(labels) });
    this.pictures.push({ image, setting, png: renderPicture({ image: picture, prediction }) });
  }

  /** @param batch the files that were not segmented appear with the reason */
  html(batch: readonly BatchRow[], facts: Readonly<Record<string, string>>): string {
    const others = batch
      .filter(({ status }) => status !== 'done')
      .map(({ name, status, detail }) => ({
        image: name,
        setting: this.setting,
        scores: {},
        error: `${status}: ${detail}`,
      }));
    return reportToHtml({
      title: 'Automatic segmentation',
      rows: [...this.rows.sort(byImage), ...others],
      pictures: this.pictures.sort(byImage),
      legend: 'Outlines of the objects; of a stack, in its middle plane.',
      facts,
    });
  }
}

/** Several files are worked on at the same time, and end in any order. */
function byImage(a: { readonly image: string }, b: { readonly image: string }): number {
  return naturalOrder(a.image, b.image);
}

function measure({ data }: LabelImage): Record<string, number> {
  const areas = new Map<number, number>();
  for (const id of data) if (id !== 0) areas.set(id, (areas.get(id) ?? 0) + 1);
  const sorted = [...areas.values()].sort((a, b) => a - b);
  const covered = sorted.reduce((sum, area) => sum + area, 0) / data.length;
  return { objects: sorted.length, 'median size (px)': sorted[sorted.length >> 1] ?? 0, 'share of the image': covered };
}
