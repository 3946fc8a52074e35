/**
 * Sends the requests, several connections at once, and keeps what went wrong:
 * the first of each kind, with the bytes that show it again.
 */
import { Book } from "./Book.ts";
import { type Fault, faultsOfAnswer } from "./checks.ts";
import { Dice } from "./Dice.ts";
import type { Contract } from "./document.ts";
import { expectationOf } from "./expectation.ts";
import { RequestMaker } from "./RequestMaker.ts";
import { rawRequest } from "./rawRequests.ts";
import {
  bytesOf,
  Connection,
  literalOf,
  type Outcome,
  type Sent,
} from "./wire.ts";

export interface FuzzOptions {
  readonly url: string;
  readonly contract: Contract;
  readonly seed: number;
  readonly requests: number;
  readonly connections: number;
  /** A key that each request shows; raw bytes, which cannot, are then left out. */
  readonly key?: string;
}

interface Finding {
  readonly fault: Fault;
  readonly where: string;
  readonly bytes: Buffer;
  readonly answer: string;
  times: number;
}

/** No answer within so many seconds is none. */
const hangSeconds = 10;

/** One in so many requests is written as raw bytes. */
const rawShare = 20;

/** A body that may still be on its way when it is refused. */
const largeBytes = 60_000;

const noHeaders: Sent["headers"] = [];

