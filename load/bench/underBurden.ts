/** The memory of a service under a burden. */
import { readFileSync } from "node:fs";
import type { Environment, Server } from "./processes.ts";
import { type Bench, startService } from "./Setup.ts";

/** Mebibytes of memory a process holds now, and at its highest. */
export const memoryOf = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mebibytes = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { now: mebibytes("VmRSS"), highest: mebibytes("VmHWM") };
};

export interface Taken {
  readonly burden: string;
  readonly atRest: number;
  readonly highest: number;
  /** Mebibytes more than at rest. */
  readonly more: number;
}

/** The memory of a service of its own, at rest, and then under a burden. */
export const under = async (
  bench: Bench,
  burden: string,
  env: Environment,
  lay: (service: Server) => Promise<void>,
): Promise<Taken> => {
  bench.progress(`memory: ${burden}`);
  const service = await startService(bench, env);
  try {
    const atRest = memoryOf(service.pid).now;
    await lay(service);
    const { highest } = memoryOf(service.pid);
    bench.progress(`memory: ${Math.round(highest)} MiB`);
    return { burden, atRest, highest, more: highest - atRest };
  } finally {
    await service.stop();
  }
};
