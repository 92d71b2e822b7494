/**
 * Checkpoints that others have published, by micro-sam's names (`models()` of micro_sam/util.py, 1.8.14; MIT). They are
 * fetched from where they are published; none is part of this program.
 */
export interface PublishedCheckpoint {
  readonly name: string;
  readonly description: string;
  readonly url: string;
  /** Of the instance decoder, if it has one. */
  readonly decoder?: string;
  readonly licence?: string;
}

const META = 'https://dl.fbaipublicfiles.com/segment_anything';
const ZOO = 'https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io';
const GOETTINGEN = 'https://owncloud.gwdg.de/index.php/s';

const LM = 'cells and nuclei in light microscopy';
const EM = 'mitochondria, nuclei and other roundish organelles in electron microscopy';
const HISTOPATHOLOGY = 'nuclei in H&E-stained tissue';

export const PUBLISHED: readonly PublishedCheckpoint[] = [
  meta('vit_b', 'sam_vit_b_01ec64.pth'),
  meta('vit_l', 'sam_vit_l_0b3195.pth'),
  meta('vit_h', 'sam_vit_h_4b8939.pth'),
  zoo('vit_t_lm', 'faithful-chicken/1.1', LM),
  zoo('vit_b_lm', 'diplomatic-bug/1.2', LM),
  zoo('vit_l_lm', 'idealistic-rat/1.2', LM),
  zoo('vit_t_em_organelles', 'greedy-whale/1', EM),
  zoo('vit_b_em_organelles', 'noisy-ox/1.2', EM),
  zoo('vit_l_em_organelles', 'humorous-crab/1.2', EM),
  goettingen('vit_b_histopathology', 'sBB4H8CTmIoBZsQ', 'KO9AWqynI7SFOBj', HISTOPATHOLOGY),
  goettingen('vit_l_histopathology', 'IZgnn1cpBq2PHod', 'oIs6VSmkOp7XrKF', HISTOPATHOLOGY),
  goettingen('vit_h_histopathology', 'L7AcvVz7DoWJ2RZ', '1qAKxy5H0jgwZvM', HISTOPATHOLOGY),
  goettingen('vit_b_medical_imaging', 'f5Ol4FrjPQWfjUF', 'ahd3ZhZl2e0RIwz', 'medical images'),
];

export function publishedCheckpoint(name: string): PublishedCheckpoint | undefined {
  return PUBLISHED.find((each) => each.name === name);
}

function meta(name: string, file: string): PublishedCheckpoint {
  return {
    name,
    description: 'Segment Anything as Meta published it.',
    url: `${META}/${file}`,
    licence: 'Apache-2.0',
  };
}

function zoo(name: string, version: string, what: string): PublishedCheckpoint {
  const file = `${ZOO}/${version}/files/${name.slice(0, 5)}`;
  return { name, description: `micro-sam, for ${what}.`, url: `${file}.pt`, decoder: `${file}_decoder.pt` };
}

function goettingen(name: string, weights: string, decoder: string, what: string): PublishedCheckpoint {
  const [url, instances] = [weights, decoder].map((share) => `${GOETTINGEN}/${share}/download`);
  return { name, description: `micro-sam, for ${what}.`, url, decoder: instances };
}
