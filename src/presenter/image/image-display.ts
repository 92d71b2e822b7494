import { SamError } from '../../errors.js';
import { type ImageSource, planeAt } from '../../io/image.js';
import type { Store } from '../../io/store.js';
import { itemAt } from '../../items.js';
import type { Dtype, Size, Tensor, YXYX } from '../../ndimage/array.js';
import type { SectionSource } from '../sections/section-view.js';
import { SectionVolume } from '../sections/section-volume.js';
import { MeasuredIntensity } from '../table/measured-intensity.js';
import type { PlaneRenderer, ViewChannel, ViewerEvent } from '../viewer.js';
import { channelColors } from './channel-colors.js';
import { RememberedChannels, shownChannels, visibleAtFirst } from './channel-settings.js';
import { composite, type PaintedChannel } from './composite.js';
import { type ChannelRange, measureContrast } from './contrast.js';
import { Overview } from './overview.js';
import { PixelValues } from './pixel-values.js';
import { PlanesAhead } from './planes-ahead.js';

type ChannelEvent = Extract<ViewerEvent, { kind: 'channel' }>;

/**
 * An open image as the eye sees it: channels with colour, contrast and visibility, which are remembered, and pictures of
 * its planes, whole or of what is on screen. What the model is given is decided elsewhere and does not depend on this.
 *
 * Colour pictures are one channel here, "Colour", shown as they are if they have 8 bits and are not grey.
 */
export class ImageDisplay {
  private readonly planes: PlanesAhead;
  /** What the file has, whatever is shown of it. */
  readonly values: PixelValues;
  readonly intensities: MeasuredIntensity;
  private overview?: Overview;
  private rendering?: AbortController;

  private constructor(
    private readonly source: ImageSource,
    private readonly shown: readonly number[],
    private ranges: readonly ChannelRange[],
    private readonly remembered: RememberedChannels,
    /** The picture is another now and should be asked for again. */
    private readonly onChanged: () => void,
  ) {
    this.planes = new PlanesAhead(source);
    this.values = new PixelValues(source);
    this.intensities = new MeasuredIntensity(source);
  }

  /** @param store for what people choose; under the image's signature */
  static async open(
    source: ImageSource,
    { signature, store, onChanged, signal, measured: whole = source }: DisplayOptions,
  ): Promise<ImageDisplay> {
    const shown = shownChannels(source);
    const measured = await measureContrast(whole, shown, { signal });
    const ranges = source.rgb ? [rangeOfColours(source.dtype, measured)] : withFileLimits(source, shown, measured);
    const remembered = await RememberedChannels.open(store, signature, ranges.length);
    return new ImageDisplay(source, shown, ranges, remembered, onChanged);
  }

  /** For the viewer's controls. */
  channels(): ViewChannel[] {
    const { source, shown, ranges, remembered } = this;
    const colors = channelColors(source, shown);
    return ranges.map(({ limits, range }, index) => {
      const chosen = remembered.at(index);
      const used = chosen.limits ?? limits;
      const single = ranges.length === 1;
      return {
        name: source.rgb ? 'Colour' : itemAt(source.channels, itemAt(shown, index)).name,
        ...(!single && { color: chosen.color ?? colors[index] }),
        limits: used,
        range: sliderRange(source.dtype, range, used),
        visible: chosen.visible ?? visibleAtFirst(index),
      };
    });
  }

  /** For the sections of a volume. @param pixelSize as stated by somebody, else as the file says */
  sections(pixelSize = this.source.pixelSize): SectionSource {
    const { source, shown } = this;
    const { sizes } = source;
    return {
      slices: sizes.z,
      // Where the file does not tell, thin volumes are made thick enough to be looked at.
      spacing: pixelSize?.z ? pixelSize.z / pixelSize.x : Math.max(1, Math.min(sizes.y, sizes.x) / (4 * sizes.z)),
      volume: (t) => new SectionVolume(source, shown, t),
      paint: (pixels) =>
        composite(
          pixels,
          this.painted().map((channel) => ({ ...channel, at: shown.indexOf(channel.at) })),
        ),
    };
  }

