import assert from 'node:assert/strict';
import { channelColors } from '../../src/presenter/image/channel-colors.js';

describe('colours of channels', () => {
  const of = (...channels: { name: string; color?: string; wavelength?: number }[]) =>
    channelColors(
      { channels },
      channels.map((_, i) => i),
    );
  const named = (...names: string[]) => of(...names.map((name) => ({ name })));
  const [blue, cyan, green, red, magenta] = ['#4060ff', '#00ffff', '#00ff00', '#ff0000', '#ff00ff'];

  it('go by dye, protein or wavelength', () => {
    assert.deepEqual(named('DAPI', 'GFP', 'mCherry'), [blue, green, red]);
    assert.deepEqual(named('Hoechst 33342', 'FITC', 'TRITC', 'Cy5'), [blue, green, red, magenta]);
    assert.deepEqual(named('Alexa Fluor 488', 'AF647', 'Brightfield'), [green, magenta, '#ffffff']);
    assert.deepEqual(named('405 nm', '488nm', '561 nm', '640'), [blue, green, red, magenta]);
    assert.deepEqual(named('eGFP-tubulin', 'nuclei_CFP'), [green, cyan]);
    const byLight = of({ name: '0', wavelength: 461 }, { name: '1', wavelength: 519 }, { name: '2', wavelength: 617 });
    assert.deepEqual(byLight, [blue, green, red]);
  });

  it('are grey for one, and what the file says, unless it says the same for all', () => {
    assert.deepEqual(of({ name: 'GFP', color: green }), ['#ffffff']);
    assert.deepEqual(of({ name: 'DAPI', color: '#123456' }, { name: 'GFP', color: '#654321' }), ['#123456', '#654321']);
    assert.deepEqual(of({ name: 'DAPI', color: '#ffffff' }, { name: 'GFP', color: '#ffffff' }), [blue, green]);
  });

  it('stay apart', () => {
    assert.deepEqual(named('Channel 0', 'Channel 1', 'Channel 2'), [red, green, '#0000ff']);
    for (const names of [
      ['GFP', 'FITC'],
      ['DAPI', 'Channel 1', 'GFP', 'x'],
      ['a', 'b', 'c', 'd', 'e'],
      ['BF', 'GFP', 'y', 'z', 'u', 'v'],
    ])
      assert.equal(new Set(named(...names)).size, names.length, `${names}`);
  });
});
