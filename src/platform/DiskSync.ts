/**
 * What was written is on the disk once its file is synced, and its name once
 * the directory is that it stands in.
 */
import fs from "node:fs";
import { dirname, join, resolve } from "node:path";

/** A file's content, or the names in a directory. */
export const sync = (path: string) => {
  const opened = fs.openSync(path, "r");
  try {
    fs.fsyncSync(opened);
  } finally {
    fs.closeSync(opened);
  }
};

/** All that is in a directory, however deep. */
export const syncAll = (directory: string) => {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) syncAll(path);
    else sync(path);
  }
  sync(directory);
};

/** Makes a directory, and those above it that are not there. */
export const makeDirectory = (directory: string) => {
  const first = fs.mkdirSync(directory, { recursive: true });
  if (first === undefined) return;
  const last = dirname(resolve(first));
  let above = resolve(directory);
  do {
    above = dirname(above);
    try {
      sync(above);
    } catch {
      // Deno may be allowed no more than the directory itself.
    }
  } while (above !== last);
};