  /** What somebody changed in the viewer. @param plane the visible one, which 'auto' measures */
  async change({ index, limits, color, visible }: Omit<ChannelEvent, 'kind'>, plane: number): Promise<void> {
    if (this.ranges[index] === undefined) return;
    this.remembered.change(index, {
      ...(limits && { limits: limits === 'auto' ? await this.autoLimits(index, plane) : limits }),
      ...(color !== undefined && { color }),
      ...(visible !== undefined && { visible }),
    });
    this.onChanged();
  }

  /** A whole plane, [H, W, 3]. Made in strips with pauses, so that the page answers while a large one is painted. */
  async picture(plane: number, signal?: AbortSignal): Promise<Tensor<Uint8Array>> {
    const { y: height, x: width } = this.source.sizes;
    const painted = this.painted();
    if (painted.length === 0) return { data: new Uint8Array(height * width * 3), shape: [height, width, 3] };
    const pixels = await this.planes.read(
      plane,
      painted.map(({ at }) => at),
    );
    const channels = painted.map((channel, at) => ({ ...channel, at }));
    const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
    if (rows >= height) return composite(pixels, channels);
    const picture = new Uint8Array(height * width * 3);
    for (let top = 0; top < height; top += rows) {
      const bottom = Math.min(height, top + rows);
      const strip: Size = [bottom - top, width];
      picture.set(composite(pixels, channels, [top, 0, bottom, width], strip).data, top * width * 3);
      if (bottom < height) await new Promise((resolve) => setTimeout(resolve, 0));
      signal?.throwIfAborted();
    }
    return { data: picture, shape: [height, width, 3] };
  }

  /** For planes too large for `picture`. A newer request cancels one that is still being read. */
  renderer(plane: number): PlaneRenderer {
    return async (box, size) => {
      this.rendering?.abort(new SamError('cancelled', 'Another part of the image was asked for.'));
      this.rendering = new AbortController();
      const { signal } = this.rendering;
      const painted = this.painted();
      const positions = painted.map((channel, at) => ({ ...channel, at }));
      const channels = painted.map(({ at }) => at);
      if (channels.length === 0) return { data: new Uint8Array(size[0] * size[1] * 3), shape: [...size, 3] };
      const level = this.levelFor(box, size);
      if (level === undefined) {
        const { factor, pixels } = this.overviewOf(plane, channels);
        return composite(pixels, positions, scaled(box, 1 / factor, 1 / factor), size);
      }
      const [height, width] = itemAt(this.source.levels, level);
      const { y, x } = this.source.sizes;
      const wanted = scaled(box, height / y, width / x);
      const region: YXYX = [
        Math.min(height - 1, Math.max(0, Math.floor(wanted[0]))),
        Math.min(width - 1, Math.max(0, Math.floor(wanted[1]))),
        Math.max(1, Math.min(height, Math.ceil(wanted[2]))),
        Math.max(1, Math.min(width, Math.ceil(wanted[3]))),
      ];
      const at = planeAt(this.source, plane);
      const pixels = await this.source.readRegion({ ...at, channels, level, box: region }, { signal });
      const [y0, x0] = region;
      return composite(pixels, positions, [wanted[0] - y0, wanted[1] - x0, wanted[2] - y0, wanted[3] - x0], size);
    };
  }

  /** Ends background reading and keeps what was chosen. */
  async close(): Promise<void> {
    this.overview?.close();
    this.rendering?.abort(new SamError('cancelled', 'The image was closed.'));
    this.planes.close();
    this.intensities.close();
    await this.remembered.flush();
  }

  /** Numbers of the channels that are shown, in the file. */
  get visible(): number[] {
    return this.channels().flatMap(({ visible }, k) => (visible ? [itemAt(this.shown, k)] : []));
  }

  /** The visible channels; `at` counts in the file. */
  private painted(): PaintedChannel[] {
    const { source, shown } = this;
    const channels = this.channels();
    if (source.rgb) {
      const { visible, limits } = itemAt(channels, 0);
      return visible ? shown.map((at, k) => ({ at, limits, color: itemAt(PRIMARIES, k) })) : [];
    }
    return channels.flatMap(({ visible, limits, color = '#ffffff' }, k) =>
      visible ? [{ at: itemAt(shown, k), limits, color }] : [],
    );
  }

