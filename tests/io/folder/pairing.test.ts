import assert from 'node:assert/strict';
import { fileNameOf, leadsIntoZarr, namesZarr, naturalOrder, stemOf } from '../../../src/io/folder/file-names.js';
import { isHiddenName } from '../../../src/io/folder/hidden-names.js';
import { type FolderRole, listFolder } from '../../../src/io/folder/listing.js';
import { pairNames, unpairedText } from '../../../src/io/folder/pairing.js';
import { distinctNames, resultNames } from '../../../src/io/folder/result-names.js';

const list = (names: string[], role?: FolderRole) => listFolder(names, role).chosen;
const pairs = (ones: string[], others: string[]) =>
  pairNames(ones, others).pairs.map(([one, other]) => `${ones[one]} ${others[other]}`);

describe('names of files', () => {
  it('have stems without the extensions of images, and no others', () => {
    const names = [
      'a/x.ome.tif',
      'y.nii.gz',
      'z.v2.png',
      'w.zarr',
      's.zarr/A/1/0',
      'p.ome.zarr.zip',
      'notes.v2',
      'q.CZI',
    ];
    assert.deepEqual(names.map(stemOf), ['x', 'y', 'z.v2', 'w', 's_A_1_0', 'p', 'notes.v2', 'q']);
    assert.deepEqual(['a/b.tif', 'a/p.zarr/A/1/', 'c'].map(fileNameOf), ['b.tif', 'p.zarr/A/1', 'c']);
  });

  it('are those of a zarr with a query, a fragment and slashes behind them', () => {
    const zarrs = [
      'a.zarr',
      'b/A.ZARR/',
      'c:\\d.ome.zarr\\',
      'https://x.org/e.zarr/?token=1',
      'https://x.org/f.zarr#g',
    ];
    for (const name of zarrs) assert.ok(namesZarr(name), name);
    for (const name of ['a.zarr/0', 'a.zarr.zip', 'https://x.org/?name=b.zarr', 'zarr'])
      assert.ok(!namesZarr(name), name);
    for (const place of [...zarrs, 'a.zarr/0', 'https://x.org/p.ZARR/A/1?k=1']) assert.ok(leadsIntoZarr(place), place);
    for (const place of ['a.zarr.zip', 'https://x.org/?name=b.zarr', 'zarr/0', 'a.zarrs/0'])
      assert.ok(!leadsIntoZarr(place), place);
  });

  it('are in the order in which people count', () => {
    const sorted = ['t10.tif', 't2.tif', 'b/t1.tif', 't1.tif', 'a/t3.tif', 'T2.tif'].sort(naturalOrder);
    assert.deepEqual(sorted, ['a/t3.tif', 'b/t1.tif', 't1.tif', 't2.tif', 'T2.tif', 't10.tif']);
  });

  it('are hidden by custom of the system', () => {
    for (const name of [
      '._t0.tif',
      '.DS_Store',
      '__MACOSX/a.tif',
      '.cache/a.tif',
      'Thumbs.db',
      'desktop.ini',
      '~$a.tif',
    ])
      assert.ok(isHiddenName(name), name);
    for (const name of ['a.tif', './a.tif', '../a.tif', 'a/b.c/d.tif']) assert.ok(!isHiddenName(name), name);
  });
});

