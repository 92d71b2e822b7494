/**
 * Checkpoints that others have published, by micro-sam's names, with the addresses and hashes of `models()` of
 * micro_sam/util.py (1.8.14; MIT). They are fetched from where they are published; none is part of this program. Of
 * micro-sam's names only `vit_t` is not here: it is built in.
 */
export interface PublishedCheckpoint {
  readonly name: string;
  readonly description: string;
  readonly url: string;
  /** Of the file there. */
  readonly xxh128: string;
  /** The instance decoder, if it has one. */
  readonly decoder?: { readonly url: string; readonly xxh128: string };
  readonly licence?: string;
}

const META = 'https://dl.fbaipublicfiles.com/segment_anything';
const ZOO = 'https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io';
const GOETTINGEN = 'https://owncloud.gwdg.de/index.php/s';

const LM = 'cells and nuclei in light microscopy';
const EM = 'mitochondria, nuclei and other roundish organelles in electron microscopy';
const HISTOPATHOLOGY = 'nuclei in H&E-stained tissue';

export const PUBLISHED: readonly PublishedCheckpoint[] = [
  meta('vit_b', 'sam_vit_b_01ec64.pth', '6923c33df3637b6a922d7682bfc9a86b'),
  meta('vit_l', 'sam_vit_l_0b3195.pth', 'a82beb3c660661e3dd38d999cc860e9a'),
  meta('vit_h', 'sam_vit_h_4b8939.pth', '97698fac30bd929c2e6d8d8cc15933c2'),
  zoo('vit_t_lm', 'faithful-chicken/1.1', LM, '72ec5074774761a6e5c05a08942f981e', '3e914a5f397b0312cdd36813031f8823'),
  zoo('vit_b_lm', 'diplomatic-bug/1.2', LM, 'fe9252a29f3f4ea53c15a06de471e186', '708b15ac620e235f90bb38612c4929ba'),
  zoo('vit_l_lm', 'idealistic-rat/1.2', LM, '017f20677997d628426dec80a8018f9d', '2faeafa03819dfe03e7c46a44aaac64a'),
  zoo(
    'vit_t_em_organelles',
    'greedy-whale/1',
    EM,
    '253474720c497cce605e57c9b1d18fd9',
    '8f897c7bb93174a4d1638827c4dd6f44',
  ),
  zoo(
    'vit_b_em_organelles',
    'noisy-ox/1.2',
    EM,
    'f3bf2ed83d691456bae2c3f9a05fb438',
    'bb6398956a6b0132c26b631c14f95ce2',
  ),
  zoo(
    'vit_l_em_organelles',
    'humorous-crab/1.2',
    EM,
    '810b084b6e51acdbf760a993d8619f2d',
    '334877640bfdaaabce533e3252a17294',
  ),
  goettingen(
    'vit_b_histopathology',
    HISTOPATHOLOGY,
    ['sBB4H8CTmIoBZsQ', 'ffd1a2cd84570458b257bd95fdd8f974'],
    ['KO9AWqynI7SFOBj', '6a66194dcb6e36199cbee2214ecf7213'],
  ),
  goettingen(
    'vit_l_histopathology',
    HISTOPATHOLOGY,
    ['IZgnn1cpBq2PHod', 'b591833c89754271023e901281dee3f2'],
    ['oIs6VSmkOp7XrKF', '46aab7765d4400e039772d5a50b55c04'],
  ),
  goettingen(
    'vit_h_histopathology',
    HISTOPATHOLOGY,
    ['L7AcvVz7DoWJ2RZ', 'bd1856dafc156a43fb3aa705f1a6e92e'],
    ['1qAKxy5H0jgwZvM', '3ed9f87e46ad5e16935bd8d722c8dc47'],
  ),
  goettingen(
    'vit_b_medical_imaging',
    'medical images',
    ['f5Ol4FrjPQWfjUF', '40169f1e3c03a4b67bff58249c176d92'],
    ['ahd3ZhZl2e0RIwz', '9e498b12f526f119b96c88be76e3b2ed'],
  ),
];

export function publishedCheckpoint(name: string): PublishedCheckpoint | undefined {
  return PUBLISHED.find((each) => each.name === name);
}

function meta(name: string, file: string, xxh128: string): PublishedCheckpoint {
  const description = 'Segment Anything as Meta published it.';
  return { name, description, url: `${META}/${file}`, xxh128, licence: 'Apache-2.0' };
}

/** In the bioimage.io collection, with the licence that micro-sam's export to it states (micro_sam.bioimageio.export_sam_model). */
function zoo(name: string, version: string, what: string, xxh128: string, ofDecoder: string): PublishedCheckpoint {
  const file = `${ZOO}/${version}/files/${name.slice(0, 5)}`;
  const decoder = { url: `${file}_decoder.pt`, xxh128: ofDecoder };
  const description = `micro-sam, for ${what}.`;
  return { name, description, url: `${file}.pt`, xxh128, decoder, licence: 'CC-BY-4.0' };
}

/** @param weights name of the share, and hash */
function goettingen(
  name: string,
  what: string,
  weights: readonly [share: string, xxh128: string],
  decoder: readonly [share: string, xxh128: string],
): PublishedCheckpoint {
  const at = ([share, xxh128]: readonly [string, string]) => ({ url: `${GOETTINGEN}/${share}/download`, xxh128 });
  return { name, description: `micro-sam, for ${what}.`, ...at(weights), decoder: at(decoder) };
}
