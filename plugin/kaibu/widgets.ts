import type { ViewerCommand } from '../../src/presenter/viewer.js';
import { callable, within } from './callbacks.js';
import type { KaibuControlWidget, KaibuWindow } from './window.js';

const TITLE = 'Actions';

/** The command buttons: one widget, made once, since adding it a second time would never be answered. */
export class CommandWidget {
  readonly #window: KaibuWindow;
  readonly #run: (id: string) => void;
  #widget: KaibuControlWidget | undefined;
  #collapsed = false;

  constructor(window: KaibuWindow, run: (id: string) => void) {
    this.#window = window;
    this.#run = run;
  }

  async show(commands: readonly ViewerCommand[]): Promise<void> {
    const elements = commands.map(({ id, title }) =>
      callable({ type: 'button', label: title, callback: () => this.#run(id) }),
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
  }

  /** While the panel beside it has the same buttons, the heading is enough. */
  async collapse(collapsed: boolean): Promise<void> {
    this.#collapsed = collapsed;
    if (this.#widget?.set_collapsed) await within(this.#widget.set_collapsed(collapsed), 'set_collapsed');
  }
}

/** The slider through planes; an update from our side fires no callback. */
export class PlaneSlider {
  readonly #window: KaibuWindow;
  readonly #moved: (plane: number) => void;
  #shown: { count: number; axis: 'z' | 't' } | undefined;
  at = 0;

  constructor(window: KaibuWindow, moved: (plane: number) => void) {
    this.#window = window;
    this.#moved = moved;
  }

  async show(slider: { count: number; at: number; axis: 'z' | 't' } | undefined): Promise<void> {
    this.at = slider?.at ?? 0;
    if (!slider) {
      if (this.#shown) await within(this.#window.set_sliders([]), 'set_sliders');
    } else if (this.#shown?.count === slider.count && this.#shown.axis === slider.axis) {
      await within(this.#window.update_slider(slider.axis, slider.at), 'update_slider');
    } else {
      const config = callable({
        name: slider.axis,
        min: 0,
        max: slider.count - 1,
        step: 1,
        value: slider.at,
        change_callback: (plane: number) => {
          this.at = plane;
          this.#moved(plane);
        },
      });
      await within(this.#window.set_sliders([config]), 'set_sliders');
    }
    this.#shown = slider && { count: slider.count, axis: slider.axis };
  }
}
