/**
 * What went wrong, in one or two lines that say what to do, and the exit code:
 * 0 done, 1 refused or failed, 2 used wrongly, 4 not allowed, 130 interrupted.
 */
import { Cause, Schema } from "effect";
import { CliError } from "effect/cli";
import { withoutKeys } from "../domain/ApiKey.ts";
import type { FileFault } from "./Machine.ts";
import { safeText } from "./SafeText.ts";

export const exitCodes = {
  done: 0,
  failed: 1,
  usedWrongly: 2,
  notAllowed: 4,
} as const;

/** Something was done and told; this is the exit code that says how it went. */
export class EndsWith extends Schema.TaggedError<EndsWith>()("EndsWith", {
  exitCode: Schema.Int,
}) {}

/** A failure that the command found itself. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()(
  "CommandFailed",
  { message: Schema.String, exitCode: Schema.Int },
) {}

export const failed = (message: string) =>
  new CommandFailed({ message, exitCode: exitCodes.failed });

/** What was typed cannot be done. */
export const usedWrongly = (message: string) =>
  new CommandFailed({ message, exitCode: exitCodes.usedWrongly });

export interface Failure {
  readonly message: string;
  readonly exitCode: number;
}

/** As much as is looked at of a problem (RFC 9457), whatever class it is of. */
interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail?: string | undefined;
  readonly errors?:
    | ReadonlyArray<{
        readonly path?: unknown;
        readonly message?: string;
      }>
    | undefined;
}

const isProblem = (error: object): error is Problem =>
  "title" in error &&
  typeof error.title === "string" &&
  "status" in error &&
  typeof error.status === "number";

const placeOf = (path: unknown): string =>
  (Array.isArray(path) ? path.map(String) : [String(path ?? "")])
    .join(".")
    .replace(/^\$?\.?/, "");

/** A problem in one line. */
export const problemText = (problem: Problem): string => {
  const faults = (problem.errors ?? []).slice(0, 5).map(({ message, path }) => {
    const place = placeOf(path);
    return place === "" ? `${message}` : `${place} ${message}`;
  });
  const more = (problem.errors?.length ?? 0) - faults.length;
  if (more > 0) faults.push(`and ${more} more`);
  const said = problem.detail ?? faults.join("; ");
  return said === "" || said === undefined
    ? problem.title
    : problem.detail !== undefined && faults.length > 0
      ? `${problem.title}: ${problem.detail} (${faults.join("; ")})`
      : `${problem.title}: ${said}`;
};

const away = (url: string, why: string): Failure => ({
  message: `The service at ${url} does not answer${why}.\nIs it running? Say where it is with --url or ORDERS_URL.`,
  exitCode: exitCodes.failed,
});

/** The innermost code or message, as `ECONNREFUSED`. */
const reasonOf = (error: unknown): string | undefined => {
  let code: string | undefined;
  let inner: unknown = error;
  for (let depth = 0; depth < 6 && typeof inner === "object"; depth += 1) {
    if (inner === null) break;
    if ("code" in inner && typeof inner.code === "string") code = inner.code;
    if ("errors" in inner && Array.isArray(inner.errors)) {
      inner = inner.errors[0];
    } else {
      inner = "cause" in inner ? inner.cause : undefined;
    }
  }
  return code;
};

/** As much as is looked at of an `HttpClientError`. */
interface HttpError {
  readonly message: string;
  readonly reason: {
    readonly _tag: string;
    readonly description?: string;
    /** Something else answered: the message says what. */
    readonly isForeign?: boolean;
  };
  readonly request: { readonly url: string };
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | undefined>>;
  };
}

/** The base address that a redirect leads to, if it keeps the path. */
const movedTo = ({ request, response }: HttpError, url: string) => {
  const target = URL.parse(response?.headers.location ?? "", request.url);
  const base = url.replace(/\/+$/, "");
  if (target === null || !request.url.startsWith(`${base}/`)) return undefined;
  const path = request.url.slice(base.length);
  const address = `${target.origin}${target.pathname}`;
  return address.endsWith(path) && address !== request.url
    ? address.slice(0, -path.length)
    : undefined;
};

