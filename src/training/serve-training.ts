import { asSamError } from '../errors.js';
import type { Channel } from '../worker/channel.js';
import type { Sample } from './annotated.js';
import { type HostPlace, measureJob, runJob } from './run-job.js';
import { TrainingControls } from './training-controls.js';
import type { TrainingJob, TrainingNews } from './training-job.js';
import type { TrainingAnswer, TrainingRequest } from './training-messages.js';

/**
 * The end that trains.
 *
 * @param place made when it is needed; read what a job says of its model with care, it comes from elsewhere
 */
export function serveTraining(channel: Channel, place: (job: TrainingJob) => Promise<HostPlace>): void {
  const tell = (answer: TrainingAnswer) => channel.send(answer);
  const data = { training: [] as Sample[], heldBack: [] as Sample[] };
  const ended = new AbortController();
  const controls = new TrainingControls();
  const work = async (request: Extract<TrainingRequest, { job: unknown }>) => {
    try {
      const asked: TrainingJob = { ...request.job, data };
      const task = { signal: ended.signal };
      const made = await place(asked);
      const job = { ...asked, model: made.model ?? asked.model };
      if (request.do === 'measure') return tell({ speed: await measureJob(job, made, task) });
      const onNews = (news: TrainingNews) => tell({ news });
      tell({ result: await runJob(job, made, { ...task, controls, onNews }) });
    } catch (error) {
      const { code, message } = asSamError(error);
      if (!ended.signal.aborted) tell({ error: { code, message } });
    }
  };
  channel.onClose(() => ended.abort());
  channel.onMessage((message) => {
    const request = message as TrainingRequest;
    if (request.do === 'sample') data[request.side].push(request.sample);
    else if (request.do === 'measure' || request.do === 'train') void work(request);
    else controls.wish(request.do);
  });
}
