import type { Engine } from '../../src/app/engine.js';
import type { Improver } from '../../src/app/improver.js';
import type { PageSettings } from '../../src/app/page-settings.js';
import { further } from '../../src/app/parts.js';
import type { PageSeries } from '../../src/app/series.js';
import { isLocal } from '../../src/app/switchable-worker.js';
import { trainingByServer, trainingInPage } from '../../src/app/training-hosts.js';
import type { Workspace } from '../../src/app/workspace.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import type { TaskOptions } from '../../src/task.js';
import type { AnnotatedImage } from '../../src/training/annotated.js';
import type { TrainingHost } from '../../src/training/training-job.js';

export interface TrainingDeps {
  readonly workspace: Workspace;
  readonly engine: Engine;
  readonly settings: PageSettings;
  series(): PageSeries | undefined;
  onChanged(): void;
}

/** Making the model better on what is committed in this window: on which machine, from which images. */
export class Training {
  /** From when something is first improved. */
  improver?: Improver;
  private readonly inPage: TrainingHost = trainingInPage(
    () => new Worker(new URL('training-worker.js', document.baseURI), { type: 'module', name: 'training' }),
  );
  private byServer?: TrainingHost;

  constructor(private readonly deps: TrainingDeps) {}

  /** Models that only this page can read are trained in it. */
  host(model: ModelSpec): TrainingHost {
    const { training } = this.deps.settings;
    if (isLocal(model) || !training) return this.inPage;
    this.byServer ??= trainingByServer(training);
    return this.byServer;
  }

  /** All that is committed, on the open image and on others of its series. */
  async annotated(task: TaskOptions): Promise<AnnotatedImage[]> {
    const { workspace, series } = this.deps;
    const { allAnnotated } = await further();
    await workspace.session.settled();
    return allAnnotated(workspace, await series()?.leftImages(), task);
  }

  async improving(): Promise<Improver> {
    const { workspace, engine, series, onChanged } = this.deps;
    const { Improver } = await further();
    this.improver ??= new Improver({
      session: workspace.session,
      model: () => workspace.model,
      window: () => workspace.tiling?.tileShape,
      host: (model) => this.host(model),
      annotated: (task) => this.annotated(task),
      use: async (model) => {
        await engine.setEncoding({ model });
        series()?.renewAhead();
      },
      onChanged,
    });
    return this.improver;
  }

  /** Whether there is enough on the images of a series to improve the model by itself. */
  consider(): void {
    const series = this.deps.series();
    const annotated = (series?.model.images ?? []).filter(({ objects = 0 }) => objects > 0);
    this.improver?.consider(annotated.length, series?.objects ?? 0);
  }
}