/** What to do about an answer that is not the service's. */
const adviceOn = (error: HttpError, url: string): string => {
  // What `fetch` hides is 407.
  const status = error.response?.status ?? 407;
  const address = "Say where the service is with --url or ORDERS_URL";
  if (status >= 300 && status < 400) {
    const base = movedTo(error, url);
    return base === undefined
      ? `${address}; if people sign in there, ask for an address for programs.`
      : `Use that address: --url ${base} (or ORDERS_URL).`;
  }
  switch (status) {
    case 401:
    case 403:
    case 407:
    case 511:
      return "A proxy on the way keeps this command out. Ask whoever runs it for access, or for an address that does not pass it.";
    case 413:
      return "A proxy on the way takes no bodies of that size. Have its limit raised (nginx: client_max_body_size).";
    case 502:
    case 503:
    case 504:
      return "A proxy answers for the service. Is the service running? Then try again.";
    case 408:
    case 429:
    case 500:
      return "Try again; if it stays, ask whoever runs what answered.";
    default:
      return `${address}. It may be of another version, or people have to sign in there.`;
  }
};

const noAnswer = (error: HttpError, url: string): Failure => {
  const { reason } = error;
  if (reason.isForeign === true) {
    return {
      message: `${error.message}\n${adviceOn(error, url)}`,
      exitCode: exitCodes.failed,
    };
  }
  const said = reasonOf(reason) ?? reason.description;
  return away(url, said === undefined ? "" : ` (${said})`);
};

const fileWords: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  ENOSPC: "the disk is full",
  EROFS: "the disk is read-only",
  EPIPE: "whoever read it has gone",
  Z_BUF_ERROR: "its gzip text is cut off",
  Z_DATA_ERROR: "its gzip text is broken",
};

const fileText = ({ code, path, tried }: FileFault) =>
  `Cannot ${tried} ${path}: ${fileWords[code] ?? code}.`;

const failureOfProblem = (error: Problem & { readonly _tag?: string }) => {
  switch (error._tag) {
    case "KeyRequired":
      return {
        message: `${problemText(error)}\nGive a key by ORDERS_KEY (or --key, which others may see in the list of processes).`,
        exitCode: exitCodes.notAllowed,
      };
    case "ScopeMissing": {
      const { scope } = error as unknown as { readonly scope: string };
      return {
        message: `The key may not do this: it lacks the scope ${scope}.\nUse a key that has it, or have one made: orders keys create --scope ${scope}`,
        exitCode: exitCodes.notAllowed,
      };
    }
    default:
      return { message: problemText(error), exitCode: exitCodes.failed };
  }
};

const failureOfError = (error: unknown, url: string): Failure => {
  if (typeof error !== "object" || error === null) {
    return { message: String(error), exitCode: exitCodes.failed };
  }
  const { _tag } = error as { readonly _tag?: string };
  switch (_tag) {
    case "EndsWith":
      return { message: "", exitCode: (error as EndsWith).exitCode };
    case "CommandFailed":
      return error as CommandFailed;
    case "FileFault":
      return {
        message: fileText(error as FileFault),
        exitCode: exitCodes.failed,
      };
    case "HttpClientError":
      return noAnswer(error as HttpError, url);
    case "SchemaError":
      return {
        message: (error as unknown as Error).message.replace(
          /\n\s*at /g,
          " at ",
        ),
        exitCode: exitCodes.failed,
      };
  }
  if (isProblem(error)) return failureOfProblem(error);
  const { message } = error as { readonly message?: unknown };
  return {
    message:
      typeof message === "string" && message !== "" ? message : `${_tag}`,
    exitCode: exitCodes.failed,
  };
};

/** At most two lines, and nothing in them that moves a terminal's cursor. */
const tidy = (text: string): string =>
  withoutKeys(text)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, 3)
    .map((line) => safeText(line.trimEnd()))
    .join("\n");

/** What to tell of a command that ended so; nothing where all is told. */
export const failureOf = (
  cause: Cause.Cause<unknown>,
  url: string,
): Failure => {
  const error = Cause.squash(cause);
  // Effect's own parsing has told what is wrong.
  if (CliError.isCliError(error)) {
    return { message: "", exitCode: exitCodes.usedWrongly };
  }
  const failure = failureOfError(error, url);
  return { ...failure, message: tidy(failure.message) };
};

/** What an error says, in one line. */
export const reasonText = (error: unknown, url: string): string =>
  tidy(failureOfError(error, url).message).split("\n")[0] ?? "";
