import type { ImageEncoder } from '../model/image-encoder.js';
import type { Encoding } from './labelled-image.js';

/**
 * An encoder that is opened when it is asked and closed when it rests: between pictures and scores, while decoders learn for
 * minutes, its working memory, 0.4 GB with MobileSAM's, is theirs.
 */
export class RestingEncoder implements Encoding {
  private opened?: Promise<ImageEncoder>;

  constructor(private readonly open: () => Promise<ImageEncoder>) {}

  async encode(...image: Parameters<ImageEncoder['encode']>): ReturnType<ImageEncoder['encode']> {
    this.opened ??= this.open();
    return (await this.opened).encode(...image);
  }

  /** Does a job, and lets the encoder rest after it. */
  async during<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await job();
    } finally {
      await this.rest();
    }
  }

  /** Not while it encodes. */
  async rest(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    await (await opened)?.release();
  }
}
