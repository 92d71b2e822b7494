/**
 * Formats that microscopists have and this program does not read, each with what to do instead. Told by the first bytes,
 * where the format has a mark, else by the extension.
 */
export interface UnreadableFormat {
  /** As a noun with its article: 'a Zeiss CZI file'. */
  readonly what: string;
  /** A sentence. */
  readonly advice: string;
  /** In lower case, without the dot. Files that have one count as images of a folder. */
  readonly extensions?: readonly string[];
  readonly matches?: (head: Uint8Array) => boolean;
  /** A file that looks like a readable format, whose pixels are elsewhere: the extension decides. */
  readonly misleading?: boolean;
}

function mark(text: string, at = 0): (head: Uint8Array) => boolean {
  return (head) => [...text].every((letter, i) => head[at + i] === letter.charCodeAt(0));
}

const any =
  (...tests: readonly ((head: Uint8Array) => boolean)[]) =>
  (head: Uint8Array) =>
    tests.some((test) => test(head));

/** The brand of an ISO media file, e.g. 'heic'. */
const brand = (...brands: readonly string[]) => any(...brands.map((name) => mark(`ftyp${name}`, 4)));

/** A 32-bit number at the start, big-endian: the version of a Digital Micrograph file, then its length and byte order. */
function isDigitalMicrograph(head: Uint8Array): boolean {
  const version = head[3];
  if (head[0] !== 0 || head[1] !== 0 || head[2] !== 0 || (version !== 3 && version !== 4)) return false;
  const order = version === 3 ? 8 : 12;
  return head[order] === 0 && head[order + 1] === 0 && head[order + 2] === 0 && (head[order + 3] ?? 255) <= 1;
}

const utf16 = (text: string) => [...text].join('\0');
const OLE = mark('\xd0\xcf\x11\xe0');
const FIJI = 'Open it in Fiji (Bio-Formats) and save it as OME-TIFF';

/** A folder with a file `attributes.json`; or HDF5 that somebody called so. */
export const N5: UnreadableFormat = {
  what: 'an N5 container',
  advice: 'Open it in Fiji (HDF5/N5/Zarr/OME-NGFF) and save it as OME-Zarr or TIFF.',
  extensions: ['n5'],
};

