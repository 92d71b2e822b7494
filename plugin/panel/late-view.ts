import { make, setText } from './dom.js';

/** A view of the panel whose code is loaded when there is something for it to show. */
export interface View<Model> {
  readonly node: HTMLElement;
  update(model: Model): void;
}

/** Why a view could not be made is told once, and not tried again for so long. */
const RETRY_MS = 10_000;

/** In the place of a view: makes it with the first model that it is given. */
export class LateView<Model> {
  readonly node = make('div', { className: 'late' });
  private view?: View<Model>;
  private model?: Model;
  private loading = false;
  private retryAt = 0;

  /**
   * @param load makes the view
   * @param onError told why it cannot be made
   */
  constructor(
    private readonly load: () => Promise<View<Model>>,
    private readonly onError: (error: unknown) => void,
  ) {}

  update(model: Model | undefined): void {
    this.node.hidden = model === undefined;
    this.model = model;
    if (model === undefined) return;
    if (this.view) this.view.update(model);
    else if (!this.loading && performance.now() >= this.retryAt) void this.make();
  }

  private async make(): Promise<void> {
    this.loading = true;
    try {
      this.view = await this.load();
      this.node.append(this.view.node);
      if (this.model !== undefined) this.view.update(this.model);
    } catch (error) {
      this.retryAt = performance.now() + RETRY_MS;
      this.onError(error);
    } finally {
      this.loading = false;
    }
  }
}

/** The same for what is folded away: its title is there from the beginning, its content once it is unfolded. */
export class LateDetails<Model> {
  readonly node: HTMLDetailsElement;
  private readonly summary = make('summary');
  private view?: View<Model>;
  private model?: Model;

  /** @param load makes the content, which is put into the element that it is given */
  constructor(
    className: string,
    private readonly load: (details: HTMLDetailsElement) => Promise<View<Model>>,
    private readonly onError: (error: unknown) => void,
  ) {
    this.node = make('details', { className }, this.summary);
    this.node.addEventListener('toggle', () => void this.unfold());
  }

  update(title: string, model: Model): void {
    setText(this.summary, title);
    this.model = model;
    this.view?.update(model);
  }

  private async unfold(): Promise<void> {
    if (!this.node.open || this.view) return;
    try {
      const view = await this.load(this.node);
      if (this.view) return; // folded and unfolded meanwhile
      this.view = view;
      this.node.append(view.node);
      if (this.model !== undefined) view.update(this.model);
    } catch (error) {
      this.node.open = false; // unfolded again, it is tried again
      this.onError(error);
    }
  }
}
