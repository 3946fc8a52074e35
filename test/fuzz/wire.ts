/**
 * HTTP as bytes: writes what no HTTP library would, and reads every answer
 * that comes back, up to the end of the connection.
 */
import { connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

/** A request. Method, target and headers are written as they are (latin1). */
export interface Sent {
  readonly method: string;
  readonly target: string;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly body?: Buffer | undefined;
  /** Bytes in each chunk; left out, the body goes with `Content-Length`. */
  readonly chunkBytes?: number | undefined;
}

export interface Answer {
  readonly status: number;
  /** By their names in lower case; repeated ones joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The statuses of 1xx answers before it. */
  readonly interim: ReadonlyArray<number>;
}

export interface Outcome {
  readonly answers: ReadonlyArray<Answer>;
  /** How it ended: all answers came, the connection closed, or nothing came. */
  readonly ending: "answered" | "closed" | "hung";
}

const ascii = (text: string) => Buffer.from(text, "latin1");

const chunksOf = (body: Buffer, chunkBytes: number): Buffer => {
  const parts: Array<Buffer> = [];
  for (let start = 0; start < body.length; start += chunkBytes) {
    const chunk = body.subarray(start, start + chunkBytes);
    parts.push(ascii(`${chunk.length.toString(16)}\r\n`), chunk, ascii("\r\n"));
  }
  return Buffer.concat([...parts, ascii("0\r\n\r\n")]);
};

export const headOf = (sent: Sent): Buffer => {
  const headers = [...sent.headers];
  if (sent.body !== undefined) {
    headers.push(
      sent.chunkBytes === undefined
        ? ["Content-Length", String(sent.body.length)]
        : ["Transfer-Encoding", "chunked"],
    );
  }
  return ascii(
    [
      `${sent.method} ${sent.target} HTTP/1.1`,
      "Host: 127.0.0.1",
      ...headers.map(([name, value]) => `${name}: ${value}`),
      "\r\n",
    ].join("\r\n"),
  );
};

export const bytesOf = (sent: Sent): Buffer => {
  const { body, chunkBytes } = sent;
  const head = headOf(sent);
  if (body === undefined) return head;
  return Buffer.concat([
    head,
    chunkBytes === undefined ? body : chunksOf(body, chunkBytes),
  ]);
};

/** Bytes as a JavaScript string literal that `Buffer.from(_, "latin1")` reads. */
export const literalOf = (bytes: Buffer, bytesMax = 6000): string => {
  const text = JSON.stringify(bytes.subarray(0, bytesMax).toString("latin1"));
  const shown = text
    .replace(
      /[\u007f-\u00ff]/g,
      (byte) => `\\x${byte.charCodeAt(0).toString(16)}`,
    )
    .replace(
      /([^\\])\1{99,}/g,
      (run, one) => `" + "${one}".repeat(${run.length}) + "`,
    );
  return bytes.length > bytesMax
    ? `${shown} and ${bytes.length - bytesMax} bytes more`
    : shown;
};

/**
 * The length of a chunked body from `start` on, and the body; if it is whole. A
 * stream has no end: of one, what there is once an event has come, or the start.
 */
const readChunks = (bytes: Buffer, start: number, isStream: boolean) => {
  const parts: Array<Buffer> = [];
  for (let at = start; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    const end = line + 2 + size + 2;
    if (line === -1 || bytes.length < end) {
      return isStream && parts.length > 0
        ? { body: Buffer.concat(parts), end: bytes.length }
        : undefined;
    }
    if (size === 0) return { body: Buffer.concat(parts), end };
    parts.push(bytes.subarray(line + 2, end - 2));
    at = end;
  }
};

/** The first answer in the bytes, if it is whole. */
const readAnswer = (bytes: Buffer, method: string, isClosed: boolean) => {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const [first = "", ...lines] = bytes
    .toString("latin1", 0, headEnd)
    .split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no status line: ${first}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = "", value = ""] = /^([^:]*):\s*(.*)$/.exec(line) ?? [];
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  const start = headEnd + 4;
  const head = { status, headers };
  if (method === "HEAD" || status === 304 || status === 204 || status < 200) {
    return { ...head, body: Buffer.alloc(0), end: start };
  }
  if (headers["transfer-encoding"] === "chunked") {
    const chunks = readChunks(
      bytes,
      start,
      headers["content-type"] === "text/event-stream",
    );
    return chunks === undefined ? undefined : { ...head, ...chunks };
  }
  const length = headers["content-length"];
  if (length === undefined) {
    if (!isClosed) return undefined;
    return { ...head, body: bytes.subarray(start), end: bytes.length };
  }
  const end = start + Number(length);
  if (bytes.length < end) return undefined;
  return { ...head, body: bytes.subarray(start, end), end };
};

export class Connection {
  readonly socket: Socket;
  isClosed = false;
  #pieces: Array<Buffer> = [];
  #changed: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (piece) => {
      this.#pieces.push(piece);
      this.#changed();
    });
    // A reset is an end like any other: what matters is what was answered.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      this.#changed();
    });
  }

  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port) }, () => {
        socket.off("error", reject);
        resolve(new Connection(socket));
      });
      socket.once("error", reject);
    });
  }

  /** Bytes that came and belong to no answer read so far. */
  get unread(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] as Buffer;
  }

  /** Waits for the next bytes or the end; false when neither comes in time. */
  #change(millis: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), millis);
      this.#changed = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Writes the parts, each by itself, and reads one answer for each method. */
  async exchange(
    parts: ReadonlyArray<Buffer>,
    methods: ReadonlyArray<string>,
    seconds: number,
  ): Promise<Outcome> {
    const answers: Array<Answer> = [];
    let interim: Array<number> = [];
    const reading = (async (): Promise<Outcome> => {
      const deadline = Date.now() + seconds * 1000;
      while (answers.length < methods.length) {
        const method = methods[answers.length] as string;
        const read = readAnswer(this.unread, method, this.isClosed);
        if (read !== undefined) {
          const { end, ...answer } = read;
          this.#pieces = [this.unread.subarray(end)];
          if (answer.status < 200) interim.push(answer.status);
          else {
            answers.push({ ...answer, interim });
            interim = [];
          }
          continue;
        }
        if (this.isClosed) return { answers, ending: "closed" };
        if (!(await this.#change(Math.max(0, deadline - Date.now())))) {
          return { answers, ending: "hung" };
        }
      }
      return { answers, ending: "answered" };
    })();
    for (const part of parts) {
      if (this.isClosed) break;
      this.socket.write(part);
      if (parts.length > 1) await nextTurn();
    }
    return reading;
  }

  /** Waits for the other side to close; false when it does not in time. */
  async closed(seconds: number): Promise<boolean> {
    const deadline = Date.now() + seconds * 1000;
    while (!this.isClosed) {
      if (!(await this.#change(Math.max(0, deadline - Date.now())))) {
        return false;
      }
    }
    return true;
  }

  close() {
    this.socket.destroy();
  }
}
