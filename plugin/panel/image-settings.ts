import type { AddedModel, EngineModel } from '../../src/app/engine.js';
import { itemAt, present } from '../../src/items.js';
import type { ModelFamily } from '../../src/model/registry.js';
import type { EncodingChange } from '../../src/service/engine.js';
import { capital, make, setChildren, setField, setText } from './dom.js';
import { Sheet } from './menu.js';

export interface EngineActions {
  setEncoding(change: EncodingChange): void;
  addModel(model: AddedModel): void;
  /** Files that make one model. */
  importModel(files: readonly File[]): void;
  deleteModel(name: string): void;
  measure(): void;
  showTiles(shown: boolean): void;
  clearCache(): void;
}

const ADD = '+';

/**
 * How the image goes to the model: which model, which grey values, which tiles. Folded away, since the defaults are
 * right for most images. Each change makes the embeddings anew and leaves prompts and objects alone.
 */
export class ImageSettingsView {
  readonly node: HTMLElement;
  private readonly model = make('select', { 'data-encoding': 'model' });
  private readonly deleteModel = make('button', { type: 'button', title: 'Delete this imported model' }, 'Delete');
  private readonly modelNote = make('p', { className: 'facts' });
  private readonly intensity = select('intensity', [
    ['min-max', 'darkest to brightest'],
    ['percentile', '1st to 99th percentile'],
    ['fixed', 'fixed range'],
  ]);
  private readonly low = numberInput('Darkest value');
  private readonly high = numberInput('Brightest value');
  private readonly range = make('div', { className: 'pair' }, this.low, '–', this.high);
  private readonly size = numberInput('Object diameter in pixels');
  private readonly pixelSide = numberInput('Side of a pixel');
  private readonly sliceDistance = numberInput('Distance of two slices');
  private readonly pixelUnit = make('span', {}, 'µm');
  private readonly slicePair = make('span', { className: 'pair' }, 'z', this.sliceDistance);
  private readonly measure = make('button', { type: 'button' }, 'Measure');
  private readonly tiling = select('tiling', [
    ['auto', 'automatic'],
    ['none', 'none: encode the image whole'],
    ['manual', 'as stated'],
  ]);
  private readonly tileSide = numberInput('Side of a tile in pixels');
  private readonly halo = numberInput('Overlap in pixels');
  private readonly tilePair = make('div', { className: 'pair' }, this.tileSide, 'px, overlap', this.halo);
  private readonly tiles = make('p', { className: 'facts' });
  private readonly showTiles = make('input', { type: 'checkbox' });
  private readonly cache = make('span');
  private readonly notes = make('div', { className: 'facts' });
  private modelsText = '';
  private settingsText = '';

  constructor(private readonly actions: EngineActions) {
    const clear = make('button', { type: 'button', title: 'Remove all stored embeddings' }, 'Clear');
    clear.addEventListener('click', () => actions.clearCache());
    this.model.addEventListener('change', () => this.chooseModel());
    this.deleteModel.addEventListener('click', () => actions.deleteModel(this.model.value));
    this.intensity.addEventListener('change', () => this.sendIntensity());
    for (const input of [this.low, this.high]) input.addEventListener('change', () => this.sendIntensity());
    this.size.placeholder = 'unknown';
    this.size.addEventListener('change', () =>
      actions.setEncoding({ objectDiameter: this.size.value === '' ? null : Math.max(1, Number(this.size.value)) }),
    );
    for (const input of [this.pixelSide, this.sliceDistance]) {
      input.placeholder = 'unknown';
      input.step = 'any';
      input.addEventListener('change', () => this.sendPixelSize());
    }
    this.measure.addEventListener('click', () => actions.measure());
    this.tiling.addEventListener('change', () => this.sendTiling());
    for (const input of [this.tileSide, this.halo]) input.addEventListener('change', () => this.sendTiling());
    this.showTiles.addEventListener('change', () => actions.showTiles(this.showTiles.checked));
    const row = (title: string, tooltip: string, ...content: Node[]) =>
      make('label', { className: 'choice', title: tooltip }, make('span', {}, title), ...content);
    this.node = make(
      'div',
      { className: 'controls' },
      row('Model', 'What segments.', this.model, this.deleteModel),
      this.modelNote,
      row('Grey values', 'Which values of the image become black and white for the model.', this.intensity),
      this.range,
      make(
        'div',
        {
          className: 'choice',
          title: 'Small objects need enlarging: state their diameter, or draw a box around one and measure it.',
        },
        make('span', {}, 'Object size'),
        this.size,
        'px',
        this.measure,
      ),
      make(
        'div',
        {
          className: 'choice',
          title:
            'For areas, volumes and scale bars. The shape of objects in a volume needs the distance of its slices.',
        },
        make('span', {}, 'Pixel size'),
        this.pixelSide,
        this.slicePair,
        this.pixelUnit,
      ),
      row('Tiles', 'Large images, and images of small objects, are encoded in pieces.', this.tiling),
      this.tilePair,
      this.tiles,
      make('label', { className: 'toggle' }, this.showTiles, 'Show tiles in the viewer'),
      make('div', { className: 'choice' }, make('span', {}, 'Embeddings'), this.cache, clear),
      this.notes,
    );
  }

