/** The first bytes of those files whose readers look at them, too. */
export function isTiff(head: Uint8Array): boolean {
  if (head.length < 4) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const order = String.fromCharCode(view.getUint8(0), view.getUint8(1));
  const magic = order === 'II' || order === 'MM' ? view.getUint16(2, order === 'II') : 0;
  return magic === 42 || magic === 43;
}

export function isJpeg(head: Uint8Array): boolean {
  return head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
}

export function isPng(head: Uint8Array): boolean {
  return PNG.every((byte, i) => head[i] === byte);
}

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
