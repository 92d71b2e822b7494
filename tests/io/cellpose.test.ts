import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPickle } from '../../src/io/formats/pickle.js';
import { openImage } from '../../src/io/open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import { dataPath, withData } from '../support/data.js';
import { seededRandom } from '../support/random.js';

/**
 * Written by NumPy 2: the dictionary that Cellpose saves, with masks [[1, 1, 0, 0], [0, 0, 300, 300], [0, 0, 300, 300]]
 * (uint16), in each protocol of pickle; the same as a big-endian stack in Fortran order; and what holds no masks.
 */
const FILES = {
  protocol2:
    'eNqlkstS1EAUhpPhIgZEvIPX8TpBx0EQFRHlooISGbDVqrigpjpJTyVlLvMnHS0UqtwwgFtfQfe+A6/AQ/gKrrQ7M0NpUazsRbr75PT5v7/7fC2/WVh6qyrvlU8FhyV2XBjPF1YXC8V8oRrFPKZhJYodJsOz1E+YiCcurTGx1weL+bX8/w3tc84O06C2UqrYUcxKQepzj8YxXdEqMbOjMOFxanMNSiNNC53GX6iGso6cLY45zE40FsqFhjZTVRTFQrvZKWafci8cRkcdnQQHNtBFcFA31MFmMYev1MQZzcyJ3MUxdG9tbqCH4JBuNOqsordcLs//FiP7GJMch62tZfSt4YhudomUKOW+F7IER13FzaCOuULpOMEJoWS0Ge11nHQbEukITkmJfoKBlsQETv8roXCcsbbcNrNf2X/grCtMnSM4z3HBMjtEKKDJuwT5FsVFSXGJ4PIuxRV3oFVWVdTdUkW1qLZmXJVlrxEUOHTL7BZh2xUtYLtRlDAMLuO6biiGwjLrXhLQMKU+brREi1L0JkFJiubWMdQ0bg3jljQ+TDAijLu9eyzfziznGuZGJcUdgrsc96xMqur5LKQBw5jZI7ZDDuV0aPtbiXtV3M/sV/3oQ4LxZTzQWzQTkuYhwSNJI3jqmGzyVEcxJXmmCWYkz94neJzxdP195U8k1VOCWY45qzw31d6Iz/8SR750Kn3fd342L4YlvOJ4NMCz/Zo7salPYw3P3Rkh05EV2v4xjXmpYRC8qGOBoGz2iXgYxQH1vY+sUqMxDRIsrmFJz5qH4mV20/KBOUiz919tpinleG2V/gDzbBm5',
  protocol3:
    'eNqlkstu00AUhsdNWopbIFwK5dpwtQshpaVAKYW2BIpUixRZQjKLKhrbE9nCl/yeMajQSGx6Y8srwJPwCjwES7asYOxcJFR1xVnYPsdn5vv/OfOl/vrlqzcKeUc+ai7jTqLNl7XNNa1S1ppxIhIaNeLEZVl5hQacyTr3aIvJXJ+slNvl/wv1U8GJ0rC1UW04ccKqYRoInyYJ3VAbCXPiiIskdYQK0mlTI7fzF4pBtjBQU2wUdlA0MagbymS3yRUbLaZiyBoghKzN4dDe7g6GTRzWjYKlyNom1Hq9vvpHRv4wFgVG7L11jLZxRLeGZUucisCPGMdRj3g57JgnSSUTxyXJKBjFbZzwOoh0BiczxCkTYz3EAk7/iyACZ+y92jg5IDAucNa2BuVnSPlbjnM98PkMfMHExT74kjcmd1KI0l9dUSpK740JgbJtjcjU8eQAHS+OOcPldVzRDWIQlhv0eUijlAa42uNcyzjXTdzIOANb0Lr27Gnomb1JEzelPU/dZ+yWNCY7URG4bee7N/2ARTRkqFqjMp1yqaBT379Whd/EVG6yGcTvOe6sY1rvCZjJBNw1MZsJkBK2ca8roTmL+5mEBybmMgn7z/ahlDDcP8t5gUd2/cVSsZOv/pZdn4dI6duPn137jIuG69MQCwddQO7QgCYqHntzNbnPr2U82caiiSWrJNdHcRLSwP/AGi2a0JBjuY2nej56ilp+gtmsBJ7lNRvPd9OUCqzY1b/Q1/xo',
  protocol4:
    'eNqlUk1r20AQ3ZXt2DSF5hRCe/FNDhiHlh5CSEiLoYWIKqXQQw5BjKUVKyJpze6qxW0CvSRNyt48/QftL8lfyI/osdec0pWUD9M6p85hl9l9897sm53679+83aPkA/nsRkyF0t3ouoe7br/rxkJqCXkgZMTK41eQKmbPFYcxs3lvtd896v5fPPjS/H7gkCrMcl5k48kgCIVkg6xIdQJSwgTNw0CyUORKyyLUOEXTqpBo2nlUQ6bokWMc0hF+xXfY8+gqb5hWpCdjVuKd3XU8O62vGoYeou/7O1c2qsXb1jg628cj7JmOKHSa5Ewhd3irJOXta0qv4TVPkC8ap3g2y7b5Fxsp2YYr5J5Ae21aGaiD+zUe23pK6G1Nn/bpzV7VL4bcTibkQiiG+7aSeISZTqIyyAtI5xA7x1Xro6d3rfNH8xp3rlvsxEnKcsiY9X8tAg1r5z8GOomt+3EqPqpS9l8ZK1R7FD+fEXoyT6gz64j/+kWzznYuLeTbAln6efGrfBNTOogSyJATs6BCSEHakfKtocX/foknVsIs5UJmkCafWDAGCZmqZkmhfnlpqkZjP8dpUYAVG/wBKg3+Rg==',
  protocol5:
    'eNqlks9r1EAUx2ey3bq4ggWhiAXZW7awbFE8lCKoLFhoMJWCBw8lvCQTJphklpmJstoFL62tzG2f/gX6l/gv+Ed47NWTzmRZusrixRfIj5nve5/vvJdZ+OLZ85eUvCbv/JSpRPp7Pf/k0B/0/ExILaGKhEyZW34KhWJ2XXEYM/vd3x70pr3/i+vv25+mHmnCbFZ1OZ4Mo0RINizrQucgJUzQ3IgkS0SltKwTjTM07UaJ5lqVziUzDMgpjmiMH/AI+wHd5i3TTvVkzJzeO9zFi/P5VsvQEwzD8OCXjeYWPNIYXxzjFPumI2pd5BVTaG4t27HvTOYJmm6USVHGdZYxaUv3P98m/w7kXePV95f5D//iE8sPWsHaGRo6Qm1lpl2CeqWQb14BqL0WMaADungivzNP5neb1G7C7dQSLoRieGyJJCDMdHJVQlVD0dT0/rQX37uyx2+uMOedLqp3srxgFZTMjmUnBQ07374MdZ5Zy1kh3ihHdITOqjZkD5Y4Wys4NPAW5wj3H6/NUw9+2v2P62Tj6/cf7iRM6SjNoUROzLpKoAA3Cb47svrLJ3jmbG5UQpZQ5G9ZNAYJpWqmS8H9G4Hn+qVts2M8r2uw4OFvIkP/wg==',
  fortran:
    'eNqlj89LwzAcxZN2ZaCePffWDWpPguJBDwMPBjsRPOwgNWsjGa4/SFKhuIEX2Qa59evfO9N24BA9+SDfR16+fMKrw4fbuwlGr+jNS5iMhXfheoux57vecy6UoFmUi4Q18TWdS2ZyyWnBzH0w9N2l+z8dvPc+zzBqpY+zMi2qIIpzwYK0nKsZFYJWoI8iweI8k0qUsYIatNNugu5nSbdSA0EfMMJTWME9DAgecls7iaoK1uxb43PYrLsnW+MFhGF4szVqB7lSMN08wtKAUypfJHCLOw2Q93c4YhGb9FbAD7U1O91nXf5gIcNaj55Mn6aW1VVDeM//yneOfXNOvv33HMw3kpoRfAHKl3le',
  other:
    'eNqljDELgkAUgDWLIJqb3a4gnKOlIWhI0ggaGkIuvTBIT96dgVTQEhXc5uv31pk/oW948L738UpvvVhuTONknEnERAhkbJOLT4Y22XOQQNOAQ8QqPaNHwbQXMc2Y3vuDoX21/6Nza75Lo0b10jzJCicIOTAnyY/yQAFogaobAAt5KiTkocQSVetXomqnUZ2U6Bp3nJo7fOAK+645iC3VimSRsapv+CN8PeuTpcwLep43/2h+w51I3L22eNWPuYwZoGsJqp3zBduNXAE=',
  evil: 'eNqb7BfqGxDJyFDGUK2eklqcXKRupaBe46+uo6Cell9UUpSYF59flJIKEnZLzClOBYoXZyQWpAL5Gpo6CrUKlAGuBpap6xkgoEcsrzS3oFIvPjm/KFUvtzSnJDOxqCixckoPT3xRanJ+XnFJUWlyyZTJU3pYwSqn9LDnpUCUTJ7izdA6xZkxaUr7lKApGt6MmhnMPawpJZUFqSD1TP4WUzo7IFLMPYw1U/z8/Lz+AwGY8LYvmZLUGTulFmhwbmJxdvGUHo6k0kyg/XlAJktqWWIOyBBmQ23DKa1AM4oTger1ALT7aAA=',
};