  /** The coarsest level that still has a pixel for every pixel on screen; undefined if too much would have to be read. */
  private levelFor(box: YXYX, size: Size): number | undefined {
    const { levels, sizes } = this.source;
    const zoom = Math.min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]);
    const level = Math.max(
      0,
      levels.findLastIndex(([height]) => sizes.y / height <= zoom * 1.01),
    );
    const [height, width] = itemAt(levels, level);
    const part = scaled(box, height / sizes.y, width / sizes.x);
    return (part[2] - part[0]) * (part[3] - part[1]) <= MOST_PIXELS ? level : undefined;
  }

  private overviewOf(plane: number, channels: readonly number[]): Overview {
    const { overview } = this;
    if (overview?.plane === plane && `${overview.channels}` === `${channels}`) return overview;
    overview?.close();
    this.overview = new Overview(this.source, plane, channels, this.onChanged);
    return this.overview;
  }

  private async autoLimits(index: number, plane: number): Promise<readonly [number, number]> {
    const { source, shown } = this;
    if (!source.rgb) return itemAt(await measureContrast(source, [itemAt(shown, index)], { plane }), 0).limits;
    const measured = await measureContrast(source, shown, { plane });
    return [Math.min(...measured.map(({ limits }) => limits[0])), Math.max(...measured.map(({ limits }) => limits[1]))];
  }
}

export interface DisplayOptions {
  readonly signature: string;
  readonly store: Store;
  readonly onChanged: () => void;
  /** What contrast is measured in: the recording that the image is a part of. */
  readonly measured?: ImageSource;
  readonly signal?: AbortSignal;
}

const PRIMARIES = ['#ff0000', '#00ff00', '#0000ff'];
const STRIP_PIXELS = 1 << 20;
/** The most that is read of the file for one picture on screen. */
const MOST_PIXELS = 2 ** 24;

function scaled([y0, x0, y1, x1]: YXYX, vertical: number, horizontal: number): YXYX {
  return [y0 * vertical, x0 * horizontal, y1 * vertical, x1 * horizontal];
}

/**
 * 8-bit colours are what they are; others are stretched together, so that white stays white. Grey that was saved as
 * colours, as many programs do with fluorescence, is stretched as grey is.
 */
function rangeOfColours(dtype: Dtype, measured: readonly ChannelRange[]): ChannelRange {
  const first = itemAt(measured, 0);
  if (measured.every((one) => sameRange(one.limits, first.limits) && sameRange(one.range, first.range))) return first;
  if (dtype === 'uint8') return { limits: [0, 255], range: [0, 255] };
  const range = [
    Math.min(...measured.map(({ range }) => range[0])),
    Math.max(...measured.map(({ range }) => range[1])),
  ] as const;
  return { limits: range, range };
}

function sameRange(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

/**
 * What the file suggests goes before what was measured if somebody chose it. Programs that nobody asked write the whole
 * range of the type or the extremes of the pixels, where the brightest spot leaves all the rest dark.
 */
function withFileLimits(source: ImageSource, shown: readonly number[], measured: readonly ChannelRange[]) {
  const whole = WHOLE_RANGE[source.dtype];
  return measured.map((one, k): ChannelRange => {
    const { limits } = itemAt(source.channels, itemAt(shown, k));
    if (!limits || !(limits[0] < limits[1]) || (whole && limits[1] - limits[0] >= whole)) return one;
    if (limits[0] <= one.range[0] && limits[1] >= one.range[1]) return one;
    // A window beside the values would show nothing.
    return limits[0] > one.range[1] || limits[1] < one.range[0] ? one : { ...one, limits };
  });
}

const WHOLE_RANGE: Partial<Record<Dtype, number>> = { int8: 255, uint8: 255, int16: 65535, uint16: 65535 };

function sliderRange(dtype: Dtype, range: readonly [number, number], limits: readonly [number, number]) {
  const [low, high] = dtype === 'uint8' ? [0, 255] : range;
  return [Math.min(low, limits[0]), Math.max(high, limits[1])] as const;
}
