import type { Tensor } from '../../src/ndimage/array.js';
import { threeAxes } from '../../src/ndimage/label.js';
import type { ViewSections } from '../../src/presenter/viewer.js';
import type { SectionPicture } from '../viewer/protocol.js';
import { within } from './callbacks.js';
import type { KaibuWindow } from './window.js';

/** Sends sections to the viewer; of another slice only its place, since the pictures are the same. */
export class SectionPictures {
  readonly #window: KaibuWindow;
  #shown: ViewSections | undefined;

  constructor(window: KaibuWindow) {
    this.#window = window;
  }

  async show(sections: ViewSections | undefined): Promise<void> {
    const before = this.#shown;
    this.#shown = sections;
    if (!sections) return void (await within(this.#window.set_sections?.(null), 'set_sections'));
    const { at, shape, spacing, xz, yz } = sections;
    const config = {
      at,
      shape,
      spacing,
      ...(xz !== before?.xz && { xz: picture(xz) }),
      ...(yz !== before?.yz && { yz: picture(yz) }),
    };
    await within(this.#window.set_sections?.(config), 'set_sections');
  }
}

function picture({ data, shape }: Tensor<Uint8Array>): SectionPicture {
  const [height, width] = threeAxes(shape);
  return { width, height, data };
}
