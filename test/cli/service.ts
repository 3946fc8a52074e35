/** A service whose access is closed, and keys for it: one for all the tests of a file. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { type Ended, type Run, runHere } from "./command.ts";

export const adminKey = "an-admin-key-of-more-than-32-characters";

export interface CommandService {
  readonly url: string;
  readonly service: ServiceProcess;
  /** An empty folder, which is removed at the end. */
  readonly directory: string;
  /** What the command has in its environment, with a key that may do all. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs it with these, in this process. */
  readonly orders: (...args: ReadonlyArray<string>) => Promise<Ended>;
  readonly ordersWith: (given: Run) => Promise<Ended>;
  readonly stop: () => Promise<void>;
}

export const commandService = async (
  env: Readonly<Record<string, string>> = {},
): Promise<CommandService> => {
  const directory = await mkdtemp(join(tmpdir(), "orders-command-"));
  const service = await startService({
    DATA_DIR: join(directory, "data"),
    ACCESS: "keys",
    ADMIN_KEY: adminKey,
    PROCESSING_TIME: "0 millis",
    ...env,
  });
  const given = { ORDERS_URL: service.url, ORDERS_KEY: adminKey };
  return {
    url: service.url,
    service,
    directory,
    env: given,
    orders: (...args) => runHere({ args, env: given }),
    ordersWith: (more) => runHere({ ...more, env: { ...given, ...more.env } }),
    stop: async () => {
      await service.stop("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };
};