export const UNREADABLE: readonly UnreadableFormat[] = [
  {
    what: 'a Git LFS pointer, not the file itself',
    advice: 'Run "git lfs pull" in its repository to get the file.',
    matches: mark('version https://git-lfs'),
  },
  {
    what: 'a git-annex pointer, not the file itself',
    advice: 'Run "git annex get" (or "datalad get") on it to get the file.',
    matches: any(mark('/annex/objects/'), mark('../.git/annex'), mark('.git/annex')),
  },
  {
    what: 'what macOS keeps beside a file on other disks, not the file itself',
    advice: 'Open the file whose name has no "._" in front.',
    matches: mark('\0\x05\x16\x07'),
  },
  {
    what: 'a Zeiss CZI file',
    advice: `Export it from ZEN as OME-TIFF, or: ${FIJI}.`,
    extensions: ['czi'],
    matches: mark('ZISRAWFILE'),
  },
  {
    what: 'a Nikon ND2 file',
    advice: `Export it from NIS-Elements as TIFF, or: ${FIJI}.`,
    extensions: ['nd2'],
    matches: mark('\xda\xce\xbe\x0a'),
  },
  {
    what: 'a Leica LIF file',
    advice: `Export it from LAS X as OME-TIFF, or: ${FIJI}.`,
    extensions: ['lif', 'lof', 'xlef'],
    matches: (head) => mark('\x70\0\0\0')(head) && head[8] === 0x2a,
  },
  {
    what: 'an Olympus VSI file, whose pixels lie in .ets files of the folder beside it',
    advice: `Export it from cellSens or OlyVIA as TIFF, or: ${FIJI}.`,
    extensions: ['vsi', 'ets'],
    matches: mark('SIS\0'),
    misleading: true,
  },
  {
    what: 'a 3DHISTECH MRXS slide, whose pixels lie in .dat files of the folder beside it',
    advice: 'Export it from SlideViewer as TIFF, or convert it with QuPath to OME-TIFF.',
    extensions: ['mrxs'],
    misleading: true,
  },
  {
    what: 'an Olympus OIF file, whose pixels lie in the folder beside it',
    advice: 'Open the TIFF files in the folder with the same name and ".files" at its end.',
    extensions: ['oif'],
    matches: any(mark(`\xff\xfe${utf16('[ProfileSaveInfo]')}`), mark(`\xff\xfe${utf16('[File Info]')}`)),
  },
  {
    what: 'an Olympus OIB, Zeiss ZVI or Office file',
    advice: `${FIJI}.`,
    matches: OLE,
  },
  { what: 'an Olympus OIB file', advice: `${FIJI}.`, extensions: ['oib'], matches: OLE },
  { what: 'a Zeiss ZVI file', advice: `${FIJI}.`, extensions: ['zvi'], matches: OLE },
  { what: 'an Olympus OIR file', advice: `${FIJI}.`, extensions: ['oir', 'poir'], matches: mark('OLYMPUSRAWFORMAT') },
  {
    what: 'a DICOM file',
    advice: 'Convert it to NIfTI with dcm2niix, a slide to OME-TIFF with QuPath.',
    extensions: ['dcm', 'dicom'],
    matches: mark('DICM', 128),
  },
  {
    what: 'an Analyze or NIfTI pair of .hdr and .img',
    advice: 'Save it as one .nii file, for example with nibabel, FSL or 3D Slicer.',
    extensions: ['hdr', 'img'],
    matches: any(mark('\x5c\x01\0\0'), mark('\0\0\x01\x5c')),
  },
  {
    what: 'an MRC file',
    advice: 'Open it in Fiji and save it as TIFF, or in IMOD: mrc2tif.',
    extensions: ['mrc', 'mrcs', 'rec', 'ali'],
    matches: mark('MAP ', 208),
  },
  {
    what: 'a Digital Micrograph file',
    advice: 'Save it as TIFF in Digital Micrograph or Fiji.',
    extensions: ['dm3', 'dm4'],
    matches: isDigitalMicrograph,
  },
  {
    what: 'an NRRD file',
    advice: 'Save it as TIFF or NIfTI in Fiji or 3D Slicer.',
    extensions: ['nrrd', 'nhdr'],
    matches: mark('NRRD000'),
  },
  {
    what: 'a MetaImage file',
    advice: 'Save it as TIFF or NIfTI in Fiji or 3D Slicer.',
    extensions: ['mha', 'mhd'],
    matches: any(mark('ObjectType ='), mark('NDims =')),
  },
  {
    what: 'a FITS file',
    advice: 'Save it as TIFF in Fiji.',
    extensions: ['fits', 'fit', 'fts'],
    matches: mark('SIMPLE  ='),
  },
  {
    what: 'a DeltaVision file',
    advice: `${FIJI}.`,
    extensions: ['dv', 'r3d'],
    matches: any(mark('\xa0\xc0', 96), mark('\xc0\xa0', 96)),
  },
  { what: 'an ICS file', advice: `${FIJI}.`, extensions: ['ics', 'ids'], matches: mark('ics_version') },
  { what: 'a Hamamatsu DCIMG file', advice: 'Export it from HCImage as TIFF.', matches: mark('DCIMG') },
  {
    what: 'a HEIC picture',
    advice: 'Save it as PNG or TIFF.',
    extensions: ['heic', 'heif'],
    matches: brand('heic', 'heix', 'hevc', 'heim', 'heis', 'mif1', 'msf1'),
  },
  { what: 'an AVIF picture', advice: 'Save it as PNG or TIFF.', extensions: ['avif'], matches: brand('avif', 'avis') },
  {
    what: 'a film',
    advice: 'Save its frames as a TIFF stack, for example with Fiji or ffmpeg.',
    matches: any(mark('ftyp', 4), mark('AVI ', 8), mark('\x1a\x45\xdf\xa3')),
  },
  {
    what: 'a JPEG XL picture',
    advice: 'Save it as PNG or TIFF.',
    extensions: ['jxl'],
    matches: any(mark('\xff\x0a'), mark('\0\0\0\x0cJXL ')),
  },
  {
    what: 'a JPEG 2000 picture',
    advice: 'Save it as TIFF.',
    extensions: ['jp2', 'j2k', 'jpx'],
    matches: any(mark('\0\0\0\x0cjP'), mark('\xff\x4f\xff\x51')),
  },
  { what: 'a GIF', advice: 'Save it as PNG or TIFF.', extensions: ['gif'], matches: mark('GIF8') },
  { what: 'a BMP', advice: 'Save it as PNG or TIFF.', extensions: ['bmp'], matches: mark('BM') },
  { what: 'a Photoshop document', advice: 'Save it as PNG or TIFF.', matches: mark('8BPS') },
  { what: 'an OpenEXR picture', advice: 'Save it as TIFF.', matches: mark('\x76\x2f\x31\x01') },
  { what: 'a PDF', advice: 'Export the picture in it as PNG or TIFF.', matches: mark('%PDF') },
  {
    what: 'a MATLAB file before version 7.3',
    advice: 'Save it in MATLAB with -v7.3, or the array with imwrite as TIFF.',
    matches: mark('MATLAB 5.0'),
  },
  {
    what: 'an archive',
    advice: 'Unpack it and open the images inside.',
    matches: any(mark('7z\xbc\xaf\x27\x1c'), mark('Rar!'), mark('ustar', 257)),
  },
  {
    what: 'a BigDataViewer dataset',
    advice: 'Open the .h5 file beside it, or save it in Fiji as OME-TIFF.',
    matches: mark('<SpimData'),
  },
  N5,
  {
    what: 'a web page, not an image',
    advice: 'Check the address: it may be a page about the file, or ask for a login.',
    matches: any(mark('<!'), mark('<html'), mark('<HTML')),
  },
];

/** @param head the first 540 bytes, or what there is */
export function unreadableFormat(name: string, head: Uint8Array): UnreadableFormat | undefined {
  const marked = UNREADABLE.filter(({ matches }) => matches?.(head));
  const named = UNREADABLE.filter(({ extensions }) => extensions?.includes(extensionOf(name)));
  return (
    named.find(({ misleading }) => misleading) ??
    marked.find((format) => named.includes(format)) ??
    marked[0] ??
    named[0]
  );
}

/** For a file that looks like a readable one: its extension says that the pixels are elsewhere. */
export function misleadingFormat(name: string): UnreadableFormat | undefined {
  return UNREADABLE.find(({ misleading, extensions }) => misleading && extensions?.includes(extensionOf(name)));
}

function extensionOf(name: string): string {
  return /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
}
