/** What a disk refuses, in words: what is wrong, and what to do about it. Pure. */

/** By the codes of the operating system. */
const words: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: make room on it",
  EDQUOT: "the quota of this user is used up: raise it, or make room",
  EROFS:
    "the file system is read-only: mount it writable, or name another directory",
  EACCES:
    "this user may not write there: change the owner of the directory, or name another one",
  EPERM:
    "the operating system does not permit it there: name another directory",
  EIO: "the disk does not read or write (I/O error): check the disk",
  ENOTDIR: "a part of the path is a file: name a directory",
  EEXIST: "there is a file of that name: name a directory",
  ENOENT: "no directory can be made there: name another one",
};

/** WebAssembly's system interface has numbers of its own, and no codes. */
const codeOfErrno: Readonly<Record<number, string>> = {
  2: "EACCES",
  19: "EDQUOT",
  29: "EIO",
  51: "ENOSPC",
  54: "ENOTDIR",
  63: "EPERM",
  69: "EROFS",
};

interface Failed {
  readonly cause?: unknown;
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly name?: unknown;
}

/** An error of a file system, or one that was caused by it; undefined: of none. */
export const diskFault = (error: unknown): string | undefined => {
  let one = error;
  // An error may be its own cause.
  for (let depth = 0; depth < 10; depth += 1) {
    if (typeof one !== "object" || one === null) return undefined;
    const { cause, code, errno, name } = one as Failed;
    const known =
      name === "ErrnoError" ? codeOfErrno[errno as number] : String(code);
    if (known !== undefined && words[known] !== undefined) return words[known];
    one = cause;
  }
  return undefined;
};
