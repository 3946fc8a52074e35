/** Runs the `orders` command on Node, and gives the process its exit code. */
import { Effect, Exit, Fiber } from "effect";
import { orders } from "../cli/Orders.ts";
import { machine } from "./NodeMachine.ts";

/** 128 and the number of the signal, as shells have it. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export const run = (): void => {
  // Told to whoever writes; without a listener it would end the process.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const fiber = Effect.runFork(orders(machine()));
  // Something has to keep the process while only a promise is waited for.
  const alive = setInterval(() => {}, 2 ** 31 - 1);
  let asked: number | undefined;
  for (const [signal, code] of Object.entries(exitCodes)) {
    process.on(signal, () => {
      // The second time it is meant: what is under way is left.
      if (asked !== undefined) process.exit(code);
      asked = code;
      Effect.runFork(Fiber.interrupt(fiber));
    });
  }
  fiber.addObserver((exit) => {
    clearInterval(alive);
    process.exitCode =
      asked ?? (Exit.isSuccess(exit) ? exit.value : exitCodes.SIGINT);
    // Connections that are kept would keep the process for some seconds.
    // What was written is out by then: each writing was waited for.
    process.exit();
  });
};
