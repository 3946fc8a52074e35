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

/** Of directories that are made: nobody else on the machine reads the data. */
const mode = 0o700;

/**
 * Makes a directory, and those above it that are not there, one by one: Node's
 * recursive `mkdir` never returns in a file system that takes no directory
 * (`/proc/data`: it tries for ever, seen with 22 and 24).
 */
export const makeDirectory = (directory: string): void => {
  const path = resolve(directory);
  const above = dirname(path);
  try {
    fs.mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && fs.statSync(path).isDirectory()) return;
    if (code !== "ENOENT" || fs.existsSync(above)) throw error;
    makeAbove(path, above);
  }
  try {
    sync(above);
  } catch {
    // Deno may be allowed no more than the directory itself.
  }
};

const makeAbove = (path: string, above: string) => {
  try {
    makeDirectory(above);
  } catch (error) {
    // As above: there it may make all of them, and only together.
    if ((error as Error).name !== "NotCapable") throw error;
    fs.mkdirSync(path, { recursive: true, mode });
    return;
  }
  fs.mkdirSync(path, { mode });
};
