/**
 * A way to PostgreSQL that can be made bad: slow, stalling, or cut in the one
 * place that matters most, between a commit and the answer that tells of it.
 * It reads the protocol's framing, so that it knows which answer that is.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { connect, createServer, type Socket } from "node:net";

/** Which packets are lost. */
export type Direction = "to-database" | "from-database" | "both";

export interface PgProxy {
  readonly port: number;
  /** Every byte is so late, in each direction. */
  readonly delay: (millis: number) => void;
  /** Nothing comes through while it is stalled. */
  readonly stall: (isStalled: boolean) => void;
  /**
   * Loses all bytes of one direction, or of both. Nothing is lost for good:
   * the sender repeats them after 0.2 s, 0.4 s, 0.8 s and so on, as TCP does.
   */
  readonly lose: (direction: Direction | undefined) => void;
  /** The database's side of all connections vanishes, and sends no word of it. */
  readonly vanish: () => void;
  /** While it is shut, connections are ended, those there are and new ones. */
  readonly shut: (isShut: boolean) => void;
  /**
   * The next statement that matches is done by the database; its answer is
   * thrown away, and the connection with it.
   */
  readonly cutAnswerOf: (statement: RegExp) => void;
  /** Answers thrown away so far. */
  readonly cuts: () => number;
  readonly close: () => Promise<void>;
}

/** The length word of a message that has a type byte, and of one that has none. */
const typed = 1;
const untyped = 0;

/** Takes whole messages off a stream of bytes. */
const makeFraming = () => {
  let rest: Buffer = Buffer.alloc(0);
  return {
    add: (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    },
    next: (lengthAt: number): Buffer | undefined => {
      if (rest.length < lengthAt + 4) return undefined;
      const length = lengthAt + rest.readUInt32BE(lengthAt);
      if (rest.length < length) return undefined;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      return message;
    },
  };
};

/** `SSLRequest` and `GSSENCRequest`, which a plain server answers with "N". */
const encryptionRequests: ReadonlySet<number> = new Set([80877103, 80877104]);

/** The text at `from`, which a zero ends, and where the next begins. */
const textAt = (message: Buffer, from: number) => {
  const end = message.indexOf(0, from);
  return { text: message.toString("utf8", from, end), next: end + 1 };
};

/** The first wait before TCP repeats what was lost; each further one is twice it. */
const repeatMillis = 200;

/** Before a connection is there, TCP waits longer. */
const repeatFirstMillis = 1000;

/** TCP waits no longer than that. */
const repeatMaxMillis = 120_000;

/** Writes to a socket, as late as asked, in order. */
const makeLane = (
  to: Socket,
  lateness: () => number,
  isLost: () => boolean,
) => {
  let repeat = repeatFirstMillis;
  const waiting: Array<{ readonly due: number; readonly bytes: Buffer }> = [];
  let timer: NodeJS.Timeout | undefined;
  const pump = () => {
    clearTimeout(timer);
    timer = undefined;
    while (waiting.length > 0) {
      const now = performance.now();
      const [head] = waiting;
      const due = head?.due ?? 0;
      if (due > now || lateness() === Number.POSITIVE_INFINITY) {
        timer = setTimeout(pump, Math.max(1, Math.min(due - now, 20)));
        return;
      }
      if (isLost()) {
        timer = setTimeout(pump, repeat);
        repeat = Math.min(2 * repeat, repeatMaxMillis);
        return;
      }
      repeat = repeatMillis;
      waiting.shift();
      if (head !== undefined && !to.destroyed) to.write(head.bytes);
    }
  };
  return {
    write: (bytes: Buffer) => {
      const late = lateness();
      const due =
        performance.now() + (late === Number.POSITIVE_INFINITY ? 0 : late);
      waiting.push({ due, bytes });
      if (timer === undefined) pump();
    },
    end: () => {
      clearTimeout(timer);
      waiting.length = 0;
    },
  };
};

