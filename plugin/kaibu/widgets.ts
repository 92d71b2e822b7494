import type { ViewerCommand, ViewSlider } from '../../src/presenter/viewer.js';
import { Handed } from '../remote-functions.js';
import { within } from './callbacks.js';
import type { KaibuControlWidget, KaibuWindow } from './window.js';

const TITLE = 'Actions';

/** The command buttons: one widget, made once, since adding it a second time would never be answered. */
export class CommandWidget {
  readonly #window: KaibuWindow;
  readonly #run: (id: string) => void;
  #widget: KaibuControlWidget | undefined;
  #buttons = new Handed();
  #collapsed = false;

  constructor(window: KaibuWindow, run: (id: string) => void) {
    this.#window = window;
    this.#run = run;
  }

  async show(commands: readonly ViewerCommand[]): Promise<void> {
    const before = this.#buttons;
    this.#buttons = new Handed();
    const elements = commands.map(({ id, title }) =>
      this.#buttons.hand({ type: 'button', label: title, callback: () => this.#run(id) }),
    );
    if (this.#widget) await within(this.#widget.set_elements(elements), 'set_elements');
    else
      this.#widget = await within(
        this.#window.add_widget({
          type: 'control',
          name: TITLE,
          elements,
          ...(this.#collapsed && { collapsed: true }),
        }),
        `add the widget "${TITLE}"`,
      );
    before.release();
  }

  /** While the panel beside it has the same buttons, the heading is enough. */
  async collapse(collapsed: boolean): Promise<void> {
    this.#collapsed = collapsed;
    if (this.#widget?.set_collapsed) await within(this.#widget.set_collapsed(collapsed), 'set_collapsed');
  }
}

/**
 * The slider through planes and, of a recording, the one of the other axis. Where a viewer calls back after an update from our
 * side, that is not told.
 */
export class PlaneSlider {
  readonly #window: KaibuWindow;
  readonly #moved: (plane: number) => void;
  readonly #movedOther: (at: number) => void;
  #shown: readonly ViewSlider[] = [];
  #sliders = new Handed();
  /** The plane that the viewer shows, to which what is drawn there belongs: it is not always that of the session yet. */
  at = 0;

  constructor(window: KaibuWindow, moved: (plane: number) => void, movedOther: (at: number) => void) {
    this.#window = window;
    this.#moved = moved;
    this.#movedOther = movedOther;
  }

  async show(slider: ViewSlider | undefined, other?: ViewSlider): Promise<void> {
    this.at = slider?.at ?? 0;
    const wanted = [slider, other].filter((one) => one !== undefined);
    const same =
      wanted.length === this.#shown.length &&
      wanted.every(({ count, axis }, i) => count === this.#shown[i]?.count && axis === this.#shown[i]?.axis);
    if (same) for (const { axis, at } of wanted) await within(this.#window.update_slider(axis, at), 'update_slider');
    else {
      const before = this.#sliders;
      this.#sliders = new Handed();
      const configs = wanted.map((one) =>
        this.#sliders.hand({
          name: one.axis,
          min: 0,
          max: one.count - 1,
          step: 1,
          value: one.at,
          change_callback: (at: number) => {
            if (one !== slider) return this.#movedOther(at);
            if (at === this.at) return;
            this.at = at;
            this.#moved(at);
          },
        }),
      );
      await within(this.#window.set_sliders(configs), 'set_sliders');
      before.release();
    }
    this.#shown = wanted;
  }
}
