import { part } from '../part.js';

export const stackAnnotators = part('What annotates volumes and time series', () => import('./annotators/stacks.js'));