export const open = async (postgresPort: number): Promise<PgProxy> => {
  const sockets = new Set<Socket>();
  let millis = 0;
  let isStalled = false;
  let isShut = false;
  let lost: Direction | undefined;
  const vanishing = new Set<() => void>();
  let toCut: RegExp | undefined;
  let cuts = 0;
  const lateness = () => (isStalled ? Number.POSITIVE_INFINITY : millis);

  const join = (client: Socket) => {
    if (isShut) {
      client.destroy();
      return;
    }
    const server = connect(postgresPort, "127.0.0.1");
    let hasVanished = false;
    const toServer = makeLane(
      server,
      lateness,
      () => lost === "both" || lost === "to-database",
    );
    const toClient = makeLane(
      client,
      lateness,
      () => lost === "both" || lost === "from-database",
    );
    const vanish = () => {
      hasVanished = true;
      sockets.delete(server);
      server.destroy();
      toServer.end();
      toClient.end();
    };
    vanishing.add(vanish);
    const destroy = () => {
      vanishing.delete(vanish);
      for (const socket of [client, server]) {
        sockets.delete(socket);
        socket.destroy();
      }
      toServer.end();
      toClient.end();
    };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
    }
    client.on("error", destroy);
    client.on("close", destroy);
    const end = () => {
      if (!hasVanished) destroy();
    };
    server.on("error", end);
    server.on("close", end);

    /** Of prepared statements, by name. */
    const statements = new Map<string, string>();
    /** Cycles end with Sync, and their answers with ReadyForQuery. */
    let asked = 0;
    let answered = -1; // The first ReadyForQuery ends the start-up.
    let cutCycle: number | undefined;

    const isToBeCut = (statement: string | undefined) => {
      if (statement === undefined || toCut?.test(statement) !== true) return;
      toCut = undefined;
      cutCycle = asked;
    };

    const read = (message: Buffer) => {
      switch (String.fromCharCode(message[0] ?? 0)) {
        case "P": {
          const name = textAt(message, 5);
          statements.set(name.text, textAt(message, name.next).text);
          return;
        }
        case "B": {
          const portal = textAt(message, 5);
          return isToBeCut(statements.get(textAt(message, portal.next).text));
        }
        case "Q": {
          isToBeCut(textAt(message, 5).text);
          asked += 1;
          return;
        }
        case "S":
          asked += 1;
      }
    };

    const fromClient = makeFraming();
    let hasStarted = false;
    client.on("data", (chunk: Buffer) => {
      if (hasVanished) return;
      fromClient.add(chunk);
      while (true) {
        const message = fromClient.next(hasStarted ? typed : untyped);
        if (message === undefined) return;
        if (hasStarted) read(message);
        else if (encryptionRequests.has(message.readUInt32BE(4))) {
          toClient.write(Buffer.from("N"));
          continue;
        } else hasStarted = true;
        toServer.write(message);
      }
    });

    const fromServer = makeFraming();
    server.on("data", (chunk: Buffer) => {
      fromServer.add(chunk);
      const through: Array<Buffer> = [];
      while (true) {
        const message = fromServer.next(typed);
        if (message === undefined) break;
        const isCut = cutCycle !== undefined && answered === cutCycle;
        if (!isCut) through.push(message);
        if (message[0] !== "Z".charCodeAt(0)) continue;
        answered += 1;
        if (isCut) {
          cuts += 1;
          return destroy();
        }
      }
      if (through.length > 0) toClient.write(Buffer.concat(through));
    });
  };

  const listener = createServer(join);
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (listener.address() as { port: number }).port,
    delay: (value) => {
      millis = value;
    },
    stall: (value) => {
      isStalled = value;
    },
    lose: (direction) => {
      lost = direction;
    },
    vanish: () => {
      for (const vanish of vanishing) vanish();
      vanishing.clear();
    },
    shut: (value) => {
      isShut = value;
      if (!isShut) return;
      for (const socket of sockets) socket.destroy();
    },
    cutAnswerOf: (statement) => {
      toCut = statement;
    },
    cuts: () => cuts,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
};
