/** What the service has archived, as `zcat` would show it. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { StoredOrder } from "./Checks.ts";

/** All orders in the files of a directory, however often. */
export const read = async (
  directory: string,
): Promise<ReadonlyArray<StoredOrder>> => {
  const names = await readdir(directory);
  const texts = await Promise.all(
    names.map(async (name) =>
      gunzipSync(await readFile(join(directory, name))).toString(),
    ),
  );
  return texts.flatMap((text) =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const order = JSON.parse(line);
        return { ...order, created_at: Date.parse(order.created_at) };
      }),
  );
};
