/**
 * Sends batches of an import, and sees them through: a service that is away for
 * a while, or has too much to do, is waited for.
 */
import { Clock, Effect } from "effect";
import { failed, problemText, reasonText } from "./Failures.ts";
import type { Client } from "./Settings.ts";

/** So long without any answer, and the import stops; it can be gone on with. */
const patienceMillis = 5 * 60_000;

/** As much of a batch's entries as an import looks at. */
type Entry = Effect.Success<ReturnType<Client["placeLines"]>>[number];
type SendError = Effect.Error<ReturnType<Client["placeLines"]>>;

/** What came of a row. */
export interface Outcome {
  readonly status: number;
  readonly order_id: string | null;
  /** Why it was refused. */
  readonly reason: string | undefined;
}

const mayPass = (status: number) =>
  status === 408 || status === 429 || status >= 500;

const outcomeOf = ({ order_id, problem, status }: Entry): Outcome => ({
  status,
  order_id,
  reason: problem === undefined ? undefined : problemText(problem),
});

/** The service takes no body of that size, or a proxy before it. */
const isTooLarge = (error: SendError): boolean =>
  error._tag === "BodyTooLarge" ||
  (error._tag === "HttpClientError" && error.response?.status === 413);

/** Whether the same request may be answered another time. */
const isTransient = (error: SendError): boolean => {
  switch (error._tag) {
    case "Unavailable":
    case "TooManyRequests":
    case "InternalServerErrorProblem":
      return true;
    case "HttpClientError":
      return (
        error.reason._tag === "TransportError" ||
        (error.response !== undefined && mayPass(error.response.status))
      );
    default:
      return false;
  }
};

/** @param url where the service is, for what is told */
export const makeSender = Effect.fnUntraced(function* (
  client: Pick<Client, "placeLines">,
  url: string,
) {
  /** When the service last answered; `undefined` before it ever did. */
  let answered: number | undefined;
  let waiting: string | undefined;

  /** Before the next time; fails when it has been away for too long. */
  const waitMore = Effect.fnUntraced(function* (
    times: number,
    reason: string,
    error: SendError | undefined,
  ) {
    const now = yield* Clock.currentTimeMillis;
    if (answered === undefined || now - answered > patienceMillis) {
      return yield* error ?? failed(reason);
    }
    waiting = reason;
    yield* Effect.sleep(Math.min(1000 * 2 ** times, 30_000));
  });

  const once = (lines: ReadonlyArray<string>) =>
    Effect.tap(client.placeLines(lines), () =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        answered = now;
        waiting = undefined;
      }),
    );

  const halves = (
    lines: ReadonlyArray<string>,
    detail: string,
  ): Effect.Effect<
    ReadonlyArray<Outcome>,
    SendError | ReturnType<typeof failed>
  > => {
    if (lines.length === 1) {
      return Effect.succeed([{ status: 413, order_id: null, reason: detail }]);
    }
    const middle = Math.ceil(lines.length / 2);
    return Effect.zipWith(
      send(lines.slice(0, middle)),
      send(lines.slice(middle)),
      (one, other) => [...one, ...other],
    );
  };

  const send = (
    lines: ReadonlyArray<string>,
    times = 0,
  ): Effect.Effect<
    ReadonlyArray<Outcome>,
    SendError | ReturnType<typeof failed>
  > =>
    Effect.matchEffect(once(lines), {
      onFailure: (error) => {
        if (isTooLarge(error)) return halves(lines, reasonText(error, url));
        return isTransient(error)
          ? Effect.andThen(
              waitMore(times, reasonText(error, url), error),
              send(lines, times + 1),
            )
          : Effect.fail(error);
      },
      onSuccess: (entries) => sendRest(lines, entries, times),
    });

  /** Rows that were not placed for a reason that may pass are sent again. */
  const sendRest = Effect.fnUntraced(function* (
    lines: ReadonlyArray<string>,
    entries: ReadonlyArray<Entry>,
    times: number,
  ) {
    if (entries.length !== lines.length) {
      return yield* failed(
        `The service at ${url} was sent ${lines.length} orders and answered about ${entries.length}: it is of another version.`,
      );
    }
    const left = entries.flatMap(({ status }, index) =>
      mayPass(status) ? [index] : [],
    );
    const outcomes = entries.map(outcomeOf);
    if (left.length === 0) return outcomes;
    yield* waitMore(times, outcomes[left[0] ?? 0]?.reason ?? "", undefined);
    const again = yield* send(
      left.map((index) => lines[index] ?? ""),
      times + 1,
    );
    left.forEach((index, place) => {
      const outcome = again[place];
      if (outcome !== undefined) outcomes[index] = outcome;
    });
    return outcomes;
  });

  return {
    send: (lines: ReadonlyArray<string>) => send(lines),
    /** What is waited for now, in words. */
    waiting: () => waiting,
  };
});