export class FuzzRun {
  readonly book = new Book();
  readonly #options: FuzzOptions;
  readonly #maker: RequestMaker;
  readonly #findings = new Map<string, Finding>();
  #next = 0;
  #sent = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#maker = new RequestMaker(options.contract, options.seed);
  }

  /** Requests sent so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends requests until so many are sent in all. */
  async upTo(requests: number): Promise<void> {
    const lanes = Array.from({ length: this.#options.connections }, (_, lane) =>
      this.#lane(lane, requests),
    );
    await Promise.all(lanes);
  }

  note(fault: Fault, where: string, bytes: Buffer, answer: string) {
    const known = this.#findings.get(fault.kind);
    if (known !== undefined) known.times += 1;
    else {
      this.#findings.set(fault.kind, { fault, where, bytes, answer, times: 1 });
    }
  }

  async #lane(lane: number, requests: number): Promise<void> {
    const dice = new Dice(
      this.#options.seed,
      `lane ${lane} from ${this.#next}`,
    );
    let connection: Connection | undefined;
    while (this.#next < requests) {
      const index = this.#next;
      if (index % rawShare === 0 && this.#options.key === undefined) {
        this.#next += 1;
        await this.#raw(index);
        continue;
      }
      const batch: Array<Sent> = [];
      const size = dice.pick([1, 1, 1, 2, 5]);
      let last: Sent | undefined;
      while (
        batch.length < size &&
        this.#next < requests &&
        (batch.length === 0 ||
          this.#next % rawShare !== 0 ||
          this.#options.key !== undefined)
      ) {
        const sent = this.#withKey(
          this.#maker.make(this.#next, this.book.cursors),
        );
        this.#next += 1;
        if (this.#endsItsConnection(sent)) {
          last = sent;
          break;
        }
        batch.push(sent);
      }
      if (batch.length > 0) {
        if (connection === undefined || connection.isClosed) {
          connection = await Connection.open(this.#options.url);
        }
        if (!(await this.#exchange(connection, batch, dice))) {
          connection.close();
        }
      }
      if (last !== undefined) {
        const alone = await Connection.open(this.#options.url);
        await this.#exchange(alone, [last], dice);
        alone.close();
      }
    }
    connection?.close();
  }

  #withKey(sent: Sent): Sent {
    const { key } = this.#options;
    return key === undefined
      ? sent
      : {
          ...sent,
          // The first of two counts, and odd ones are made, too.
          headers: [
            ...sent.headers.filter(([name]) => name !== "Authorization"),
            ["Authorization", `Bearer ${key}`],
          ],
        };
  }

  /** Others are pipelined with each other; these would take them along. */
  #endsItsConnection(sent: Sent): boolean {
    const { contract } = this.#options;
    const { byHttpLayer, operation } = expectationOf(contract, sent);
    return (
      byHttpLayer.size > 0 ||
      // A stream is the last on its connection, which its reader ends.
      operation?.operationId === "events.stream" ||
      (sent.body?.length ?? 0) > largeBytes ||
      sent.headers.some(([name]) => name === "Expect")
    );
  }

  /** True when the connection can be used again. */
  async #exchange(
    connection: Connection,
    batch: ReadonlyArray<Sent>,
    dice: Dice,
  ): Promise<boolean> {
    const { contract } = this.#options;
    const expected = batch.map((sent) => expectationOf(contract, sent));
    const before = expected.map((expectation) => this.book.before(expectation));
    const outcome = await connection.exchange(
      pieces(Buffer.concat(batch.map(bytesOf)), dice),
      batch.map(({ method }) => method),
      hangSeconds,
    );
    this.#sent += batch.length;
    for (const [index, sent] of batch.entries()) {
      const expectation = expected[index] as (typeof expected)[number];
      const answer = outcome.answers[index];
      this.book.settle(expectation, answer);
      if (answer === undefined) {
        const kind =
          outcome.ending === "hung"
            ? "no answer in time"
            : "the connection closes without an answer";
        this.note(
          { kind, detail: "" },
          "alone or in a batch",
          Buffer.concat(batch.map(bytesOf)),
          "",
        );
        break;
      }
      const faults = faultsOfAnswer(contract, expectation, sent, answer);
      const wrong =
        faults.length > 0
          ? faults
          : this.book.faultsOf(
              sent,
              expectation,
              before[index] as (typeof before)[number],
              answer,
            );
      for (const fault of wrong) {
        await this.#noteSmallest(
          fault,
          sent,
          `${answer.status} ${answer.body.toString("utf8").slice(0, 2000)}`,
        );
      }
    }
    const isOver = outcome.answers.at(-1)?.headers.connection === "close";
    const isRight =
      outcome.ending === "answered" && connection.unread.length === 0;
    if (outcome.ending === "answered" && !isRight && !isOver) {
      this.note(
        {
          kind: "more answers than requests",
          detail: literalOf(connection.unread),
        },
        "batch",
        Buffer.concat(batch.map(bytesOf)),
        "",
      );
    }
    return isRight;
  }

  /** Takes away what the fault does not need, if it shows without the book. */
  async #noteSmallest(fault: Fault, sent: Sent, answer: string) {
    const isNew = !this.#findings.has(fault.kind);
    this.note(
      fault,
      `${sent.method} ${sent.target}`.slice(0, 200),
      bytesOf(sent),
      answer,
    );
    if (!isNew) return;
    const finding = this.#findings.get(fault.kind) as Finding;
    const smallest = await this.#shrink(fault, sent);
    if (smallest !== undefined) {
      this.#findings.set(fault.kind, {
        ...finding,
        ...smallest,
        times: finding.times,
      });
    }
  }

  /** The same fault from less: without headers, query, pieces of the body. */
  async #shrink(fault: Fault, first: Sent) {
    let found:
      | {
          readonly bytes: Buffer;
          readonly answer: string;
          readonly where: string;
        }
      | undefined;
    const shows = async (sent: Sent) => {
      const { contract, url } = this.#options;
      const connection = await Connection.open(url);
      const { answers } = await connection.exchange(
        [bytesOf(sent)],
        [sent.method],
        hangSeconds,
      );
      connection.close();
      const [answer] = answers;
      if (answer === undefined) return false;
      this.book.placedElsewhere(answer);
      const expected = expectationOf(contract, sent);
      const faults = faultsOfAnswer(contract, expected, sent, answer);
      const same = faults.find(({ kind }) => kind === fault.kind);
      if (same === undefined) return false;
      found = {
        bytes: bytesOf(sent),
        answer: `${answer.status} ${answer.body.toString("utf8").slice(0, 2000)}`,
        where: `${sent.method} ${sent.target}, made smaller`,
      };
      return true;
    };
    if (!(await shows(first))) return undefined;
    let sent = first;
    for (let tries = 0, smaller = true; smaller && tries < 150; ) {
      smaller = false;
      for (const less of smallerThan(sent)) {
        tries += 1;
        if (tries > 150) break;
        if (await shows(less)) {
          sent = less;
          smaller = true;
          break;
        }
      }
    }
    return found;
  }

  async #raw(index: number) {
    const { seed, url } = this.#options;
    const raw = rawRequest(
      new Dice(seed, `raw ${index}`),
      seed,
      index / rawShare,
    );
    this.#sent += 1;
    if (raw.orderId !== undefined) this.book.unanswered.add(raw.orderId);
    const connection = await Connection.open(url);
    const note = (kind: string, answer: string) =>
      this.note(
        { kind: `${raw.name}: ${kind}`, detail: "" },
        `raw ${index}`,
        raw.bytes,
        answer,
      );
    if (raw.afterwards === "destroy") {
      connection.socket.write(raw.bytes, () => connection.close());
      await connection.closed(hangSeconds);
      return;
    }
    const exchanged = connection.exchange(
      [raw.bytes],
      raw.answers.map(() => "GET"),
      hangSeconds,
    );
    if (raw.afterwards === "end") connection.socket.end();
    const outcome = await exchanged;
    this.#judgeRaw(raw.answers, outcome, note);
    connection.close();
  }

  #judgeRaw(
    right: ReadonlyArray<ReadonlyArray<number | "closed">>,
    { answers, ending }: Outcome,
    note: (kind: string, answer: string) => void,
  ) {
    if (ending === "hung") {
      return note(
        "neither answered nor closed in time",
        `${answers.length} answers`,
      );
    }
    for (const [at, statuses] of right.entries()) {
      const answer = answers[at];
      const given = answer?.status ?? "closed";
      const key = `bytes ${given}`;
      this.book.statuses.set(key, (this.book.statuses.get(key) ?? 0) + 1);
      if (!statuses.includes(given)) {
        return note(
          `${given}, not ${statuses.join(", ")}`,
          answer?.body.toString() ?? "",
        );
      }
      if (answer === undefined) return;
    }
  }

  /** All that went wrong, so that it can be sent again. */
  report(): string {
    const findings = Array.from(this.#findings.values(), (finding) =>
      [
        `${finding.fault.kind} (${finding.times} times)`,
        `  ${finding.where}`,
        `  ${finding.fault.detail.slice(0, 1500)}`,
        `  sent:     ${literalOf(finding.bytes)}`,
        `  answered: ${finding.answer}`,
      ].join("\n"),
    );
    return findings.join("\n\n");
  }
}