  update(engine: EngineModel): void {
    const { models, modelName, settings, canMeasure } = engine;
    const modelsText = JSON.stringify([models, modelName]);
    if (modelsText !== this.modelsText) {
      this.modelsText = modelsText;
      this.model.replaceChildren(
        ...models.map(({ name, detail }) => make('option', { value: name, title: detail }, name)),
        make('option', { value: ADD }, 'Add a model …'),
      );
      this.model.value = modelName;
    }
    this.deleteModel.hidden = !engine.canDelete;
    note(this.modelNote, engine.modelNote);
    const settingsText = JSON.stringify(settings);
    if (settingsText !== this.settingsText) {
      this.settingsText = settingsText;
      this.fill(settings);
    }
    this.slicePair.hidden = engine.slices < 2;
    this.measure.setAttribute('aria-disabled', String(!canMeasure));
    this.measure.title = canMeasure
      ? 'Take the size of the box that was drawn last'
      : 'Draw a box around one typical object first (tool Box)';
    note(this.tiles, engine.tiles);
    this.showTiles.checked = engine.showsTiles;
    present(this.showTiles.parentElement, 'the label of a box').hidden = !engine.tiled;
    setText(this.cache, engine.cache);
    setChildren(
      this.notes,
      engine.notes.map((text) => make('p', {}, text)),
    );
  }

  private fill({ intensity, tiling, objectDiameter, pixelSize }: EncodingChange): void {
    this.intensity.value = intensity?.kind ?? 'min-max';
    this.range.hidden = intensity?.kind !== 'fixed';
    if (intensity?.kind === 'fixed') {
      const [low, high] = itemAt(intensity.ranges, 0);
      setField(this.low, String(low));
      setField(this.high, String(high));
    }
    setField(this.size, objectDiameter ? String(objectDiameter) : '');
    setField(this.pixelSide, pixelSize ? String(pixelSize.x) : '');
    setField(this.sliceDistance, pixelSize?.z ? String(pixelSize.z) : '');
    setText(this.pixelUnit, pixelSize?.unit ?? 'µm');
    const manual = tiling && tiling !== 'none' ? tiling : undefined;
    this.tiling.value = manual ? 'manual' : tiling === 'none' ? 'none' : 'auto';
    this.tilePair.hidden = !manual;
    if (manual) {
      setField(this.tileSide, String(manual.tileShape[0]));
      setField(this.halo, String(manual.halo[0]));
    }
  }

  private chooseModel(): void {
    const { value } = this.model;
    this.modelsText = ''; // the next update shows what is in use, should this come to nothing
    if (value !== ADD) this.actions.setEncoding({ model: value });
    else addModelSheet(this.actions).open();
  }

  private sendIntensity(): void {
    this.settingsText = '';
    const kind = this.intensity.value;
    this.range.hidden = kind !== 'fixed';
    if (kind === 'min-max') this.actions.setEncoding({ intensity: { kind } });
    else if (kind === 'percentile') this.actions.setEncoding({ intensity: { kind, low: 1, high: 99 } });
    else {
      const [low, high] = [this.low.valueAsNumber, this.high.valueAsNumber];
      if (low < high) this.actions.setEncoding({ intensity: { kind: 'fixed', ranges: [[low, high]] } });
    }
  }

  private sendPixelSize(): void {
    const [side, distance] = [this.pixelSide.valueAsNumber, this.sliceDistance.valueAsNumber];
    const unit = this.pixelUnit.textContent ?? 'µm';
    if (this.pixelSide.value === '') this.actions.setEncoding({ pixelSize: null });
    else if (side > 0)
      this.actions.setEncoding({ pixelSize: { ...(distance > 0 && { z: distance }), y: side, x: side, unit } });
  }

  private sendTiling(): void {
    this.settingsText = '';
    const kind = this.tiling.value;
    this.tilePair.hidden = kind !== 'manual';
    if (kind !== 'manual') {
      this.actions.setEncoding({ tiling: kind === 'none' ? 'none' : null });
      return;
    }
    if (this.tileSide.value === '') this.tileSide.value = '512';
    if (this.halo.value === '') this.halo.value = '64';
    const side = Math.round(this.tileSide.valueAsNumber);
    const halo = Math.round(this.halo.valueAsNumber);
    if (side >= 64 && halo >= 0) this.actions.setEncoding({ tiling: { tileShape: [side, side], halo: [halo, halo] } });
  }
}

function note(element: HTMLElement, text: string): void {
  setText(element, text);
  element.hidden = text === '';
}

