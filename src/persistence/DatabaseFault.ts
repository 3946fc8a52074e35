/**
 * What is wrong with the database, in two kinds of words: fixed ones for
 * callers, with a code at most, and its own for the log. Its own may name
 * addresses, roles, tables and whatever else was in a statement.
 */
import { Cause } from "effect";

/** Whoever asks the database hears one of these. */
const reasons = {
  away: "the database cannot be reached",
  "read-only": "the database takes no changes at the moment",
  held: "another session of the database holds what is to be changed",
  slow: "the database did not answer in time",
  full: "the disk of the database is full, so nothing was stored; it is safe to send the same request again once the operator of PostgreSQL has made room",
  disk: "the disk of the database does not read or write, so nothing was stored; the operator of PostgreSQL has to look at the disk and its log",
  denied:
    "the role of DATABASE_URL may not do that; it must own the tables of the service",
  other: "the database could not do what it was asked to",
} as const;

export interface DatabaseFault {
  readonly kind: keyof typeof reasons;
  /** For callers. */
  readonly reason: string;
  /** For the log. */
  readonly words: string;
  /** The user or its password is refused. */
  readonly isLogin: boolean;
}

/** Nobody needs a code beside these words. */
const saysAll: ReadonlySet<DatabaseFault["kind"]> = new Set(["full", "disk"]);

/** By SQLSTATE: its class, or itself. */
const kindOfState: Readonly<Record<string, DatabaseFault["kind"]>> = {
  "08": "away",
  "28": "away",
  // Too many connections.
  "53300": "away",
  // It stops, has crashed, or is only starting.
  "57P01": "away",
  "57P02": "away",
  "57P03": "away",
  "25006": "read-only",
  "53100": "full",
  // EIO, and what else a disk answers.
  "58030": "disk",
  "42501": "denied",
  "55P03": "held",
  "57014": "slow",
};

/** Says it in both kinds of words; `error` is whatever the client failed with. */
export const describe = (error: unknown): DatabaseFault => {
  const chain = Array.from(causesOf(error));
  const code = chain
    .map((one) => (one as { readonly code?: unknown }).code)
    .find((one): one is string => typeof one === "string" && isCode.test(one));
  const kind = kindOf(chain, code);
  return {
    kind,
    isLogin: code?.startsWith("28") === true,
    reason:
      code === undefined || saysAll.has(kind)
        ? reasons[kind]
        : `${reasons[kind]} (${code})`,
    words: Array.from(
      new Set(chain.map((one) => one.message).filter((words) => words !== "")),
    ).join(": "),
  };
};

/** A SQLSTATE, or what the operating system or TLS says: words of a fixed set. */
const isCode = /^[A-Z0-9_]{3,60}$/;

const kindOf = (
  chain: ReadonlyArray<Error>,
  code: string | undefined,
): DatabaseFault["kind"] => {
  if (code !== undefined) {
    const known = kindOfState[code] ?? kindOfState[code.slice(0, 2)];
    if (known !== undefined) return known;
  }
  if (chain.some((one) => tagOf(one) === "ConnectionError")) return "away";
  return chain.some(Cause.isTimeoutError) ? "slow" : "other";
};

const tagOf = (error: Error) => (error as { readonly _tag?: unknown })._tag;

/** An error and what caused it, as far as it is told. */
function* causesOf(error: unknown): Iterable<Error> {
  let one = error;
  // An error may be its own cause.
  for (let depth = 0; one instanceof Error && depth < 10; depth += 1) {
    yield one;
    one = one.cause;
  }
}