/** In one write, or cut somewhere, so that no boundary is a packet's. */
const pieces = (bytes: Buffer, dice: Dice): ReadonlyArray<Buffer> => {
  if (dice.chance(0.8)) return [bytes];
  const cuts = Array.from({ length: dice.int(1, 4) }, () =>
    dice.int(0, bytes.length),
  );
  const ends = [...cuts.sort((one, other) => one - other), bytes.length];
  return ends.map((end, index) =>
    bytes.subarray(index === 0 ? 0 : ends[index - 1], end),
  );
};

/** Requests that say less than this one. */
function* smallerThan(sent: Sent): Generator<Sent> {
  if (sent.headers.length > 0) yield { ...sent, headers: noHeaders };
  for (const header of sent.headers.slice(0, 20)) {
    yield {
      ...sent,
      headers: sent.headers.filter((other) => other !== header),
    };
  }
  const at = sent.target.indexOf("?");
  if (at !== -1) {
    yield { ...sent, target: sent.target.slice(0, at) };
    const pairs = sent.target.slice(at + 1).split("&");
    if (pairs.length > 1) {
      for (const pair of pairs) {
        yield {
          ...sent,
          target: `${sent.target.slice(0, at)}?${pairs.filter((other) => other !== pair).join("&")}`,
        };
      }
    }
  }
  const { body } = sent;
  if (body === undefined) return;
  yield { ...sent, body: undefined, chunkBytes: undefined };
  if (sent.chunkBytes !== undefined) yield { ...sent, chunkBytes: undefined };
  for (let size = body.length >> 1; size >= 1; size >>= 1) {
    for (
      let start = 0;
      start < body.length && start / size < 16;
      start += size
    ) {
      yield {
        ...sent,
        body: Buffer.concat([
          body.subarray(0, start),
          body.subarray(start + size),
        ]),
      };
    }
  }
}