const bytesOf = (file: keyof typeof FILES) => new Uint8Array(inflateSync(Buffer.from(FILES[file], 'base64')));
const open = (bytes: Uint8Array) => openImage(memoryBytes(bytes, 'cells_seg.npy'));

describe('masks of Cellpose', () => {
  for (const file of ['protocol2', 'protocol3', 'protocol4', 'protocol5'] as const)
    it(`are read from its _seg.npy in ${file}`, async () => {
      const { data, shape } = await readLabelImage(await open(bytesOf(file)));
      assert.deepEqual(shape, [3, 4]);
      assert.deepEqual(Array.from(data), [1, 1, 0, 0, 0, 0, 300, 300, 0, 0, 300, 300]);
    });

  it('are read in any order of bytes and axes', async () => {
    const { data, shape } = await readLabelImage(await open(bytesOf('fortran')));
    assert.deepEqual(shape, [2, 3, 4]);
    assert.deepEqual(Array.from(data.subarray(0, 12)), [1, 1, 0, 0, 0, 0, 300, 300, 0, 0, 300, 300]);
    assert.deepEqual(Array.from(data.subarray(12)), [2, 2, 1, 1, 1, 1, 301, 301, 1, 1, 301, 301]);
  });

  it('are missed with advice; nothing in a pickle is ever run', async () => {
    for (const file of ['other', 'evil'] as const)
      await assert.rejects(open(bytesOf(file)), {
        code: 'unsupported',
        message: /without Cellpose masks.*PNG or TIFF/,
      });
  });

  it('in a damaged file are an error, whatever the damage', async () => {
    const random = seededRandom(7);
    const whole = bytesOf('protocol4');
    for (let i = 0; i < 3000; i++) {
      const bytes = whole.slice(0, random() < 0.3 ? Math.floor(random() * whole.length) : whole.length);
      for (let k = 0; k < 3 && bytes.length > 0; k++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const failure = await open(bytes).then(
        (image) => image.close(),
        (error) => error,
      );
      if (failure !== undefined) assert.ok(['unsupported', 'invalid_image'].includes(failure.code), failure.stack);
    }
  });

  it('lie among plain values of Python', () => {
    const pickle = '(dp0\nVa\np1\n(lp2\nI1\naF2.5\naL3L\naI01\nas.';
    const minusOne = Uint8Array.of(0x8a, 200, ...new Uint8Array(200).fill(255), 0x2e); // LONG1
    assert.equal(readPickle(minusOne, 'x'), -1);
    const value = readPickle(new TextEncoder().encode(pickle), 'x');
    assert.deepEqual(value, new Map([['a', [1, 2.5, 3, true]]]));
  });

  withData('of the data folder are those that NumPy reads', async () => {
    const image = await open(readFileSync(dataPath('f_reports/cells_seg.npy')));
    const { data, shape } = await image.readRegion({});
    assert.deepEqual([shape.slice(0, 2), image.dtype], [[20, 30], 'uint16']);
    const digest = createHash('sha256')
      .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      .digest('hex');
    assert.equal(digest, '1aca76ad1d90e50b9f3f04afe21220492bec4f346288e2c72a3fbd83a48a407d');
  });
});
