import * as v from 'valibot';
import type { ImageSource } from '../../io/image.js';
import type { Store } from '../../io/store.js';
import { versionOf } from '../../io/versions.js';

/** How a channel is shown, as far as somebody chose it. */
export interface ChannelSetting {
  readonly limits?: readonly [low: number, high: number];
  readonly color?: string;
  readonly visible?: boolean;
}

/** Version 1 was the list alone. */
const VERSION = 2;

const Settings = v.array(
  v.object({
    limits: v.optional(v.tuple([v.number(), v.number()])),
    color: v.optional(v.pipe(v.string(), v.regex(/^#[0-9a-f]{6}$/i))),
    visible: v.optional(v.boolean()),
  }),
);

/**
 * What was chosen of an image's channels, kept in a store with the image's signature as key. What cannot be read or
 * written is forgotten: nobody's work depends on it. What a newer program has written stays as it is; what is chosen then
 * holds as long as the image is open.
 */
export class RememberedChannels {
  private saving?: ReturnType<typeof setTimeout>;

  private constructor(
    private readonly store: Store,
    private readonly key: string,
    private settings: readonly ChannelSetting[],
    private readonly isNewer: boolean,
  ) {}

  static async open(store: Store, signature: string, count: number): Promise<RememberedChannels> {
    const key = `${signature.replaceAll(/[^\w-]/g, '-')}.json`;
    const bytes = await store.get(key).catch(() => undefined);
    const json = bytes && parse(bytes);
    const isNewer = versionOf(json) > VERSION;
    return new RememberedChannels(store, key, settingsIn(isNewer ? undefined : json, count), isNewer);
  }

  at(channel: number): ChannelSetting {
    return this.settings[channel] ?? {};
  }

  change(channel: number, change: ChannelSetting): void {
    this.settings = this.settings.map((setting, i) => (i === channel ? { ...setting, ...change } : setting));
    clearTimeout(this.saving);
    this.saving = setTimeout(() => void this.flush(), SAVE_MS);
  }

  /** Writes what a slider in motion has left unwritten. */
  async flush(): Promise<void> {
    if (this.saving === undefined) return;
    clearTimeout(this.saving);
    this.saving = undefined;
    if (this.isNewer) return;
    const text = JSON.stringify({ version: VERSION, channels: this.settings });
    await this.store.set(this.key, new TextEncoder().encode(text)).catch(() => undefined);
  }
}

const SAVE_MS = 400;

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function settingsIn(json: unknown, count: number): readonly ChannelSetting[] {
  const said = v.safeParse(
    v.union([
      Settings,
      v.pipe(
        v.object({ channels: Settings }),
        v.transform((file) => file.channels),
      ),
    ]),
    json,
  );
  return said.success && said.output.length === count ? said.output : Array.from({ length: count }, () => ({}));
}

/** More at once only make mud. */
const SHOWN_AT_FIRST = 4;

/** What the eye is given of an image's channels before anybody chose: alpha is none. */
export function shownChannels({ channels, rgb }: ImageSource): number[] {
  const drawn = channels.flatMap(({ name }, index) => (name === 'Alpha' ? [] : [index]));
  return rgb ? drawn.slice(0, 3) : drawn;
}

export function visibleAtFirst(position: number): boolean {
  return position < SHOWN_AT_FIRST;
}