describe('a folder', () => {
  it('lists images without what systems and programs leave beside them', () => {
    const names = [
      't10.tif',
      't2.TIF',
      '._t2.TIF',
      'thumb.png',
      'A01_s1_thumb1F0B2C3D-0123-4567-89AB-0123456789AB.tif',
    ];
    names.push('A01_thumb.png', 'notes.txt', 'a.lsm', 'c.ims', 'slide.svs', 'thumb joint.tif', 'old.czi', 'x.ome.xml');
    assert.deepEqual(list(names), ['a.lsm', 'c.ims', 'old.czi', 'slide.svs', 't2.TIF', 't10.tif', 'thumb joint.tif']);
    const { leftOut } = listFolder(names);
    assert.deepEqual(
      leftOut.map(({ name }) => name).sort(),
      names.filter((name) => !list(names).includes(name)).sort(),
    );
    assert.equal(leftOut.find(({ name }) => name === '._t2.TIF')?.why, 'hidden');
  });

  it('that holds images and their labels lists the ones or the others', () => {
    for (const [images, labels] of [
      [
        ['a.tif', 'b.png'],
        ['a_labels.tif', 'b_labels.tif'],
      ],
      [
        ['a.tif', 'b.tif'],
        ['a_cp_masks.png', 'b_seg.npy'],
      ],
      [
        ['a.tif', 'b.tif', 'c.tif'],
        ['a_Simple Segmentation.h5', 'b_Object Identities.tif', 'c_Multicut Segmentation.h5'],
      ],
      [
        ['000_img.png', '001_img.png'],
        ['000_masks.png', '001_masks.png'],
      ],
      [
        ['t000.tif', 't001.tif'],
        ['man_seg000.tif', 'man_seg001.tif'],
      ],
      [
        ['s1/image.tif', 's2/image.tif'],
        ['s1/labels.tif', 's2/labels.tif'],
      ],
      [
        ['seg1.tif', 'seg2.tif'],
        ['seg1_labels.tif', 'seg2_labels.tif'],
      ],
    ]) {
      assert.deepEqual(list([...images, ...labels]), images);
      assert.deepEqual(list([...images, ...labels], 'labels'), labels);
    }
  });

  it('of labels alone lists them all, each once where one program wrote it twice', () => {
    assert.deepEqual(list(['a_labels.tif', 'b_labels.tif']), ['a_labels.tif', 'b_labels.tif']);
    const written = [
      'a.tif',
      'a_labels.png',
      'a_labels.ome.tif',
      'a_labels.tif',
      'a_labels_v04.ome.zarr',
      'a_flows.tif',
      'a_Probabilities.h5',
    ];
    assert.deepEqual(list(written, 'labels'), ['a_labels.tif']);
    assert.deepEqual(list(['c.png', 'c_seg.npy', 'c_cp_masks.png'], 'labels'), ['c_cp_masks.png']);
    assert.deepEqual(list(['image.tif', 'x.tif', 'y.tif']), ['image.tif', 'x.tif', 'y.tif']);
  });
});

