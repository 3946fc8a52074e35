/** Asks the service, by the contract's names. */
import { endpoints } from "./contract.js";

/** @typedef {import("./contract.js").EndpointName} EndpointName */

/**
 * What is sent. `params` stand in the path; of `query`, what is undefined is
 * left out.
 *
 * @typedef {object} Request
 * @property {Readonly<Record<string, string>>} [params]
 * @property {Readonly<Record<string, string | number | boolean | ReadonlyArray<string> | undefined>>} [query]
 * @property {unknown} [body]
 * @property {Readonly<Record<string, string>>} [headers]
 * @property {AbortSignal} [signal]
 */

/** How long an answer may take, in milliseconds. */
const answerMillis = 10_000;

/** The service has answered, and it is not what was asked for (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{ type?: string, title?: string, detail?: string, errors?: ReadonlyArray<{ path: ReadonlyArray<string | number> | string, message: string }>, scope?: string }} said
   * @param {number | undefined} retryAfterSeconds
   */
  constructor(status, said, retryAfterSeconds) {
    super(said.detail ?? said.title ?? `The service answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.type = said.type;
    this.title = said.title ?? `Answered ${status}`;
    this.detail = said.detail;
    this.errors = said.errors ?? [];
    this.scope = said.scope;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Nobody has answered, or not in time. */
export class NoAnswer extends Error {
  constructor() {
    super("The service does not answer.");
    this.name = "NoAnswer";
  }
}

/** Those who want to know how asking goes: the connection and the sign-in. */
export const heard = {
  /** @type {(problem: Problem | undefined) => void} */
  answer: () => {},
  noAnswer: () => {},
};

/**
 * The path of a request with its query.
 *
 * @param {EndpointName} name
 * @param {Request} [request]
 */
export const urlOf = (name, { params = {}, query = {} } = {}) => {
  const path = endpoints[name].path.replace(/:(\w+)/g, (_, parameter) =>
    encodeURIComponent(params[parameter] ?? ""),
  );
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) search.append(key, String(one));
  }
  return search.size === 0 ? path : `${path}?${search}`;
};

/**
 * A proxy that finds nobody answers in its own words.
 *
 * @param {Response} response
 * @param {boolean} isProblem
 */
const isNobody = ({ status }, isProblem) =>
  !isProblem && [502, 503, 504].includes(status);

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
const problemOf = async (response) => {
  const type = response.headers.get("content-type") ?? "";
  const isProblem = type.startsWith("application/problem+json");
  if (isNobody(response, isProblem)) throw new NoAnswer();
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const said = isProblem ? await response.json() : {};
  return new Problem(
    response.status,
    said,
    Number.isFinite(seconds) ? seconds : undefined,
  );
};

/**
 * @param {EndpointName} name
 * @param {Request} request
 */
const send = async (name, request) => {
  const { body, headers = {}, signal } = request;
  const inTime = AbortSignal.timeout(answerMillis);
  try {
    const response = await fetch(urlOf(name, request), {
      method: endpoints[name].method,
      headers:
        body === undefined
          ? headers
          : { ...headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
    });
    if (!response.ok) return { response, problem: await problemOf(response) };
    const isEmpty = response.status === 204;
    return { response, json: isEmpty ? undefined : await response.json() };
  } catch (error) {
    // Who asked does not want it any more.
    if (signal?.aborted) throw signal.reason;
    throw error instanceof NoAnswer ? error : new NoAnswer();
  }
};

/**
 * What the service answers, and the address of the next page where there is one.
 *
 * @template {EndpointName} Name
 * @param {Name} name
 * @param {Request} [request]
 * @returns {Promise<{ answer: import("./contract.js").Answer<Name>, next: string | undefined }>}
 * @throws {Problem | NoAnswer}
 */
export const ask = async (name, request = {}) => {
  let sent;
  try {
    sent = await send(name, request);
  } catch (error) {
    if (error instanceof NoAnswer) heard.noAnswer();
    throw error;
  }
  const { json, problem, response } = sent;
  heard.answer(problem);
  if (problem !== undefined) throw problem;
  const link = /<([^>]*)>;\s*rel="next"/.exec(
    response.headers.get("link") ?? "",
  );
  return { answer: json, next: link?.[1] };
};

/**
 * @template {EndpointName} Name
 * @param {Name} name
 * @param {Request} [request]
 */
export const call = async (name, request) => (await ask(name, request)).answer;

/**
 * The cursor in the address of a next page.
 *
 * @param {string | undefined} next
 */
export const cursorOf = (next) =>
  next === undefined
    ? undefined
    : (new URL(next, location.origin).searchParams.get("cursor") ?? undefined);

/**
 * What went wrong, for the reader; undefined for what nobody waits for any more.
 *
 * @param {unknown} error
 */
export const faultOf = (error) => {
  if (error instanceof Problem || error instanceof NoAnswer) return error;
  if (error instanceof Error && error.name === "AbortError") return undefined;
  return error instanceof Error ? error : new Error(String(error));
};
