/** What systems and programs leave in folders: not for people's eyes. Also what lies in such folders. */
export function isHiddenName(path: string): boolean {
  return path.split(/[\\/]/).some((name) => /^(\.(?!\.?$)|~\$|__MACOSX$|thumbs\.db$|desktop\.ini$)/i.test(name));
}
