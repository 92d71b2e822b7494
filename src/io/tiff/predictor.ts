import { SamError } from '../../errors.js';

/** TIFF predictors: 2, differences along a row (TIFF 6.0 section 14); 3, byte planes of floats (Adobe technical note 3). */
export interface PredictedBlock {
  readonly height: number;
  readonly width: number;
  readonly samples: number;
  /** Bytes per sample. */
  readonly size: number;
  readonly name: string;
}

/** In place; `bytes` are little-endian for predictor 2, as stored for predictor 3, and little-endian afterwards. */
export function undoPredictor(predictor: number, bytes: Uint8Array<ArrayBuffer>, block: PredictedBlock): void {
  if (predictor === 2) undoDifferences(bytes, block);
  else if (predictor === 3) undoFloatPlanes(bytes, block);
  else
    throw new SamError(
      'unsupported',
      `${block.name} uses TIFF predictor ${predictor}, which is not read; 1, 2 and 3 are.`,
    );
}

function undoDifferences(bytes: Uint8Array<ArrayBuffer>, { height, width, samples, size }: PredictedBlock): void {
  const perRow = width * samples;
  if (size === 8) {
    const values = new BigUint64Array(bytes.buffer, 0, perRow * height);
    for (let y = 0; y < height; y++)
      for (let i = y * perRow + samples; i < (y + 1) * perRow; i++) values[i]! += values[i - samples]!;
    return;
  }
  const Values = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[size as 1 | 2 | 4];
  const values = new Values(bytes.buffer, 0, perRow * height);
  for (let y = 0; y < height; y++)
    for (let i = y * perRow + samples; i < (y + 1) * perRow; i++) values[i]! += values[i - samples]!;
}

function undoFloatPlanes(bytes: Uint8Array, { height, width, samples, size }: PredictedBlock): void {
  const perRow = width * samples;
  const rowBytes = perRow * size;
  const row = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const start = y * rowBytes;
    for (let i = start + samples; i < start + rowBytes; i++) bytes[i]! += bytes[i - samples]!;
    row.set(bytes.subarray(start, start + rowBytes));
    // The high bytes of all samples of the row come first, then the next lower, and so on.
    for (let i = 0; i < perRow; i++)
      for (let byte = 0; byte < size; byte++) bytes[start + i * size + (size - 1 - byte)] = row[byte * perRow + i]!;
  }
}