function select(name: string, options: readonly (readonly [value: string, title: string])[]): HTMLSelectElement {
  return make(
    'select',
    { 'data-encoding': name },
    ...options.map(([value, title]) => make('option', { value }, title)),
  );
}

function numberInput(label: string): HTMLInputElement {
  return make('input', { type: 'number', 'aria-label': label, title: label });
}

const FAMILIES: readonly (readonly [ModelFamily, string])[] = [
  ['sam', 'segment-anything, micro-sam, MobileSAM'],
  ['samexporter', 'samexporter'],
  ['efficientvit-sam', 'EfficientViT-SAM'],
  ['sam2', 'samexporter, SAM 2'],
  ['transformers', 'Hugging Face transformers'],
  ['transformers-sam2', 'Hugging Face transformers, SAM 2'],
];

const CHECKPOINTS = '.pt,.pth,.ckpt,.safetensors,.zip';

/** A model is a checkpoint, or two ONNX files, or three, each at an address or on this computer. */
function addModelSheet({ addModel, importModel }: EngineActions): Sheet {
  const checkpoint = make('input', { type: 'file', multiple: true, accept: CHECKPOINTS, className: 'file' });
  checkpoint.setAttribute('aria-label', 'Files of a checkpoint');
  const name = make('input', { type: 'text', required: true, pattern: '\\w[\\w.\\-]{0,63}', placeholder: 'vit_b_lm' });
  const family = make('select', {}, ...FAMILIES.map(([value, title]) => make('option', { value }, title)));
  let chosenFamily: ModelFamily | undefined;
  family.addEventListener('change', () => {
    chosenFamily = family.value as ModelFamily;
  });
  const declared = make('input', { type: 'file', accept: '.json', className: 'file' });
  declared.setAttribute('aria-label', 'File that declares the model');
  const encoder = modelFile('encoder');
  const decoder = modelFile('decoder');
  const instances = modelFile('instance decoder');
  const field = (title: string, ...content: Node[]) =>
    make('label', { className: 'choice' }, make('span', {}, title), ...content);
  const form = make(
    'form',
    { className: 'add-model' },
    field('Name', name),
    field('Exported by', family),
    encoder.node,
    decoder.node,
    instances.node,
    make(
      'fieldset',
      { title: 'Says what the form does not, and what is left out there' },
      make('legend', {}, 'Declaration (JSON), if there is one'),
      declared,
    ),
    make('button', { type: 'submit' }, 'Add and use'),
  );
  const sheet = new Sheet(
    'Add a model',
    make(
      'p',
      { className: 'note' },
      'A checkpoint of PyTorch, as micro-sam and its training write them, or a bioimage.io package is converted and kept in this browser; it can also be dropped on the page. If its instance decoder is a file of its own, choose both.',
    ),
    make('label', { className: 'choice' }, make('span', {}, 'Checkpoint'), checkpoint),
    make(
      'p',
      { className: 'note' },
      'In the form of ONNX a Segment Anything model is two files: the encoder and the decoder. For automatic segmentation in one step it may have an instance decoder. To add that to a model of the list, give its name and this file alone.',
    ),
    form,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    sheet.close();
    const [file] = declared.files ?? [];
    addModel({
      name: name.value,
      encoder: encoder.address(),
      decoder: decoder.address(),
      instances: instances.address(),
      family: chosenFamily ?? (file ? undefined : (family.value as ModelFamily)),
      ...(file && { declared: file }),
    });
  });
  checkpoint.addEventListener('change', () => {
    sheet.close();
    importModel([...(checkpoint.files ?? [])]);
  });
  const check = () => {
    const alone =
      instances.address() !== undefined && encoder.address() === undefined && decoder.address() === undefined;
    const isDeclared = (declared.files?.length ?? 0) > 0;
    name.required = !isDeclared;
    encoder.need(!alone && !isDeclared);
    decoder.need(!alone && !isDeclared);
  };
  form.addEventListener('input', check);
  form.addEventListener('change', check);
  check();
  return sheet;
}

interface ModelFileField {
  readonly node: HTMLElement;
  /** Whether it may not be left empty. */
  need(needed: boolean): void;
  address(): string | undefined;
}

function modelFile(part: string): ModelFileField {
  const url = make('input', { type: 'url', placeholder: 'https://….onnx' });
  url.setAttribute('aria-label', `Address of the ${part}`);
  const file = make('input', { type: 'file', accept: '.onnx', className: 'file' });
  file.setAttribute('aria-label', `File of the ${part}`);
  const title = capital(part);
  return {
    node: make('fieldset', {}, make('legend', {}, title), url, make('span', {}, 'or'), file),
    need(needed) {
      url.setCustomValidity(!needed || url.value || file.files?.length ? '' : `Where is the ${part}?`);
    },
    address() {
      const [chosen] = file.files ?? [];
      // The name is for messages; whoever reads the file takes no notice of it.
      return chosen ? `${URL.createObjectURL(chosen)}#${encodeURIComponent(chosen.name)}` : url.value || undefined;
    },
  };
}