describe('pairs', () => {
  it('are told from names, whatever their order', () => {
    const images = ['cells.tif', 'cells2.tif', 'cells10.tif'];
    for (const labels of [
      ['cells2_labels.tif', 'cells_labels.tif', 'cells10_labels.tif'],
      ['mask_cells10.png', 'mask_cells2.png', 'mask_cells.png'],
      ['cells10.png', 'cells.png', 'cells2.png'],
    ]) {
      const of = (image: string) =>
        labels.find((label) => label.replace(/_labels|mask_|\.\w+$/g, '') === image.replace('.tif', ''));
      assert.deepEqual(
        pairs(images, labels),
        images.map((image) => `${image} ${of(image)}`),
      );
    }
  });

  it('follow the customs of programs', () => {
    for (const [image, label] of [
      ['t003.tif', 'man_seg003.tif'],
      ['t003.tif', 'mask003.tif'],
      ['000_img.png', '000_masks.png'],
      ['img_7.png', 'label_7.png'],
      ['case_0000.nii.gz', 'case.nii.gz'],
      ['A01.tif', 'A01_cp_masks.tif'],
      ['a.ome.tif', 'a-segmentation.ome.zarr'],
      ['s1/images/a.tif', 's1/masks/a.tif'],
      ['image.tif', 'labels.tif'],
      ['Zelle ä.tif'.normalize('NFD'), 'Zelle ä_labels.tif'.normalize('NFC')],
    ])
      assert.deepEqual(pairs([image, 'other.tif'], [label]), [`${image} ${label}`]);
  });

  it('keep subfolders apart', () => {
    const images = ['a/x.tif', 'b/x.tif'];
    assert.deepEqual(pairs(images, ['b/x_labels.tif', 'a/x_labels.tif']), [
      'a/x.tif a/x_labels.tif',
      'b/x.tif b/x_labels.tif',
    ]);
    assert.deepEqual(pairs(['a/x.tif'], ['b/x_labels.tif']), []);
    assert.deepEqual(pairs(images, ['x_labels.tif']), []);
    assert.deepEqual(pairNames(images, ['x_labels.tif']).ambiguous.length, 2);
    assert.deepEqual(pairs(images, ['b_x_labels.tif', 'a_x_labels.tif']), [
      'a/x.tif a_x_labels.tif',
      'b/x.tif b_x_labels.tif',
    ]);
  });

  it('of names that look like labels follow how most are named', () => {
    const images = ['a.tif', 'a_labels.tif'];
    const labels = ['a_labels.tif', 'a_labels_labels.tif'];
    assert.deepEqual(pairs(images, labels), ['a.tif a_labels.tif', 'a_labels.tif a_labels_labels.tif']);
    assert.deepEqual(
      pairs(images, images),
      images.map((name) => `${name} ${name}`),
    );
    assert.deepEqual(pairs(['x.tif', 'x.png'], ['x.png', 'x.tif']), ['x.tif x.tif', 'x.png x.png']);
  });

  it('that are missing or doubtful are listed', () => {
    const told = (ones: string[], others: string[]) =>
      unpairedText(pairNames(ones, others), ones, others, { ones: 'images', others: 'label images' });
    assert.equal(
      told(['a.tif', 'b.tif'], ['a_labels.tif', 'c_labels.tif']),
      'Images without label images (1): b.tif. Label images without images (1): c_labels.tif.',
    );
    assert.equal(
      told(['a.tif'], ['a_labels.tif', 'a_seg.tif']),
      'a.tif fits several label images: a_labels.tif, a_seg.tif.',
    );
    assert.equal(told(['a.tif'], ['a_labels.tif']), undefined);
  });
});

describe('results', () => {
  it('have the names of their images, and longer ones where those are the same', () => {
    assert.deepEqual(resultNames(['a.tif', 'sub/b.ome.tif']), ['a', 'b']);
    assert.deepEqual(resultNames(['a/same.tif', 'b/same.tif']), ['a_same', 'b_same']);
    assert.deepEqual(resultNames(['same.tif', 'same.png', 'x.tif']), ['same_tif', 'same_png', 'x']);
    assert.deepEqual(resultNames(['a/same.png', 'a/same.tif', 'b/same.tif']), [
      'a_same_png',
      'a_same_tif',
      'b_same_tif',
    ]);
    assert.deepEqual(resultNames(['1/a/x.tif', '1/b/x.tif', '2/a/x.tif']), ['1_a_x', '1_b_x', '2_a_x']);
  });

  it('are never one file, also where case does not count', () => {
    for (const names of [
      ['A.tif', 'a.png'],
      ['a/b.tif', 'c/b.tif', 'a_b.tif'],
      ['a:b.tif', 'a?b.tif', 'a*b.tif'],
      ['ä.tif'.normalize('NFC'), 'ä.png'.normalize('NFD')],
      ['x/same.tif', 'same.tif', 'x_same.tif', 'x_same_tif.tif', 'same_tif.tif'],
      [`${'n'.repeat(300)}1.tif`, `${'n'.repeat(300)}2.tif`],
    ]) {
      const folded = resultNames(names).map((name) => name.normalize('NFC').toLowerCase());
      assert.equal(new Set(folded).size, names.length, folded.join(' '));
      for (const name of folded) assert.match(name, /^[^:?*\\/]{1,200}$/);
    }
  });

  it('of a list that people see are told apart by a number', () => {
    assert.deepEqual(distinctNames(['a.tif', 'a.tif', 'a (2).tif', 'b', 'b']), [
      'a.tif',
      'a (3).tif',
      'a (2).tif',
      'b',
      'b (2)',
    ]);
  });
});
