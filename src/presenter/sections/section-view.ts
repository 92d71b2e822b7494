import { asSamError, SamError } from '../../errors.js';
import type { Tensor, YX } from '../../ndimage/array.js';
import type { AnnotationSession } from '../../session/session.js';
import type { SessionState } from '../../session/state.js';
import { Latest } from '../latest.js';
import type { ViewSections } from '../viewer.js';
import { paintSection, type SectionObject } from './section-objects.js';
import type { SectionVolume } from './section-volume.js';

/** What sections are made from, of the open image. */
export interface SectionSource {
  /** Slices of a time point. */
  readonly slices: number;
  /** Distance of slices in pixels of a slice. */
  readonly spacing: number;
  /** @throws SamError unsupported */
  volume(t: number): SectionVolume;
  /** With the contrast and colours of the image: [rows, columns, channels] as [rows, columns, 3]. */
  paint(pixels: Tensor): Tensor<Uint8Array>;
}

export interface SectionViewParts {
  readonly show: (sections: ViewSections | undefined) => Promise<void>;
  readonly source: () => SectionSource | undefined;
  readonly objects: (state: SessionState) => Iterable<SectionObject>;
}

/**
 * The sections xz and yz of a volume through a place that follows the hand. They cost nothing until they are opened;
 * then the volume is read once, in the background, and another slice only moves the lines.
 */
export class SectionView {
  private readonly pictures: Latest<ViewSections | undefined>;
  private at: YX = [0, 0];
  private opened?: { readonly source: SectionSource; readonly volume: SectionVolume; readonly t: number };
  private shown?: ViewSections;
  private reading?: AbortController;
  private timer?: ReturnType<typeof setTimeout>;
  private complete = false;

  constructor(
    private readonly session: AnnotationSession,
    private readonly parts: SectionViewParts,
    onError: (error: unknown) => void,
  ) {
    this.pictures = new Latest(parts.show, onError);
  }

  /** Opens them through a place, or through the middle of the image; closes them if they are open. */
  toggle(at?: YX): void {
    if (this.opened) {
      this.close();
      return;
    }
    const { image, plane } = this.session.shown;
    const source = this.parts.source();
    if (!image || !source) return;
    if (source.slices < 2)
      throw new SamError('unsupported', 'Sections need a volume, and this image has a single slice.');
    const [height, width] = image.size;
    this.at = pixelAt(at ?? [height / 2, width / 2]);
    this.open(source, Math.floor(plane / source.slices));
  }

  close(): void {
    this.reading?.abort();
    clearTimeout(this.timer);
    this.timer = undefined;
    this.shown = undefined;
    if (this.opened) this.pictures.push(undefined);
    this.opened = undefined;
  }

  moveTo(at: YX): void {
    if (!this.opened) return;
    this.at = pixelAt(at);
    this.draw();
  }

  /** A place in a section. Returns the plane it is in. */
  choose([z, ...at]: ViewSections['at']): number | undefined {
    if (!this.opened) return undefined;
    this.moveTo(at);
    return this.opened.t * this.opened.source.slices + z;
  }

  /** For every change of state. */
  follow(state: SessionState, previous: SessionState | undefined): void {
    const { opened } = this;
    if (!opened || !previous) return;
    if (state.image !== previous.image) {
      this.close();
      return;
    }
    const t = Math.floor(state.plane / opened.source.slices);
    if (t !== opened.t) this.open(opened.source, t);
    else if (state.plane !== previous.plane && this.shown) {
      this.shown = { ...this.shown, at: [state.plane % opened.source.slices, ...this.at] };
      this.pictures.push(this.shown);
    }
    if (PARTS.some((part) => state[part] !== previous[part])) this.later();
  }

  /** Contrast, colours or the distance of slices are others now. */
  repaint(): void {
    const source = this.parts.source();
    if (!this.opened || !source) return;
    this.opened = { ...this.opened, source };
    this.later();
  }

  idle(): Promise<void> {
    return this.pictures.idle();
  }

  private open(source: SectionSource, t: number): void {
    this.reading?.abort();
    const volume = source.volume(t);
    this.opened = { source, volume, t };
    this.reading = new AbortController();
    const { signal } = this.reading;
    this.complete = false;
    this.draw();
    const from = this.session.shown.plane % source.slices;
    const loaded = volume.load(from, { signal, onSlice: () => this.later() }).then(() => {
      this.complete = true;
    });
    loaded.catch((error) => {
      if (signal.aborted) return;
      const { message, code } = asSamError(error);
      this.session.notify({ level: 'warning', text: `The sections are not complete: ${message}`, code });
    });
  }

  /** Strokes and slices that arrive come many at a time. */
  private later(): void {
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined;
        this.draw();
      },
      this.complete ? PAUSE_MS : READING_PAUSE_MS,
    );
  }

  private draw(): void {
    const { opened } = this;
    const { image, plane } = this.session.shown;
    if (!opened || !image) return;
    const { source, volume, t } = opened;
    const [y, x] = this.at;
    const [height, width] = image.size;
    const xz = source.paint(volume.row(y));
    const yz = source.paint(volume.column(x));
    const objects = [...this.parts.objects(this.session.shown)];
    const firstPlane = t * source.slices;
    const [, rows, columns] = volume.shape;
    paintSection(xz, objects, { along: 'row', at: y, firstPlane, places: volume.places(columns, width) });
    paintSection(yz, objects, { along: 'column', at: x, firstPlane, places: volume.places(rows, height) });
    this.shown = {
      at: [plane - firstPlane, y, x],
      shape: [source.slices, height, width],
      spacing: source.spacing,
      xz,
      yz,
    };
    this.pictures.push(this.shown);
  }
}

function pixelAt([y, x]: YX): YX {
  return [Math.floor(y), Math.floor(x)];
}

const PARTS = ['layers', 'arriving', 'editing'] as const;
const PAUSE_MS = 80;
/** While slices arrive: somebody may be scrolling. */
const READING_PAUSE_MS = 250;
