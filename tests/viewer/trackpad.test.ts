import assert from 'node:assert/strict';
import { WheelKind } from '../../plugin/viewer/trackpad.js';

const event = (deltaX: number, deltaY: number, timeStamp: number, deltaMode = 0) => ({
  deltaX,
  deltaY,
  timeStamp,
  deltaMode,
});

describe('wheel or trackpad', () => {
  it('notches are of a wheel, also where lines are counted', () => {
    const kind = new WheelKind();
    assert.deepEqual(
      [event(0, 100, 0), event(0, -120, 50), event(0, 3, 1000, 1)].map((one) => kind.of(one)),
      ['wheel', 'wheel', 'wheel'],
    );
  });

  it('small steps, and steps to the side, are of a trackpad; a flick stays one although its steps grow', () => {
    const kind = new WheelKind();
    assert.deepEqual(
      [event(0, 2, 0), event(0, 40, 16), event(0, 180, 32), event(-60, 200, 48)].map((one) => kind.of(one)),
      ['trackpad', 'trackpad', 'trackpad', 'trackpad'],
    );
    assert.equal(kind.of(event(0, 100, 2000)), 'wheel', 'another hand later');
  });
});
