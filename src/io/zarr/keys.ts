const METADATA = /(^|\/)(zarr\.json|\.zarray|\.zgroup)$/;

/** The folder, with a final '/', of the outermost zarr among these paths: '' at the top; undefined if there is none. */
export function rootOfKeys(keys: Iterable<string>): string | undefined {
  const [outermost] = [...keys]
    .filter((key) => METADATA.test(key))
    .sort((a, b) => a.split('/').length - b.split('/').length);
  return outermost?.slice(0, outermost.lastIndexOf('/') + 1);
}
