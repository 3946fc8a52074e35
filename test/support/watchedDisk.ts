/**
 * The calls that this process makes to the disk, seen as by `strace`: PGlite
 * and the service look theirs up in `node:fs` when they make them.
 */
import fs from "node:fs";
import { dirname, join } from "node:path";

/** What has been changed and not been synced since: files, and directories. */
export const unsynced = new Set<string>();

/** What was synced, in its order. */
export const synced: Array<string> = [];

/** Called before each change and each sync, with what is about to happen. */
export const before: {
  change: (path: string) => void;
  sync: (path: string) => void;
  rename: (from: string, to: string) => void;
} = { change: () => {}, sync: () => {}, rename: () => {} };

const { openSync, writeSync, writeFileSync, fsyncSync } = fs;
const { existsSync, mkdirSync, renameSync, unlinkSync } = fs;
const openFiles = new Map<number, string>();

const changed = (path: string) => {
  before.change(path);
  unsynced.add(path);
};

fs.openSync = (path, flags, mode) => {
  const opened = openSync(path, flags, mode);
  openFiles.set(opened, String(path));
  return opened;
};

fs.writeSync = ((file: number, ...rest: [never]) => {
  changed(openFiles.get(file) ?? "unknown");
  return writeSync(file, ...rest);
}) as typeof fs.writeSync;

fs.writeFileSync = (file, ...rest) => {
  changed(dirname(String(file)));
  changed(String(file));
  writeFileSync(file, ...rest);
};

fs.mkdirSync = ((path: string, options: object) => {
  if (!existsSync(path)) {
    changed(dirname(path));
    changed(path);
  }
  return mkdirSync(path, options);
}) as typeof fs.mkdirSync;

fs.unlinkSync = (path) => {
  changed(dirname(String(path)));
  unsynced.delete(String(path));
  unlinkSync(path);
};

fs.renameSync = (from, to) => {
  const [source, target] = [String(from), String(to)];
  before.rename(source, target);
  renameSync(source, target);
  changed(dirname(target));
  for (const path of unsynced) {
    if (path === source || path.startsWith(`${source}/`)) {
      unsynced.delete(path);
      unsynced.add(join(target, path.slice(source.length)));
    }
  }
};

fs.fsyncSync = (file) => {
  const path = openFiles.get(file) ?? "unknown";
  before.sync(path);
  fsyncSync(file);
  unsynced.delete(path);
  synced.push(path);
};
