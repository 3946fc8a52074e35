/** What is told beside the results, on standard error. */
import { Cause, Effect } from "effect";
import { failureOf } from "./Failures.ts";
import { Machine } from "./Machine.ts";
import { Url } from "./Settings.ts";

/** Tells what went wrong; gives the exit code that goes with it. */
export const tellFailure = Effect.fnUntraced(function* (error: unknown) {
  const { tell } = yield* Machine;
  const { exitCode, message } = failureOf(Cause.fail(error), yield* Url);
  if (message !== "") yield* tell(`${message}\n`);
  return exitCode;
});

/**
 * Asks before something is done that cannot be taken back. Where nobody can be
 * asked, it has to be said by `--yes`.
 */
export const confirmed = Effect.fnUntraced(function* (question: string) {
  const { ask } = yield* Machine;
  const answer = yield* ask(`${question} [y/N] `);
  return /^\s*y(es)?\s*$/i.test(answer ?? "");
});
