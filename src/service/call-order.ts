import { asSamError, SamError } from '../errors.js';
import { membersOf } from '../items.js';
import { encodeError } from './call.js';
import { isResultStream } from './result-stream.js';

/**
 * Calls of a service in the order in which they come, each after all that the one before brought about, so that a caller
 * who awaits nothing gets the same. An image that is asked for takes the place of one that is still being opened. If it cannot
 * be opened, what was asked after it is refused: it was not meant for the image that stays.
 */
type Call = (...args: unknown[]) => Promise<unknown>;

/** What the calls after them are meant for comes of these. */
const OPENING = ['open_image', 'annotator_2d', 'annotator_3d', 'annotator_tracking'];
const CHANGING = [
  'open_series',
  'image_series_annotator',
  'next_image',
  'previous_image',
  'go_to_image',
  'set_recording_view',
];
/** Begin in their turn; the next does not wait for their end. */
const ALONGSIDE = [
  'compute_embeddings',
  'precompute_image_embeddings',
  'estimate_automatic',
  'segment_series',
  'train_sam',
];
/** Not about the image that is open, or about what goes on right now. */
const AT_ONCE = [
  ...['setup', 'run', 'close', 'get_info', 'get_state', 'get_series', 'screenshot', 'cancel', 'on', 'off'],
  ...['get_training', 'pause_training'],
  ...['get_model_names', 'list_models', 'connect_worker', 'evaluate', 'automatic_instance_segmentation'],
  ...['segment_from_points', 'segment_from_box', 'segment_from_box_and_points', 'segment_from_mask'],
];

/** The image that calls are meant for. */
interface Target {
  failure?: unknown;
}

interface Waiting {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly meantFor?: Target;
  readonly target?: Target;
  start(): Promise<unknown>;
  reject(error: unknown): void;
}

export class CallOrder {
  private readonly waiting: Waiting[] = [];
  private active?: Waiting;
  private latest?: Target;

  /** Calls whose turn has not come. */
  get count(): number {
    return this.waiting.length;
  }

  /** The functions, each called in its turn. */
  of<Service extends object>(service: Service): Service {
    const ordered = Object.entries(service as Readonly<Record<string, Call>>).map(([name, call]) => [
      name,
      AT_ONCE.includes(name) ? call : (...args: unknown[]) => this.add(name, call, args),
    ]);
    return Object.fromEntries(ordered) as Service;
  }

  /**
   * Refuses what waits.
   *
   * @param task only calls that were given this name
   * @returns whether there was any
   */
  drop(task?: string): boolean {
    const dropped = this.waiting.filter(({ args }) => task === undefined || taskOf(args) === task);
    for (const entry of dropped) {
      this.waiting.splice(this.waiting.indexOf(entry), 1);
      if (entry.target) entry.target.failure = new SamError('cancelled', 'It was stopped.');
      entry.reject(encodeError(new SamError('cancelled', 'The call was stopped before its turn came.')));
    }
    return dropped.length > 0;
  }

  private add(name: string, call: Call, args: readonly unknown[]): Promise<unknown> {
    const opens = OPENING.includes(name);
    const target: Target | undefined = opens || CHANGING.includes(name) ? {} : undefined;
    // An image is what it is, whatever became of the one before; and who has been told of a failure knows what is open.
    const meantFor = opens || this.latest?.failure !== undefined ? undefined : this.latest;
    if (target) this.latest = target;
    return new Promise((resolve, reject) => {
      const start = () => {
        const work = call(...args);
        work.then(resolve, reject);
        return work;
      };
      const entry = { name, args, meantFor, target, start, reject };
      const opening = this.active && OPENING.includes(this.active.name) ? this.active.target : undefined;
      if (opens && opening && !this.waiting.some((one) => one.target)) {
        opening.failure = new SamError('cancelled', 'Another image was opened instead.');
        this.begin(entry);
      } else {
        this.waiting.push(entry);
        if (!this.active) this.advance();
      }
    });
  }

  private begin(entry: Waiting): void {
    this.active = entry;
    const ended = () => {
      if (this.active !== entry) return; // another image took its place
      this.active = undefined;
      this.advance();
    };
    const failed = (error: unknown) => {
      if (entry.target) entry.target.failure ??= error;
      ended();
    };
    const handedOut = (result: unknown) => {
      if (isResultStream(result)) void result.ended().then(ended);
      else ended();
    };
    entry.start().then(handedOut, failed);
    if (ALONGSIDE.includes(entry.name)) ended();
  }

  private advance(): void {
    for (let entry = this.waiting.shift(); entry; entry = this.active ? undefined : this.waiting.shift()) {
      const failure = entry.meantFor?.failure;
      if (failure === undefined) this.begin(entry);
      else {
        const text = `Not done, since what was asked before it failed: ${asSamError(failure).message}`;
        const refused = encodeError(new SamError('cancelled', text, { cause: failure }));
        if (entry.target) entry.target.failure = failure;
        entry.reject(refused);
      }
    }
  }
}

function taskOf(args: readonly unknown[]): unknown {
  return membersOf(args.at(-1)).task;
}
